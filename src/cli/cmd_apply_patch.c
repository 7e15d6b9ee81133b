/* cli/cmd_apply_patch.c: `cadre apply-patch`: a patch in the apply_patch format, on the working directory. */
#include "cli/command.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "tool/patch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_patch(const char *file, struct buf *text, struct error *err)
{
    char chunk[8192];
    size_t n;

    if (file != NULL && strcmp(file, "-") != 0)
        return file_read(file, text, PATCH_MAX_BYTES, err);
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0) {
        buf_append(text, chunk, n);
        if (text->len > PATCH_MAX_BYTES)
            return error_set(err, ERROR_LIMIT, "the patch is larger than %zu bytes", PATCH_MAX_BYTES);
    }
    return 0;
}

static int run(struct cli_context *ctx, const struct cli_args *args)
{
    struct error err = {0};
    struct patch patch = {0};
    struct patch_applied applied = {0};
    struct buf text = BUF_INIT;
    struct buf out = BUF_INIT;
    char *cwd = path_current_directory();
    int exit_code = 1; /* as Codex: every failure is 1 */

    (void)ctx;
    if (read_patch(args->positionals.len > 0 ? args->positionals.items[0] : NULL, &text, &err) == 0 &&
        patch_parse(&patch, buf_cstr(&text), &err) == 0 && patch_apply(&patch, cwd, &applied, &err) == 0) {
        patch_describe(&applied, &out);
        (void)fwrite(out.data, 1, out.len, stdout);
        exit_code = 0;
    } else {
        fprintf(stderr, "%s\n", err.text);
    }
    patch_finish(&patch);
    patch_applied_finish(&applied);
    buf_free(&text);
    buf_free(&out);
    free(cwd);
    return exit_code;
}

const struct command command_apply_patch = {
    .name = "apply-patch",
    .summary = "apply a patch in the apply_patch format",
    .usage = "[FILE]",
    .details = "Reads the patch from FILE (or standard input) and applies it to the working directory; nothing outside\n"
               "of it is touched. Success lists the files (A added, M changed, D deleted); failure exits 1 with one\n"
               "message, and what was applied before it stays.",
    .example = "cadre apply-patch change.patch\ncadre apply-patch <<'EOF'\n*** Begin Patch\n*** Add File: hello.txt\n"
               "+hello\n*** End Patch\nEOF",
    .min_positionals = 0,
    .max_positionals = 1,
    .run = run,
};
