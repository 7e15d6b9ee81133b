/* base/csv.c: see csv.h. */
#include "base/csv.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    const char *at;
    const char *end;
    const char *where;
    int line;
    size_t max_row_bytes;
};

static bool is_line_end(const struct reader *r)
{
    return *r->at == '\n' || *r->at == '\r';
}

static void skip_line_end(struct reader *r)
{
    if (*r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n')
        r->at++;
    r->at++;
    r->line++;
}

/* Behind the opening quote, to behind the closing one. */
static int read_quoted(struct reader *r, struct buf *field, struct error *err)
{
    int opened = r->line;

    for (; r->at < r->end; r->at++) {
        if (*r->at == '"') {
            if (r->at + 1 == r->end || r->at[1] != '"')
                break;
            r->at++;
        } else if (*r->at == '\n' || (*r->at == '\r' && (r->at + 1 == r->end || r->at[1] != '\n'))) {
            r->line++;
        }
        buf_putc(field, *r->at);
        if (field->len > r->max_row_bytes)
            return 0; /* the caller says so */
    }
    if (r->at == r->end)
        return error_set_at(err, ERROR_PARSE, r->where, opened, 0, "the quote that opens here is never closed");
    r->at++;
    if (r->at < r->end && *r->at != ',' && !is_line_end(r))
        return error_set_at(err, ERROR_PARSE, r->where, r->line, 0,
                            "a ',' or the end of the line is expected behind a closing quote; a quote within a quoted "
                            "field is written twice");
    return 0;
}

static int read_field(struct reader *r, struct buf *field, struct error *err)
{
    if (r->at < r->end && *r->at == '"') {
        r->at++;
        return read_quoted(r, field, err);
    }
    for (; r->at < r->end && *r->at != ',' && !is_line_end(r) && field->len <= r->max_row_bytes; r->at++)
        buf_putc(field, *r->at);
    return 0;
}

/* One record, with its line end. */
static int read_record(struct reader *r, struct csv_row *row, struct error *err)
{
    struct buf field = BUF_INIT;
    size_t bytes = 0;
    int rc = -1;

    row->line = r->line;
    for (;;) {
        buf_clear(&field);
        if (read_field(r, &field, err) < 0)
            goto out;
        bytes += field.len;
        if (bytes > r->max_row_bytes) {
            error_set_at(err, ERROR_LIMIT, r->where, row->line, 0, "the row holds more than %zu bytes", r->max_row_bytes);
            goto out;
        }
        if (row->fields.len == CSV_MAX_COLUMNS) {
            error_set_at(err, ERROR_LIMIT, r->where, row->line, 0, "the row has more than %d fields", CSV_MAX_COLUMNS);
            goto out;
        }
        str_list_add(&row->fields, buf_cstr(&field));
        if (r->at == r->end || *r->at != ',')
            break;
        r->at++;
    }
    if (r->at < r->end)
        skip_line_end(r);
    rc = 0;
out:
    buf_free(&field);
    return rc;
}

static bool is_blank(const struct csv_row *row)
{
    for (size_t i = 0; i < row->fields.len; i++)
        if (row->fields.items[i][0] != '\0')
            return false;
    return true;
}

static int check_header(const struct csv_row *row, const char *where, struct error *err)
{
    for (size_t i = 0; i < row->fields.len; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(row->fields.items[i], row->fields.items[k]) == 0)
                return error_set_at(err, ERROR_PARSE, where, row->line, 0, "the column \"%.80s\" stands there twice",
                                    row->fields.items[i]);
    return 0;
}

/* UTF-8 without NUL; names the line of the first byte that is not. */
static int check_bytes(const char *text, size_t n, const char *where, struct error *err)
{
    int line = 1;

    for (size_t i = 0; i < n;) {
        size_t length = utf8_decode(text + i, n - i, NULL);

        if (length == 0 || text[i] == '\0')
            return error_set_at(err, ERROR_PARSE, where, line, 0, "the file is no UTF-8 text (byte 0x%02x)",
                                (unsigned)(unsigned char)text[i]);
        line += text[i] == '\n';
        i += length;
    }
    return 0;
}

int csv_parse(struct csv_table *out, const char *text, size_t n, const char *where, const struct csv_limits *limits,
              struct error *err)
{
    struct reader r = {.at = text, .end = text + n, .where = where, .line = 1, .max_row_bytes = limits->max_row_bytes};
    size_t cap = 0;

    *out = (struct csv_table){0};
    if (check_bytes(text, n, where, err) < 0)
        return -1;
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        r.at += 3;
    while (r.at < r.end) {
        struct csv_row row = {0};

        if (read_record(&r, &row, err) < 0) {
            str_list_finish(&row.fields);
            goto fail;
        }
        if (is_blank(&row)) {
            str_list_finish(&row.fields);
        } else if (out->header.len == 0) {
            out->header = row.fields;
            if (check_header(&row, where, err) < 0)
                goto fail;
        } else if (row.fields.len != out->header.len) {
            error_set_at(err, ERROR_PARSE, where, row.line, 0, "the row has %zu fields, the header has %zu", row.fields.len,
                         out->header.len);
            str_list_finish(&row.fields);
            goto fail;
        } else if (out->row_count == limits->max_rows) {
            error_set_at(err, ERROR_LIMIT, where, row.line, 0, "there are more than %zu rows: split the file",
                         limits->max_rows);
            str_list_finish(&row.fields);
            goto fail;
        } else {
            if (out->row_count == cap) {
                cap = cap == 0 ? 64 : cap * 2;
                out->rows = xrealloc(out->rows, cap * sizeof *out->rows);
            }
            out->rows[out->row_count++] = row;
        }
    }
    if (out->header.len > 0)
        return 0;
    error_set_at(err, ERROR_PARSE, where, 1, 0, "a first row with the names of the columns is expected");
fail:
    csv_table_finish(out);
    return -1;
}

void csv_table_finish(struct csv_table *table)
{
    str_list_finish(&table->header);
    for (size_t i = 0; i < table->row_count; i++)
        str_list_finish(&table->rows[i].fields);
    free(table->rows);
    *table = (struct csv_table){0};
}

int csv_column(const struct csv_table *table, const char *name)
{
    for (size_t i = 0; i < table->header.len; i++)
        if (strcmp(table->header.items[i], name) == 0)
            return (int)i;
    return -1;
}

void csv_append_field(struct buf *out, const char *text)
{
    if (text[strcspn(text, ",\"\r\n")] == '\0') {
        buf_puts(out, text);
        return;
    }
    buf_putc(out, '"');
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"')
            buf_putc(out, '"');
        buf_putc(out, *p);
    }
    buf_putc(out, '"');
}
