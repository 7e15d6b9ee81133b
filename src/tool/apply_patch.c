/* tool/apply_patch.c: the tool apply_patch, and its recognition inside a shell command. */
#include "tool/tool_internal.h"

#include "base/alloc.h"
#include "sandbox/policy.h"
#include "tool/patch.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void add_changes(struct tool_call *call, const struct str_list *paths, const char *kind)
{
    for (size_t i = 0; i < paths->len; i++)
        tool_call_add_change(call, paths->items[i], kind);
}

void apply_patch_run(struct tool_call *call, const char *text)
{
    struct patch patch = {0};
    struct patch_applied applied = {0};
    struct error err = {0};

    if (call->ctx.policy->mode == SANDBOX_READ_ONLY) {
        tool_call_fail(call, "apply_patch: this thread is read-only");
        return;
    }
    if (patch_parse(&patch, text, &err) < 0) {
        tool_call_fail(call, "%s", err.text);
        return;
    }
    if (patch_apply(&patch, call->ctx.cwd, &applied, &err) < 0) {
        call->result.is_error = true;
        buf_puts(&call->output, err.text);
    } else {
        patch_describe(&applied, &call->output);
    }
    add_changes(call, &applied.added, "add");
    add_changes(call, &applied.changed, "update");
    add_changes(call, &applied.deleted, "delete");
    add_changes(call, &applied.removed_sources, "delete");
    call->result.exit_code = call->result.is_error ? 1 : 0;
    patch_applied_finish(&applied);
    patch_finish(&patch);
    tool_call_finish(call);
}

/* `apply_patch <<'EOF' ... EOF` as the whole command; any heredoc word, quoted or not. */
char *apply_patch_from_command(const char *cmd)
{
    const char *p = cmd;
    const char *word;
    const char *body;
    size_t n;
    char *end_line;
    const char *end;
    char *patch = NULL;

    while (isspace((unsigned char)*p))
        p++;
    if (!str_starts_with(p, "apply_patch"))
        return NULL;
    p += strlen("apply_patch");
    while (*p == ' ' || *p == '\t')
        p++;
    if (!str_starts_with(p, "<<"))
        return NULL;
    p += 2;
    while (*p == ' ' || *p == '\t' || *p == '\'' || *p == '"')
        p++;
    word = p;
    while (isalnum((unsigned char)*p) || *p == '_')
        p++;
    n = (size_t)(p - word);
    body = strchr(p, '\n');
    if (n == 0 || body == NULL)
        return NULL;
    for (; p < body; p++)
        if (*p != '\'' && *p != '"' && *p != ' ' && *p != '\r')
            return NULL; /* something else stands on the line */
    body++;
    end_line = xasprintf("\n%.*s", (int)n, word);
    end = NULL;
    for (const char *at = strstr(body - 1, end_line); at != NULL; at = strstr(at + 1, end_line)) {
        const char *after = at + 1 + n;

        while (isspace((unsigned char)*after))
            after++;
        if (*after == '\0') {
            end = at;
            break;
        }
    }
    if (end != NULL)
        patch = end < body ? xstrdup("") : xstrndup(body, (size_t)(end - body));
    free(end_line);
    return patch;
}

static void start(struct tool_call *call, const json_t *args)
{
    const char *input;
    char *unwrapped;

    if (!tool_need_string(call, args, "input", &input))
        return;
    unwrapped = apply_patch_from_command(input);
    apply_patch_run(call, unwrapped != NULL ? unwrapped : input);
    free(unwrapped);
}

const struct tool tool_apply_patch = {
    .name = "apply_patch",
    .description = "Edits files: a free-form patch between `*** Begin Patch` and `*** End Patch` with `*** Add File: P`, "
                   "`*** Delete File: P`, `*** Update File: P` (chunks start with `@@`).",
    .parameters = "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\",\"description\":\"The whole "
                  "patch\"}},\"required\":[\"input\"]}",
    .grammar = "start: begin_patch hunk+ end_patch\n"
               "begin_patch: \"*** Begin Patch\" LF\n"
               "end_patch: \"*** End Patch\" LF?\n"
               "hunk: add_hunk | delete_hunk | update_hunk\n"
               "add_hunk: \"*** Add File: \" filename LF add_line+\n"
               "delete_hunk: \"*** Delete File: \" filename LF\n"
               "update_hunk: \"*** Update File: \" filename LF change_move? change?\n"
               "filename: /(.+)/\n"
               "add_line: \"+\" /(.*)/ LF -> line\n"
               "change_move: \"*** Move to: \" filename LF\n"
               "change: (change_context | change_line)+ eof_line?\n"
               "change_context: (\"@@\" | \"@@ \" /(.+)/) LF\n"
               "change_line: (\"+\" | \"-\" | \" \") /(.*)/ LF\n"
               "eof_line: \"*** End of File\" LF\n"
               "%import common.LF\n",
    .flags = TOOL_WRITES | TOOL_FREE_FORM | TOOL_OWN_WORDS,
    .start = start,
};
