/* fuzz/fuzz_toml.c: a document, parsed; what came out is printed, read back and must be the same; then one key is
 * set in its text, which must leave a document that parses. */
#include "base/buf.h"
#include "config/toml.h"
#include "config/toml_edit.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_print(const struct toml_value *tree)
{
    struct buf text = BUF_INIT, json = BUF_INIT;
    struct toml_value *again, *copy = toml_copy(tree);
    struct error err = {0};

    if (!toml_is_equal(tree, copy))
        abort();
    toml_append_json(&json, tree, true);
    buf_puts(&text, "v = ");
    toml_append_inline(&text, tree);
    again = toml_parse(buf_cstr(&text), text.len, "again", &err);
    /* The inline form nests one level deeper and may be longer: those two limits are no faults. */
    if (again == NULL && strstr(err.text, "nested deeper") == NULL && err.code != ERROR_LIMIT)
        abort();
    toml_free(again);
    toml_free(copy);
    buf_free(&text);
    buf_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char table[] = "agents", key[] = "max_depth";
    char *parts[] = {table, key};
    struct error err = {0};
    struct toml_value *tree = toml_parse((const char *)data, size, "fuzz", &err);
    struct buf text = BUF_INIT;

    if (tree == NULL) {
        if (!error_is_set(&err))
            abort();
        return 0;
    }
    check_print(tree);
    buf_append(&text, data, size);
    if (toml_edit_set(&text, "fuzz", parts, 2, "7", &err) == 0) {
        struct toml_value *edited = toml_parse(buf_cstr(&text), text.len, "edited", NULL);

        if (edited == NULL || toml_integer(toml_get(edited, "agents"), "max_depth", 0) != 7)
            abort();
        toml_free(edited);
    }
    toml_free(tree);
    buf_free(&text);
    return 0;
}
