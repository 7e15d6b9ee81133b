/* sandbox/seccomp.h: the system call filter. Refused calls fail with EPERM (or EAFNOSUPPORT for sockets), so that programs
 * report them like any other error. */
#ifndef CADRE_SANDBOX_SECCOMP_H
#define CADRE_SANDBOX_SECCOMP_H

#include <stdbool.h>

/* Installs the filter. Without INET no socket of AF_INET, AF_INET6, AF_PACKET, AF_VSOCK or any family but AF_UNIX and
 * AF_NETLINK can be made. 0, or a negative errno. */
int seccomp_enforce(bool inet);

/* The same with network, and with what a program needs to make a box of its own: namespaces and mounts. */
int seccomp_enforce_nestable(void);

#endif
