/* team/builtin_checks.h: what the engine itself refuses in a batch's diff, beside the model's audit. Each check has an id
 * (docs/checks.md), which a plan's `allow:` or `[[gates.allow]]` of cadre.toml can permit. */
#ifndef CADRE_TEAM_BUILTIN_CHECKS_H
#define CADRE_TEAM_BUILTIN_CHECKS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct str_list;
struct vec;

struct check_finding {
    const char *check;    /* id; static */
    const char *severity; /* "blocker", "major", "minor"; static */
    char *file;
    int line; /* in the new file; 0 for the whole file */
    char *title;
    char *detail; /* never the secret itself */
};
void check_finding_destroy(struct check_finding *finding);

/* DIFF is unified diff text of git (`--no-renames --full-index`). Findings (struct check_finding *, owned by the caller) of
 * checks that are not in ALLOWED are appended to FINDINGS. */
int builtin_checks_run(const char *diff, size_t n, const struct str_list *allowed, struct vec *findings,
                       struct error *err);

struct check_info {
    const char *id;
    const char *severity; /* of most of its findings */
    const char *finds;    /* one line, as in docs/checks.md */
};
/* The table of checks; NULL after the last. */
const struct check_info *builtin_check_at(size_t index);
/* Is ID a check? If not, *NEAREST (may be NULL) is the id that was perhaps meant, or NULL. */
bool builtin_check_exists(const char *id, const char **nearest);

#endif
