/* sandbox/namespace.c: see namespace.h. */
#include "sandbox/namespace.h"

#include "base/alloc.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ATTR_RDONLY 1ULL /* MOUNT_ATTR_RDONLY */
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = (ssize_t)strlen(text);
    bool ok;

    if (fd < 0)
        return false;
    ok = write(fd, text, (size_t)n) == n;
    (void)close(fd);
    return ok;
}

void namespace_bring_loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    request.ifr_flags = IFF_UP;
    (void)ioctl(fd, SIOCSIFFLAGS, &request);
    (void)close(fd);
}

static uid_t outer_uid;
static gid_t outer_gid;

void namespace_remember_user(void)
{
    outer_uid = geteuid();
    outer_gid = getegid();
}

bool namespace_map_user(void)
{
    char map[64];

    (void)write_text("/proc/self/setgroups", "deny");
    (void)snprintf(map, sizeof map, "%u %u 1", outer_uid, outer_uid);
    if (!write_text("/proc/self/uid_map", map))
        return false;
    (void)snprintf(map, sizeof map, "%u %u 1", outer_gid, outer_gid);
    return write_text("/proc/self/gid_map", map);
}

bool namespace_make_private(void)
{
    /* Mounts of a new user namespace do not reach the outer one; those made outside later are not to come in either. A
     * policy that allows the namespace but nothing in it (AppArmor's) refuses here. */
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

bool namespace_settle(bool loopback)
{
    if (!namespace_map_user() || !namespace_make_private())
        return false;
    if (loopback)
        namespace_bring_loopback_up();
    return true;
}

bool namespace_enter(bool network)
{
    namespace_remember_user();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | (network ? 0 : CLONE_NEWNET)) < 0)
        return false;
    return namespace_settle(!network);
}

bool namespace_mount_proc(void)
{
    return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0;
}

/* Flags of the mount at PATH that a remount in a user namespace may not clear. */
static unsigned long locked_flags(const char *path)
{
    struct statvfs vfs;
    unsigned long flags = 0;

    if (statvfs(path, &vfs) < 0)
        return 0;
    if ((vfs.f_flag & ST_NOSUID) != 0)
        flags |= MS_NOSUID;
    if ((vfs.f_flag & ST_NODEV) != 0)
        flags |= MS_NODEV;
    if ((vfs.f_flag & ST_NOEXEC) != 0)
        flags |= MS_NOEXEC;
    if ((vfs.f_flag & ST_NOATIME) != 0)
        flags |= MS_NOATIME;
    if ((vfs.f_flag & ST_RELATIME) != 0)
        flags |= MS_RELATIME;
    return flags;
}

bool namespace_make_read_only(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
    if (S_ISLNK(st.st_mode))
        return true; /* what it points to has a rule of its own */
    if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0)
        return false;
    return mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | locked_flags(path), NULL) == 0;
}

/* The folder that stands for every hidden one: the first that was covered. */
static char *empty_folder;

bool namespace_hide(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
    if (!S_ISDIR(st.st_mode))
        return mount("/dev/null", path, NULL, MS_BIND, NULL) == 0;
    if (empty_folder != NULL)
        return mount(empty_folder, path, NULL, MS_BIND, NULL) == 0;
    if (mount("none", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "size=4k,mode=000") < 0)
        return false;
    empty_folder = xstrdup(path);
    return true;
}

static bool set_read_only(const char *path, bool on, bool recursive)
{
    struct { /* struct mount_attr of linux/mount.h */
        uint64_t set, clear, propagation, userns;
    } attr = {on ? ATTR_RDONLY : 0, on ? 0 : ATTR_RDONLY, 0, 0};

    return syscall(SYS_mount_setattr, AT_FDCWD, path, recursive ? AT_RECURSIVE : 0, &attr, sizeof attr) == 0;
}

/* Makes the folders of PATH that are missing below OUTER. */
static bool make_below(const char *outer, const char *path)
{
    char *copy = xstrdup(path);
    bool ok = true;

    for (char *slash = strchr(copy + strlen(outer) + 1, '/'); ok; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        ok = mkdir(copy, 0700) == 0 || errno == EEXIST;
        if (slash == NULL)
            break;
        *slash = '/';
    }
    free(copy);
    return ok;
}

static bool bind_descriptor(int fd, const char *to)
{
    char source[64];

    (void)snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
    return mount(source, to, NULL, MS_BIND | MS_REC, NULL) == 0;
}

