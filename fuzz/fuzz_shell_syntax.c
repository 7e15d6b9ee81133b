/* fuzz/fuzz_shell_syntax.c: scripts of a model and rules files, both read to decide whether a command may run. */
#include "sandbox/command_rules.h"
#include "sandbox/shell_syntax.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shell_script script;
    struct command_rules *rules = command_rules_create();
    struct error err = {0};

    if (shell_script_parse(&script, (const char *)data, size, NULL)) {
        if (script.commands.len == 0)
            abort(); /* a plain script has a command, and each has a word */
        for (size_t i = 0; i < script.commands.len; i++) {
            const struct str_list *words = script.commands.items[i];
            const char *why;

            if (words->len == 0)
                abort();
            (void)command_rules_judge(rules, words, &why);
        }
        shell_script_finish(&script);
    }
    if (command_rules_read(rules, (const char *)data, size, "x.rules", &err) < 0 && command_rules_count(rules) != 0)
        abort(); /* a bad file adds nothing */
    command_rules_destroy(rules);
    return 0;
}
