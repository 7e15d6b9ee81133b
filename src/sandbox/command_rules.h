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
struct shell_script;

/* From mild to strict. RULE_ALLOW_INSIDE comes from answers only: without a question, but in the box. */
enum rule_decision { RULE_NONE, RULE_ALLOW_INSIDE, RULE_ALLOW, RULE_PROMPT, RULE_FORBIDDEN };

struct command_rules *command_rules_create(void);
void command_rules_destroy(struct command_rules *rules); /* NULL is fine */

/* Adds the rules of a file's TEXT. -1 with ERR (file:line:column) and nothing added when it does not read, or when one of its
 * examples contradicts it. */
int command_rules_read(struct command_rules *rules, const char *text, size_t n, const char *path, struct error *err);
/* All *.rules in FOLDER, by name. A missing folder is no error; a bad file is a warning in WARNINGS (fresh strings), and
 * the other files count. */
void command_rules_read_folder(struct command_rules *rules, const char *folder, struct str_list *warnings);

/* Allows the commands that begin with WORDS from now on (an answer that holds for the run), OUTSIDE of the box or in it. */
void command_rules_allow(struct command_rules *rules, const struct str_list *words, bool outside);

/* May a rule be made of WORDS, which a model proposes for the command ARGV? They must be how the one command of a plain script
 * begins, and name more than a program that runs whatever it is given (a shell, an interpreter, env, sudo, git ...). */
bool command_rules_is_prefix(const struct str_list *words, const char *const *argv);

/* The strictest decision on the command WORDS, and its justification (borrowed, may be NULL). A program that is named by a
 * path matches the rules that prompt or forbid its name wherever it lies, and those that allow it only in a folder of the
 * system. */
enum rule_decision command_rules_judge(const struct command_rules *rules, const struct str_list *words,
                                       const char **justification);
/* The strictest rule that prompts or forbids and that matches anywhere in the text of a script that is not plain, or behind a
 * program that starts others (env, xargs, nohup ...): RULE_NONE, RULE_PROMPT or RULE_FORBIDDEN. SCRIPT and IS_PLAIN are what
 * shell_commands_of() gave. */
enum rule_decision command_rules_search(const struct command_rules *rules, const struct shell_script *script, bool is_plain,
                                        const char **justification);
size_t command_rules_count(const struct command_rules *rules);
const char *rule_decision_name(enum rule_decision decision);

#endif
