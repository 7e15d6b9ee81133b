/* sandbox/approval.c: see approval.h. */
#include "sandbox/approval.h"

#include "base/alloc.h"
#include "sandbox/command_rules.h"
#include "sandbox/shell_syntax.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {"never", "untrusted", "granular", "on-request", "on-failure"};

int approval_policy_parse(const char *name, struct approval_policy *out, struct error *err)
{
    for (size_t i = 0; i < sizeof kind_names / sizeof kind_names[0]; i++)
        if (strcmp(kind_names[i], name) == 0) {
            *out = (struct approval_policy){.kind = (enum approval_kind)i, .may_ask_sandbox = true, .may_ask_rules = true};
            return 0;
        }
    return error_set(err, ERROR_CONFIG, "approval_policy \"%s\": expected untrusted, on-request, on-failure, never or granular",
                     name);
}

const char *approval_policy_name(const struct approval_policy *policy)
{
    return kind_names[policy->kind];
}

struct approval_policy approval_policy_tightest(const struct approval_policy *a, const struct approval_policy *b)
{
    struct approval_policy tightest = a->kind <= b->kind ? *a : *b;

    tightest.may_ask_sandbox = a->may_ask_sandbox && b->may_ask_sandbox;
    tightest.may_ask_rules = a->may_ask_rules && b->may_ask_rules;
    if (tightest.kind != APPROVAL_GRANULAR && (a->kind == APPROVAL_GRANULAR || b->kind == APPROVAL_GRANULAR) &&
        tightest.kind > APPROVAL_GRANULAR)
        tightest.kind = APPROVAL_GRANULAR;
    return tightest;
}

enum sandbox_mode sandbox_mode_tightest(enum sandbox_mode a, enum sandbox_mode b)
{
    return a < b ? a : b;
}

/* --- Known to be safe ------------------------------------------------------------------------------------------- */

/* Does a word equal OPTION, begin with "OPTION=", shorten it ("--outp", as getopt and git take it), or (for "-x") bundle that
 * letter? */
static bool has_option(const struct str_list *words, const char *option)
{
    size_t n = strlen(option);

    for (size_t i = 1; i < words->len; i++) {
        const char *word = words->items[i];

        if (strcmp(word, option) == 0 || (strncmp(word, option, n) == 0 && word[n] == '='))
            return true;
        if (word[0] == '-' && word[1] == '-' && word[2] != '\0' && strncmp(word, option, strcspn(word, "=")) == 0)
            return true;
        if (n == 2 && option[1] != '-' && word[0] == '-' && word[1] != '-' && strchr(word + 1, option[1]) != NULL)
            return true;
    }
    return false;
}

static bool has_any_option(const struct str_list *words, const char *const *options)
{
    for (; *options != NULL; options++)
        if (has_option(words, *options))
            return true;
    return false;
}

/* `sed -n 3,7p FILE`: prints lines and nothing else. */
static bool is_safe_sed(const struct str_list *words)
{
    const char *p;

    if (words->len < 3 || words->len > 4 || strcmp(words->items[1], "-n") != 0 || (words->len == 4 && words->items[3][0] == '-'))
        return false;
    p = words->items[2];
    p += strspn(p, "0123456789");
    if (p == words->items[2])
        return false;
    if (*p == ',')
        p += 1 + strspn(p + 1, "0123456789$");
    return strcmp(p, "p") == 0;
}

/* Shells have it built in. `-v` evaluates what is in brackets, and some shells so evaluate what numbers are compared. */
static bool is_safe_test(const struct str_list *words)
{
    for (size_t i = 1; i < words->len; i++)
        if (strcmp(words->items[i], "-v") == 0 || strcmp(words->items[i], "-R") == 0 || strpbrk(words->items[i], "$`[") != NULL)
            return false;
    return true;
}

/* Built in as well: `-v` sets variables, and some shells evaluate what %d is given. */
static bool is_safe_printf(const struct str_list *words)
{
    for (size_t i = 1; i < words->len; i++)
        if ((i == 1 && words->items[i][0] == '-') || (i > 1 && strpbrk(words->items[i], "$`[") != NULL))
            return false;
    return true;
}

