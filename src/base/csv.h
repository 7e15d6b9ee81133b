/* base/csv.h: CSV as RFC 4180 has it, in and out: quoted fields with separators, quotes and line ends in them.
 *
 * Read leniently where programs differ without doubt about the meaning: CRLF, LF and CR end a record, a byte order mark is
 * skipped, records without any content are skipped, a quote within an unquoted field is a quote. Everything else that RFC
 * 4180 does not allow is an error with its line: text behind a closing quote, a quote that never closes, a record with
 * more or fewer fields than the header, a column name that comes twice, bytes that are no UTF-8. */
#ifndef CADRE_BASE_CSV_H
#define CADRE_BASE_CSV_H

#include "base/error.h"
#include "base/str.h"

#include <stddef.h>

#define CSV_MAX_COLUMNS 256

struct buf;

struct csv_row {
    struct str_list fields; /* as many as the header has */
    int line;               /* where it begins, from 1 */
};

struct csv_table {
    struct str_list header;
    struct csv_row *rows;
    size_t row_count;
};

struct csv_limits {
    size_t max_rows;
    size_t max_row_bytes; /* of the fields of one record together */
};

/* Reads N bytes of TEXT; the first record is the header. WHERE names the input in errors. -1 with ERR set (ERROR_PARSE,
 * or ERROR_LIMIT for a bound) leaves OUT empty. */
int csv_parse(struct csv_table *out, const char *text, size_t n, const char *where, const struct csv_limits *limits,
              struct error *err);
void csv_table_finish(struct csv_table *table);

/* The index of the column NAME, or -1. */
int csv_column(const struct csv_table *table, const char *name);

/* Appends one field, quoted when it has to be; the caller writes the separators. */
void csv_append_field(struct buf *out, const char *text);

#endif
