/* sandbox/exec_helper.c: see exec_helper.h. The caller's side; helper_main.c reads what is written here. */
#include "sandbox/exec_helper.h"

#include "base/alloc.h"
#include "base/path.h"
#include "io/spawn_server.h"
#include "sandbox/policy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add_limit(struct str_list *out, const char *name, int64_t value)
{
    if (value > 0)
        str_list_take(out, xasprintf("--%s=%lld", name, (long long)value));
}

char *exec_helper_program(void)
{
    static const char *const places[] = {"cadre-exec", "../libexec/cadre/cadre-exec"};
    char *self = path_self_executable();
    char *folder = path_dirname(self);
    char *found = NULL;

    for (size_t i = 0; i < 2 && found == NULL; i++) {
        char *path = path_join(folder, places[i]);

        if (access(path, X_OK) == 0)
            found = path;
        else
            free(path);
    }
    free(folder);
    if (found == NULL)
        return self;
    free(self);
    return found;
}

/* Boxes that differ in more than the server shares go the plain way. */
static bool is_served(const char *const *argv)
{
    static const char *const others[] = {"--mode=2", "--nestable", "--memory-group"};

    if (argv[1] == NULL || strcmp(argv[1], SANDBOX_HELPER_NAME) != 0)
        return false;
    for (size_t i = 2; argv[i] != NULL && strcmp(argv[i], "--") != 0; i++)
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++)
            if (strcmp(argv[i], others[k]) == 0)
                return false;
    return true;
}

void sandbox_use_server(void)
{
    char *program = exec_helper_program();

    spawn_server_set(program, SANDBOX_SERVER_NAME, is_served);
    free(program);
}

int sandbox_wrap(const struct sandbox_policy *policy, const char *const *argv, struct str_list *out,
                 struct error *err)
{
    if (argv[0] == NULL)
        return error_set(err, ERROR_USAGE, "no command to run");
    str_list_take(out, exec_helper_program());
    str_list_add(out, SANDBOX_HELPER_NAME);
    str_list_take(out, xasprintf("--mode=%d", (int)policy->mode));
    str_list_take(out, xasprintf("--cwd=%s", policy->cwd));
    for (size_t i = 0; i < policy->writable_roots.len; i++) {
        char *root = path_join(policy->cwd, policy->writable_roots.items[i]);

        str_list_take(out, xasprintf("--root=%s", root));
        free(root);
    }
    for (size_t i = 0; i < policy->hidden_paths.len; i++)
        str_list_take(out, xasprintf("--hide=%s", policy->hidden_paths.items[i]));
    if (policy->network_access)
        str_list_add(out, "--network");
    if (policy->loopback)
        str_list_add(out, "--loopback");
    if (policy->exclude_tmpdir_env_var)
        str_list_add(out, "--no-tmpdir");
    if (policy->exclude_slash_tmp)
        str_list_add(out, "--no-slash-tmp");
    for (size_t i = 0; i < policy->read_only_paths.len; i++)
        str_list_take(out, xasprintf("--read-only=%s", policy->read_only_paths.items[i]));
    for (size_t i = 0; i < policy->readable_roots.len; i++)
        str_list_take(out, xasprintf("--read=%s", policy->readable_roots.items[i]));
    if (policy->private_tmp)
        str_list_add(out, "--private-tmp");
    if (policy->private_tmp && policy->tmp_dir != NULL)
        str_list_take(out, xasprintf("--tmp=%s", policy->tmp_dir));
    if (policy->has_memory_group)
        str_list_add(out, "--memory-group");
    if (policy->nestable)
        str_list_add(out, "--nestable");
    str_list_take(out, xasprintf("--parent=%d", (int)getpid()));
    add_limit(out, "processes", policy->max_processes);
    add_limit(out, "memory", policy->max_memory_bytes);
    add_limit(out, "file", policy->max_file_bytes);
    add_limit(out, "cpu", policy->max_cpu_seconds);
    add_limit(out, "min-free", policy->min_free_disk_bytes);
    str_list_add(out, "--");
    for (; *argv != NULL; argv++)
        str_list_add(out, *argv);
    return 0;
}
