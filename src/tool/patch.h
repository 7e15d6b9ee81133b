/* tool/patch.h: the apply_patch format: parsed, then applied beneath a folder.
 *
 * Grammar and matching follow what Codex's own program does (reference: its answers, compared in
 * tests/e2e/apply_patch_codex.sh): lenient markers, a heredoc wrapper is unwrapped, chunks are searched from the cursor on
 * with growing tolerance, hunks apply in order without rollback, a file's own chunks are all or nothing. */
#ifndef CADRE_TOOL_PATCH_H
#define CADRE_TOOL_PATCH_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

#define PATCH_MAX_BYTES      ((size_t)8 << 20)
#define PATCH_MAX_FILE_BYTES ((size_t)64 << 20)

enum patch_kind { PATCH_ADD, PATCH_DELETE, PATCH_UPDATE };

struct patch_chunk {
    char *context; /* "@@ context", or NULL */
    struct str_list old_lines;
    struct str_list new_lines;
    struct buf kinds; /* one character a line of the chunk: ' ', '+' or '-' */
    bool at_end; /* "*** End of File" */
};

struct patch_hunk {
    enum patch_kind kind;
    char *path;
    char *move_to;       /* or NULL */
    struct buf contents; /* of an added file */
    struct patch_chunk *chunks;
    size_t chunk_count;
};

struct patch {
    struct patch_hunk *hunks;
    size_t hunk_count;
};

/* -1 with ERR set to the message that a model or a user is given. */
int patch_parse(struct patch *patch, const char *text, struct error *err);
void patch_finish(struct patch *patch);

/* The new text of an updated file. PATH is for messages. */
int patch_update_text(const struct patch_hunk *hunk, const char *path, const struct buf *old, struct buf *out,
                      struct error *err);

struct patch_applied { /* paths as the patch names them; `changed` names the new place of a moved file */
    struct str_list added;
    struct str_list changed;
    struct str_list deleted;
    struct str_list removed_sources; /* old places of moved files */
};
void patch_applied_finish(struct patch_applied *applied);

/* Applies beneath the folder ROOT; nothing outside of it can be read or written. On failure what was applied before
 * stays and is in APPLIED. */
int patch_apply(const struct patch *patch, const char *root, struct patch_applied *applied, struct error *err);

/* "Success. Updated the following files:" and its lines. */
void patch_describe(const struct patch_applied *applied, struct buf *out);

#endif
