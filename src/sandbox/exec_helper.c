/* sandbox/exec_helper.c: see exec_helper.h. The helper's side allocates little and reads no file: it runs for every
 * command of an agent. */
#include "sandbox/exec_helper.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "sandbox/landlock.h"
#include "sandbox/namespace.h"
#include "sandbox/policy.h"
#include "sandbox/seccomp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What stays read-only inside a writable root. */
static const char *const carve_outs[] = {".git", ".codex", ".agents"};
#define CARVE_OUT_COUNT (sizeof carve_outs / sizeof carve_outs[0])

/* Devices that every program may write to. */
static const char *const devices[] = {"/dev/null", "/dev/zero",   "/dev/full", "/dev/random", "/dev/urandom",
                                      "/dev/tty",  "/dev/ptmx",   "/dev/pts",  "/dev/shm"};

/* --- The caller's side ------------------------------------------------------------------------------------------ */

static void add_limit(struct str_list *out, const char *name, int64_t value)
{
    if (value > 0)
        str_list_take(out, xasprintf("--%s=%lld", name, (long long)value));
}

/* The small helper beside this program (build folder) or in ../libexec/cadre (installed); else this program itself. */
static char *helper_program(void)
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

int sandbox_wrap(const struct sandbox_policy *policy, const char *const *argv, struct str_list *out,
                 struct error *err)
{
    if (argv[0] == NULL)
        return error_set(err, ERROR_USAGE, "no command to run");
    str_list_take(out, helper_program());
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
    if (policy->nestable)
        str_list_add(out, "--nestable");
    add_limit(out, "processes", policy->max_processes);
    add_limit(out, "memory", policy->max_memory_bytes);
    add_limit(out, "file", policy->max_file_bytes);
    add_limit(out, "cpu", policy->max_cpu_seconds);
    str_list_add(out, "--");
    for (; *argv != NULL; argv++)
        str_list_add(out, *argv);
    return 0;
}

/* --- The helper's side ------------------------------------------------------------------------------------------- */

struct request {
    enum sandbox_mode mode;
    struct str_list roots;
    struct str_list hidden;
    bool network;
    bool loopback;
    bool no_tmpdir;
    bool no_slash_tmp;
    bool nestable;
    bool has_namespaces;
    char **argv;
};

static int stop(const char *what, const char *hint)
{
    fprintf(stderr, "cadre: sandbox: %s: %s; %s\n", what, strerror(errno), hint);
    return SANDBOX_EXIT_CODE;
}

static void set_limit(__rlimit_resource_t resource, const char *text)
{
    struct rlimit limit;
    rlim_t value = (rlim_t)strtoull(text, NULL, 10);

    if (getrlimit(resource, &limit) < 0)
        return;
    if (limit.rlim_max == RLIM_INFINITY || value < limit.rlim_max)
        limit.rlim_max = value;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(resource, &limit);
}

static const char *value_of(const char *arg, const char *name)
{
    size_t n = strlen(name);

    return strncmp(arg, name, n) == 0 ? arg + n : NULL;
}

static bool parse_request(struct request *r, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        const char *arg = argv[i];
        const char *value;

        if (strcmp(arg, "--") == 0) {
            r->argv = argv + i + 1;
            return *r->argv != NULL;
        }
        if ((value = value_of(arg, "--mode=")) != NULL)
            r->mode = (enum sandbox_mode)atoi(value);
        else if ((value = value_of(arg, "--cwd=")) != NULL || (value = value_of(arg, "--root=")) != NULL)
            str_list_add(&r->roots, value);
        else if ((value = value_of(arg, "--hide=")) != NULL)
            str_list_add(&r->hidden, value);
        else if (strcmp(arg, "--network") == 0)
            r->network = true;
        else if (strcmp(arg, "--loopback") == 0)
            r->loopback = true;
        else if (strcmp(arg, "--no-tmpdir") == 0)
            r->no_tmpdir = true;
        else if (strcmp(arg, "--no-slash-tmp") == 0)
            r->no_slash_tmp = true;
        else if (strcmp(arg, "--nestable") == 0)
            r->nestable = true;
        else if ((value = value_of(arg, "--processes=")) != NULL)
            set_limit(RLIMIT_NPROC, value);
        else if ((value = value_of(arg, "--memory=")) != NULL)
            set_limit(RLIMIT_AS, value);
        else if ((value = value_of(arg, "--file=")) != NULL)
            set_limit(RLIMIT_FSIZE, value);
        else if ((value = value_of(arg, "--cpu=")) != NULL)
            set_limit(RLIMIT_CPU, value);
        else
            return false;
    }
    return false;
}

