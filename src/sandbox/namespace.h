/* sandbox/namespace.h: the layer that needs user namespaces: read-only carve-outs, hidden paths, a network of its own. */
#ifndef CADRE_SANDBOX_NAMESPACE_H
#define CADRE_SANDBOX_NAMESPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The parts of namespace_settle(): in a new user namespace, mount namespace, network namespace. */
bool namespace_map_user(void);
bool namespace_make_private(void);
void namespace_bring_loopback_up(void);

/* Before a process is cloned into a user namespace: who it will be in there. */
void namespace_remember_user(void);

/* In that process: it is the same user as outside, its mounts are its own, and with LOOPBACK its network's loopback is up.
 * False with errno when the kernel's policy gives the namespace but no rights in it. */
bool namespace_settle(bool loopback);

/* Enters a user and a mount namespace, and without NETWORK a network namespace with only its loopback up. False when the
 * kernel or its policy does not allow it. */
bool namespace_enter(bool network);

/* A /proc that shows only the processes of the own process namespace. False where the outer /proc is covered in parts (in
 * some containers): the kernel does not allow it then. */
bool namespace_mount_proc(void);

/* FOLDER becomes WITH (NULL: an empty folder in memory, of MAX_BYTES or with 0 half of the machine's), but for the folders KEPT
 * (COUNT) that are below it. */
bool namespace_cover(const char *folder, const char *with, int64_t max_bytes, const char *const *kept, size_t count);

/* Every mount becomes read-only but those of WRITABLE (COUNT paths), with what is below: also for what Landlock has no right
 * for (modes, owners, times, attributes). False before Linux 5.12, with nothing changed. */
bool namespace_make_read_only_but(const char *const *writable, size_t count);

/* PATH (and what is below) becomes read-only. Missing paths are no error. */
bool namespace_make_read_only(const char *path);

/* PATH becomes empty: a folder without entries, or /dev/null. Missing paths are no error. */
bool namespace_hide(const char *path);

/* Every mount becomes read-only but those of ROOTS (COUNT paths, each with what is below); /proc stays writable for
 * user namespaces, the kernel's settings in it do not. Linux 5.12 or newer. */
bool namespace_make_all_read_only(const char *const *roots, size_t count);

/* As namespace_drop_capabilities(), but keeps for root what a user namespace with a root of its own needs. */
bool namespace_drop_capabilities_nestable(void);

/* Can a process in this namespace make another one and mount in it? Tried in a child. */
bool namespace_probe_nesting(void);

/* Gives up every capability that the user namespace brought, for good. */
bool namespace_drop_capabilities(void);

/* What does the kernel allow? Tried in a child. */
enum namespace_support {
    NAMESPACE_NONE,
    NAMESPACE_OLD_PROC, /* all, but /proc goes on to show the processes outside */
    NAMESPACE_ALL,
};
enum namespace_support namespace_probe(void);

#endif
