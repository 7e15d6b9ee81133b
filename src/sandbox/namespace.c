/* sandbox/namespace.c: see namespace.h. */
#include "sandbox/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
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

static void bring_loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    request.ifr_flags = IFF_UP;
    (void)ioctl(fd, SIOCSIFFLAGS, &request);
    (void)close(fd);
}

bool namespace_enter(bool network)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    char map[64];

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | (network ? 0 : CLONE_NEWNET)) < 0)
        return false;
    (void)write_text("/proc/self/setgroups", "deny");
    (void)snprintf(map, sizeof map, "%u %u 1", uid, uid);
    if (!write_text("/proc/self/uid_map", map))
        return false;
    (void)snprintf(map, sizeof map, "%u %u 1", gid, gid);
    if (!write_text("/proc/self/gid_map", map))
        return false;
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return false;
    if (!network)
        bring_loopback_up();
    return true;
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

bool namespace_hide(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
    if (S_ISDIR(st.st_mode))
        return mount("none", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "size=4k,mode=000") == 0;
    return mount("/dev/null", path, NULL, MS_BIND, NULL) == 0;
}

static bool set_read_only(const char *path, bool on, bool recursive)
{
    struct { /* struct mount_attr of linux/mount.h */
        uint64_t set, clear, propagation, userns;
    } attr = {on ? ATTR_RDONLY : 0, on ? 0 : ATTR_RDONLY, 0, 0};

    return syscall(SYS_mount_setattr, AT_FDCWD, path, recursive ? AT_RECURSIVE : 0, &attr, sizeof attr) == 0;
}

static bool bind_to_itself(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return errno == ENOENT;
    return mount(path, path, NULL, MS_BIND | MS_REC, NULL) == 0;
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

/* All capabilities but KEEP (-1: none), which root keeps over an exec. */
static bool drop_capabilities(int keep)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};

    if (keep >= 0)
        data[keep / 32].permitted = data[keep / 32].effective = 1U << (keep % 32);
    for (unsigned long cap = 0; cap < 64; cap++)
        if ((int)cap != keep && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
            return false;
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &header, data) == 0;
}

bool namespace_drop_capabilities(void)
{
    return drop_capabilities(-1);
}

bool namespace_drop_capabilities_nestable(void)
{
    /* The kernel wants it of who maps uid 0 into a new user namespace (user_namespaces(7)). */
    return drop_capabilities(geteuid() == 0 ? CAP_SETFCAP : -1);
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

bool namespace_probe(void)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        _exit(namespace_enter(false) ? 0 : 1);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
