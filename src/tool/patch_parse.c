/* tool/patch_parse.c: reads the apply_patch format; see patch.h. */
#include "tool/patch.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#define BEGIN_MARK  "*** Begin Patch"
#define END_MARK    "*** End Patch"
#define ADD_MARK    "*** Add File: "
#define DELETE_MARK "*** Delete File: "
#define UPDATE_MARK "*** Update File: "
#define MOVE_MARK   "*** Move to: "
#define EOF_MARK    "*** End of File"

struct reader {
    struct str_list lines; /* without line ends */
    size_t at;
    struct error *err;
};

static void chunk_finish(struct patch_chunk *chunk)
{
    free(chunk->context);
    str_list_finish(&chunk->old_lines);
    str_list_finish(&chunk->new_lines);
    buf_free(&chunk->kinds);
}

void patch_finish(struct patch *patch)
{
    for (size_t i = 0; i < patch->hunk_count; i++) {
        struct patch_hunk *hunk = &patch->hunks[i];

        free(hunk->path);
        free(hunk->move_to);
        buf_free(&hunk->contents);
        for (size_t k = 0; k < hunk->chunk_count; k++)
            chunk_finish(&hunk->chunks[k]);
        free(hunk->chunks);
    }
    free(patch->hunks);
    *patch = (struct patch){0};
}

static bool trimmed_equals(const char *line, const char *mark)
{
    char *copy = xstrdup(line);
    bool equal = strcmp(str_trim(copy), mark) == 0;

    free(copy);
    return equal;
}

/* The rest of the trimmed line after MARK (caller frees), or NULL. */
static char *after_mark(const char *line, const char *mark)
{
    char *copy = xstrdup(line);
    char *text = str_trim(copy);
    char *rest = str_starts_with(text, mark) ? xstrdup(text + strlen(mark)) : NULL;

    free(copy);
    return rest;
}

/* Takes <<EOF ... EOF away when it is around the lines FIRST..LAST (inclusive). */
static void unwrap_heredoc(const struct str_list *lines, size_t *first, size_t *last)
{
    const char *open = lines->items[*first];

    if (*last - *first < 3)
        return;
    if (strcmp(open, "<<EOF") != 0 && strcmp(open, "<<'EOF'") != 0 && strcmp(open, "<<\"EOF\"") != 0)
        return;
    if (!str_ends_with(lines->items[*last], "EOF"))
        return;
    (*first)++;
    (*last)--;
}

static int bad_hunk(struct reader *r, size_t line, const char *text)
{
    return error_set(r->err, ERROR_PARSE, "Invalid patch hunk on line %zu: %s", line, text);
}

static int bad_header(struct reader *r, size_t line, const char *text)
{
    return error_set(r->err, ERROR_PARSE,
                     "Invalid patch hunk on line %zu: '%.300s' is not a valid hunk header. Valid hunk headers: "
                     "'*** Add File: {path}', '*** Delete File: {path}', '*** Update File: {path}'",
                     line, text);
}

static struct patch_hunk *add_hunk(struct patch *patch, enum patch_kind kind, char *path)
{
    patch->hunks = xrealloc(patch->hunks, (patch->hunk_count + 1) * sizeof *patch->hunks);
    patch->hunks[patch->hunk_count] = (struct patch_hunk){.kind = kind, .path = path};
    return &patch->hunks[patch->hunk_count++];
}

/* Lines of one chunk; the cursor stands behind its "@@" line. */
static int read_chunk_lines(struct reader *r, struct patch_chunk *chunk, size_t end)
{
    size_t taken = 0;

    for (; r->at < end; r->at++) {
        const char *line = r->lines.items[r->at];

        if (trimmed_equals(line, EOF_MARK) && line[0] == '*') {
            if (taken == 0)
                return bad_hunk(r, r->at + 1, "Update hunk does not contain any lines");
            chunk->at_end = true;
            r->at++;
            return 0;
        }
        if (line[0] == '\0') {
            str_list_add(&chunk->old_lines, "");
            str_list_add(&chunk->new_lines, "");
        } else if (line[0] == ' ') {
            str_list_add(&chunk->old_lines, line + 1);
            str_list_add(&chunk->new_lines, line + 1);
        } else if (line[0] == '+') {
            str_list_add(&chunk->new_lines, line + 1);
        } else if (line[0] == '-') {
            str_list_add(&chunk->old_lines, line + 1);
        } else if (taken == 0) {
            char *text = xasprintf("Unexpected line found in update hunk: '%.300s'. Every line should start with ' ' "
                                   "(context line), '+' (added line), or '-' (removed line)",
                                   line);

            (void)bad_hunk(r, r->at + 1, text);
            free(text);
            return -1;
        } else {
            return 0; /* the next chunk or hunk */
        }
        buf_putc(&chunk->kinds, line[0] == '\0' ? ' ' : line[0]);
        taken++;
    }
    if (taken == 0)
        return bad_hunk(r, r->at + 1, "Update hunk does not contain any lines");
    return 0;
}

