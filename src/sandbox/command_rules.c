/* sandbox/command_rules.c: see command_rules.h. A small reader for the literal part of Starlark. */
#include "sandbox/command_rules.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/vec.h"
#include "sandbox/shell_syntax.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define RULES_MAX_BYTES ((size_t)1 << 20)
#define MAX_RULES       10000
#define MAX_DEPTH       4

struct rule {
    struct vec pattern; /* of struct str_list *: the alternatives of each word */
    enum rule_decision decision;
    char *justification;
};

struct command_rules {
    struct vec rules; /* of struct rule * */
};

static const char *const decision_names[] = {"none", "allow-inside", "allow", "prompt", "forbidden"};

const char *rule_decision_name(enum rule_decision decision)
{
    return decision_names[decision];
}

/* --- Literal values -------------------------------------------------------------------------------------------- */

enum value_kind { VALUE_STRING, VALUE_LIST, VALUE_OTHER };

struct value {
    enum value_kind kind;
    char *string;
    struct vec items; /* of struct value * */
    size_t at;        /* offset in the text */
};

struct reader {
    const char *text;
    size_t n;
    size_t at;
    const char *path;
    struct error *err;
};

static void value_free(struct value *value)
{
    if (value == NULL)
        return;
    free(value->string);
    for (size_t i = 0; i < value->items.len; i++)
        value_free(value->items.items[i]);
    vec_finish(&value->items);
    free(value);
}

static int fail_at(const struct reader *r, size_t at, const char *what)
{
    int line = 1;
    int column = 1;

    for (size_t i = 0; i < at && i < r->n; i++) {
        column = r->text[i] == '\n' ? 1 : column + 1;
        line += r->text[i] == '\n';
    }
    return error_set_at(r->err, ERROR_CONFIG, r->path, line, column, "%s", what);
}

static void skip_blank(struct reader *r)
{
    while (r->at < r->n) {
        if (isspace((unsigned char)r->text[r->at]))
            r->at++;
        else if (r->text[r->at] == '#')
            while (r->at < r->n && r->text[r->at] != '\n')
                r->at++;
        else if (r->text[r->at] == '\\' && r->at + 1 < r->n && r->text[r->at + 1] == '\n')
            r->at += 2;
        else
            return;
    }
}

static bool take(struct reader *r, char c)
{
    skip_blank(r);
    if (r->at < r->n && r->text[r->at] == c) {
        r->at++;
        return true;
    }
    return false;
}

/* A name; empty when there is none. */
static size_t name_length(const struct reader *r)
{
    size_t n = 0;

    while (r->at + n < r->n && (isalnum((unsigned char)r->text[r->at + n]) || r->text[r->at + n] == '_'))
        n++;
    return n;
}

static int read_string(struct reader *r, struct value *out)
{
    size_t began = r->at;
    char quote = r->text[r->at];
    bool is_triple = r->at + 2 < r->n && r->text[r->at + 1] == quote && r->text[r->at + 2] == quote;
    struct buf b = BUF_INIT;

    r->at += is_triple ? 3 : 1;
    for (; r->at < r->n; r->at++) {
        char c = r->text[r->at];

        if (c == quote && (!is_triple || (r->at + 2 < r->n && r->text[r->at + 1] == quote && r->text[r->at + 2] == quote))) {
            r->at += is_triple ? 3 : 1;
            out->kind = VALUE_STRING;
            out->string = buf_take(&b);
            return 0;
        }
        if (c == '\n' && !is_triple)
            break;
        if (c == '\0')
            break;
        if (c == '\\' && r->at + 1 < r->n) {
            char next = r->text[++r->at];

            buf_putc(&b, next == 'n' ? '\n' : next == 't' ? '\t' : next == 'r' ? '\r' : next);
            continue;
        }
        buf_putc(&b, c);
    }
    buf_free(&b);
    return fail_at(r, began, "the string has no end");
}

static struct value *read_value(struct reader *r, int depth)
{
    struct value *value = xcalloc(1, sizeof *value);
    char close;

