/* sandbox/policy.c: see policy.h. */
#include "sandbox/policy.h"

#include "base/alloc.h"
#include "base/path.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

static const char *const mode_names[] = {"read-only", "workspace-write", "danger-full-access"};

/* Three quarters of the machine's. */
static int64_t default_memory(void)
{
    struct sysinfo info;

    if (sysinfo(&info) < 0)
        return 0;
    return (int64_t)info.totalram / 4 * 3 * (int64_t)info.mem_unit;
}

void sandbox_policy_init(struct sandbox_policy *policy, enum sandbox_mode mode, const char *cwd)
{
    *policy = (struct sandbox_policy){.mode = mode, .cwd = xstrdup(cwd)};
    policy->max_processes = SANDBOX_DEFAULT_PROCESSES;
    policy->max_file_bytes = SANDBOX_DEFAULT_FILE_BYTES;
    policy->min_free_disk_bytes = SANDBOX_DEFAULT_FREE_BYTES;
    policy->max_memory_bytes = default_memory();
}

static bool holds_work(const struct sandbox_policy *policy, const char *path)
{
    bool found = path_is_below(policy->cwd, path);

    for (size_t i = 0; i < policy->writable_roots.len && !found; i++) {
        char *root = path_join(policy->cwd, policy->writable_roots.items[i]);

        found = path_is_below(root, path);
        free(root);
    }
    return found;
}

/* Sockets by which the user's agents and services take orders; box.c shuts /run off as a whole. */
static void add_sockets(struct str_list *paths)
{
    static const char *const plain[] = {"SSH_AUTH_SOCK", "GNOME_KEYRING_CONTROL", "XAUTHORITY"};
    static const char *const addresses[][2] = {{"DOCKER_HOST", "unix://"}, {"DBUS_SESSION_BUS_ADDRESS", "unix:path="}};
    const char *tmux = getenv("TMUX");

    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        const char *value = getenv(plain[i]);

        if (value != NULL && value[0] == '/')
            str_list_add(paths, value);
    }
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        const char *value = getenv(addresses[i][0]);

        if (value != NULL && str_starts_with(value, addresses[i][1])) {
            const char *path = value + strlen(addresses[i][1]);

            str_list_take(paths, xstrndup(path, strcspn(path, ",;")));
        }
    }
    if (tmux != NULL && tmux[0] == '/')
        str_list_take(paths, xstrndup(tmux, strcspn(tmux, ",")));
}

void sandbox_policy_hide_secrets(struct sandbox_policy *policy)
{
    static const char *const in_home[] = {".ssh",   ".aws",           ".gnupg",     ".netrc",         ".git-credentials",
                                          ".kube",  ".azure",         ".config/gcloud", ".config/gh", ".docker/config.json",
                                          ".pypirc"};
    static const char *const in_codex_home[] = {"auth.json", ".credentials.json"};
    struct str_list paths = {0};
    char *home = path_expand_home("~");
    char *codex_home = path_codex_home();

    for (size_t i = 0; i < sizeof in_home / sizeof in_home[0] && home[0] == '/'; i++)
        str_list_take(&paths, path_join(home, in_home[i]));
    for (size_t i = 0; i < sizeof in_codex_home / sizeof in_codex_home[0]; i++)
        str_list_take(&paths, path_join(codex_home, in_codex_home[i]));
    add_sockets(&paths);
    for (size_t i = 0; i < paths.len; i++)
        if (!holds_work(policy, paths.items[i]))
            str_list_add(&policy->hidden_paths, paths.items[i]);
    str_list_finish(&paths);
    free(home);
    free(codex_home);
}

void sandbox_policy_copy(struct sandbox_policy *to, const struct sandbox_policy *from)
{
    *to = *from;
    to->cwd = xstrdup(from->cwd);
    to->writable_roots = (struct str_list){0};
    to->hidden_paths = (struct str_list){0};
    to->read_only_paths = (struct str_list){0};
    to->readable_roots = (struct str_list){0};
    to->tmp_dir = xstrdup(from->tmp_dir);
    str_list_copy(&to->writable_roots, &from->writable_roots);
    str_list_copy(&to->hidden_paths, &from->hidden_paths);
    str_list_copy(&to->read_only_paths, &from->read_only_paths);
    str_list_copy(&to->readable_roots, &from->readable_roots);
}

void sandbox_policy_finish(struct sandbox_policy *policy)
{
    if (policy == NULL)
        return;
    free(policy->cwd);
    str_list_finish(&policy->writable_roots);
    str_list_finish(&policy->hidden_paths);
    str_list_finish(&policy->read_only_paths);
    str_list_finish(&policy->readable_roots);
    free(policy->tmp_dir);
    *policy = (struct sandbox_policy){0};
}

void sandbox_policy_tightest(struct sandbox_policy *policy, enum sandbox_mode mode)
{
    if (mode >= policy->mode)
        return;
    policy->mode = mode;
    str_list_finish(&policy->writable_roots);
    policy->writable_roots = (struct str_list){0};
    policy->network_access = false;
    policy->loopback = false;
}

int sandbox_mode_parse(const char *name, enum sandbox_mode *mode, struct error *err)
{
    for (size_t i = 0; i < sizeof mode_names / sizeof mode_names[0]; i++) {
        if (strcmp(mode_names[i], name) == 0) {
            *mode = (enum sandbox_mode)i;
            return 0;
        }
    }
    return error_set(err, ERROR_CONFIG,
                     "unknown sandbox mode \"%.60s\": expected read-only, workspace-write or danger-full-access", name);
}

const char *sandbox_mode_name(enum sandbox_mode mode)
{
    return mode_names[mode];
}
