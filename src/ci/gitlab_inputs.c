/* ci/gitlab_inputs.c: see gitlab_inputs.h. */
#include "ci/gitlab_inputs.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "ci/gitlab_tree.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES (32 * 1024 * 1024)

/* "---", and nothing but blanks after it. */
static bool is_separator(const char *line, size_t length)
{
    if (length < 3 || strncmp(line, "---", 3) != 0)
        return false;
    for (size_t i = 3; i < length; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
            return false;
    return true;
}

size_t gitlab_inputs_header(const char *text, size_t n)
{
    bool has_spec = false, has_content = false;

    for (const char *line = text, *end = text + n; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((stop != NULL ? stop : end) - line);

        if (is_separator(line, length)) {
            if (has_content)
                return has_spec ? (size_t)(line - text) + length : 0;
        } else {
            has_spec = has_spec || (length >= 5 && strncmp(line, "spec:", 5) == 0);
            has_content = has_content || (length > 0 && *line != '#' && *line != '\r');
        }
        line = stop != NULL ? stop + 1 : end;
    }
    return 0;
}

static bool is_one_of(const struct yaml_node *options, const char *text)
{
    for (size_t i = 0; i < options->len; i++) {
        if (str_eq(yaml_text(options->items[i]), text))
            return true;
    }
    return false;
}

/* Is VALUE of the declared type and among the declared options? */
static int check_value(const char *name, const struct yaml_node *declared, const struct yaml_node *value, const struct yaml_node *at,
                       struct error *err)
{
    const char *type = yaml_get_text(declared, "type");
    const struct yaml_node *options = yaml_get(declared, "options");
    json_t *json = yaml_scalar_json(value->kind == YAML_SCALAR ? value : NULL);
    const char *wrong = NULL;

    type = type != NULL ? type : "string";
    if (strcmp(type, "number") == 0)
        wrong = json_is_number(json) ? NULL : "a number";
    else if (strcmp(type, "boolean") == 0)
        wrong = json_is_boolean(json) ? NULL : "a boolean";
    else if (strcmp(type, "array") == 0)
        wrong = value->kind == YAML_SEQUENCE ? NULL : "an array";
    else if (strcmp(type, "string") == 0)
        wrong = value->kind == YAML_SCALAR ? NULL : "a string";
    else
        return json_decref(json), gitlab_fail(declared, err, "`%s` input: unknown input type `%s`", name, type);
    json_decref(json);
    if (wrong != NULL)
        return gitlab_fail(at, err, "`%s` input: provided value is not %s", name, wrong);
    if (options != NULL && options->kind == YAML_SEQUENCE && value->kind == YAML_SCALAR && !is_one_of(options, value->text))
        return gitlab_fail(at, err, "`%s` input: `%s` cannot be used because it is not in the list of allowed options", name,
                           value->text);
    return 0;
}

int gitlab_inputs_read(struct arena *arena, const char *text, size_t length, const char *file, const struct yaml_node *given,
                       const struct yaml_node *at, struct yaml_node **values, struct error *err)
{
    struct yaml_node *header = NULL;
    const struct yaml_node *declared;

    *values = yaml_new_mapping(arena);
    while (length > 0 && text[length - 1] != '\n') /* without the line that parts the two */
        length--;
    if (length > 0 && yaml_tree_read(arena, text, length, file, true, &header, err) < 0)
        return -1;
    declared = yaml_get(yaml_get(header, "spec"), "inputs");
    if (given != NULL && given->kind != YAML_MAPPING)
        return gitlab_fail(given, err, "include config: inputs should be a hash");
    if (given != NULL && given->len > 0 && declared == NULL)
        return gitlab_fail(given, err, "Given inputs not defined in the `spec` section of the included configuration file");
    for (size_t i = 0; given != NULL && i + 1 < given->len; i += 2) {
        if (yaml_get(declared, given->items[i]->text) == NULL)
            return gitlab_fail(given->items[i], err, "unknown input arguments: %s", given->items[i]->text);
    }
    for (size_t i = 0; declared != NULL && declared->kind == YAML_MAPPING && i + 1 < declared->len; i += 2) {
        const char *name = declared->items[i]->text;
        struct yaml_node *value = yaml_get(given, name);
        const struct yaml_node *place = value != NULL && value->line > 0 ? value : at != NULL ? at : declared->items[i];

        if (value == NULL)
            value = yaml_get(declared->items[i + 1], "default");
        if (value == NULL)
            return gitlab_fail(place, err, "`%s` input: required value has not been provided", name);
        if (check_value(name, declared->items[i + 1], value, place, err) < 0)
            return -1;
        yaml_mapping_add(arena, *values, name, value);
    }
    return 0;
}

/* "truncate(1,3)": N bytes of TEXT from the first number, as many as the second says. False: not so written. */
static bool truncated(const char *function, char **text)
{
    const char *p = function + strlen("truncate(");
    char *end, *cut;
    long from = strtol(p, &end, 10), count;

    if (end == p || *end != ',')
        return false;
    count = strtol(end + 1, &end, 10);
    if (*end != ')' || from < 0 || count < 0)
        return false;
    cut = xstrndup((size_t)from < strlen(*text) ? *text + from : "", (size_t)count);
    free(*text);
    *text = cut;
    return true;
}

/* What stands between "$[[" and "]]". NULL with ERR. VALUE gets the input's node. Caller frees. */
static char *interpolated(const struct yaml_node *node, const char *inner, const struct yaml_node *values, struct yaml_node **value,
                          struct error *err)
{
    struct str_list parts = {0};
    char *text = NULL;
    const char *name;

    str_split(&parts, inner, '|');
    name = parts.len > 0 ? str_trim(parts.items[0]) : "";
    *value = strncmp(name, "inputs.", 7) == 0 ? yaml_get(values, name + 7) : NULL;
    if (*value == NULL) {
        (void)gitlab_fail(node, err, "unknown interpolation provided: `%s`", name);
        goto out;
    }
    if ((*value)->kind == YAML_SCALAR) {
        text = xstrdup((*value)->text);
    } else {
        json_t *json = yaml_to_json(*value);
        char *dumped = json_dumps(json, JSON_COMPACT);
        text = xstrdup(dumped);
        free(dumped);
        json_decref(json);
    }
    for (size_t i = 1; i < parts.len; i++) {
        const char *function = str_trim(parts.items[i]);
        bool is_known = strcmp(function, "expand_vars") == 0 || /* the variables are put in place with all others */
                        (strncmp(function, "truncate(", 9) == 0 && truncated(function, &text));
        if (!is_known) {
            (void)gitlab_fail(node, err, "no function matching `%s`: check that the function name, arguments, and types are correct",
                              function);
            FREE_NULL(text);
            goto out;
        }
        *value = NULL; /* no longer the value itself */
    }
out:
    str_list_finish(&parts);
    return text;
}

static int apply_scalar(struct arena *arena, struct yaml_node *node, const struct yaml_node *values, struct error *err)
{
    struct buf b = BUF_INIT;
    const char *p = node->text, *start;

    while ((start = strstr(p, "$[[")) != NULL) {
        const char *end = strstr(start, "]]");
        struct yaml_node *value = NULL;
        char *inner, *text;

        if (end == NULL)
            break;
        inner = xstrndup(start + 3, (size_t)(end - start - 3));
        text = interpolated(node, inner, values, &value, err);
        free(inner);
        if (text == NULL) {
            buf_free(&b);
            return -1;
        }
        if (start == node->text && end[2] == '\0' && value != NULL) { /* the value itself, at this place */
            int line = node->line, column = node->column;
            const char *file = node->file;
            *node = *value;
            node->line = line;
            node->column = column;
            node->file = file;
            free(text);
            buf_free(&b);
            return 0;
        }
        buf_append(&b, p, (size_t)(start - p));
        buf_puts(&b, text);
        free(text);
        p = end + 2;
    }
    if (p != node->text) {
        buf_puts(&b, p);
        node->text = arena_strdup(arena, buf_cstr(&b));
    }
    buf_free(&b);
    if (arena->total_bytes > MAX_BYTES) {
        (void)gitlab_fail(node, err, "more than %d bytes with the inputs put in place", MAX_BYTES);
        err->code = ERROR_LIMIT;
        return -1;
    }
    return 0;
}

int gitlab_inputs_apply(struct arena *arena, struct yaml_node *node, const struct yaml_node *values, struct error *err)
{
    if (node->kind == YAML_SCALAR)
        return strstr(node->text, "$[[") != NULL ? apply_scalar(arena, node, values, err) : 0;
    for (size_t i = 0; i < node->len; i++) {
        if (gitlab_inputs_apply(arena, node->items[i], values, err) < 0)
            return -1;
    }
    return 0;
}
