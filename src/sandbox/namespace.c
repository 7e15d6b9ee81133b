/* sandbox/namespace.c: see namespace.h. */
#include "sandbox/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
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

bool namespace_drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};

    for (unsigned long cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
            return false;
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &header, data) == 0;
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
