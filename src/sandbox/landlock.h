/* sandbox/landlock.h: the Linux Landlock layer, by system call (the header of Debian 12 stops at ABI 2). */
#ifndef CADRE_SANDBOX_LANDLOCK_H
#define CADRE_SANDBOX_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>

/* The kernel's ABI number, 0 when Landlock is off or unknown. */
int landlock_abi(void);

/* A ruleset under construction; -1 with errno on failure. Handles every right of the ABI; without NETWORK all TCP bind and
 * connect; scopes keep signals and abstract sockets inside. */
int landlock_ruleset_create(int abi, bool network);

/* Everything below PATH may be read and executed, and with WRITABLE changed. A path that is not there is skipped. */
int landlock_allow(int ruleset, int abi, const char *path, bool writable);

/* The folders at and below PATH may be listed. */
int landlock_allow_listing(int ruleset, int abi, const char *path);

/* As landlock_allow() without what is at or below one of EXCEPT (COUNT absolute paths). Landlock can only add: a folder that holds an
 * exception is allowed entry by entry, so that nothing new can be made directly in it; it can still be listed. */
int landlock_allow_except(int ruleset, int abi, const char *path, bool writable, const char *const *except, size_t count);

/* A ruleset that handles no files and no network: what it shuts off is tracing, signals and abstract sockets to the
 * outside. ABI 6 or newer; -1 with errno else. A process under it may still mount. */
int landlock_scope_create(int abi);

/* Shuts the calling process in; no_new_privs must be set. */
int landlock_enforce(int ruleset);

#endif
