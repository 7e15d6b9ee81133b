/* sandbox/seccomp.h: the system call filter. Refused calls fail with EPERM (or EAFNOSUPPORT for sockets), so that programs
 * report them like any other error; a call of a foreign ABI ends the process. Which calls: seccomp_generate.c. */
#ifndef CADRE_SANDBOX_SECCOMP_H
#define CADRE_SANDBOX_SECCOMP_H

#include <stdbool.h>

/* Installs the filter. Sockets: AF_UNIX, AF_NETLINK for routes, and with INET also AF_INET and AF_INET6; every other family
 * is refused. 0, or a negative errno. */
int seccomp_enforce(bool inet);

/* The same with INET, and with what a program needs to make a box of its own: namespaces and mounts. */
int seccomp_enforce_nestable(void);

#endif
