/* ci/tree_copy.c: drives git and tar. Nothing of the tree's own configuration is run. */
#include "ci/tree_copy.h"

#include "base/file.h"
#include "io/process.h"

#include <string.h>

/* $1 from, $2 to. Files deleted in the working tree are not there in the copy either. */
static const char script[] =
    "set -e\n"
    "export GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0\n"
    "unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE\n"
    "g() { git -c core.fsmonitor=false -c core.hooksPath=/dev/null -c safe.directory='*' \"$@\"; }\n"
    "if top=$(g -C \"$1\" rev-parse --show-toplevel 2>/dev/null) && [ \"$top\" -ef \"$1\" ]; then\n"
    "  g clone -q --shared --no-checkout --template= -- \"$1\" \"$2\" 2>/dev/null\n"
    "  head=$(g -C \"$1\" rev-parse -q --verify HEAD || true)\n"
    "  if [ -n \"$head\" ]; then g -C \"$2\" update-ref --no-deref HEAD \"$head\"; g -C \"$2\" read-tree HEAD; fi\n"
    "  g -C \"$1\" ls-files -z -co --exclude-standard |\n"
    "    tar -C \"$1\" --null --no-recursion --ignore-failed-read -T - -cf - 2>/dev/null | tar -C \"$2\" -xf -\n"
    "  g -C \"$2\" update-index -q --refresh >/dev/null 2>&1 || true\n"
    "else\n"
    "  mkdir -p \"$2\"\n"
    "  cp -a --reflink=auto \"$1/.\" \"$2/\"\n"
    "fi\n";

int tree_copy(struct loop *loop, const char *from, const char *to, struct error *err)
{
    const char *argv[] = {"bash", "-c", script, "tree-copy", from, to, NULL};
    struct process_run_options options = {.argv = argv, .merge_stderr = true, .timeout_ms = 600000};
    struct process_result result = {0};
    int rc = process_run(loop, &options, &result, err);

    if (rc == 0 && result.exit.exit_code != 0)
        rc = error_set(err, ERROR_IO, "copying '%s' for a job failed: %.500s", from, buf_cstr(&result.out));
    process_result_finish(&result);
    return rc;
}
