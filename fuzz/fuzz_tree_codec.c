/* fuzz/fuzz_tree_codec.c: workflows that were kept as they were read, from a file that may be damaged. */
#include "base/arena.h"
#include "base/buf.h"
#include "ci/tree_codec.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct buf again = BUF_INIT;
    struct yaml_node *root = tree_decode(&arena, (const char *)data, size, "w.yml");

    if (root != NULL)
        tree_encode(&again, root);
    if (root != NULL && (again.len > size))
        abort(); /* texts end at their first NUL, nothing is added */
    buf_free(&again);
    arena_finish(&arena);
    return 0;
}
