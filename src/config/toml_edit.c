/* config/toml_edit.c: see toml_edit.h. Edits work on lines; the check at the end makes that safe. */
#include "config/toml_edit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "config/toml.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool toml_is_equal(const struct toml_value *a, const struct toml_value *b)
{
    struct buf x = BUF_INIT, y = BUF_INIT;
    bool same;

    if (a == NULL || b == NULL || a->type != b->type)
        return a == b;
    if (a->type == TOML_TABLE) {
        if (a->as.table.len != b->as.table.len)
            return false;
        for (size_t i = 0; i < a->as.table.len; i++)
            if (!toml_is_equal(a->as.table.members[i].value, toml_get(b, a->as.table.members[i].key)))
                return false;
        return true;
    }
    if (a->type == TOML_ARRAY) {
        if (a->as.array.len != b->as.array.len)
            return false;
        for (size_t i = 0; i < a->as.array.len; i++)
            if (!toml_is_equal(a->as.array.items[i], b->as.array.items[i]))
                return false;
        return true;
    }
    toml_append_inline(&x, a);
    toml_append_inline(&y, b);
    same = x.len == y.len && memcmp(buf_cstr(&x), buf_cstr(&y), x.len) == 0;
    buf_free(&x);
    buf_free(&y);
    return same;
}

/* Is this line the header of the table PARTS[0..N)? With N = 0: is it any header? */
static bool is_header(const char *line, size_t len, char *const *parts, size_t n)
{
    struct str_list found = {0};
    char *copy = xstrndup(line, len), *at = str_trim(copy), *close;
    bool same = false;

    if (at[0] == '[' && n == 0) {
        same = true;
    } else if (at[0] == '[' && at[1] != '[' && (close = strrchr(at, ']')) != NULL) {
        char *comment = strchr(at, '#');

        if (comment != NULL && comment < close && strchr(at, '"') == NULL) {
            *comment = '\0';
            close = strrchr(at, ']');
        }
        if (close != NULL) {
            *close = '\0';
            if (toml_split_path(str_trim(at + 1), &found) == 0 && found.len == n) {
                same = true;
                for (size_t i = 0; i < n && same; i++)
                    same = strcmp(found.items[i], parts[i]) == 0;
            }
        }
    }
    str_list_finish(&found);
    free(copy);
    return same;
}

