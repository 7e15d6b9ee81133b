/* sandbox/command_rules.h: files *.rules as in Codex: what may run without a question, what needs one, what may not run.
 *
 *     prefix_rule(
 *         pattern = ["git", ["push", "fetch"]],   # words in order; a list gives alternatives
 *         decision = "prompt",                    # allow (the default), prompt, forbidden
 *         justification = "it leaves the machine",
 *         match = ["git push origin main"],       # examples, checked when the file is read
 *         not_match = [["git", "status"]],
 *     )
 *
 * The files are in Starlark; of that this reads calls with literal arguments. `host_executable(...)`, `network_rule(...)` and
 * other calls are named as not used. Of several rules that match one command the strictest counts. */
#ifndef CADRE_SANDBOX_COMMAND_RULES_H
#define CADRE_SANDBOX_COMMAND_RULES_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct command_rules;

enum rule_decision { RULE_NONE, RULE_ALLOW, RULE_PROMPT, RULE_FORBIDDEN }; /* from mild to strict */

struct command_rules *command_rules_create(void);
void command_rules_destroy(struct command_rules *rules); /* NULL is fine */

/* Adds the rules of a file's TEXT. -1 with ERR (file:line:column) and nothing added when it does not read, or when one of its
 * examples contradicts it. */
int command_rules_read(struct command_rules *rules, const char *text, size_t n, const char *path, struct error *err);
/* All *.rules in FOLDER, by name. A missing folder is no error; a bad file is a warning in WARNINGS (fresh strings), and
 * the other files count. */
void command_rules_read_folder(struct command_rules *rules, const char *folder, struct str_list *warnings);

/* Allows the commands that begin with WORDS from now on (an answer that holds for the run). */
void command_rules_allow(struct command_rules *rules, const struct str_list *words);

/* The strictest decision on the command WORDS, and its justification (borrowed, may be NULL). */
enum rule_decision command_rules_judge(const struct command_rules *rules, const struct str_list *words,
                                       const char **justification);
size_t command_rules_count(const struct command_rules *rules);
const char *rule_decision_name(enum rule_decision decision);

#endif