    skip_blank(r);
    value->at = r->at;
    if (r->at >= r->n) {
        (void)fail_at(r, r->at, "a value is expected");
        goto fail;
    }
    if (r->text[r->at] == '"' || r->text[r->at] == '\'') {
        if (read_string(r, value) < 0)
            goto fail;
        return value;
    }
    if (r->text[r->at] != '[' && r->text[r->at] != '(') {
        size_t n = name_length(r);

        if (n == 0) {
            (void)fail_at(r, r->at, "a string or a list is expected");
            goto fail;
        }
        value->kind = VALUE_OTHER; /* True, None, a number: none of ours */
        value->string = xstrndup(r->text + r->at, n);
        r->at += n;
        return value;
    }
    if (depth >= MAX_DEPTH) {
        (void)fail_at(r, r->at, "lists are nested too deeply");
        goto fail;
    }
    close = r->text[r->at] == '[' ? ']' : ')';
    value->kind = VALUE_LIST;
    for (r->at++; !take(r, close);) {
        struct value *item = read_value(r, depth + 1);

        if (item == NULL)
            goto fail;
        vec_push(&value->items, item);
        if (!take(r, ',') && (skip_blank(r), r->at >= r->n || r->text[r->at] != close)) {
            (void)fail_at(r, r->at, "',' or the end of the list is expected");
            goto fail;
        }
    }
    return value;
fail:
    value_free(value);
    return NULL;
}

/* --- Rules ------------------------------------------------------------------------------------------------------- */

static void rule_free(struct rule *rule)
{
    for (size_t i = 0; i < rule->pattern.len; i++) {
        str_list_finish(rule->pattern.items[i]);
        free(rule->pattern.items[i]);
    }
    vec_finish(&rule->pattern);
    free(rule->justification);
    free(rule);
}

/* Does the path WORD lead to the program that the rule names? */
static bool names_program(const struct rule *rule, const char *word)
{
    bool is_strict = rule->decision == RULE_PROMPT || rule->decision == RULE_FORBIDDEN;
    const char *name = is_strict ? path_basename(word) : shell_program_name(word);

    return name != NULL && strchr(word, '/') != NULL && str_list_has(rule->pattern.items[0], name);
}

static bool rule_matches(const struct rule *rule, const struct str_list *words)
{
    if (words->len < rule->pattern.len)
        return false;
    for (size_t i = 0; i < rule->pattern.len; i++) {
        const char *word = words->items[i];

        if (!str_list_has(rule->pattern.items[i], word) && (i > 0 || !names_program(rule, word)))
            return false;
    }
    return true;
}

static int set_pattern(struct reader *r, struct rule *rule, const struct value *value)
{
    if (value->kind != VALUE_LIST || value->items.len == 0)
        return fail_at(r, value->at, "`pattern` is a list with at least one word");
    for (size_t i = 0; i < value->items.len; i++) {
        const struct value *item = value->items.items[i];
        struct str_list *words = xcalloc(1, sizeof *words);

        vec_push(&rule->pattern, words);
        if (item->kind == VALUE_STRING)
            str_list_add(words, item->string);
        for (size_t k = 0; item->kind == VALUE_LIST && k < item->items.len; k++) {
            const struct value *alternative = item->items.items[k];

            if (alternative->kind != VALUE_STRING)
                return fail_at(r, alternative->at, "an alternative in `pattern` is a string");
            str_list_add(words, alternative->string);
        }
        if (words->len == 0)
            return fail_at(r, item->at, "a word of `pattern` is a string or a list of strings");
    }
    return 0;
}

static int set_decision(struct reader *r, struct rule *rule, const struct value *value)
{
    for (size_t i = RULE_ALLOW; value->kind == VALUE_STRING && i < sizeof decision_names / sizeof decision_names[0]; i++)
        if (strcmp(decision_names[i], value->string) == 0) {
            rule->decision = (enum rule_decision)i;
            return 0;
        }
    return fail_at(r, value->at, "`decision` is \"allow\", \"prompt\" or \"forbidden\"");
}

/* One example: a list of words, or a command as a person types it. */
static int example_words(struct reader *r, const struct value *example, struct str_list *words)
{
    struct shell_script script;

    if (example->kind == VALUE_LIST) {
        for (size_t i = 0; i < example->items.len; i++) {
            const struct value *word = example->items.items[i];

            if (word->kind != VALUE_STRING)
                return fail_at(r, word->at, "a word of an example is a string");
            str_list_add(words, word->string);
        }
        return 0;
    }
    if (example->kind != VALUE_STRING || !shell_script_parse(&script, example->string, strlen(example->string), NULL))
        return fail_at(r, example->at, "an example is a list of words or one plain command");
    str_list_copy(words, script.commands.items[0]);
    shell_script_finish(&script);
    return 0;
}

