/* cli/command.h: the table of subcommands and what each gets.
 *
 * One file a subcommand (cmd_NAME.c) exports one `const struct command command_NAME`; command_table.c lists
 * them. The option tables feed the parser, `--help`, `cadre completion` and the man page, so that these
 * cannot differ. A command's function runs inside a fiber: it may wait (process_run, http_fetch, ...). */
#ifndef CADRE_CLI_COMMAND_H
#define CADRE_CLI_COMMAND_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct fiber;
struct option_value;

struct option_spec { /* a table ends with a zeroed entry */
    const char *name;    /* long name without dashes */
    char short_name;     /* 0: none */
    const char *metavar; /* NULL: a flag without a value */
    const char *help;    /* one line */
    bool repeats;        /* may be given several times */
};

struct cli_context {
    struct loop *loop;
    struct fiber *fiber; /* the command's own */
    /* Global options. */
    const char *directory; /* -C: already the working directory of the process */
    struct str_list overrides; /* -c key=value, in order */
    const char *profile;
    const char *model;
    bool oss;
    const char *local_provider;
    bool strict_config;
    bool quiet;
    bool color; /* colours and cursor movement are allowed on standard output/error as a terminal */
    int verbosity;
    /* Ctrl-C or SIGTERM: called once for each signal with COUNT 1, 2, ...; when NULL, the command's fiber is
     * cancelled at the first and the process ends at the second. */
    void (*on_interrupt)(void *data, int count);
    void *interrupt_data;
    int interrupts;
};

struct cli_args {
    const struct option_spec *specs;
    struct option_value *values;
    size_t value_count;
    struct str_list positionals; /* what is left, options removed; all after "--" */
    bool had_separator;          /* "--" was given */
};

struct command {
    const char *name;
    const char *summary; /* one line for `cadre --help` */
    const char *usage;   /* "[OPTIONS] GOAL", after the command's name */
    const char *details; /* paragraphs for --help, may be NULL */
    const char *example; /* one or more lines, shown under "Example:" */
    const struct option_spec *options; /* may be NULL */
    int min_positionals;
    int max_positionals; /* -1: any number */
    bool stop_at_positional; /* options end at the first positional (sandbox, exec helpers) */
    bool is_hidden;
    int (*run)(struct cli_context *ctx, const struct cli_args *args); /* returns the exit code */
};

/* The value of option NAME (the last one given), or NULL. */
const char *cli_option(const struct cli_args *args, const char *name);
/* The I-th value of a repeated option, or NULL. */
const char *cli_option_at(const struct cli_args *args, const char *name, size_t i);
bool cli_flag(const struct cli_args *args, const char *name);
/* A whole number option within [min, max], FALLBACK when not given. False with ERR set when it is not. */
bool cli_int_option(const struct cli_args *args, const char *name, int64_t min, int64_t max, int64_t fallback,
                    int64_t *out, struct error *err);

/* Prints "cadre: TEXT" on standard error and returns the exit code that ERR stands for. */
int cli_fail(const struct error *err);

/* NULL-terminated. */
extern const struct command *const command_table[];
const struct command *command_find(const char *name);

/* Global options, as a table for help and completion. */
extern const struct option_spec global_options[];

/* Parses argv into ARGS; global options (before or after the command) into CTX. */
int cli_parse(struct cli_context *ctx, const struct command *command, int argc, char **argv,
              struct cli_args *args, bool *wants_help, struct error *err);
void cli_args_finish(struct cli_args *args);

void cli_print_command_help(const struct command *command);
void cli_print_help(void);

#endif
