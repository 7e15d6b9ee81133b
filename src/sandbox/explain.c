/* sandbox/explain.c: what this kernel gives, layer by layer: for `cadre sandbox --explain` and `cadre doctor`. */
#include "sandbox/exec_helper.h"

#include "base/buf.h"
#include "sandbox/landlock.h"
#include "sandbox/limits.h"

#include <sys/prctl.h>

void sandbox_probe(struct sandbox_probe *probe)
{
    probe->landlock_abi = landlock_abi();
    probe->has_seccomp = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
    probe->namespaces = namespace_probe();
    probe->has_memory_group = box_group_probe();
}

bool sandbox_can_nest(void)
{
    return landlock_abi() >= 6 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 && namespace_probe_nesting();
}

static void explain_landlock(const struct sandbox_probe *probe, struct buf *out)
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
}

static void explain_namespaces(const struct sandbox_probe *probe, struct buf *out)
{
    if (probe->namespaces == NAMESPACE_NONE) {
        buf_puts(out, "namespaces  not allowed here: no new entries directly in a writable root that holds .git, .codex or "
                      ".agents; the\n            names of hidden files show; sockets by path and other terminals can be "
                      "reached; a command's\n            processes are killed by ancestry. Allow unprivileged user namespaces "
                      "to get more\n");
        return;
    }
    buf_puts(out, "namespaces  yes: everything but the working folders is read-only by mounts too; .git, .codex and .agents in\n"
                  "            them; secrets, /run, /dev/shm, the machine's /tmp, sockets of services and other terminals out of\n"
                  "            reach; a network and process numbers of its own; what a command leaves running ends with it\n");
    buf_printf(out, "            %s a /proc that shows only the command's processes\n",
               probe->namespaces == NAMESPACE_ALL ? "yes" : "no ");
}

void sandbox_explain(const struct sandbox_probe *probe, struct buf *out)
{
    explain_landlock(probe, out);
    buf_printf(out, "seccomp     %s\n",
               probe->has_seccomp ? "yes: ptrace, io_uring, bpf, keyctl, mounts, namespaces, TIOCSTI; without network "
                                    "sockets other than Unix"
                                  : "missing: use a kernel with CONFIG_SECCOMP_FILTER");
    explain_namespaces(probe, out);
    buf_printf(out, "limits      processes, file size, processor time; %s; with limits.memory_mb memory %s\n",
               probe->namespaces == NAMESPACE_ALL ? "memory and free disk space are watched" : "memory and disk are not watched",
               probe->has_memory_group ? "by a control group"
               : probe->namespaces == NAMESPACE_ALL ? "by watching (no control group is delegated to us)"
                                                    : "of each process (no control group is delegated to us)");
}
