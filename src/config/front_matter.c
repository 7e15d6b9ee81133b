/* config/front_matter.c: see front_matter.h. */
#include "config/front_matter.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

size_t front_matter_find(const char *text, size_t *start, size_t *end)
{
    const char *p, *line;

    if (strncmp(text, "---\n", 4) != 0 && strncmp(text, "---\r\n", 5) != 0)
        return 0;
    p = strchr(text, '\n') + 1;
    *start = (size_t)(p - text);
    for (line = p; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        if (*line == '\n')
            line++;
        if (strncmp(line, "---", 3) == 0 && strchr("\r\n", line[3]) != NULL) {
            const char *after = strchr(line, '\n');

            *end = (size_t)(line - text);
            return after != NULL ? (size_t)(after + 1 - text) : strlen(text);
        }
    }
    return 0;
}

char *front_matter_scalar(const char *text, size_t start, size_t end, const char *key)
{
    struct buf out = BUF_INIT;
    size_t n = strlen(key), at = start;
    bool inside = false, found = false;

    while (at < end) {
        size_t len = strcspn(text + at, "\n");
        char *line = xstrndup(text + at, len), *trimmed;

        if (len > n && line[n] == ':' && strncmp(line, key, n) == 0) {
            inside = found = true;
            trimmed = str_trim(line + n + 1);
            if (strcspn(trimmed, ">|") != 0)
                buf_puts(&out, trimmed);
        } else if (inside && (line[0] == ' ' || line[0] == '\t')) {
            if (out.len > 0)
                buf_putc(&out, ' ');
            buf_puts(&out, str_trim(line));
        } else {
            inside = false;
        }
        free(line);
        at += len + 1;
    }
    if (!found) {
        buf_free(&out);
        return NULL;
    }
    if (out.len >= 2 && (out.data[0] == '"' || out.data[0] == '\'') && out.data[out.len - 1] == out.data[0]) {
        buf_truncate(&out, out.len - 1);
        buf_consume(&out, 1);
    }
    return buf_take(&out);
}
