/* sandbox/helper_main.c: the exec helper's main: reads the box that sandbox_wrap() wrote down as arguments, and runs the command in
 * it. Like all of the box it uses nothing but base/alloc, buf, path and str: it is linked into a small static program. */
#include "sandbox/exec_helper.h"

#include "base/path.h"
#include "sandbox/box.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *value_of(const char *arg, const char *name)
{
    size_t n = strlen(name);

    return strncmp(arg, name, n) == 0 ? arg + n : NULL;
}

static void add_root(struct box *box, const char *value)
{
    char *cwd = value[0] == '/' ? NULL : path_current_directory();
    char *path = path_join(cwd, value);

    str_list_take(&box->roots, path_normalize(path));
    free(path);
    free(cwd);
}

static bool parse_limit(struct box_limits *limits, const char *arg)
{
    const struct {
        const char *name;
        int64_t *value;
    } known[] = {
        {"--processes=", &limits->processes},
        {"--memory=", &limits->memory_bytes},
        {"--file=", &limits->file_bytes},
        {"--cpu=", &limits->cpu_seconds},
        {"--min-free=", &limits->min_free_bytes},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const char *value = value_of(arg, known[i].name);

        if (value != NULL)
            return str_to_int64(value, 1, INT64_MAX, known[i].value);
    }
    return false;
}

static bool parse_flag(struct box *box, const char *arg)
{
    const struct {
        const char *name;
        bool *flag;
    } known[] = {
        {"--network", &box->network},     {"--loopback", &box->loopback},       {"--no-tmpdir", &box->no_tmpdir},
        {"--no-slash-tmp", &box->no_slash_tmp}, {"--private-tmp", &box->private_tmp}, {"--nestable", &box->nestable},
        {"--memory-group", &box->limits.has_group},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(arg, known[i].name) == 0) {
            *known[i].flag = true;
            return true;
        }
    }
    return false;
}

bool box_parse(struct box *box, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        const char *arg = argv[i];
        const char *value;
        int64_t number;

        if (strcmp(arg, "--") == 0) {
            box->argv = argv + i + 1;
            return *box->argv != NULL;
        }
        if ((value = value_of(arg, "--mode=")) != NULL) {
            if (!str_to_int64(value, SANDBOX_READ_ONLY, SANDBOX_DANGER_FULL_ACCESS, &number))
                return false;
            box->mode = (enum sandbox_mode)number;
        } else if ((value = value_of(arg, "--parent=")) != NULL) {
            if (!str_to_int64(value, 1, INT32_MAX, &number))
                return false;
            box->parent = (pid_t)number;
        } else if ((value = value_of(arg, "--cwd=")) != NULL || (value = value_of(arg, "--root=")) != NULL) {
            add_root(box, value);
        } else if ((value = value_of(arg, "--hide=")) != NULL) {
            str_list_add(&box->hidden, value);
        } else if ((value = value_of(arg, "--read-only=")) != NULL) {
            str_list_add(&box->read_only, value);
        } else if ((value = value_of(arg, "--read=")) != NULL) {
            str_list_add(&box->readable, value);
        } else if ((value = value_of(arg, "--tmp=")) != NULL) {
            box->tmp_dir = value;
        } else if (!parse_flag(box, arg) && !parse_limit(&box->limits, arg)) {
            return false;
        }
    }
    return false;
}

void box_finish(struct box *box)
{
    str_list_finish(&box->roots);
    str_list_finish(&box->hidden);
    str_list_finish(&box->read_only);
    str_list_finish(&box->readable);
    str_list_finish(&box->sockets);
    *box = (struct box){0};
}

int sandbox_exec_helper_main(int argc, char **argv)
{
    struct box box = {0};

    if (argc == 2 && strcmp(argv[1], SANDBOX_SERVER_NAME) == 0)
        return sandbox_serve_main();
    if (!box_parse(&box, argc, argv)) {
        fprintf(stderr, "cadre: sandbox: the helper was called in a wrong way\n");
        return SANDBOX_EXIT_CODE;
    }
    (void)syscall(SYS_close_range, 3U, ~0U, 0U);
    if (box.parent != getppid())
        box.parent = 0; /* `cadre sandbox` became the helper: it lives as long as its user wants */
    if (box.parent != 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != box.parent)
            _exit(SANDBOX_EXIT_CODE);
    }
    if (box.mode == SANDBOX_DANGER_FULL_ACCESS) {
        limits_apply(&box.limits);
        _exit(box_become_command(&box));
    }
    _exit(box_run(&box)); /* nothing that runs at exit (a leak check, say) belongs here */
}