static int read_chunk(struct reader *r, struct patch_hunk *hunk, size_t end)
{
    struct patch_chunk *chunk;
    const char *line = r->lines.items[r->at];

    hunk->chunks = xrealloc(hunk->chunks, (hunk->chunk_count + 1) * sizeof *hunk->chunks);
    chunk = &hunk->chunks[hunk->chunk_count];
    *chunk = (struct patch_chunk){0};
    hunk->chunk_count++;
    if (trimmed_equals(line, "@@") && line[0] == '@') {
        r->at++;
    } else if (str_starts_with(line, "@@ ")) {
        chunk->context = xstrdup(line + 3);
        r->at++;
    } else if (hunk->chunk_count > 1) {
        char *text = xasprintf("Expected update hunk to start with a @@ context marker, got: '%.300s'", line);

        (void)bad_hunk(r, r->at + 1, text);
        free(text);
        return -1;
    }
    return read_chunk_lines(r, chunk, end);
}

static int read_update(struct reader *r, struct patch *patch, char *path, size_t end)
{
    struct patch_hunk *hunk = add_hunk(patch, PATCH_UPDATE, path);
    size_t header = r->at + 1;

    r->at++;
    if (r->at < end)
        hunk->move_to = after_mark(r->lines.items[r->at], MOVE_MARK);
    if (hunk->move_to != NULL)
        r->at++;
    while (r->at < end) {
        const char *line = r->lines.items[r->at];

        if (trimmed_equals(line, "")) {
            r->at++;
            continue;
        }
        if (str_starts_with(line, "***") && !trimmed_equals(line, EOF_MARK))
            break;
        if (read_chunk(r, hunk, end) < 0)
            return -1;
    }
    if (hunk->chunk_count == 0) {
        char *text = xasprintf("Update file hunk for path '%.300s' is empty", hunk->path);

        (void)bad_hunk(r, header, text);
        free(text);
        return -1;
    }
    return 0;
}

static int read_hunk(struct reader *r, struct patch *patch, size_t end)
{
    const char *line = r->lines.items[r->at];
    char *path = after_mark(line, ADD_MARK);
    struct patch_hunk *hunk;
    char *copy;
    int rc;

    if (path != NULL) {
        hunk = add_hunk(patch, PATCH_ADD, path);
        for (r->at++; r->at < end && r->lines.items[r->at][0] == '+'; r->at++) {
            buf_puts(&hunk->contents, r->lines.items[r->at] + 1);
            buf_putc(&hunk->contents, '\n');
        }
        return 0;
    }
    path = after_mark(line, DELETE_MARK);
    if (path != NULL) {
        (void)add_hunk(patch, PATCH_DELETE, path);
        r->at++;
        return 0;
    }
    path = after_mark(line, UPDATE_MARK);
    if (path != NULL)
        return read_update(r, patch, path, end);
    copy = xstrdup(line);
    rc = bad_header(r, r->at + 1, str_trim(copy));
    free(copy);
    return rc;
}

int patch_parse(struct patch *patch, const char *text, struct error *err)
{
    struct reader r = {.err = err};
    char *copy;
    char *trimmed;
    size_t first = 0;
    size_t last;
    int rc = -1;

    *patch = (struct patch){0};
    if (strlen(text) > PATCH_MAX_BYTES)
        return error_set(err, ERROR_LIMIT, "Invalid patch: larger than %zu bytes", PATCH_MAX_BYTES);
    copy = xstrdup(text);
    trimmed = str_trim(copy);
    str_split(&r.lines, trimmed, '\n');
    for (size_t i = 0; i < r.lines.len; i++) {
        size_t n = strlen(r.lines.items[i]);

        if (n > 0 && r.lines.items[i][n - 1] == '\r')
            r.lines.items[i][n - 1] = '\0';
    }
    last = r.lines.len - 1;
    unwrap_heredoc(&r.lines, &first, &last);
    while (first > 0) { /* line numbers count from the patch's own first line */
        str_list_remove(&r.lines, 0);
        first--;
        last--;
    }
    if (!trimmed_equals(r.lines.items[0], BEGIN_MARK)) {
        error_set(err, ERROR_PARSE, "Invalid patch: The first line of the patch must be '*** Begin Patch'");
        goto out;
    }
    if (last < 1 || !trimmed_equals(r.lines.items[last], END_MARK)) {
        error_set(err, ERROR_PARSE, "Invalid patch: The last line of the patch must be '*** End Patch'");
        goto out;
    }
    for (r.at = 1; r.at < last;)
        if (read_hunk(&r, patch, last) < 0)
            goto out;
    rc = 0;
out:
    if (rc < 0)
        patch_finish(patch);
    str_list_finish(&r.lines);
    free(copy);
    return rc;
}
