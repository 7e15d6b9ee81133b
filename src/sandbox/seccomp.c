/* sandbox/seccomp.c: see seccomp.h. The filters are compiled by seccomp_generate.c, at build time. */
#include "sandbox/seccomp.h"

#include "sandbox/seccomp_programs.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(a) ((unsigned short)(sizeof(a) / sizeof((a)[0])))

static int install(const struct sock_filter *filter, unsigned short count)
{
    struct sock_fprog program = {.len = count, .filter = (struct sock_filter *)(uintptr_t)filter};

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 ? 0 : -errno;
}

int seccomp_enforce(bool inet)
{
    return inet ? install(program_inet, COUNT(program_inet)) : install(program_offline, COUNT(program_offline));
}

int seccomp_enforce_nestable(void)
{
    return install(program_nestable, COUNT(program_nestable));
}
