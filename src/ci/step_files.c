/* ci/step_files.c: environment files and workflow commands.
 * (docs.github.com/actions/reference/workflows-and-actions/workflow-commands) */
#include "ci/step_files.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ANNOTATIONS 200

static void set_text(json_t *object, const char *key, const char *value, size_t n)
{
    json_t *text = json_stringn(value, n);

    if (*key != '\0')
        json_object_set_new(object, key, text != NULL ? text : json_string(""));
}

static const char *line_end(const char *p)
{
    const char *end = strchr(p, '\n');

    return end != NULL ? end : p + strlen(p);
}

int step_file_parse(const char *text, json_t *values, struct error *err)
{
    const char *p = text;

    while (*p != '\0') {
        const char *end = line_end(p);
        const char *last = end > p && end[-1] == '\r' ? end - 1 : end;
        const char *equals = memchr(p, '=', (size_t)(last - p));
        const char *heredoc = strstr(p, "<<");
        char *key;

        if (last == p) {
            p = *end != '\0' ? end + 1 : end;
            continue;
        }
        if (heredoc != NULL && heredoc < last && (equals == NULL || heredoc < equals)) {
            char *delimiter = xstrndup(heredoc + 2, (size_t)(last - heredoc - 2));
            const char *start = *end != '\0' ? end + 1 : end, *q = start;
            size_t n = strlen(delimiter);
            bool found = false;

            key = xstrndup(p, (size_t)(heredoc - p));
            while (*q != '\0' && n > 0) {
                const char *e = line_end(q);
                const char *l = e > q && e[-1] == '\r' ? e - 1 : e;
                if ((size_t)(l - q) == n && memcmp(q, delimiter, n) == 0) {
                    set_text(values, key, start, q > start ? (size_t)(q - 1 - start) : 0);
                    p = *e != '\0' ? e + 1 : e;
                    found = true;
                    break;
                }
                q = *e != '\0' ? e + 1 : e;
            }
            if (!found)
                error_set(err, ERROR_PARSE, "Invalid value. Matching delimiter not found '%s'", delimiter);
            free(delimiter);
            free(key);
            if (!found)
                return -1;
            continue;
        }
        if (equals == NULL)
            return error_set(err, ERROR_PARSE, "Invalid format '%.*s'", (int)(last - p > 200 ? 200 : last - p), p);
        key = xstrndup(p, (size_t)(equals - p));
        set_text(values, key, equals + 1, (size_t)(last - equals - 1));
        free(key);
        p = *end != '\0' ? end + 1 : end;
    }
    return 0;
}

/* "%25" "%0D" "%0A", and in properties "%3A" "%2C". */
static char *unescape(const char *text, size_t n)
{
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < n; i++) {
        static const struct {
            const char *code;
            char c;
        } codes[] = {{"%0D", '\r'}, {"%0A", '\n'}, {"%3A", ':'}, {"%2C", ','}, {"%25", '%'}};
        bool found = false;
        for (size_t k = 0; !found && k < sizeof codes / sizeof *codes && i + 3 <= n; k++) {
            if (strncmp(text + i, codes[k].code, 3) == 0) {
                buf_putc(&b, codes[k].c);
                i += 2;
                found = true;
            }
        }
        if (!found)
            buf_putc(&b, text[i]);
    }
    return buf_take(&b);
}

struct command {
    char *name;
    json_t *properties;
    char *value;
};

/* "::name key=value,key=value::value" */
static bool parse_command(const char *line, size_t n, struct command *c)
{
    const char *start, *end, *space, *name_end;

    while (n > 0 && (*line == ' ' || *line == '\t'))
        line++, n--;
    if (n < 4 || line[0] != ':' || line[1] != ':')
        return false;
    start = line + 2;
    end = memmem(start, n - 2, "::", 2);
    if (end == NULL || end == start)
        return false;
    space = memchr(start, ' ', (size_t)(end - start));
    name_end = space != NULL ? space : end;
    c->name = xstrndup(start, (size_t)(name_end - start));
    c->properties = json_object();
    for (const char *p = name_end; p < end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma != NULL ? comma : end;
        const char *equals = memchr(p, '=', (size_t)(stop - p));
        if (equals != NULL) {
            char *key = xstrndup(p, (size_t)(equals - p));
            char *value = unescape(equals + 1, (size_t)(stop - equals - 1));
            set_text(c->properties, str_trim(key), value, strlen(value));
            free(key);
            free(value);
        }
        p = stop + 1;
    }
    c->value = unescape(end + 2, n - (size_t)(end + 2 - line));
    return true;
}

