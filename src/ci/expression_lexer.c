/* ci/expression_lexer.c: text to tokens. A token that is not legal after the one before it comes out as
 * TOKEN_UNEXPECTED, so that positions and symbols in errors are GitHub's. */
#include "ci/expression_internal.h"

#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BIT(kind) (1u << (kind))

static const unsigned before_value = BIT(TOKEN_END) | BIT(TOKEN_SEPARATOR) | BIT(TOKEN_START_GROUP) |
                                     BIT(TOKEN_START_PARAMETERS) | BIT(TOKEN_START_INDEX) |
                                     BIT(TOKEN_OPERATOR);
static const unsigned after_reference = BIT(TOKEN_END_GROUP) | BIT(TOKEN_END_PARAMETERS) |
                                        BIT(TOKEN_END_INDEX) | BIT(TOKEN_PROPERTY) |
                                        BIT(TOKEN_NAMED_VALUE) | BIT(TOKEN_WILDCARD);
static const unsigned after_value = BIT(TOKEN_END_GROUP) | BIT(TOKEN_END_PARAMETERS) | BIT(TOKEN_END_INDEX) |
                                    BIT(TOKEN_PROPERTY) | BIT(TOKEN_NAMED_VALUE) | BIT(TOKEN_WILDCARD) |
                                    BIT(TOKEN_NULL) | BIT(TOKEN_BOOLEAN) | BIT(TOKEN_NUMBER) |
                                    BIT(TOKEN_STRING);

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_boundary(char c)
{
    return c == '\0' || is_space(c) || strchr("()[],.!><=&|", c) != NULL;
}

static bool is_closed_by(const struct lexer *lexer, enum token_kind opener)
{
    return lexer->unclosed_len > 0 && lexer->unclosed[lexer->unclosed_len - 1] == opener;
}

static bool is_legal(const struct lexer *lexer, const struct token *t)
{
    unsigned last = BIT(lexer->last.kind);

    switch (t->kind) {
    case TOKEN_START_GROUP:
        return (last & before_value) != 0;
    case TOKEN_START_INDEX:
    case TOKEN_DEREFERENCE:
        return (last & after_reference) != 0;
    case TOKEN_START_PARAMETERS:
        return lexer->last.kind == TOKEN_FUNCTION;
    case TOKEN_END_GROUP:
        return (last & after_value) != 0 && is_closed_by(lexer, TOKEN_START_GROUP);
    case TOKEN_END_INDEX:
        return (last & after_value) != 0 && is_closed_by(lexer, TOKEN_START_INDEX);
    case TOKEN_END_PARAMETERS:
        return (last & (after_value | BIT(TOKEN_START_PARAMETERS))) != 0 &&
               is_closed_by(lexer, TOKEN_START_PARAMETERS);
    case TOKEN_SEPARATOR:
        return (last & after_value) != 0 && is_closed_by(lexer, TOKEN_START_PARAMETERS);
    case TOKEN_WILDCARD:
        return lexer->last.kind == TOKEN_START_INDEX || lexer->last.kind == TOKEN_DEREFERENCE;
    case TOKEN_OPERATOR:
        return (last & (t->op == OP_NOT ? before_value : after_value)) != 0;
    case TOKEN_PROPERTY:
        return lexer->last.kind == TOKEN_DEREFERENCE;
    case TOKEN_NULL:
    case TOKEN_BOOLEAN:
    case TOKEN_NUMBER:
    case TOKEN_STRING:
    case TOKEN_FUNCTION:
    case TOKEN_NAMED_VALUE:
        return (last & before_value) != 0;
    default:
        return false;
    }
}

static void read_operator(struct lexer *lexer, struct token *t)
{
    static const struct {
        const char *text;
        enum operator_kind op;
    } operators[] = {{"!=", OP_NE}, {">=", OP_GE}, {"<=", OP_LE}, {"==", OP_EQ}, {"&&", OP_AND},
                     {"||", OP_OR}, {"!", OP_NOT}, {">", OP_GT},  {"<", OP_LT}};
    const char *p = lexer->text + lexer->index;

    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        size_t n = strlen(operators[i].text);
        if (strncmp(p, operators[i].text, n) == 0) {
            t->kind = TOKEN_OPERATOR;
            t->op = operators[i].op;
            t->len = n;
            return;
        }
    }
    t->kind = TOKEN_UNEXPECTED;
    t->len = 1;
    while (!is_boundary(p[t->len]))
        t->len++;
}

static void read_string(struct lexer *lexer, struct token *t)
{
    const char *p = lexer->text + lexer->index;
    size_t i = 1;

    for (; p[i] != '\0'; i++) {
        if (p[i] != '\'')
            continue;
        if (p[i + 1] != '\'') {
            t->kind = TOKEN_STRING;
            t->len = i + 1;
            return;
        }
        i++;
    }
    t->kind = TOKEN_UNEXPECTED;
    t->len = i;
}

