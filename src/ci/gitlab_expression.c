/* ci/gitlab_expression.c: lexer, evaluator and patterns of GitLab's conditions. */
#include "ci/gitlab_expression.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "ci/gitlab_tree.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define EXPRESSION_MAX_BYTES 10000
#define EXPRESSION_MAX_DEPTH 50
#define PATTERN_MAX_BYTES    1000
#define PATTERN_MAX_REPEAT   1000 /* the product of all {n}, as in RE2 */
#define MATCHED_MAX_BYTES    4096

/* ---------------------------------------------------------------------------------------------- patterns */

/* RE2 to POSIX: 0, or -1 with *WHY. */
static int translate(const char *pattern, size_t n, struct buf *out, const char **why)
{
    unsigned long repeat = 1;
    bool in_class = false;

    for (size_t i = 0; i < n; i++) {
        char c = pattern[i], next = i + 1 < n ? pattern[i + 1] : '\0';

        if (c == '\\') {
            const char *class = next == 'd'   ? "0-9"
                                : next == 'w' ? "[:alnum:]_"
                                : next == 's' ? "[:space:]"
                                              : NULL;
            const char *negated = next == 'D'   ? "0-9"
                                  : next == 'W' ? "[:alnum:]_"
                                  : next == 'S' ? "[:space:]"
                                                : NULL;
            i++;
            if (class != NULL)
                buf_printf(out, in_class ? "%s" : "[%s]", class);
            else if (negated != NULL && !in_class)
                buf_printf(out, "[^%s]", negated);
            else if (next == 'A' || next == 'z' || next == 'Z')
                buf_putc(out, next == 'A' ? '^' : '$');
            else if (next == 'b' && !in_class)
                buf_puts(out, "\\b");
            else if (next == '\0' || isalnum((unsigned char)next)) {
                *why = "this escape is not supported here";
                return -1;
            } else if (in_class)
                buf_putc(out, next);
            else
                buf_printf(out, "\\%c", next);
            continue;
        }
        if (in_class) {
            in_class = c != ']';
        } else if (c == '[') {
            in_class = true;
            buf_putc(out, c);
            if (next == '^')
                buf_putc(out, pattern[++i]);
            if (i + 1 < n && pattern[i + 1] == ']')
                buf_putc(out, pattern[++i]);
            continue;
        } else if (c == '(' && next == '?') {
            if (i + 2 < n && pattern[i + 2] == ':') {
                buf_putc(out, '(');
                i += 2;
                continue;
            }
            *why = "groups with options are not supported here";
            return -1;
        } else if (strchr("*+?}", c) != NULL && next == '?') {
            i++; /* lazy or not is the same for "does it match" */
        } else if (c == '{') {
            unsigned long most = 1;
            for (size_t k = i + 1; k < n && pattern[k] != '}'; k++) {
                unsigned long number =
                    isdigit((unsigned char)pattern[k]) ? strtoul(pattern + k, NULL, 10) : 0;
                most = number > most ? number : most;
                while (k + 1 < n && isdigit((unsigned char)pattern[k]) &&
                       isdigit((unsigned char)pattern[k + 1]))
                    k++;
            }
            repeat = most > PATTERN_MAX_REPEAT ? most : repeat * most;
            if (repeat > PATTERN_MAX_REPEAT) {
                *why = "its repetitions are too many";
                return -1;
            }
        }
        buf_putc(out, c);
    }
    return 0;
}

int gitlab_pattern_match(const char *pattern, const char *text, bool *out, struct error *err)
{
    const char *end = strrchr(pattern, '/'), *why = NULL;
    struct buf posix = BUF_INIT;
    int flags = REG_EXTENDED | REG_NOSUB, rc = -1, compiled;
    regex_t regex;

    *out = false;
    if (*pattern != '/' || end == NULL || end == pattern)
        return error_set(err, ERROR_PARSE, "'%.100s' is no pattern: /.../ was expected", pattern);
    for (const char *p = end + 1; *p != '\0'; p++) {
        if (*p == 'i')
            flags |= REG_ICASE;
        else if (*p != 'm' && *p != 's' && *p != 'U')
            return error_set(err, ERROR_PARSE, "'%.100s': unknown flag '%c'", pattern, *p);
    }
    if (strlen(pattern) > PATTERN_MAX_BYTES)
        return error_set(err, ERROR_LIMIT, "a pattern is longer than %d bytes", PATTERN_MAX_BYTES);
    if (translate(pattern + 1, (size_t)(end - pattern) - 1, &posix, &why) < 0) {
        error_set(err, ERROR_PARSE, "'%.100s': %s", pattern, why);
        goto out;
    }
    compiled = regcomp(&regex, buf_cstr(&posix), flags);
    if (compiled != 0) {
        char reason[100];
        regerror(compiled, &regex, reason, sizeof reason);
        error_set(err, ERROR_PARSE, "'%.100s' is no pattern: %s", pattern, reason);
        goto out;
    }
    if (strlen(text) <= MATCHED_MAX_BYTES)
        *out = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    rc = 0;
out:
    buf_free(&posix);
    return rc;
}