static int check_examples(struct reader *r, const struct rule *rule, const struct value *examples, bool shall_match)
{
    if (examples == NULL)
        return 0;
    if (examples->kind != VALUE_LIST)
        return fail_at(r, examples->at, "examples are a list");
    for (size_t i = 0; i < examples->items.len; i++) {
        const struct value *example = examples->items.items[i];
        struct str_list words = {0};
        int rc = example_words(r, example, &words);

        if (rc == 0 && rule_matches(rule, &words) != shall_match)
            rc = fail_at(r, example->at, shall_match ? "the rule does not match this example of `match`"
                                                     : "the rule matches this example of `not_match`");
        str_list_finish(&words);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* `NAME(key = value, ...)`; AT stands behind the name. */
static int read_call(struct reader *r, struct command_rules *rules, bool is_rule, size_t began)
{
    struct rule *rule = xcalloc(1, sizeof *rule);
    struct value *match = NULL;
    struct value *not_match = NULL;
    int rc = -1;

    rule->decision = RULE_ALLOW;
    if (!take(r, '(')) {
        (void)fail_at(r, r->at, "'(' is expected");
        goto out;
    }
    while (!take(r, ')')) {
        size_t at;
        size_t n;
        char *key;
        struct value *value;

        skip_blank(r);
        at = r->at;
        n = name_length(r);
        key = xstrndup(r->text + r->at, n);
        r->at += n;
        if (n == 0 || !take(r, '=')) {
            (void)fail_at(r, at, "'name = value' or ')' is expected");
            free(key);
            goto out;
        }
        value = read_value(r, 0);
        if (value == NULL) {
            free(key);
            goto out;
        }
        rc = 0;
        if (!is_rule) {
            value_free(value);
        } else if (strcmp(key, "match") == 0) {
            value_free(match);
            match = value;
        } else if (strcmp(key, "not_match") == 0) {
            value_free(not_match);
            not_match = value;
        } else {
            if (strcmp(key, "pattern") == 0)
                rc = rule->pattern.len > 0 ? fail_at(r, at, "`pattern` is there twice") : set_pattern(r, rule, value);
            else if (strcmp(key, "decision") == 0)
                rc = set_decision(r, rule, value);
            else if (strcmp(key, "justification") == 0 && value->kind == VALUE_STRING && value->string[0] != '\0')
                rule->justification = xstrdup(value->string);
            else
                rc = fail_at(r, at, strcmp(key, "justification") == 0
                                        ? "`justification` is a string with some text"
                                        : "prefix_rule knows pattern, decision, justification, match and not_match");
            value_free(value);
        }
        free(key);
        if (rc < 0)
            goto out;
        rc = -1;
        if (!take(r, ',') && (skip_blank(r), r->at >= r->n || r->text[r->at] != ')')) {
            (void)fail_at(r, r->at, "',' or ')' is expected");
            goto out;
        }
    }
    rc = 0;
    if (is_rule && rule->pattern.len == 0)
        rc = fail_at(r, began, "prefix_rule needs a `pattern`");
    if (is_rule && rc == 0 && (check_examples(r, rule, match, true) < 0 || check_examples(r, rule, not_match, false) < 0))
        rc = -1;
    if (is_rule && rc == 0) {
        vec_push(&rules->rules, rule);
        rule = NULL;
    }
out:
    if (rule != NULL)
        rule_free(rule);
    value_free(match);
    value_free(not_match);
    return rc;
}

int command_rules_read(struct command_rules *rules, const char *text, size_t n, const char *path, struct error *err)
{
    struct reader r = {.text = text, .n = n, .path = path, .err = err};
    size_t before = rules->rules.len;
    int rc = 0;

    while (rc == 0) {
        size_t length;
        size_t began;
        bool is_rule;

        skip_blank(&r);
        while (r.at < r.n && r.text[r.at] == ';') {
            r.at++;
            skip_blank(&r);
        }
        if (r.at >= r.n)
            break;
        began = r.at;
        length = name_length(&r);
        is_rule = length == 11 && memcmp(text + began, "prefix_rule", 11) == 0;
        if (length == 0 || (!is_rule && memchr(text + began, '(', n - began) == NULL)) {
            rc = fail_at(&r, began, "a call such as prefix_rule(...) is expected");
            break;
        }
        if (rules->rules.len >= MAX_RULES) {
            rc = fail_at(&r, began, "there are too many rules");
            break;
        }
        r.at += length;
        rc = read_call(&r, rules, is_rule, began);
    }
    while (rc < 0 && rules->rules.len > before)
        rule_free(vec_remove(&rules->rules, rules->rules.len - 1));
    return rc;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void command_rules_read_folder(struct command_rules *rules, const char *folder, struct str_list *warnings)
{
    DIR *dir = opendir(folder);
    struct str_list names = {0};
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (str_ends_with(entry->d_name, ".rules"))
            str_list_add(&names, entry->d_name);
    if (dir != NULL)
        (void)closedir(dir);
    if (names.len > 1)
        qsort(names.items, names.len, sizeof *names.items, compare_names);
    for (size_t i = 0; i < names.len; i++) {
        char *path = path_join(folder, names.items[i]);
        struct buf text = BUF_INIT;
        struct error err = {0};

        if (file_read(path, &text, RULES_MAX_BYTES, &err) < 0 ||
            command_rules_read(rules, buf_cstr(&text), text.len, path, &err) < 0)
            str_list_add(warnings, err.text);
        buf_free(&text);
        free(path);
    }
    str_list_finish(&names);
}

struct command_rules *command_rules_create(void)
{
    return xcalloc(1, sizeof(struct command_rules));
}

void command_rules_destroy(struct command_rules *rules)
{
    if (rules == NULL)
        return;
    for (size_t i = 0; i < rules->rules.len; i++)
        rule_free(rules->rules.items[i]);
    vec_finish(&rules->rules);
    free(rules);
}

void command_rules_allow(struct command_rules *rules, const struct str_list *words, bool outside)
{
    struct rule *rule = xcalloc(1, sizeof *rule);

    rule->decision = outside ? RULE_ALLOW : RULE_ALLOW_INSIDE;
    for (size_t i = 0; i < words->len; i++) {
        struct str_list *one = xcalloc(1, sizeof *one);

        str_list_add(one, words->items[i]);
        vec_push(&rule->pattern, one);
    }
    if (rule->pattern.len > 0)
        vec_push(&rules->rules, rule);
    else
        rule_free(rule);
}

enum rule_decision command_rules_judge(const struct command_rules *rules, const struct str_list *words,
                                       const char **justification)
{
    enum rule_decision worst = RULE_NONE;

    *justification = NULL;
    for (size_t i = 0; rules != NULL && i < rules->rules.len; i++) {
        const struct rule *rule = rules->rules.items[i];

        if (rule->decision > worst && rule_matches(rule, words)) {
            worst = rule->decision;
            *justification = rule->justification;
        }
    }
    return worst;
}

/* --- What a script that is not plain may hide ------------------------------------------------------------------- */

/* Programs that start what stands behind them, or run what they are given. */
static bool starts_others(const char *name)
{
    static const char *const names[] = {"bash", "builtin", "busybox", "chroot", "command", "dash", "doas",   "env",  "eval",   "exec",
                                        "find", "flock",   "ionice",  "ksh",    "make",    "nice", "nohup",  "npx",  "parallel", "perl",
                                        "python", "python3", "ruby",  "node",   "setsid",  "sh",   "stdbuf", "strace", "sudo", "time",
                                        "timeout", "unshare", "watch", "xargs", "zsh",     "git",  "php",    "lua",  "su",     "script"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

struct search {
    const struct command_rules *rules;
    enum rule_decision worst;
    const char *justification;
};

static void attempt(void *data, const struct str_list *words)
{
    struct search *s = data;
    const char *justification;
    enum rule_decision decision = command_rules_judge(s->rules, words, &justification);

    if (decision >= RULE_PROMPT && decision > s->worst) {
        s->worst = decision;
        s->justification = justification;
    }
}

enum rule_decision command_rules_search(const struct command_rules *rules, const struct shell_script *script, bool is_plain,
                                        const char **justification)
{
    struct search s = {.rules = rules};
    bool is_strict = false;

    for (size_t i = 0; rules != NULL && i < rules->rules.len; i++)
        is_strict = is_strict || ((struct rule *)rules->rules.items[i])->decision >= RULE_PROMPT;
    for (size_t i = 0; is_strict && i < script->commands.len; i++) {
        const struct str_list *words = script->commands.items[i];
        struct buf text = BUF_INIT;

        if (is_plain && !starts_others(path_basename(words->items[0])))
            continue;
        for (size_t k = is_plain ? 1 : 0; k < words->len; k++) /* the first word was judged */
            buf_printf(&text, "%s\n", words->items[k]);
        shell_words_each(buf_cstr(&text), text.len, attempt, &s);
        buf_free(&text);
    }
    *justification = s.justification;
    return s.worst;
}

bool command_rules_is_prefix(const struct str_list *words, const char *const *argv)
{
    struct shell_script script;
    bool is_plain = shell_commands_of(&script, argv);
    const struct str_list *command = is_plain && script.commands.len == 1 ? script.commands.items[0] : NULL;
    bool is_it = command != NULL && words->len > 0 && words->len <= command->len;

    for (size_t i = 0; is_it && i < words->len; i++)
        is_it = strcmp(words->items[i], command->items[i]) == 0;
    if (is_it && starts_others(path_basename(words->items[0]))) /* `git push` is a rule, `env git` and `python3 -c` are none */
        is_it = strcmp(path_basename(words->items[0]), "git") == 0 && words->len > 1 && words->items[1][0] != '-';
    shell_script_finish(&script);
    return is_it;
}

size_t command_rules_count(const struct command_rules *rules)
{
    return rules->rules.len;
}
