"""A system call by its name: call.py MARK NAME ARGUMENT... Says "reached-MARK" unless the kernel refuses it as such.

An ARGUMENT is a number, zero:N (that many zero bytes), str:TEXT, ints:A:B:... (64-bit numbers in memory) or pidfd:PID."""
import ctypes
import errno
import os
import sys

NUMBERS = {  # x86-64
    "io_uring_setup": 425, "ptrace": 101, "process_vm_readv": 310, "pidfd_getfd": 438, "ioctl": 16, "clone": 56,
    "clone3": 435, "setns": 308, "pivot_root": 155, "open_tree": 428, "fsopen": 430, "keyctl": 250, "bpf": 321,
    "perf_event_open": 298, "userfaultfd": 323, "open_by_handle_at": 304, "fanotify_init": 300, "kexec_load": 246,
    "settimeofday": 164, "shmget": 29, "name_to_handle_at": 303, "process_vm_writev": 311, "add_key": 248,
    "request_key": 249, "kcmp": 312, "process_madvise": 440, "sethostname": 170, "init_module": 175, "syslog": 103,
}
REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ESRCH)


def value(text):
    kind, _, rest = text.partition(":")
    if kind == "zero":
        return ctypes.create_string_buffer(int(rest))
    if kind == "str":
        return ctypes.c_char_p(rest.encode())
    if kind == "ints":
        numbers = [int(n, 0) for n in rest.split(":")]
        return (ctypes.c_uint64 * len(numbers))(*numbers)
    if kind == "pidfd":
        return ctypes.c_long(os.pidfd_open(int(rest)))
    return ctypes.c_long(int(text, 0))


libc = ctypes.CDLL(None, use_errno=True)
arguments = [value(a) for a in sys.argv[3:]]
result = libc.syscall(ctypes.c_long(NUMBERS[sys.argv[2]]), *arguments)
if sys.argv[2] in ("clone", "clone3") and result == 0:
    os._exit(0)
error = ctypes.get_errno()
if result < 0 and error in REFUSED:
    sys.exit("refused: " + os.strerror(error))
print("reached-" + sys.argv[1], result, error)