/* ------------------------------------------------------------------------------------------- expressions */

struct value {
    char *text; /* owned; NULL: null */
    bool is_pattern;
    bool is_truth; /* the result of a comparison: TEXT is "true" or NULL */
};

struct reader {
    const struct yaml_node *node;
    const char *start, *p;
    const json_t *variables;
    struct error *err;
    int depth;
};

static int fail_at(struct reader *r, const char *at, const char *what)
{
    struct yaml_node place = *r->node;

    /* Only on the line itself is the column known. */
    if (strchr(r->start, '\n') == NULL && r->node->column > 0)
        place.column += (int)(at - r->start) + (r->node->is_plain ? 0 : 1);
    return gitlab_fail(&place, r->err, "invalid expression syntax: %s", what);
}

static void skip_space(struct reader *r)
{
    while (isspace((unsigned char)*r->p))
        r->p++;
}

static bool accept(struct reader *r, const char *word)
{
    skip_space(r);
    if (strncmp(r->p, word, strlen(word)) != 0)
        return false;
    r->p += strlen(word);
    return true;
}

static int read_or(struct reader *r, struct value *out);

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static int read_quoted(struct reader *r, struct value *out)
{
    const char *start = r->p, *end = strchr(start + 1, *start);

    if (end == NULL)
        return fail_at(r, start, "a text is not closed");
    out->text = xstrndup(start + 1, (size_t)(end - start) - 1);
    r->p = end + 1;
    return 0;
}

static int read_pattern(struct reader *r, struct value *out)
{
    const char *start = r->p, *p = start + 1;

    while (*p != '\0' && *p != '/')
        p += *p == '\\' && p[1] != '\0' ? 2 : 1;
    if (*p == '\0')
        return fail_at(r, start, "a pattern is not closed");
    for (p++; isalpha((unsigned char)*p); p++)
        continue;
    out->text = xstrndup(start, (size_t)(p - start));
    out->is_pattern = true;
    r->p = p;
    return 0;
}

static int read_operand(struct reader *r, struct value *out)
{
    skip_space(r);
    *out = (struct value){0};
    if (*r->p == '$') {
        const char *name = ++r->p;
        bool is_braced = *name == '{';
        const json_t *value;
        char *key;

        if (is_braced)
            name = ++r->p;
        while (is_name(*r->p))
            r->p++;
        if (r->p == name || (is_braced && *r->p != '}'))
            return fail_at(r, name, "a variable's name was expected");
        key = xstrndup(name, (size_t)(r->p - name));
        r->p += is_braced;
        value = json_object_get(r->variables, key);
        free(key);
        if (json_is_string(value))
            out->text = xstrdup(json_string_value(value));
        return 0;
    }
    if (*r->p == '"' || *r->p == '\'')
        return read_quoted(r, out);
    if (*r->p == '/')
        return read_pattern(r, out);
    if (*r->p == '(') {
        const char *open = r->p++;
        if (++r->depth > EXPRESSION_MAX_DEPTH)
            return fail_at(r, open, "nested too deep");
        if (read_or(r, out) < 0)
            return -1;
        r->depth--;
        return accept(r, ")") ? 0 : fail_at(r, open, "a parenthesis is not closed");
    }
    if (strncmp(r->p, "null", 4) == 0 && !is_name(r->p[4])) {
        r->p += 4;
        return 0;
    }
    return fail_at(r, r->p, *r->p == '\0' ? "an operand is missing at the end" : "unknown token");
}

