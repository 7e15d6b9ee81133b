/* Any text as a patch: parsed, and its hunks applied to a small file in memory. */
#include "base/alloc.h"
#include "base/buf.h"
#include "tool/patch.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xstrndup((const char *)data, size);
    struct patch patch;
    struct buf old = BUF_INIT;

    buf_puts(&old, "one\ntwo\r\nthree\n\nfive");
    if (patch_parse(&patch, text, NULL) == 0) {
        for (size_t i = 0; i < patch.hunk_count; i++) {
            struct buf out = BUF_INIT;

            if (patch.hunks[i].kind == PATCH_UPDATE)
                (void)patch_update_text(&patch.hunks[i], "file", &old, &out, NULL);
            buf_free(&out);
        }
        patch_finish(&patch);
    }
    buf_free(&old);
    free(text);
    return 0;
}