static bool is_safe_git(const struct str_list *words)
{
    static const char *const reading[] = {"status",   "log",      "diff",     "show",     "rev-parse", "ls-files",
                                          "ls-tree",  "blame",    "shortlog", "describe", "cat-file",  "rev-list",
                                          "name-rev", "merge-base", "branch", NULL};
    static const char *const bad[] = {"--output", "--ext-diff", "--textconv", "--exec", "--upload-pack", "--filters",
                                      "--open-files-in-pager", "--no-index", NULL};
    bool is_reading = false;

    if (words->len < 2)
        return false;
    for (size_t i = 0; reading[i] != NULL; i++) /* the first word: nothing like `-c core.pager=...` before it */
        is_reading = is_reading || strcmp(words->items[1], reading[i]) == 0;
    if (!is_reading || has_any_option(words, bad))
        return false;
    for (size_t i = 2; strcmp(words->items[1], "branch") == 0 && i < words->len; i++)
        if (strcmp(words->items[i], "--list") != 0 && strcmp(words->items[i], "-a") != 0 &&
            strcmp(words->items[i], "-v") != 0 && strcmp(words->items[i], "-vv") != 0 &&
            strcmp(words->items[i], "-r") != 0 && strcmp(words->items[i], "--show-current") != 0)
            return false;
    return true;
}

struct safe_program {
    const char *name;
    const char *const *bad_options; /* that write or start something; NULL: there is none */
    bool (*is_safe)(const struct str_list *words);
};

static const char *const find_bad[] = {"-exec",   "-execdir", "-ok",     "-okdir",  "-delete",
                                       "-fls",    "-fprint",  "-fprint0", "-fprintf", NULL};
static const char *const rg_bad[] = {"--pre", "--hostname-bin", "--search-zip", "-z", NULL};
static const char *const base64_bad[] = {"-o", "--output", NULL};
static const char *const date_bad[] = {"-s", "--set", NULL};
static const char *const tree_bad[] = {"-o", "--output", "-R", NULL}; /* -R writes 00Tree.html */
static const char *const file_bad[] = {"-C", "--compile", "-m", "--magic-file", NULL};

/* sort (-o, --compress-program), tee, xargs, awk and env are not here: they write files or start programs. */
static const struct safe_program safe_programs[] = {
    {"cat", NULL, NULL},     {"cd", NULL, NULL},      {"cmp", NULL, NULL},     {"comm", NULL, NULL},   {"cut", NULL, NULL},
    {"df", NULL, NULL},      {"du", NULL, NULL},      {"echo", NULL, NULL},    {"expr", NULL, NULL},   {"false", NULL, NULL},
    {"grep", NULL, NULL},    {"egrep", NULL, NULL},   {"fgrep", NULL, NULL},   {"head", NULL, NULL},   {"id", NULL, NULL},
    {"ls", NULL, NULL},      {"nl", NULL, NULL},      {"nproc", NULL, NULL},   {"od", NULL, NULL},     {"paste", NULL, NULL},
    {"printf", NULL, is_safe_printf},  {"pwd", NULL, NULL},     {"readlink", NULL, NULL}, {"realpath", NULL, NULL}, {"rev", NULL, NULL},
    {"seq", NULL, NULL},     {"sha256sum", NULL, NULL}, {"stat", NULL, NULL},  {"tail", NULL, NULL},   {"test", NULL, is_safe_test},
    {"tr", NULL, NULL},      {"true", NULL, NULL},    {"uname", NULL, NULL},   {"wc", NULL, NULL},     {"which", NULL, NULL},
    {"whoami", NULL, NULL},  {"find", find_bad, NULL}, {"rg", rg_bad, NULL},   {"base64", base64_bad, NULL},
    {"date", date_bad, NULL}, {"tree", tree_bad, NULL}, {"file", file_bad, NULL}, {"sed", NULL, is_safe_sed},
    {"git", NULL, is_safe_git},
};

