/* sandbox/box.c: the layers that shut a process in; see box.h for who calls this. */
#include "sandbox/box.h"

#include "base/path.h"
#include "sandbox/box_outlets.h"
#include "sandbox/exec_helper.h"
#include "sandbox/landlock.h"
#include "sandbox/namespace.h"
#include "sandbox/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* What stays read-only inside a writable root. */
static const char *const carve_outs[] = {".git", ".codex", ".agents"};
#define CARVE_OUT_COUNT (sizeof carve_outs / sizeof carve_outs[0])

/* Devices that every program may write to. */
static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
                                      "/dev/tty",  "/dev/ptmx", "/dev/pts",  "/dev/shm"};

int box_stop(const char *what, const char *hint)
{
    fprintf(stderr, "cadre: sandbox: %s: %s; %s\n", what, strerror(errno), hint);
    return SANDBOX_EXIT_CODE;
}

/* $TMPDIR, where it is a folder for such files: one that holds the system, the user's home or the work does not become writable
 * by a careless variable. */
static const char *usable_tmpdir(const struct box *box)
{
    static const char *const system[] = {"/etc",  "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64",
                                         "/boot", "/dev", "/proc", "/sys", "/run", "/var/lib", "/var/spool"};
    const char *tmpdir = getenv("TMPDIR");
    const char *home = getenv("HOME");

    if (box->no_tmpdir || tmpdir == NULL || tmpdir[0] != '/' || strstr(tmpdir, "..") != NULL)
        return NULL;
    if (strchr(tmpdir + 1, '/') == NULL && strcmp(tmpdir, "/tmp") != 0)
        return NULL; /* a folder of the root, or the root */
    for (size_t i = 0; i < sizeof system / sizeof system[0]; i++)
        if (path_is_below(tmpdir, system[i]) && !path_is_below(tmpdir, "/dev/shm") && !path_is_below(tmpdir, "/run/user"))
            return NULL;
    if ((home != NULL && path_is_below(home, tmpdir) && strcmp(tmpdir, "/tmp") != 0) ||
        (path_is_below(box->roots.items[0], tmpdir) && strcmp(box->roots.items[0], tmpdir) != 0 && strcmp(tmpdir, "/tmp") != 0))
        return NULL;
    return tmpdir;
}

/* --- What is read-only in writable folders ------------------------------------------------------------------------- */

/* The path in the one-line file NAME of FOLDER, after PREFIX; normalized, caller frees. */
static char *path_in_file(const char *folder, const char *name, const char *prefix)
{
    char *file = path_join(folder, name);
    int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char *result = NULL;
    struct stat st;
    char text[8192];
    ssize_t n;

    free(file);
    if (fd < 0)
        return NULL;
    n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, text, sizeof text - 1) : -1;
    (void)close(fd);
    if (n <= 0)
        return NULL;
    text[n] = '\0';
    if (str_starts_with(text, prefix)) {
        char *target = path_join(folder, str_trim(text + strlen(prefix)));

        result = path_normalize(target);
        free(target);
    }
    return result;
}

/* A worktree's or submodule's `.git` is a file that names its folder, which names the repository's. */
static void add_pointed(struct str_list *paths, const char *root)
{
    char *gitdir = path_in_file(root, ".git", "gitdir: ");

    if (gitdir != NULL) {
        char *common = path_in_file(gitdir, "commondir", "");

        str_list_take(paths, gitdir);
        if (common != NULL)
            str_list_take(paths, common);
    }
}

static void list_carve_outs(const struct box *box, struct str_list *paths)
{
    if (box->mode != SANDBOX_WORKSPACE_WRITE)
        return;
    for (size_t i = 0; i < box->roots.len; i++) {
        for (size_t k = 0; k < CARVE_OUT_COUNT; k++)
            str_list_take(paths, path_join(box->roots.items[i], carve_outs[k]));
        add_pointed(paths, box->roots.items[i]);
    }
    str_list_copy(paths, &box->read_only);
    if (!box->has_namespaces)
        str_list_copy(paths, &box->hidden); /* no mount covers them */
}