static void read_number(struct lexer *lexer, struct token *t)
{
    const char *p = lexer->text + lexer->index;
    char text[64];
    size_t n = 1;

    while (p[n] == '.' || !is_boundary(p[n]))
        n++;
    t->len = n;
    t->kind = TOKEN_UNEXPECTED;
    if (n < sizeof text) {
        memcpy(text, p, n);
        text[n] = '\0';
        t->number = expr_parse_number(text);
        if (!isnan(t->number))
            t->kind = TOKEN_NUMBER;
    }
}

static void read_keyword(struct lexer *lexer, struct token *t)
{
    const char *p = lexer->text + lexer->index;
    size_t n = 1, after;
    bool is_word = isalpha((unsigned char)*p) || *p == '_';

    while (!is_boundary(p[n]))
        n++;
    t->len = n;
    for (size_t i = 1; i < n; i++)
        is_word = is_word && (isalnum((unsigned char)p[i]) || p[i] == '_' || p[i] == '-');
    if (!is_word) {
        t->kind = TOKEN_UNEXPECTED;
        return;
    }
    if (lexer->last.kind == TOKEN_DEREFERENCE) {
        t->kind = TOKEN_PROPERTY;
        return;
    }
#define IS(word) (n == strlen(word) && memcmp(p, word, n) == 0)
    if (IS("null")) {
        t->kind = TOKEN_NULL;
    } else if (IS("true") || IS("false")) {
        t->kind = TOKEN_BOOLEAN;
        t->boolean = *p == 't';
    } else if (IS("NaN")) {
        t->kind = TOKEN_NUMBER;
        t->number = NAN;
    } else if (IS("Infinity")) {
        t->kind = TOKEN_NUMBER;
        t->number = INFINITY;
    } else {
        for (after = n; is_space(p[after]); after++)
            ;
        t->kind = p[after] == '(' ? TOKEN_FUNCTION : TOKEN_NAMED_VALUE;
    }
#undef IS
}

/* Remembers what is open; too many open ones are unexpected. */
static void track_brackets(struct lexer *lexer, struct token *t)
{
    switch (t->kind) {
    case TOKEN_START_GROUP:
    case TOKEN_START_INDEX:
    case TOKEN_START_PARAMETERS:
        if (lexer->unclosed_len == sizeof lexer->unclosed / sizeof *lexer->unclosed)
            t->kind = TOKEN_UNEXPECTED;
        else
            lexer->unclosed[lexer->unclosed_len++] = t->kind;
        break;
    case TOKEN_END_GROUP:
    case TOKEN_END_INDEX:
    case TOKEN_END_PARAMETERS:
        lexer->unclosed_len--;
        break;
    default:
        break;
    }
}

static size_t count_characters(const char *text, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c & 0xc0) != 0x80)
            count += c >= 0xf0 ? 2 : 1; /* positions count UTF-16 units */
    }
    return count;
}

void lexer_next(struct lexer *lexer, struct token *t)
{
    const char *p;

    while (is_space(lexer->text[lexer->index]))
        lexer->index++;
    p = lexer->text + lexer->index;
    memset(t, 0, sizeof *t);
    t->start = p;
    t->len = 1;
    lexer->counted += count_characters(lexer->text + lexer->counted_index, lexer->index - lexer->counted_index);
    lexer->counted_index = lexer->index;
    t->position = lexer->counted + 1;

    switch (*p) {
    case '\0':
        t->kind = TOKEN_END;
        t->len = 0;
        return;
    case '(':
        t->kind = lexer->last.kind == TOKEN_FUNCTION ? TOKEN_START_PARAMETERS : TOKEN_START_GROUP;
        break;
    case '[':
        t->kind = TOKEN_START_INDEX;
        break;
    case ')':
        t->kind = is_closed_by(lexer, TOKEN_START_PARAMETERS) ? TOKEN_END_PARAMETERS : TOKEN_END_GROUP;
        break;
    case ']':
        t->kind = TOKEN_END_INDEX;
        break;
    case ',':
        t->kind = TOKEN_SEPARATOR;
        break;
    case '*':
        t->kind = TOKEN_WILDCARD;
        break;
    case '\'':
        read_string(lexer, t);
        break;
    case '!':
    case '>':
    case '<':
    case '=':
    case '&':
    case '|':
        read_operator(lexer, t);
        break;
    case '.':
        if ((BIT(lexer->last.kind) & before_value) != 0)
            read_number(lexer, t);
        else
            t->kind = TOKEN_DEREFERENCE;
        break;
    default:
        if (*p == '-' || *p == '+' || isdigit((unsigned char)*p))
            read_number(lexer, t);
        else
            read_keyword(lexer, t);
        break;
    }
    lexer->index += t->len;
    if (t->kind != TOKEN_UNEXPECTED && !is_legal(lexer, t))
        t->kind = TOKEN_UNEXPECTED;
    track_brackets(lexer, t);
    lexer->last = *t;
}