bool namespace_cover(const char *folder, const char *with, int64_t max_bytes, const char *const *kept, size_t count)
{
    char options[64] = "size=50%,mode=1777";
    int *fds = xcalloc(count + 1, sizeof *fds);
    int with_fd = with == NULL ? -1 : open(with, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool ok = with == NULL || with_fd >= 0;

    for (size_t i = 0; i < count; i++)
        fds[i] = path_is_below(kept[i], folder) && strcmp(kept[i], folder) != 0
                     ? open(kept[i], O_PATH | O_DIRECTORY | O_CLOEXEC)
                     : -1;
    if (max_bytes > 0)
        (void)snprintf(options, sizeof options, "size=%lld,mode=1777", (long long)max_bytes);
    if (ok)
        ok = with_fd >= 0 ? bind_descriptor(with_fd, folder) && (set_read_only(folder, false, false) || errno == ENOSYS)
                          : mount("none", folder, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
    for (size_t i = 0; i < count; i++) {
        if (fds[i] < 0)
            continue;
        ok = ok && make_below(folder, kept[i]) && bind_descriptor(fds[i], kept[i]);
        (void)close(fds[i]);
    }
    if (with_fd >= 0)
        (void)close(with_fd);
    free(fds);
    return ok;
}

static bool bind_to_itself(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return errno == ENOENT;
    return mount(path, path, NULL, MS_BIND | MS_REC, NULL) == 0;
}

bool namespace_make_read_only_but(const char *const *writable, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!bind_to_itself(writable[i]))
            return false;
    if (!set_read_only("/", true, true))
        return false;
    for (size_t i = 0; i < count; i++)
        /* A mount below that is read-only outside cannot be changed here, nor any with it then. */
        if (!set_read_only(writable[i], false, true) && errno != ENOENT && !set_read_only(writable[i], false, false))
            return false;
    return true;
}

bool namespace_make_all_read_only(const char *const *roots, size_t count)
{
    /* What a container shuts off too. */
    static const char *const settings[] = {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"};
    struct stat st;

    for (size_t i = 0; i < count; i++)
        if (!bind_to_itself(roots[i]))
            return false;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (!bind_to_itself(settings[i]))
            return false;
    if (mount("none", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "size=64m,mode=1777") < 0 && errno != ENOENT)
        return false;
    if (!set_read_only("/", true, true) || !set_read_only("/proc", false, false))
        return false;
    (void)set_read_only("/dev/shm", false, false);
    for (size_t i = 0; i < count; i++)
        if (stat(roots[i], &st) == 0 && !set_read_only(roots[i], false, false))
            return false;
    return true;
}

static bool set_capabilities(int keep)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};

    if (keep >= 0)
        data[keep / 32].permitted = data[keep / 32].effective = 1U << (keep % 32);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &header, data) == 0;
}

bool namespace_drop_capabilities(void)
{
    /* With this root is like any other user when it executes a program, which saves the bounding set. */
    return prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                        SECBIT_NO_SETUID_FIXUP_LOCKED) == 0 &&
           set_capabilities(-1);
}

bool namespace_drop_capabilities_nestable(void)
{
    /* The kernel wants it of who maps uid 0 into a new user namespace (user_namespaces(7)). */
    int keep = geteuid() == 0 ? CAP_SETFCAP : -1;

    for (int cap = 0; cap < 64; cap++)
        if (cap != keep && prctl(PR_CAPBSET_DROP, (unsigned long)cap, 0, 0, 0) < 0) {
            if (errno == EINVAL)
                break; /* the kernel's last one was before it */
            return false;
        }
    return set_capabilities(keep);
}

/* In the child: as a program's own box would do it. */
static bool try_nesting(void)
{
    return namespace_enter(true) && namespace_make_all_read_only(NULL, 0) &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && namespace_drop_capabilities_nestable() &&
           namespace_enter(false) && mount("none", "/mnt", "tmpfs", 0, NULL) == 0;
}

bool namespace_probe_nesting(void)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        _exit(try_nesting() ? 0 : 1);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* In the child of the probe: what init does, as far as it can be refused. */
static int try_all(void)
{
    pid_t child;
    int status = 0;

    namespace_remember_user();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC) < 0 || !namespace_settle(true))
        return NAMESPACE_NONE;
    child = fork();
    if (child == 0)
        _exit(namespace_mount_proc() ? 0 : 1);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return NAMESPACE_NONE;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? NAMESPACE_ALL : NAMESPACE_OLD_PROC;
}

enum namespace_support namespace_probe(void)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        _exit(try_all());
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return NAMESPACE_NONE;
    return (enum namespace_support)WEXITSTATUS(status);
}
