/* sandbox/landlock.c: see landlock.h. Constants from the kernel's include/uapi/linux/landlock.h. */
#include "sandbox/landlock.h"

#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FS_EXECUTE    (1ULL << 0)
#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE  (1ULL << 2)
#define FS_READ_DIR   (1ULL << 3)
#define FS_ABI1_ALL   ((1ULL << 13) - 1)
#define FS_REFER      (1ULL << 13) /* ABI 2 */
#define FS_TRUNCATE   (1ULL << 14) /* ABI 3 */
#define FS_IOCTL_DEV  (1ULL << 15) /* ABI 5 */
#define NET_BIND_TCP    (1ULL << 0) /* ABI 4 */
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT_UNIX (1ULL << 0) /* ABI 6 */
#define SCOPE_SIGNAL        (1ULL << 1)

#define READ_RIGHTS (FS_EXECUTE | FS_READ_FILE | FS_READ_DIR)
#define FILE_RIGHTS (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

#define CREATE_RULESET_VERSION (1U << 0)
#define RULE_PATH_BENEATH      1

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

    return abi < 0 ? 0 : (int)abi;
}

static uint64_t all_rights(int abi)
{
    uint64_t rights = FS_ABI1_ALL;

    if (abi >= 2)
        rights |= FS_REFER;
    if (abi >= 3)
        rights |= FS_TRUNCATE;
    if (abi >= 5)
        rights |= FS_IOCTL_DEV;
    return rights;
}

int landlock_ruleset_create(int abi, bool network)
{
    struct ruleset_attr attr = {.handled_access_fs = all_rights(abi)};
    size_t size = sizeof attr.handled_access_fs;

    if (abi >= 4) {
        size = sizeof attr.handled_access_fs + sizeof attr.handled_access_net;
        if (!network)
            attr.handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP;
    }
    if (abi >= 6) {
        size = sizeof attr;
        attr.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
    }
    return (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
}

int landlock_scope_create(int abi)
{
    struct ruleset_attr attr = {.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL};

    if (abi < 6) {
        errno = ENOSYS;
        return -1;
    }
    return (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
}

static int allow(int ruleset, int abi, const char *path, uint64_t rights)
{
    struct path_beneath_attr rule = {.allowed_access = rights};
    struct stat st;
    int saved;
    int rc;

    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return errno == ENOENT || errno == EACCES || errno == ENOTDIR ? 0 : -1;
    if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed_access &= FILE_RIGHTS & all_rights(abi);
    rc = (int)syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
    saved = errno;
    (void)close(rule.parent_fd);
    errno = saved;
    return rc;
}

int landlock_allow(int ruleset, int abi, const char *path, bool writable)
{
    return allow(ruleset, abi, path, writable ? all_rights(abi) : READ_RIGHTS);
}

int landlock_allow_listing(int ruleset, int abi, const char *path)
{
    return allow(ruleset, abi, path, FS_READ_DIR);
}

int landlock_allow_except(int ruleset, int abi, const char *path, bool writable, const char *const *except, size_t count)
{
    bool is_parted = false;
    struct dirent *entry;
    DIR *dir;
    int rc = 0;

    for (size_t i = 0; i < count; i++) {
        if (path_is_below(path, except[i]))
            return 0;
        is_parted = is_parted || path_is_below(except[i], path);
    }
    if (!is_parted)
        return landlock_allow(ruleset, abi, path, writable);
    dir = opendir(path);
    if (dir == NULL)
        return errno == ENOENT || errno == EACCES || errno == ENOTDIR ? 0 : -1;
    if (!writable)
        rc = allow(ruleset, abi, path, FS_READ_DIR);
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        char *below = path_join(path, entry->d_name);
        struct stat st;

        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && lstat(below, &st) == 0 &&
            !S_ISLNK(st.st_mode)) /* what a link points to has a rule of its own */
            rc = landlock_allow_except(ruleset, abi, below, writable, except, count);
        free(below);
    }
    (void)closedir(dir);
    return rc;
}

int landlock_enforce(int ruleset)
{
    return (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
}
