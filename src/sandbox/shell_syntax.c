/* sandbox/shell_syntax.c: see shell_syntax.h. One pass over the characters; a word is collected until an operator or a blank
 * ends it. */
#include "sandbox/shell_syntax.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    const char *text;
    size_t n;
    size_t at;
    struct shell_script *out;
    struct str_list *command; /* being collected, or NULL */
    struct buf word;
    bool has_word;
    bool is_quoted;    /* some part of the word was quoted: it is no reserved word */
    bool needs_command; /* after && || |: another one must come */
    const char *why;
};

void shell_script_finish(struct shell_script *script)
{
    for (size_t i = 0; i < script->commands.len; i++) {
        str_list_finish(script->commands.items[i]);
        free(script->commands.items[i]);
    }
    vec_finish(&script->commands);
}

static bool refuse(struct parser *p, const char *why)
{
    if (p->why == NULL)
        p->why = why;
    return false;
}

/* Words that begin something other than a simple command. */
static bool is_reserved(const char *word)
{
    static const char *const words[] = {"if",   "then", "else",   "elif",     "fi",     "do",   "done", "case", "esac",
                                        "while", "until", "for",  "select",   "function", "{",  "}",    "!",    "[[",
                                        "]]",   "in",   "time",   "coproc"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

static bool is_assignment(const char *word)
{
    size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    return n > 0 && !isdigit((unsigned char)word[0]) && (word[n] == '=' || (word[n] == '+' && word[n + 1] == '=') || word[n] == '[');
}

static bool end_word(struct parser *p)
{
    const char *word = buf_cstr(&p->word);

    if (!p->has_word)
        return true;
    if (p->command == NULL) {
        if (!p->is_quoted && is_reserved(word))
            return refuse(p, "a compound command");
        if (is_assignment(word))
            return refuse(p, "an assignment");
        p->command = xcalloc(1, sizeof *p->command);
    }
    str_list_add(p->command, word);
    buf_clear(&p->word);
    p->has_word = false;
    p->is_quoted = false;
    return true;
}

static bool end_command(struct parser *p, bool must_be_there)
{
    if (!end_word(p))
        return false;
    if (p->command == NULL)
        return must_be_there ? refuse(p, "an operator without a command") : true;
    vec_push(&p->out->commands, p->command);
    p->command = NULL;
    p->needs_command = false;
    return true;
}

static char peek(const struct parser *p, size_t ahead)
{
    return p->at + ahead < p->n ? p->text[p->at + ahead] : '\0';
}

static bool single_quoted(struct parser *p)
{
    const char *end = memchr(p->text + p->at + 1, '\'', p->n - p->at - 1);

    if (end == NULL)
        return refuse(p, "an open quote");
    buf_append(&p->word, p->text + p->at + 1, (size_t)(end - p->text) - p->at - 1);
    p->at = (size_t)(end - p->text) + 1;
    p->has_word = true;
    p->is_quoted = true;
    return true;
}

static bool double_quoted(struct parser *p)
{
    p->has_word = true;
    p->is_quoted = true;
    for (p->at++; p->at < p->n; p->at++) {
        char c = p->text[p->at];

        if (c == '"') {
            p->at++;
            return true;
        }
        if (c == '$' || c == '`')
            return refuse(p, "an expansion");
        if (c == '!')
            return refuse(p, "a history expansion");
        if (c == '\\') {
            char next = peek(p, 1);

            if (next == '\n') {
                p->at++;
                continue;
            }
            if (next == '"' || next == '\\' || next == '$' || next == '`') {
                buf_putc(&p->word, next);
                p->at++;
                continue;
            }
        }
        buf_putc(&p->word, c);
    }
    return refuse(p, "an open quote");
}

/* `>/dev/null`, `2>/dev/null`, `</dev/null`, `2>&1` and the like; AT stands on the operator. */
static bool redirection(struct parser *p)
{
    static const char null_device[] = "/dev/null";
    size_t n = sizeof null_device - 1;
    bool is_number = p->has_word && !p->is_quoted && strspn(buf_cstr(&p->word), "0123456789") == p->word.len;

    if (p->has_word && !is_number && !end_word(p))
        return false;
    buf_clear(&p->word); /* the number of the descriptor */
    p->has_word = false;
    p->at++;
    if (peek(p, 0) == '&' && isdigit((unsigned char)peek(p, 1)) &&
        strchr(" \t\n;|&", peek(p, 2)) != NULL) { /* a descriptor and no file; strchr finds the end as well */
        p->at += 2;
        return true;
    }
    if (peek(p, 0) == '>')
        p->at++;
    while (peek(p, 0) == ' ' || peek(p, 0) == '\t')
        p->at++;
    if (p->at + n <= p->n && memcmp(p->text + p->at, null_device, n) == 0 &&
        strchr(" \t\n;|&", peek(p, n)) != NULL) { /* also the end: strchr finds the NUL */
        p->at += n;
        return true;
    }
    return refuse(p, "a redirection");
}

static bool operator(struct parser *p)
{
    char c = p->text[p->at];
    char next = peek(p, 1);
    bool joins = (c == '&' && next == '&') || c == '|';

    if (c == '&' && next != '&')
        return refuse(p, "a background command");
    if (c == '|' && next == '&')
        return refuse(p, "a redirection");
    if (c == ';' && next == ';')
        return refuse(p, "a compound command");
    p->at += (c == '&' || (c == '|' && next == '|')) ? 2 : 1;
    if (!end_command(p, c != '\n'))
        return false;
    if (joins)
        p->needs_command = true;
    return true;
}

static bool step(struct parser *p)
{
    char c = p->text[p->at];

    switch (c) {
    case ' ':
    case '\t':
        p->at++;
        return end_word(p);
    case '\n':
    case ';':
    case '|':
    case '&':
        return operator(p);
    case '\'':
        return single_quoted(p);
    case '"':
        return double_quoted(p);
    case '\\':
        if (p->at + 1 >= p->n)
            return refuse(p, "a backslash at the end");
        if (p->text[p->at + 1] != '\n') {
            buf_putc(&p->word, p->text[p->at + 1]);
            p->has_word = true;
            p->is_quoted = true;
        }
        p->at += 2;
        return true;
    case '#':
        if (p->has_word)
            break;
        while (p->at < p->n && p->text[p->at] != '\n')
            p->at++;
        return true;
    case '>':
    case '<':
        return redirection(p);
    case '$':
    case '`':
        return refuse(p, "an expansion");
    case '(':
    case ')':
        return refuse(p, "a subshell");
    case '{':
    case '}':
        return refuse(p, "braces");
    case '*':
    case '?':
    case '[':
        /* What it matches could look like an option, unless the word has a beginning that cannot; and a program is named. */
        if (p->command == NULL || p->word.len == 0 || p->word.data[0] == '-')
            return refuse(p, "a pattern");
        break;
    case '~':
        if (!p->has_word)
            return refuse(p, "an expansion");
        break;
    case '\0':
        return refuse(p, "a NUL byte");
    default:
        if ((unsigned char)c < ' ' || c == 127)
            return refuse(p, "a control character");
        break;
    }
    buf_putc(&p->word, c);
    p->has_word = true;
    p->at++;
    return true;
}

bool shell_script_parse(struct shell_script *out, const char *text, size_t n, const char **why)
{
    struct parser p = {.text = text, .n = n, .out = out};
    bool ok = true;

    *out = (struct shell_script){0};
    if (n > SHELL_SCRIPT_MAX_BYTES)
        ok = refuse(&p, "too many bytes");
    while (ok && p.at < p.n)
        ok = step(&p);
    ok = ok && end_command(&p, p.needs_command);
    if (ok && out->commands.len == 0)
        ok = refuse(&p, "no command");
    if (p.command != NULL) {
        str_list_finish(p.command);
        free(p.command);
    }
    buf_free(&p.word);
    if (why != NULL)
        *why = ok ? NULL : p.why;
    if (!ok) {
        shell_script_finish(out);
        *out = (struct shell_script){0};
    }
    return ok;
}

const char *shell_program_name(const char *program)
{
    static const char *const folders[] = {"/bin/", "/usr/bin/", "/usr/local/bin/", "/sbin/", "/usr/sbin/"};

    if (strchr(program, '/') == NULL)
        return program;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (str_starts_with(program, folders[i]) && strchr(program + strlen(folders[i]), '/') == NULL)
            return program + strlen(folders[i]);
    return NULL;
}

void shell_words_each(const char *text, size_t n, void (*attempt)(void *data, const struct str_list *words), void *data)
{
    static const char parting[] = " \t\r\n`$(){}[]<>|&;=,!*?~#:";
    struct str_list all = {0};
    struct buf word = BUF_INIT;

    for (size_t at = 0; at <= n; at++) {
        char c = at < n ? text[at] : '\n';

        if (c == '\\' && at + 1 < n && text[at + 1] == '\n') {
            at++; /* the line goes on */
        } else if (c == '\0' || strchr(parting, c) != NULL) {
            if (word.len > 0)
                str_list_add(&all, buf_cstr(&word));
            buf_clear(&word);
        } else if (c != '\'' && c != '"' && c != '\\') { /* r''m is rm */
            buf_putc(&word, c);
        }
    }
    for (size_t i = 0; i < all.len; i++) {
        struct str_list rest = {.items = all.items + i, .len = all.len - i};

        attempt(data, &rest);
    }
    buf_free(&word);
    str_list_finish(&all);
}

/* Is it a shell, given a script by -c and nothing else? */
static const char *script_of(const char *const *argv)
{
    static const char *const shells[] = {"sh", "bash", "dash", "zsh", "ksh"};
    const char *name = argv[0] == NULL ? NULL : shell_program_name(argv[0]);

    if (name == NULL || argv[1] == NULL || argv[2] == NULL || argv[3] != NULL)
        return NULL;
    if (argv[1][0] != '-' || strspn(argv[1] + 1, "cle") != strlen(argv[1] + 1) || strchr(argv[1], 'c') == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
        if (strcmp(shells[i], name) == 0)
            return argv[2];
    return NULL;
}

bool shell_commands_of(struct shell_script *out, const char *const *argv)
{
    const char *script = script_of(argv);
    struct str_list *whole;

    if (script != NULL && shell_script_parse(out, script, strlen(script), NULL))
        return true;
    *out = (struct shell_script){0};
    whole = xcalloc(1, sizeof *whole);
    for (size_t i = 0; argv[i] != NULL; i++)
        str_list_add(whole, argv[i]);
    vec_push(&out->commands, whole);
    return script == NULL;
}
