/* sandbox/seccomp_generate.c: a program of the build. Compiles the system call filters with libseccomp and prints them as C
 * arrays (sandbox/seccomp_programs.h), so that the exec helper, which runs for every command, needs neither the library nor
 * the time. Usage: generate-seccomp OUTPUT */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FILTER 4096 /* BPF_MAXINSNS */
#ifndef TIOCLINUX
#define TIOCLINUX 0x541c
#endif
#ifndef __NR_quotactl_fd
#define __NR_quotactl_fd 443
#endif

/* Ways to reach other processes, to load code into the kernel, to change the machine, or around the filter. By name, because
 * not every architecture (nor the libseccomp of Debian 12) has each. */
static const char *const refused[] = {
    "io_uring_setup", "io_uring_enter", "io_uring_register", "ptrace", "process_vm_readv", "process_vm_writev",
    "process_madvise", "process_mrelease", "kcmp", "pidfd_getfd", "keyctl", "add_key", "request_key", "bpf",
    "perf_event_open", "userfaultfd", "fanotify_init", "fanotify_mark", "init_module", "finit_module", "delete_module",
    "create_module", "query_module", "get_kernel_syms", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
    "acct", "quotactl", "quotactl_fd", "settimeofday", "stime", "clock_settime", "adjtimex", "clock_adjtime",
    "open_by_handle_at", "name_to_handle_at", "syslog", "vhangup", "sethostname", "setdomainname", "iopl", "ioperm",
    "modify_ldt", "lookup_dcookie", "nfsservctl", "uselib", "ustat", "sysfs", "_sysctl", "vm86", "vm86old",
    "move_pages", "migrate_pages",
};

/* What makes a box: refused, unless a program that brings its own is to nest it in ours. */
static const char *const nesting[] = {
    "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount",
    "fspick", "mount_setattr", "unshare", "setns",
};
/* Newer than the library's table; the same number on every architecture. */
static const int nesting_numbers[] = {467 /* open_tree_attr */};

/* Flags of clone() that make a namespace. */
#define NAMESPACE_FLAGS                                                                                                \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |       \
     0x80UL /* CLONE_NEWTIME, of clone3 and unshare only */)

static void check(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "generate-seccomp: %s: %s\n", what, strerror(-rc));
    exit(1);
}

static void refuse_number(scmp_filter_ctx ctx, int number, const char *name)
{
    int rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), number, 0);

    if (rc != -EDOM && rc != -EINVAL) /* not on this architecture */
        check(rc, name);
}

static void refuse_names(scmp_filter_ctx ctx, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);

        if (number != __NR_SCMP_ERROR)
            refuse_number(ctx, number, names[i]);
    }
}

static void refuse_nesting(scmp_filter_ctx ctx)
{
    refuse_names(ctx, nesting, sizeof nesting / sizeof nesting[0]);
    for (size_t i = 0; i < sizeof nesting_numbers / sizeof nesting_numbers[0]; i++)
        refuse_number(ctx, nesting_numbers[i], "a newer call");
    for (unsigned bit = 8; bit < 32; bit++) { /* the low byte is the exit signal */
        unsigned long flag = 1UL << bit;

        if ((flag & NAMESPACE_FLAGS) != 0)
            check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                   SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag)),
                  "clone");
    }
    /* clone3 hides its flags in memory: without it the C library falls back to clone. */
    check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0), "clone3");
}

/* Words put into the terminal's input (only the low 32 bits of the request count). */
static void refuse_ioctls(scmp_filter_ctx ctx)
{
    static const unsigned long requests[] = {TIOCSTI, TIOCLINUX};

    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                               SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffUL, requests[i])),
              "ioctl");
}

static bool is_allowed_family(int family, bool inet)
{
    return family == AF_UNIX || family == AF_NETLINK || (inet && (family == AF_INET || family == AF_INET6));
}

/* Families are an int to the kernel: the upper half of the register does not count. */
static void refuse_families(scmp_filter_ctx ctx, bool inet)
{
    static const char *const calls[] = {"socket", "socketpair"};

    for (size_t c = 0; c < 2; c++) {
        int call = seccomp_syscall_resolve_name(calls[c]);

        for (int family = 0; family < 64; family++)
            if (!is_allowed_family(family, inet))
                check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), call, 1,
                                       SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffUL, (scmp_datum_t)family)),
                      calls[c]);
        for (unsigned bit = 6; bit < 32; bit++)
            check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), call, 1,
                                   SCMP_A0(SCMP_CMP_MASKED_EQ, 1UL << bit, 1UL << bit)),
                  calls[c]);
    }
    /* Netlink for routes alone, which the C library asks for addresses. */
    for (unsigned bit = 0; bit < 32; bit++)
        check(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 2,
                               SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffUL, AF_NETLINK),
                               SCMP_A2(SCMP_CMP_MASKED_EQ, 1UL << bit, 1UL << bit)),
              "netlink");
}

static void print_program(FILE *out, const char *name, bool inet, bool nestable)
{
    static struct sock_filter program[MAX_FILTER];
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    int fd = memfd_create("filter", 0);
    ssize_t n;

    if (ctx == NULL || fd < 0)
        check(-ENOMEM, "start");
    (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    /* A foreign ABI (32-bit calls on a 64-bit kernel) would pass the filter by: it is refused. */
    check(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "foreign ABI");
    refuse_names(ctx, refused, sizeof refused / sizeof refused[0]);
    if (!nestable)
        refuse_nesting(ctx);
    refuse_ioctls(ctx);
    refuse_families(ctx, inet);
    check(seccomp_export_bpf(ctx, fd), "export");
    seccomp_release(ctx);
    n = pread(fd, program, sizeof program, 0);
    if (n <= 0 || (size_t)n % sizeof program[0] != 0 || (size_t)n >= sizeof program)
        check(-E2BIG, name);
    (void)close(fd);
    fprintf(out, "static const struct sock_filter %s[] = {\n", name);
    for (size_t i = 0; i < (size_t)n / sizeof program[0]; i++)
        fprintf(out, "    {0x%x, %u, %u, 0x%x},\n", program[i].code, program[i].jt, program[i].jf, program[i].k);
    fprintf(out, "};\n");
}

int main(int argc, char **argv)
{
    FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;

    if (out == NULL) {
        fprintf(stderr, "usage: generate-seccomp OUTPUT\n");
        return 2;
    }
    fprintf(out, "/* Generated by sandbox/seccomp_generate.c. */\n#include <linux/filter.h>\n");
    print_program(out, "program_offline", false, false);
    print_program(out, "program_inet", true, false);
    print_program(out, "program_nestable", true, true);
    return fclose(out) == 0 ? 0 : 1;
}
