/* cli/cmd_completion.c: `cadre completion`: shell completion written from the tables of commands and options. */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

static void words_of(const struct option_spec *specs)
{
    for (; specs != NULL && specs->name != NULL; specs++)
        printf(" --%s", specs->name);
}

static void print_bash(void)
{
    printf("_cadre() {\n    local cur=${COMP_WORDS[COMP_CWORD]} command= word i\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n        word=${COMP_WORDS[i]}\n"
           "        case $word in -*) ;; *) command=$word; break ;; esac\n    done\n    case $command in\n");
    for (size_t i = 0; command_table[i] != NULL; i++) {
        printf("    %s) COMPREPLY=($(compgen -W \"", command_table[i]->name);
        words_of(command_table[i]->options);
        words_of(global_options);
        printf("\" -- \"$cur\")) ;;\n");
    }
    printf("    *) COMPREPLY=($(compgen -W \"");
    for (size_t i = 0; command_table[i] != NULL; i++)
        if (!command_table[i]->is_hidden)
            printf(" %s", command_table[i]->name);
    words_of(global_options);
    printf("\" -- \"$cur\")) ;;\n    esac\n    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n}\n"
           "complete -F _cadre cadre\n");
}

/* Text inside single quotes of zsh and fish. */
static void print_quoted(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (*text == '[' || *text == ']' || *text == ':')
            putchar(' ');
        else
            putchar(*text);
    }
}

static void print_zsh(void)
{
    printf("#compdef cadre\n_cadre() {\n    local -a commands\n    commands=(\n");
    for (size_t i = 0; command_table[i] != NULL; i++) {
        printf("        '%s:", command_table[i]->name);
        print_quoted(command_table[i]->summary);
        printf("'\n");
    }
    printf("    )\n    if (( CURRENT == 2 )); then _describe command commands; return; fi\n    case $words[2] in\n");
    for (size_t i = 0; command_table[i] != NULL; i++) {
        printf("    %s) _arguments", command_table[i]->name);
        for (const struct option_spec *s = command_table[i]->options; s != NULL && s->name != NULL; s++) {
            printf(" '--%s[", s->name);
            print_quoted(s->help);
            printf("]%s'", s->metavar != NULL ? ":value:_files" : "");
        }
        printf(" '*:file:_files' ;;\n");
    }
    printf("    esac\n}\n_cadre \"$@\"\n");
}

static void print_fish(void)
{
    for (size_t i = 0; command_table[i] != NULL; i++) {
        const struct command *c = command_table[i];

        printf("complete -c cadre -n __fish_use_subcommand -a %s -d '", c->name);
        print_quoted(c->summary);
        printf("'\n");
        for (const struct option_spec *s = c->options; s != NULL && s->name != NULL; s++) {
            printf("complete -c cadre -n '__fish_seen_subcommand_from %s' -l %s %s-d '", c->name, s->name,
                   s->metavar != NULL ? "-r " : "");
            print_quoted(s->help);
            printf("'\n");
        }
    }
}

static int run(struct cli_context *ctx, const struct cli_args *args)
{
    const char *shell = args->positionals.items[0];
    struct error err = {0};

    (void)ctx;
    if (strcmp(shell, "bash") == 0)
        print_bash();
    else if (strcmp(shell, "zsh") == 0)
        print_zsh();
    else if (strcmp(shell, "fish") == 0)
        print_fish();
    else {
        error_set(&err, ERROR_USAGE, "unknown shell \"%.40s\": expected bash, zsh or fish", shell);
        return cli_fail(&err);
    }
    return EXIT_DONE;
}

const struct command command_completion = {
    .name = "completion",
    .summary = "print shell completion for bash, zsh or fish",
    .usage = "bash|zsh|fish",
    .example = "source <(cadre completion bash)\ncadre completion fish > ~/.config/fish/completions/cadre.fish",
    .min_positionals = 1,
    .max_positionals = 1,
    .run = run,
};
