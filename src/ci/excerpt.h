/* ci/excerpt.h: from a step's output to what an implementer needs: the failing part, the failing tests by
 * file and line, and a fingerprint by which the same failure is known again. */
#ifndef CADRE_CI_EXCERPT_H
#define CADRE_CI_EXCERPT_H

#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

struct excerpt_source {
    const char *job, *step; /* for the fingerprint */
    const char *command;    /* repeats the step */
    int exit_code;          /* -1: killed */
    const char *tree_dir;   /* the copy that it ran in: paths below it are shown relative to it; or NULL */
    const char *output;
    size_t output_len;
    size_t max_bytes; /* of the text */
};

struct excerpt { /* zeroed memory is an empty one */
    char *text;            /* command, names of what failed, the lines about it, the end of the output */
    struct str_list tests; /* failing tests and diagnostics, "file:line: text" or "text", 50 at most */
    uint64_t fingerprint;  /* over what names the failure, without numbers, addresses, times and folders; never 0 */
};

/* Reads the output with the report parsers; of more than a megabyte only the start and the end. */
void excerpt_read(struct excerpt *out, const struct excerpt_source *from);
void excerpt_finish(struct excerpt *excerpt);

#endif
