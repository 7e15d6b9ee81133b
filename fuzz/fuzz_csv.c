/* fuzz/fuzz_csv.c: a CSV file of a repository: what is read is written back to the same table. */
#include "base/buf.h"
#include "base/csv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_record(struct buf *out, const struct str_list *fields)
{
    for (size_t i = 0; i < fields->len; i++) {
        if (i > 0)
            buf_putc(out, ',');
        csv_append_field(out, fields->items[i]);
    }
    buf_putc(out, '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct csv_limits limits = {200, 4096};
    struct csv_table table;
    struct csv_table again;
    struct buf text = BUF_INIT;
    struct error err = {0};

    if (csv_parse(&table, (const char *)data, size, "fuzz.csv", &limits, &err) < 0) {
        if (err.text[0] == '\0' || table.row_count != 0 || table.header.len != 0)
            abort(); /* a bad file says why and leaves nothing */
        return 0;
    }
    write_record(&text, &table.header);
    for (size_t i = 0; i < table.row_count; i++)
        write_record(&text, &table.rows[i].fields);
    /* A byte order mark that stands for itself would be taken for one at the start of a file. */
    if (strncmp(table.header.items[0], "\xef\xbb\xbf", 3) != 0) {
        if (csv_parse(&again, text.data, text.len, "again.csv", &limits, &err) < 0 || again.row_count != table.row_count)
            abort();
        for (size_t i = 0; i < table.row_count; i++)
            for (size_t k = 0; k < table.header.len; k++)
                if (strcmp(table.rows[i].fields.items[k], again.rows[i].fields.items[k]) != 0)
                    abort();
        csv_table_finish(&again);
    }
    csv_table_finish(&table);
    buf_free(&text);
    return 0;
}