static bool is_blank_or_comment(const char *line, size_t len)
{
    size_t i = 0;

    while (i < len && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r'))
        i++;
    return i == len || line[i] == '#';
}

static size_t line_end(const struct buf *text, size_t start)
{
    const char *newline = start < text->len ? memchr(text->data + start, '\n', text->len - start) : NULL;

    return newline != NULL ? (size_t)(newline - text->data) : text->len;
}

/* Where a new key of the table PARTS[0..N) goes: after its last line with content. SIZE_MAX: no header. */
static size_t find_insertion(const struct buf *text, char *const *parts, size_t n)
{
    size_t at = 0, place = n == 0 ? 0 : SIZE_MAX;
    bool inside = n == 0;

    while (at < text->len) {
        size_t end = line_end(text, at);
        size_t next = end < text->len ? end + 1 : end;

        if (n > 0 && is_header(text->data + at, end - at, parts, n)) {
            inside = true;
            place = next;
        } else if (inside && is_header(text->data + at, end - at, NULL, 0)) {
            break;
        } else if (inside && !is_blank_or_comment(text->data + at, end - at)) {
            place = next;
        } else if (inside && n == 0 && place == at) {
            place = next; /* a file's head comment stays its head */
        }
        at = next;
    }
    return place;
}

static void splice(struct buf *out, const struct buf *text, size_t from, size_t to, const char *middle)
{
    buf_append(out, text->data, from);
    buf_puts(out, middle);
    buf_append(out, text->data + to, text->len - to);
}

/* Replaces the value that begins after the '=' of the line; false when it does not end on that line. */
static bool replace_on_line(struct buf *out, const struct buf *text, int line, const char *value)
{
    size_t start = 0, end, at, stop;
    char quote;

    for (int i = 1; i < line; i++) {
        start = line_end(text, start) + 1;
        if (start >= text->len)
            return false;
    }
    end = line_end(text, start);
    at = start;
    for (quote = '\0'; at < end && (quote != '\0' || text->data[at] != '='); at++) {
        if (quote != '\0')
            quote = text->data[at] == quote ? '\0' : quote;
        else if (text->data[at] == '"' || text->data[at] == '\'')
            quote = text->data[at];
    }
    if (at == end)
        return false;
    at++;
    while (at < end && (text->data[at] == ' ' || text->data[at] == '\t'))
        at++;
    stop = at;
    for (quote = '\0'; stop < end && (quote != '\0' || strchr("#\r", text->data[stop]) == NULL); stop++) {
        if (quote == '"' && text->data[stop] == '\\')
            stop++;
        else if (quote != '\0')
            quote = text->data[stop] == quote ? '\0' : quote;
        else if (text->data[stop] == '"' || text->data[stop] == '\'')
            quote = text->data[stop];
    }
    if (stop > end)
        return false;
    while (stop > at && (text->data[stop - 1] == ' ' || text->data[stop - 1] == '\t'))
        stop--;
    splice(out, text, at, stop, value);
    return true;
}

static struct toml_value *with_key(const struct toml_value *old, char *const *parts, size_t n,
                                   const struct toml_value *value)
{
    struct toml_value *want = toml_copy(old), *at = want;

    for (size_t i = 0; i + 1 < n; i++) {
        struct toml_value *next = toml_get(at, parts[i]);

        if (next == NULL || next->type != TOML_TABLE) {
            next = toml_new(TOML_TABLE);
            toml_set(at, parts[i], next);
        }
        at = next;
    }
    toml_set(at, parts[n - 1], toml_copy(value));
    return want;
}

static void build_edit(struct buf *out, const struct buf *text, char *const *parts, size_t n,
                       const struct toml_value *present, const char *value)
{
    struct buf line = BUF_INIT, path = BUF_INIT;
    size_t depth, place = SIZE_MAX;

    if (present != NULL) {
        (void)replace_on_line(out, text, present->line, value);
        return;
    }
    place = find_insertion(text, parts, n - 1);
    if (place != SIZE_MAX) {
        toml_append_path(&path, parts[n - 1]);
        if (place > 0 && text->data[place - 1] != '\n')
            buf_putc(&line, '\n');
        buf_printf(&line, "%s = %s\n", buf_cstr(&path), value);
        splice(out, text, place, place, buf_cstr(&line));
    } else {
        for (depth = 0; depth + 1 < n; depth++)
            toml_append_path(&path, parts[depth]);
        buf_append(out, text->data, text->len);
        if (out->len > 0 && out->data[out->len - 1] != '\n')
            buf_putc(out, '\n');
        buf_printf(out, "%s[%s]\n", out->len > 0 ? "\n" : "", buf_cstr(&path));
        buf_clear(&path);
        toml_append_path(&path, parts[n - 1]);
        buf_printf(out, "%s = %s\n", buf_cstr(&path), value);
    }
    buf_free(&line);
    buf_free(&path);
}

int toml_edit_set(struct buf *text, const char *file, char *const *parts, size_t n, const char *value,
                  struct error *err)
{
    struct buf edited = BUF_INIT, line = BUF_INIT, path = BUF_INIT;
    struct toml_value *old = toml_parse(buf_cstr(text), text->len, file, err), *given = NULL, *want = NULL;
    struct toml_value *got = NULL;
    const struct toml_value *present = old;
    int rc = -1;

    buf_printf(&line, "v = %s\n", value);
    if (old == NULL || (given = toml_parse(buf_cstr(&line), line.len, "value", err)) == NULL)
        goto out;
    for (size_t i = 0; i < n; i++)
        present = toml_get(present, parts[i]);
    want = with_key(old, parts, n, toml_get(given, "v"));
    build_edit(&edited, text, parts, n, present, value);
    if (edited.len > 0)
        got = toml_parse(buf_cstr(&edited), edited.len, file, NULL);
    if (got == NULL || !toml_is_equal(got, want)) {
        for (size_t i = 0; i < n; i++)
            toml_append_path(&path, parts[i]);
        error_set(err, ERROR_CONFIG, "%s: cannot set %s without rewriting the file; set it by hand: %s = %s",
                  file, buf_cstr(&path), buf_cstr(&path), value);
        goto out;
    }
    buf_clear(text);
    buf_append(text, edited.data, edited.len);
    rc = 0;
out:
    toml_free(old);
    toml_free(given);
    toml_free(want);
    toml_free(got);
    buf_free(&edited);
    buf_free(&line);
    buf_free(&path);
    return rc;
}

int toml_edit_write(const char *path, const struct buf *text, struct error *err)
{
    char *real = realpath(path, NULL), *folder = path_dirname(path);
    struct stat st;
    mode_t mode = 0600;
    int rc = -1;

    if (real != NULL && stat(real, &st) == 0)
        mode = st.st_mode & 0777;
    if (file_make_directories(folder, 0700, err) == 0)
        rc = file_write_atomic(real != NULL ? real : path, buf_cstr(text), text->len, mode, err);
    free(real);
    free(folder);
    return rc;
}
