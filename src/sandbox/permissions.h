/* sandbox/permissions.h: `default_permissions` and `[permissions.NAME]` of Codex, as a sandbox policy.
 *
 * A profile is never made wider than it says: what the box cannot enforce (lists of domains, patterns, a writable folder in a
 * denied one) is an error that names the entry. What is only narrower is taken: a profile without a writable workspace is
 * read-only, without network and temporary folders. Without ":root" = "read", reading is confined to the system's folders,
 * the workspace and what the profile names. */
#ifndef CADRE_SANDBOX_PERMISSIONS_H
#define CADRE_SANDBOX_PERMISSIONS_H

#include "base/error.h"
#include "config/config.h"
#include "sandbox/policy.h"

#include <stdbool.h>

/* Does a profile hold? As in Codex: `default_permissions` is set, and no layer sets `sandbox_mode`. */
bool permissions_are_set(const struct config *c);

/* Makes POLICY for CWD (absolute) from the profile that `default_permissions` names. 0 with a policy that the caller
 * finishes, or -1 with ERR (ERROR_CONFIG) and no policy. Call it only when permissions_are_set. */
int permissions_make_policy(const struct config *c, const char *cwd, struct sandbox_policy *policy,
                            struct error *err);

/* Adds to POLICY, which commands of the engine's own run under (CI, acceptance), what the profile denies, if one holds; such
 * commands write in their folder whatever it says. 0 or -1. */
int permissions_add_denials(const struct config *c, const char *cwd, struct sandbox_policy *policy, struct error *err);

#endif