/* --- Folders that are covered ------------------------------------------------------------------------------------- */

static void add_absolute(struct str_list *paths, const char *path)
{
    if (path != NULL && path[0] == '/')
        str_list_add(paths, path);
}

/* What the command needs, wherever it is: a project, its tools or a home can be below /tmp. */
static void list_kept(const struct box *box, struct str_list *kept)
{
    /* /run of systems that have their programs there, and of container engines. */
    static const char *const system[] = {"/run/current-system", "/run/booted-system", "/run/wrappers",
                                         "/run/opengl-driver"};
    static const char *const resolvers[] = {"/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf",
                                            "/run/nscd", "/run/host"};

    add_absolute(kept, getenv("HOME"));
    add_absolute(kept, usable_tmpdir(box));
    str_split(kept, getenv("PATH") == NULL ? "" : getenv("PATH"), ':');
    str_list_copy(kept, &box->readable);
    for (size_t i = 0; i < box->roots.len; i++) {
        add_pointed(kept, box->roots.items[i]);
        str_list_add(kept, box->roots.items[i]);
    }
    for (size_t i = 0; i < sizeof system / sizeof system[0]; i++)
        str_list_add(kept, system[i]);
    for (size_t i = 0; box->network && i < sizeof resolvers / sizeof resolvers[0]; i++)
        str_list_add(kept, resolvers[i]);
}

/* The paths that stay writable, as far as mounts say so; Landlock says the rest. */
static bool make_rest_read_only(const struct box *box)
{
    const char *tmpdir = usable_tmpdir(box);
    struct str_list writable = {0};
    bool ok;

    if (box->mode == SANDBOX_WORKSPACE_WRITE) {
        str_list_copy(&writable, &box->roots);
        if (!box->no_slash_tmp && !box->private_tmp)
            str_list_add(&writable, "/tmp");
        add_absolute(&writable, tmpdir);
    }
    ok = namespace_make_read_only_but((const char *const *)writable.items, writable.len);
    str_list_finish(&writable);
    return ok || errno == ENOSYS; /* an older kernel: what Landlock holds is held */
}

/* /run holds the sockets of the machine's services and of the user's session, whatever is given of the network; memory is
 * not shared with others either. */
static bool cover_folders(const struct box *box)
{
    static const char *const shared[] = {"/run", "/var/run", "/dev/shm"};
    struct str_list kept = {0};
    struct stat st;
    bool ok = true;

    list_kept(box, &kept);
    for (size_t i = 0; i < sizeof shared / sizeof shared[0] && ok; i++)
        if (lstat(shared[i], &st) == 0 && S_ISDIR(st.st_mode) && !str_list_has(&box->roots, shared[i]))
            ok = namespace_cover(shared[i], NULL, box->limits.memory_bytes / 2, (const char *const *)kept.items, kept.len);
    if (ok && box->private_tmp)
        ok = namespace_cover("/tmp", box->tmp_dir, box->limits.memory_bytes / 2, (const char *const *)kept.items, kept.len);
    str_list_finish(&kept);
    return ok;
}

static bool carve_by_mounts(const struct str_list *paths)
{
    for (size_t i = 0; i < paths->len; i++)
        if (!namespace_make_read_only(paths->items[i]))
            return false;
    return true;
}

static bool hide_by_mounts(const struct box *box)
{
    for (size_t i = 0; i < box->hidden.len; i++)
        if (!namespace_hide(box->hidden.items[i]))
            return false;
    return true;
}

/* --- Landlock --------------------------------------------------------------------------------------------------- */

