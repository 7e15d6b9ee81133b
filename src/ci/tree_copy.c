/* ci/tree_copy.c: drives git and tar. Nothing of the tree's own configuration is run. */
#include "ci/tree_copy.h"

#include "base/file.h"
#include "io/process.h"

#include <string.h>

/* $1 from, $2 to. Files deleted in the working tree are not there in the copy either. The copy's repository is written by
 * hand (HEAD, index, tags, and the objects by reference): a clone would start a dozen processes for every job. */
static const char script[] =
    "set -e\n"
    "export GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0\n"
    "unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE\n"
    "g() { git -c core.fsmonitor=false -c core.hooksPath=/dev/null -c safe.directory='*' \"$@\"; }\n"
    "places=$(g -C \"$1\" rev-parse --path-format=absolute --show-toplevel --git-common-dir --git-dir -q --verify "
    "HEAD 2>/dev/null) || places=\n"
    "{ read -r top; read -r common; read -r own; read -r head; } <<<\"$places\" || true\n"
    "if [ ${#head} -eq 40 ] && [ \"$top\" -ef \"$1\" ]; then\n"
    "  mkdir -p \"$2/.git/objects/info\" \"$2/.git/refs/heads\"\n"
    "  printf '%s/objects\\n' \"$common\" >\"$2/.git/objects/info/alternates\"\n"
    "  printf '[core]\\n\\trepositoryformatversion = 0\\n\\tbare = false\\n' >\"$2/.git/config\"\n"
    "  printf '%s\\n' \"$head\" >\"$2/.git/HEAD\"\n"
    "  for f in \"$own/index\" \"$common/packed-refs\" \"$common/shallow\"; do [ ! -f \"$f\" ] || cp \"$f\" \"$2/.git/\"; done\n"
    "  [ ! -d \"$common/refs/tags\" ] || cp -r \"$common/refs/tags\" \"$2/.git/refs/\"\n"
    "  g -C \"$1\" ls-files -z -co --exclude-standard |\n"
    "    tar -C \"$1\" --null --no-recursion --ignore-failed-read -T - -cf - 2>/dev/null | tar -C \"$2\" -xf -\n"
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