/* The gitdir that a worktree's or submodule's `.git` file names; caller frees. */
static char *pointed_gitdir(const char *root, const char *git)
{
    struct buf text = BUF_INIT;
    char *result = NULL;

    if (file_is_regular(git) && file_read(git, &text, 8192, NULL) == 0 && strncmp(buf_cstr(&text), "gitdir: ", 8) == 0) {
        char *target = path_join(root, str_trim(text.data + 8));

        result = path_normalize(target);
        free(target);
    }
    buf_free(&text);
    return result;
}

/* Read-only carve-outs by mounts. */
static bool carve_by_mounts(const struct request *r)
{
    bool ok = true;

    for (size_t i = 0; i < r->roots.len && ok; i++) {
        for (size_t k = 0; k < CARVE_OUT_COUNT && ok; k++) {
            char *path = path_join(r->roots.items[i], carve_outs[k]);
            char *gitdir = k == 0 ? pointed_gitdir(r->roots.items[i], path) : NULL;

            ok = namespace_make_read_only(path) && (gitdir == NULL || namespace_make_read_only(gitdir));
            free(gitdir);
            free(path);
        }
    }
    return ok;
}

static bool has_carve_out(const char *root)
{
    bool found = false;

    for (size_t k = 0; k < CARVE_OUT_COUNT && !found; k++) {
        char *path = path_join(root, carve_outs[k]);
        struct stat st;

        found = lstat(path, &st) == 0;
        free(path);
    }
    return found;
}

/* Without mounts, Landlock can only add: each entry of the root but the carve-outs is made writable, the root itself is
 * not (no new entries directly in it). */
static int allow_entries(int ruleset, int abi, const char *root)
{
    struct dirent *entry;
    DIR *dir = opendir(root);
    int rc = 0;

    if (dir == NULL)
        return -1;
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        bool kept = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        struct stat st;
        char *path;

        for (size_t k = 0; k < CARVE_OUT_COUNT; k++)
            kept = kept || strcasecmp(entry->d_name, carve_outs[k]) == 0;
        if (kept)
            continue;
        path = path_join(root, entry->d_name);
        if (lstat(path, &st) == 0 && !S_ISLNK(st.st_mode))
            rc = landlock_allow(ruleset, abi, path, true);
        free(path);
    }
    (void)closedir(dir);
    return rc;
}

static int allow_files(const struct request *r, int ruleset, int abi)
{
    const char *tmpdir = getenv("TMPDIR");

    if (landlock_allow(ruleset, abi, "/", false) < 0)
        return -1;
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++)
        if (landlock_allow(ruleset, abi, devices[i], true) < 0)
            return -1;
    if (r->mode == SANDBOX_READ_ONLY)
        return 0;
    for (size_t i = 0; i < r->roots.len; i++) {
        const char *root = r->roots.items[i];
        int rc = !r->has_namespaces && has_carve_out(root) ? allow_entries(ruleset, abi, root)
                                                           : landlock_allow(ruleset, abi, root, true);

        if (rc < 0)
            return -1;
    }
    if (!r->no_slash_tmp && landlock_allow(ruleset, abi, "/tmp", true) < 0)
        return -1;
    if (!r->no_tmpdir && tmpdir != NULL && tmpdir[0] == '/' && landlock_allow(ruleset, abi, tmpdir, true) < 0)
        return -1;
    return 0;
}

static bool hide_all(const struct request *r)
{
    for (size_t i = 0; i < r->hidden.len; i++)
        if (!namespace_hide(r->hidden.items[i]))
            return false;
    return true;
}

/* The box for a program that brings its own: mounts in place of Landlock's file rules, under which nothing can mount. */
static int shut_in_nestable(const struct request *r)
{
    size_t roots = r->mode == SANDBOX_READ_ONLY ? 0 : r->roots.len;
    char *cwd = path_current_directory();
    int abi = landlock_abi();
    int ruleset;
    int rc;

    if (!namespace_enter(true))
        return stop("a namespace cannot be made", "allow unprivileged user namespaces, or set box = \"cadre\"");
    if (!namespace_make_all_read_only((const char *const *)r->roots.items, roots))
        return stop("the file system cannot be made read-only", "set box = \"cadre\"");
    rc = cwd == NULL ? -1 : chdir(cwd); /* the folder as it is mounted now, not the one below */
    free(cwd);
    if (rc < 0)
        return stop("the working directory", "nothing is run");
    if (!carve_by_mounts(r) || !hide_all(r))
        return stop("a part cannot be shut off", "nothing is run");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || !namespace_drop_capabilities_nestable())
        return stop("capabilities cannot be given up", "nothing is run");
    ruleset = landlock_scope_create(abi);
    if (ruleset < 0 || landlock_enforce(ruleset) < 0)
        return stop("this kernel's Landlock cannot shut off tracing alone", "use Linux 6.12, or set box = \"cadre\"");
    (void)close(ruleset);
    rc = seccomp_enforce_nestable();
    if (rc < 0) {
        errno = -rc;
        return stop("the system call filter cannot be installed", "use a kernel with CONFIG_SECCOMP_FILTER");
    }
    return 0;
}