/* Without mounts, what they would shut off is left out of the rules. */
static int allow_writing(const struct box *box, int ruleset, int abi, const char *path, const struct str_list *carved)
{
    if (box->has_namespaces)
        return landlock_allow(ruleset, abi, path, true);
    return landlock_allow_except(ruleset, abi, path, true, (const char *const *)carved->items, carved->len);
}

/* Devices are left out unless PATH names one: a disk holds what is hidden, a keyboard what the user types. */
static int allow_reading_of(const struct box *box, int ruleset, int abi, const char *path)
{
    struct str_list shut = {0};
    int rc;

    if (!path_is_below(path, "/dev"))
        str_list_add(&shut, "/dev");
    if (!box->has_namespaces)
        str_list_copy(&shut, &box->hidden);
    rc = landlock_allow_except(ruleset, abi, path, false, (const char *const *)shut.items, shut.len);
    str_list_finish(&shut);
    return rc;
}

static int allow_reading(const struct box *box, int ruleset, int abi)
{
    /* Without these no program starts. */
    static const char *const system[] = {"/usr", "/bin",  "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt",
                                         "/nix", "/proc", "/sys",  "/run", "/var/lib/dpkg"};
    int rc = 0;

    if (box->readable.len == 0)
        return allow_reading_of(box, ruleset, abi, "/");
    for (size_t i = 0; i < sizeof system / sizeof system[0] && rc == 0; i++)
        rc = allow_reading_of(box, ruleset, abi, system[i]);
    for (size_t i = 0; i < box->readable.len && rc == 0; i++)
        rc = allow_reading_of(box, ruleset, abi, box->readable.items[i]);
    for (size_t i = 0; i < box->roots.len && rc == 0; i++)
        rc = allow_reading_of(box, ruleset, abi, box->roots.items[i]);
    return rc;
}

static int allow_files(const struct box *box, int ruleset, int abi, const struct str_list *carved)
{
    const char *tmpdir = usable_tmpdir(box);

    if (allow_reading(box, ruleset, abi) < 0 || landlock_allow_listing(ruleset, abi, "/dev") < 0)
        return -1;
    if (box->terminal[0] != '\0' && landlock_allow(ruleset, abi, box->terminal, true) < 0)
        return -1; /* also as /dev/stdout and the like */
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++)
        if (landlock_allow(ruleset, abi, devices[i], true) < 0)
            return -1;
    if (box->mode == SANDBOX_READ_ONLY)
        return 0;
    for (size_t i = 0; i < box->roots.len; i++)
        if (allow_writing(box, ruleset, abi, box->roots.items[i], carved) < 0)
            return -1;
    if (!box->no_slash_tmp && allow_writing(box, ruleset, abi, "/tmp", carved) < 0)
        return -1;
    if (tmpdir != NULL && allow_writing(box, ruleset, abi, tmpdir, carved) < 0)
        return -1;
    return 0;
}

/* --- All layers --------------------------------------------------------------------------------------------------- */

/* After mounts: the folder as it is mounted now, not the one below. */
static bool enter_folder_again(void)
{
    char *cwd = path_current_directory();
    bool ok = cwd != NULL && chdir(cwd) == 0;

    free(cwd);
    return ok;
}

static int enforce_landlock(const struct box *box, bool inet, const struct str_list *carved)
{
    int abi = landlock_abi();
    int ruleset = landlock_ruleset_create(abi, inet);

    if (ruleset < 0 || allow_files(box, ruleset, abi, carved) < 0 || landlock_enforce(ruleset) < 0)
        return box_stop("Landlock refuses the policy", "nothing is run");
    (void)close(ruleset);
    return 0;
}

static int enforce_seccomp(int rc)
{
    if (rc == 0)
        return 0;
    errno = -rc;
    return box_stop("the system call filter cannot be installed",
                    "use a kernel with CONFIG_SECCOMP_FILTER, or --sandbox danger-full-access");
}

