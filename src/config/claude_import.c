/* config/claude_import.c: see claude_import.h. */
#include "config/claude_import.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "config/front_matter.h"
#include "config/toml.h"

#include <stdlib.h>
#include <string.h>

static bool is_role_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    return n > 0 && n <= 64 && name[n] == '\0';
}

/* Without a `tools` line an agent has all tools. */
static bool may_write(const char *tools)
{
    static const char *const writers[] = {"Write", "Edit", "MultiEdit", "NotebookEdit", "Bash", "*"};
    struct str_list list = {0};
    bool found = tools == NULL;

    if (tools != NULL)
        str_split(&list, tools, ',');
    for (size_t i = 0; i < list.len && !found; i++) {
        const char *tool = str_trim(list.items[i]);
        size_t n = strcspn(tool, "(");

        for (size_t k = 0; k < sizeof writers / sizeof writers[0]; k++)
            found = found || (strlen(writers[k]) == n && strncmp(tool, writers[k], n) == 0);
    }
    str_list_finish(&list);
    return found;
}

static void append_pair(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, "%s = ", key);
    toml_append_quoted(out, value, strlen(value));
    buf_putc(out, '\n');
}

/* A literal block where the text allows it, so that people can edit it. */
static void append_block(struct buf *out, const char *key, const char *text)
{
    bool is_plain = strstr(text, "'''") == NULL;

    for (const char *p = text; *p != '\0' && is_plain; p++)
        is_plain = ((unsigned char)*p >= 0x20 || *p == '\n' || *p == '\t') && *p != 0x7f;
    if (is_plain)
        buf_printf(out, "%s = '''\n%s'''\n", key, text);
    else
        append_pair(out, key, text);
}

int claude_import_role(const char *text, const char *file, struct buf *out, char **name, struct error *err)
{
    size_t start = 0, end = 0, body = front_matter_find(text, &start, &end);
    char *description = NULL, *tools = NULL, *model = NULL, *instructions = NULL;
    struct toml_value *check;
    struct buf role = BUF_INIT;
    int rc = -1;

    *name = NULL;
    if (body == 0) {
        error_set_at(err, ERROR_CONFIG, file, 1, 1, "expected front matter between two lines of ---");
        goto out;
    }
    *name = front_matter_scalar(text, start, end, "name");
    description = front_matter_scalar(text, start, end, "description");
    tools = front_matter_scalar(text, start, end, "tools");
    model = front_matter_scalar(text, start, end, "model");
    instructions = xstrdup(text + body + strspn(text + body, "\r\n"));
    if (*name == NULL || !is_role_name(*name) || str_is_empty(description) || str_is_empty(instructions)) {
        error_set_at(err, ERROR_CONFIG, file, 1, 1,
                     "expected a `name` of letters, digits, '-' and '_', a `description` and instructions");
        goto out;
    }
    buf_printf(&role, "# Imported from an agent file in Markdown.\n");
    if (!str_is_empty(model) && strcspn(model, "\r\n") == strlen(model))
        buf_printf(&role, "# It named the model %s; set one of your provider's with `model = \"...\"`.\n",
                   model);
    append_pair(&role, "name", *name);
    append_pair(&role, "description", description);
    append_pair(&role, "sandbox_mode", may_write(tools) ? "workspace-write" : "read-only");
    append_block(&role, "developer_instructions", instructions);
    /* TOML takes no control characters in a comment and no bytes that are not UTF-8. */
    check = toml_parse(buf_cstr(&role), role.len, file, err);
    if (check == NULL)
        goto out;
    toml_free(check);
    buf_append(out, role.data, role.len);
    rc = 0;
out:
    if (rc < 0)
        FREE_NULL(*name);
    free(description);
    free(tools);
    free(model);
    free(instructions);
    buf_free(&role);
    return rc;
}