static int shut_in(struct request *r)
{
    int abi = landlock_abi();
    bool inet = r->network;
    int ruleset;
    int rc;

    if (abi == 0)
        return stop("this kernel has no Landlock",
                    "use a kernel of 5.13 or newer with lsm=landlock, or --sandbox danger-full-access");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return stop("no_new_privs cannot be set", "nothing is run");
    r->has_namespaces = namespace_enter(r->network);
    if (r->has_namespaces) {
        if (!carve_by_mounts(r))
            return stop("a read-only part cannot be made", "nothing is run");
        if (!hide_all(r))
            return stop("a secret cannot be hidden", "nothing is run");
        if (!namespace_drop_capabilities())
            return stop("capabilities cannot be given up", "nothing is run");
        inet = inet || r->loopback; /* only a private loopback can be reached */
    }
    ruleset = landlock_ruleset_create(abi, inet);
    if (ruleset < 0 || allow_files(r, ruleset, abi) < 0 || landlock_enforce(ruleset) < 0)
        return stop("Landlock refuses the policy", "nothing is run");
    (void)close(ruleset);
    rc = seccomp_enforce(inet);
    if (rc < 0) {
        errno = -rc;
        return stop("the system call filter cannot be installed",
                    "use a kernel with CONFIG_SECCOMP_FILTER, or --sandbox danger-full-access");
    }
    return 0;
}

int sandbox_exec_helper_main(int argc, char **argv)
{
    struct request r = {0};
    int rc;

    if (!parse_request(&r, argc, argv)) {
        fprintf(stderr, "cadre: sandbox: the helper was called in a wrong way\n");
        return SANDBOX_EXIT_CODE;
    }
    (void)syscall(SYS_close_range, 3U, ~0U, 0U);
    if (r.mode != SANDBOX_DANGER_FULL_ACCESS) {
        rc = r.nestable ? shut_in_nestable(&r) : shut_in(&r);
        if (rc != 0)
            return rc;
    }
    (void)execvp(r.argv[0], r.argv);
    rc = errno == ENOENT ? 127 : SANDBOX_EXIT_CODE;
    fprintf(stderr, "%s: %s\n", r.argv[0], strerror(errno));
    _exit(rc); /* nothing that runs at exit (a leak check, say) works in the box */
}

/* --- What there is ------------------------------------------------------------------------------------------------- */

void sandbox_probe(struct sandbox_probe *probe)
{
    probe->landlock_abi = landlock_abi();
    probe->has_seccomp = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
    probe->has_namespaces = namespace_probe();
}

bool sandbox_can_nest(void)
{
    return landlock_abi() >= 6 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 && namespace_probe_nesting();
}

void sandbox_explain(const struct sandbox_probe *probe, struct buf *out)
{
    static const struct {
        int abi;
        const char *gives;
    } steps[] = {
        {1, "files: reading, writing, executing by folder"}, {2, "moving files between folders"},
        {3, "truncating files"}, {4, "TCP bind and connect"}, {5, "ioctl on devices"},
        {6, "signals and abstract sockets stay inside"},
    };

    if (probe->landlock_abi == 0)
        buf_puts(out, "landlock    missing: use a kernel of 5.13 or newer with lsm=landlock; without it only "
                      "danger-full-access runs\n");
    else
        buf_printf(out, "landlock    ABI %d\n", probe->landlock_abi);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        buf_printf(out, "            %s %s\n", probe->landlock_abi >= steps[i].abi ? "yes" : "no ", steps[i].gives);
    buf_printf(out, "seccomp     %s\n",
               probe->has_seccomp ? "yes: ptrace, io_uring, keyctl, mounts, namespaces, TIOCSTI; without network "
                                    "sockets other than Unix"
                                  : "missing: use a kernel with CONFIG_SECCOMP_FILTER");
    buf_printf(out, "namespaces  %s\n",
               probe->has_namespaces
                   ? "yes: .git, .codex and .agents read-only, secrets hidden, a network of its own"
                   : "not allowed here: no new entries directly in a writable root that holds .git, .codex or .agents; "
                     "secrets are not hidden; allow unprivileged user namespaces to get both");
}