/* The box for a program that brings its own: mounts in place of Landlock's file rules, under which nothing can mount. */
static int shut_in_nestable(struct box *box, const struct str_list *carved)
{
    size_t roots = box->mode == SANDBOX_READ_ONLY ? 0 : box->roots.len;
    int ruleset;

    if (!namespace_make_all_read_only((const char *const *)box->roots.items, roots))
        return box_stop("the file system cannot be made read-only", "set box = \"cadre\"");
    if (!carve_by_mounts(carved) || !hide_by_mounts(box) || !box_hide_sockets(box) || !box_make_own_terminals(box) ||
        !enter_folder_again())
        return box_stop("a part cannot be shut off", "nothing is run");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || !namespace_drop_capabilities_nestable())
        return box_stop("capabilities cannot be given up", "nothing is run");
    ruleset = landlock_scope_create(landlock_abi());
    if (ruleset < 0 || landlock_enforce(ruleset) < 0)
        return box_stop("this kernel's Landlock cannot shut off tracing alone", "use Linux 6.12, or set box = \"cadre\"");
    (void)close(ruleset);
    return enforce_seccomp(seccomp_enforce_nestable());
}

static int shut_in(struct box *box, const struct str_list *carved)
{
    bool inet = box->network || (box->loopback && box->has_namespaces);
    int rc;

    if (box->has_namespaces) {
        if (box->private_tmp && box->tmp_dir != NULL && mkdir(box->tmp_dir, 0700) < 0 && errno != EEXIST)
            return box_stop(box->tmp_dir, "the folder for /tmp cannot be made");
        if (!make_rest_read_only(box))
            return box_stop("the file system cannot be made read-only", "nothing is run");
        if (!cover_folders(box))
            return box_stop("a private /run or /tmp cannot be made", "try sandbox.private_tmp = false");
        if (!carve_by_mounts(carved))
            return box_stop("a read-only part cannot be made", "nothing is run");
        if (!hide_by_mounts(box))
            return box_stop("a secret cannot be hidden", "nothing is run");
        if (!box_hide_sockets(box))
            return box_stop("a socket cannot be hidden", "nothing is run");
        if (!box_make_own_terminals(box))
            return box_stop("a private /dev/pts cannot be made", "nothing is run");
        if (!enter_folder_again())
            return box_stop("the working directory", "nothing is run");
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return box_stop("no_new_privs cannot be set", "nothing is run");
    if (box->has_namespaces && !namespace_drop_capabilities())
        return box_stop("capabilities cannot be given up", "nothing is run");
    rc = enforce_landlock(box, inet, carved);
    return rc != 0 ? rc : enforce_seccomp(seccomp_enforce(inet));
}

int box_shut_in(struct box *box)
{
    struct str_list carved = {0};
    int rc;

    if (landlock_abi() == 0)
        return box_stop("this kernel has no Landlock",
                        "use a kernel of 5.13 or newer with lsm=landlock, or --sandbox danger-full-access");
    if (!box_group_join(&box->group))
        return box_stop("the control group cannot be entered", "unset limits.memory_mb");
    limits_apply(&box->limits);
    box->has_own_proc = box->has_namespaces && namespace_mount_proc();
    if (!box->has_own_proc || box->group.holds_processes || !limits_apply_pid_max(&box->limits))
        limits_apply_processes(&box->limits, box->has_namespaces);
    if (!box->has_own_proc && box->limits.has_group && !box->group.holds_memory)
        limits_apply_address_space(&box->limits); /* there is nothing to watch it by */
    list_carve_outs(box, &carved);
    rc = box->nestable ? shut_in_nestable(box, &carved) : shut_in(box, &carved);
    str_list_finish(&carved);
    return rc;
}

int box_become_command(const struct box *box)
{
    int code;

    (void)execvp(box->argv[0], box->argv);
    code = errno == ENOENT ? 127 : SANDBOX_EXIT_CODE;
    fprintf(stderr, "%s: %s\n", box->argv[0], strerror(errno));
    return code;
}