static void annotate(struct step_effects *e, const struct command *c)
{
    const char *file = json_string_value(json_object_get(c->properties, "file"));
    const char *line = json_string_value(json_object_get(c->properties, "line"));
    const char *column = json_string_value(json_object_get(c->properties, "col"));
    struct buf b = BUF_INIT;

    if (e->annotations == NULL || e->annotations->len >= MAX_ANNOTATIONS)
        return;
    buf_printf(&b, "%s ", c->name);
    if (file != NULL)
        buf_printf(&b, "%s%s%s%s%s: ", file, line != NULL ? ":" : "", line != NULL ? line : "",
                   line != NULL && column != NULL ? ":" : "", line != NULL && column != NULL ? column : "");
    buf_puts(&b, c->value);
    str_list_take(e->annotations, buf_take(&b));
}

static void apply(struct step_effects *e, const struct command *c)
{
    const char *name = json_string_value(json_object_get(c->properties, "name"));

    if (strcmp(c->name, "set-output") == 0 && name != NULL)
        set_text(e->outputs, name, c->value, strlen(c->value));
    else if (strcmp(c->name, "save-state") == 0 && name != NULL && e->state != NULL)
        set_text(e->state, name, c->value, strlen(c->value));
    else if (strcmp(c->name, "set-env") == 0 && name != NULL && e->allow_insecure)
        set_text(e->env, name, c->value, strlen(c->value));
    else if (strcmp(c->name, "add-path") == 0 && e->allow_insecure)
        str_list_add(e->path, c->value);
    else if (strcmp(c->name, "add-mask") == 0 && *c->value != '\0')
        str_list_add(e->masks, c->value);
    else if (strcmp(c->name, "error") == 0 || strcmp(c->name, "warning") == 0 || strcmp(c->name, "notice") == 0)
        annotate(e, c);
    else if (strcmp(c->name, "cadre-environment") == 0 && !e->is_environment) {
        e->is_environment = true;
        e->environment_reason = xstrdup(c->value);
    }
}

void step_commands_read(const char *output, size_t n, struct step_effects *effects)
{
    const char *p = output, *end = output + n;
    char *stop_token = NULL;

    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((newline != NULL ? newline : end) - p);
        struct command c = {0};

        if (len > 0 && p[len - 1] == '\r')
            len--;
        if (parse_command(p, len, &c)) {
            if (stop_token != NULL) {
                if (strcmp(c.name, stop_token) == 0)
                    FREE_NULL(stop_token);
            } else if (strcmp(c.name, "stop-commands") == 0) {
                stop_token = xstrdup(str_trim(c.value));
            } else {
                apply(effects, &c);
            }
            free(c.name);
            free(c.value);
            json_decref(c.properties);
        }
        if (newline == NULL)
            break;
        p = newline + 1;
    }
    free(stop_token);
}

void step_output_mask(struct buf *out, const char *text, size_t n, const struct str_list *masks)
{
    if (masks->len == 0) {
        buf_append(out, text, n);
        return;
    }
    buf_reserve(out, n);
    for (size_t i = 0; i < n;) {
        size_t hit = 0;
        for (size_t k = 0; k < masks->len; k++) {
            size_t m = masks->items[k][0] == text[i] ? strlen(masks->items[k]) : 0;
            if (m > hit && m <= n - i && memcmp(text + i, masks->items[k], m) == 0)
                hit = m;
        }
        if (hit > 0) {
            buf_puts(out, "***");
            i += hit;
        } else {
            buf_putc(out, text[i++]);
        }
    }
}