static void set_truth(struct value *v, bool is_true)
{
    free(v->text);
    *v = (struct value){.text = is_true ? xstrdup("true") : NULL, .is_truth = true};
}

static bool is_true(const struct value *v)
{
    return v->text != NULL && *v->text != '\0';
}

/* 0, or -1 with ERR. A right side that is no pattern matches nothing, as on GitLab. */
static int match(struct reader *r, const struct value *left, const struct value *right, const char *at,
                 bool *out)
{
    struct error why = {0};

    *out = false;
    if (right->text == NULL || (!right->is_pattern && *right->text != '/'))
        return 0;
    if (gitlab_pattern_match(right->text, left->text != NULL ? left->text : "", out, &why) < 0 &&
        right->is_pattern)
        return fail_at(r, at, why.text);
    *out = *out && left->text != NULL;
    return 0;
}

static int read_compare(struct reader *r, struct value *out)
{
    static const char *const operators[] = {"==", "!=", "=~", "!~"};
    struct value right = {0};
    bool result = false;
    const char *at;
    size_t op = 0;

    if (read_operand(r, out) < 0)
        return -1;
    while (op < 4 && !accept(r, operators[op]))
        op++;
    if (op == 4)
        return 0;
    skip_space(r);
    at = r->p;
    if (read_operand(r, &right) < 0) {
        free(right.text);
        return -1;
    }
    if (op < 2) {
        result = (out->text == NULL) == (right.text == NULL) &&
                 (out->text == NULL || strcmp(out->text, right.text) == 0);
    } else if (match(r, out, &right, at, &result) < 0) {
        free(right.text);
        return -1;
    }
    free(right.text);
    set_truth(out, op == 0 || op == 2 ? result : !result);
    return 0;
}

static int read_and(struct reader *r, struct value *out)
{
    if (read_compare(r, out) < 0)
        return -1;
    while (accept(r, "&&")) {
        struct value right;
        bool both;
        if (read_compare(r, &right) < 0) {
            free(right.text);
            return -1;
        }
        both = is_true(out) && is_true(&right);
        free(right.text);
        set_truth(out, both);
    }
    return 0;
}

static int read_or(struct reader *r, struct value *out)
{
    if (read_and(r, out) < 0)
        return -1;
    while (accept(r, "||")) {
        struct value right;
        bool either;
        if (read_and(r, &right) < 0) {
            free(right.text);
            return -1;
        }
        either = is_true(out) || is_true(&right);
        free(right.text);
        set_truth(out, either);
    }
    return 0;
}

int gitlab_condition(const struct yaml_node *scalar, const json_t *variables, bool *out, struct error *err)
{
    struct reader r = {
        .node = scalar, .start = scalar->text, .p = scalar->text, .variables = variables, .err = err};
    struct value value = {0};
    int rc;

    *out = false;
    if (strlen(scalar->text) > EXPRESSION_MAX_BYTES)
        return fail_at(&r, r.p, "too long");
    rc = read_or(&r, &value);
    skip_space(&r);
    if (rc == 0 && *r.p != '\0')
        rc = fail_at(&r, r.p, "an operator was expected");
    *out = rc == 0 && is_true(&value);
    free(value.text);
    return rc;
}

char *gitlab_expand(const char *text, const json_t *variables, const char *const *keep)
{
    struct buf b = BUF_INIT;

    while (*text != '\0') {
        const char *name, *end;
        char *key;
        bool is_braced, is_kept = false;

        if (*text != '$') {
            buf_putc(&b, *text++);
            continue;
        }
        if (text[1] == '$') {
            buf_putc(&b, '$');
            text += 2;
            continue;
        }
        is_braced = text[1] == '{';
        name = end = text + (is_braced ? 2 : 1);
        while (is_name(*end))
            end++;
        if (end == name || (is_braced && *end != '}')) {
            buf_putc(&b, *text++);
            continue;
        }
        key = xstrndup(name, (size_t)(end - name));
        for (size_t i = 0; keep != NULL && keep[i] != NULL; i++)
            is_kept = is_kept || strcmp(keep[i], key) == 0;
        if (is_kept)
            buf_printf(&b, "${%s}", key);
        else if (json_is_string(json_object_get(variables, key)))
            buf_puts(&b, json_string_value(json_object_get(variables, key)));
        free(key);
        text = end + is_braced;
    }
    return buf_take(&b);
}