bool command_is_known_safe(const struct str_list *words)
{
    const char *name = words->len > 0 ? shell_program_name(words->items[0]) : NULL;

    if (name == NULL)
        return false;
    for (size_t i = 0; i < sizeof safe_programs / sizeof safe_programs[0]; i++) {
        const struct safe_program *program = &safe_programs[i];

        if (strcmp(program->name, name) != 0)
            continue;
        if (program->bad_options != NULL && has_any_option(words, program->bad_options))
            return false;
        return program->is_safe == NULL || program->is_safe(words);
    }
    return false;
}

/* --- The decision ------------------------------------------------------------------------------------------------- */

static bool may_ask(const struct approval_policy *policy, bool for_rule)
{
    if (policy->kind == APPROVAL_NEVER)
        return false;
    if (policy->kind != APPROVAL_GRANULAR)
        return true;
    return for_rule ? policy->may_ask_rules : policy->may_ask_sandbox;
}

enum approval_verdict approval_decide(const struct approval_policy *policy, const struct command_rules *rules,
                                      const struct approval_question *q, char **reason)
{
    struct shell_script script;
    bool is_plain = shell_commands_of(&script, q->argv);
    enum rule_decision worst = RULE_NONE, hidden;
    bool all_allowed = is_plain; /* by rules */
    bool all_known = is_plain;   /* by rules, also in the box, or as safe */
    const char *why = NULL, *why_hidden = NULL;
    enum approval_verdict verdict;

    *reason = NULL;
    for (size_t i = 0; i < script.commands.len; i++) {
        const struct str_list *words = script.commands.items[i];
        const char *justification = NULL;
        enum rule_decision decision = command_rules_judge(rules, words, &justification);

        all_allowed = all_allowed && decision == RULE_ALLOW;
        all_known = all_known && (decision == RULE_ALLOW || decision == RULE_ALLOW_INSIDE || command_is_known_safe(words));
        if (decision > worst) {
            worst = decision;
            why = justification;
        }
    }
    hidden = command_rules_search(rules, &script, is_plain, &why_hidden);
    if (hidden > worst) {
        worst = hidden;
        why = why_hidden;
    }
    if (worst == RULE_FORBIDDEN) {
        *reason = xasprintf("a rule forbids this command%s%s", why != NULL ? ": " : "", why != NULL ? why : "");
        verdict = APPROVAL_REFUSE;
    } else if (worst == RULE_PROMPT) {
        verdict = may_ask(policy, true) ? APPROVAL_ASK : APPROVAL_REFUSE;
        *reason = verdict == APPROVAL_ASK
                      ? xasprintf("a rule wants this command to be asked for%s%s", why != NULL ? ": " : "", why != NULL ? why : "")
                      : xasprintf("a rule wants this command to be asked for, and the approval policy %s asks nobody",
                                  approval_policy_name(policy));
    } else if (all_allowed && worst == RULE_ALLOW) {
        verdict = q->mode == SANDBOX_READ_ONLY ? APPROVAL_RUN : APPROVAL_RUN_OUTSIDE;
    } else if (q->wants_out && q->mode != SANDBOX_DANGER_FULL_ACCESS) {
        verdict = may_ask(policy, false) ? APPROVAL_ASK : APPROVAL_REFUSE;
        if (verdict == APPROVAL_REFUSE)
            *reason = xasprintf("the approval policy is %s: nothing leaves the sandbox. Do it inside, or say in your result "
                                "what could not be done",
                                approval_policy_name(policy));
    } else if (policy->kind == APPROVAL_UNTRUSTED && !all_known) {
        verdict = APPROVAL_ASK;
        *reason = xstrdup(is_plain ? "the command is not known to be safe"
                                   : "the command is too involved to be known as safe");
    } else {
        verdict = APPROVAL_RUN;
    }
    if (*reason == NULL)
        *reason = xstrdup("");
    shell_script_finish(&script);
    return verdict;
}
