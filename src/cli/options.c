/* cli/options.c: parses options by the tables of command.h, and prints help from them. */
#include "cli/command.h"

#include "base/alloc.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct option_value {
    const struct option_spec *spec;
    const char *value; /* borrowed from argv; NULL for a flag */
};

enum global_option {
    GLOBAL_CD,
    GLOBAL_CONFIG,
    GLOBAL_PROFILE,
    GLOBAL_MODEL,
    GLOBAL_OSS,
    GLOBAL_LOCAL_PROVIDER,
    GLOBAL_STRICT,
    GLOBAL_QUIET,
    GLOBAL_VERBOSE,
    GLOBAL_NO_COLOR,
    GLOBAL_HELP,
    GLOBAL_COUNT,
};

const struct option_spec global_options[] = {
    [GLOBAL_CD] = {"cd", 'C', "DIR", "work in DIR", false},
    [GLOBAL_CONFIG] = {"config", 'c', "KEY=VALUE", "set a configuration key (TOML value, dotted path)", true},
    [GLOBAL_PROFILE] = {"profile", 'p', "NAME", "use the profile $CODEX_HOME/NAME.config.toml", false},
    [GLOBAL_MODEL] = {"model", 'm', "MODEL", "model for the main thread", false},
    [GLOBAL_OSS] = {"oss", 0, NULL, "use a model on this machine, for every role", false},
    [GLOBAL_LOCAL_PROVIDER] = {"local-provider", 0, "NAME", "with --oss: ollama or lmstudio", false},
    [GLOBAL_STRICT] = {"strict-config", 0, NULL, "an unknown configuration key is an error", false},
    [GLOBAL_QUIET] = {"quiet", 'q', NULL, "errors only on standard error", false},
    [GLOBAL_VERBOSE] = {"verbose", 'v', NULL, "say more (twice: debug)", true},
    [GLOBAL_NO_COLOR] = {"no-color", 0, NULL, "no colours (also NO_COLOR)", false},
    [GLOBAL_HELP] = {"help", 'h', NULL, "show help", false},
    [GLOBAL_COUNT] = {0},
};

static const struct option_spec *find_long(const struct option_spec *specs, const char *name, size_t n)
{
    for (; specs != NULL && specs->name != NULL; specs++)
        if (strlen(specs->name) == n && memcmp(specs->name, name, n) == 0)
            return specs;
    return NULL;
}

static const struct option_spec *find_short(const struct option_spec *specs, char c)
{
    for (; specs != NULL && specs->name != NULL; specs++)
        if (specs->short_name == c)
            return specs;
    return NULL;
}

static bool is_global(const struct option_spec *spec)
{
    return spec >= global_options && spec < global_options + GLOBAL_COUNT;
}

static int apply_global(struct cli_context *ctx, const struct option_spec *spec, const char *value,
                        bool *wants_help, struct error *err)
{
    switch ((enum global_option)(spec - global_options)) {
    case GLOBAL_CD:
        if (chdir(value) < 0)
            return error_set_errno(err, "-C %s", value);
        ctx->directory = value;
        break;
    case GLOBAL_CONFIG:
        if (strchr(value, '=') == NULL || value[0] == '=')
            return error_set(err, ERROR_USAGE, "-c %s: expected KEY=VALUE, for example -c model=\"gpt-5\"",
                             value);
        str_list_add(&ctx->overrides, value);
        break;
    case GLOBAL_PROFILE:
        ctx->profile = value;
        break;
    case GLOBAL_MODEL:
        ctx->model = value;
        break;
    case GLOBAL_OSS:
        ctx->oss = true;
        break;
    case GLOBAL_LOCAL_PROVIDER:
        ctx->local_provider = value;
        break;
    case GLOBAL_STRICT:
        ctx->strict_config = true;
        break;
    case GLOBAL_QUIET:
        ctx->quiet = true;
        log_set_level(LOG_ERROR);
        break;
    case GLOBAL_VERBOSE:
        ctx->verbosity++;
        log_set_level(ctx->verbosity > 1 ? LOG_DEBUG : LOG_INFO);
        break;
    case GLOBAL_NO_COLOR:
        ctx->color = false;
        break;
    case GLOBAL_HELP:
        *wants_help = true;
        break;
    case GLOBAL_COUNT:
        break;
    }
    return 0;
}

static int take(struct cli_context *ctx, struct cli_args *args, const struct option_spec *spec,
                const char *value, bool *wants_help, struct error *err)
{
    if (is_global(spec))
        return apply_global(ctx, spec, value, wants_help, err);
    args->values = xrealloc(args->values, (args->value_count + 1) * sizeof *args->values);
    args->values[args->value_count++] = (struct option_value){spec, value};
    return 0;
}

static int unknown_option(const struct command *command, const char *text, struct error *err)
{
    const char *names[64];
    size_t n = 0;
    const char *nearest;
    const struct option_spec *tables[2] = {command == NULL ? NULL : command->options, global_options};

    for (size_t t = 0; t < 2; t++)
        for (const struct option_spec *s = tables[t]; s != NULL && s->name != NULL && n < 63; s++)
            names[n++] = s->name;
    names[n] = NULL;
    nearest = str_starts_with(text, "--") ? str_nearest(text + 2, names) : NULL;
    error_set(err, ERROR_USAGE, "unknown option %s", text);
    if (nearest != NULL)
        error_hint(err, "did you mean --%s? See `cadre%s%s --help`", nearest, command == NULL ? "" : " ",
                   command == NULL ? "" : command->name);
    else
        error_hint(err, "see `cadre%s%s --help`", command == NULL ? "" : " ",
                   command == NULL ? "" : command->name);
    return -1;
}

static int parse_long(struct cli_context *ctx, const struct command *command, struct cli_args *args, int argc,
                      char **argv, int *i, bool *wants_help, struct error *err)
{
    const char *text = argv[*i] + 2;
    const char *equals = strchr(text, '=');
    size_t n = equals == NULL ? strlen(text) : (size_t)(equals - text);
    const struct option_spec *spec = find_long(args->specs, text, n);
    const char *value = NULL;

    if (spec == NULL)
        spec = find_long(global_options, text, n);
    if (spec == NULL)
        return unknown_option(command, argv[*i], err);
    if (spec->metavar != NULL) {
        if (equals != NULL)
            value = equals + 1;
        else if (*i + 1 < argc)
            value = argv[++*i];
        else
            return error_set(err, ERROR_USAGE, "--%s needs a value: --%s %s", spec->name, spec->name,
                             spec->metavar);
    } else if (equals != NULL) {
        return error_set(err, ERROR_USAGE, "--%s takes no value", spec->name);
    }
    return take(ctx, args, spec, value, wants_help, err);
}

static int parse_short(struct cli_context *ctx, const struct command *command, struct cli_args *args, int argc,
                       char **argv, int *i, bool *wants_help, struct error *err)
{
    for (const char *p = argv[*i] + 1; *p != '\0'; p++) {
        const struct option_spec *spec = find_short(args->specs, *p);
        const char *value = NULL;

        if (spec == NULL)
            spec = find_short(global_options, *p);
        if (spec == NULL) {
            char text[3] = {'-', *p, '\0'};

            return unknown_option(command, text, err);
        }
        if (spec->metavar != NULL) {
            if (p[1] != '\0')
                value = p[1] == '=' ? p + 2 : p + 1;
            else if (*i + 1 < argc)
                value = argv[++*i];
            else
                return error_set(err, ERROR_USAGE, "-%c needs a value: -%c %s", *p, *p, spec->metavar);
        }
        if (take(ctx, args, spec, value, wants_help, err) < 0)
            return -1;
        if (value != NULL)
            return 0;
    }
    return 0;
}

int cli_parse(struct cli_context *ctx, const struct command *command, int argc, char **argv,
              struct cli_args *args, bool *wants_help, struct error *err)
{
    bool options_end = false;

    args->specs = command == NULL ? NULL : command->options;
    for (int i = 0; i < argc; i++) {
        const char *text = argv[i];
        int rc = 0;

        if (options_end || text[0] != '-' || text[1] == '\0') {
            str_list_add(&args->positionals, text);
            if (command == NULL || command->stop_at_positional)
                options_end = true;
        } else if (strcmp(text, "--") == 0) {
            options_end = true;
            args->had_separator = true;
        } else if (text[1] == '-') {
            rc = parse_long(ctx, command, args, argc, argv, &i, wants_help, err);
        } else {
            rc = parse_short(ctx, command, args, argc, argv, &i, wants_help, err);
        }
        if (rc < 0)
            return -1;
    }
    if (command == NULL || *wants_help)
        return 0;
    if (args->positionals.len < (size_t)command->min_positionals) {
        error_set(err, ERROR_USAGE, "too few arguments: cadre %s %s", command->name, command->usage);
        return error_hint(err, "see `cadre %s --help`", command->name);
    }
    if (command->max_positionals >= 0 && args->positionals.len > (size_t)command->max_positionals) {
        error_set(err, ERROR_USAGE, "unexpected argument \"%s\"",
                  args->positionals.items[command->max_positionals]);
        return error_hint(err, "usage: cadre %s %s", command->name, command->usage);
    }
    return 0;
}

void cli_args_finish(struct cli_args *args)
{
    free(args->values);
    str_list_finish(&args->positionals);
    *args = (struct cli_args){0};
}

const char *cli_option_at(const struct cli_args *args, const char *name, size_t i)
{
    for (size_t k = 0; k < args->value_count; k++)
        if (strcmp(args->values[k].spec->name, name) == 0 && i-- == 0)
            return args->values[k].value;
    return NULL;
}

const char *cli_option(const struct cli_args *args, const char *name)
{
    const char *last = NULL;

    for (size_t k = 0; k < args->value_count; k++)
        if (strcmp(args->values[k].spec->name, name) == 0)
            last = args->values[k].value;
    return last;
}

bool cli_flag(const struct cli_args *args, const char *name)
{
    for (size_t k = 0; k < args->value_count; k++)
        if (strcmp(args->values[k].spec->name, name) == 0)
            return true;
    return false;
}

bool cli_int_option(const struct cli_args *args, const char *name, int64_t min, int64_t max, int64_t fallback,
                    int64_t *out, struct error *err)
{
    const char *text = cli_option(args, name);

    *out = fallback;
    if (text == NULL || str_to_int64(text, min, max, out))
        return true;
    error_set(err, ERROR_USAGE, "--%s %s: expected a whole number from %lld to %lld", name, text,
              (long long)min, (long long)max);
    return false;
}

int cli_fail(const struct error *err)
{
    log_error("%s", err->text);
    return error_exit_code(err);
}

static void print_options(const struct option_spec *specs)
{
    for (; specs != NULL && specs->name != NULL; specs++) {
        char left[64];

        (void)snprintf(left, sizeof left, "%c%c%s --%s%s%s", specs->short_name != 0 ? '-' : ' ',
                       specs->short_name != 0 ? specs->short_name : ' ', specs->short_name != 0 ? "," : " ",
                       specs->name, specs->metavar != NULL ? " " : "",
                       specs->metavar != NULL ? specs->metavar : "");
        printf("  %-28s %s\n", left, specs->help);
    }
}

static void print_indented(const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");

        printf("  %.*s\n", (int)n, text);
        text += n + (text[n] == '\n' ? 1 : 0);
    }
}

void cli_print_command_help(const struct command *command)
{
    printf("cadre %s: %s\n\nUsage: cadre %s %s\n", command->name, command->summary, command->name,
           command->usage);
    if (command->details != NULL)
        printf("\n%s\n", command->details);
    if (command->options != NULL && command->options->name != NULL) {
        printf("\nOptions:\n");
        print_options(command->options);
    }
    printf("\nGlobal options:\n");
    print_options(global_options);
    if (command->example != NULL) {
        printf("\nExample:\n");
        print_indented(command->example);
    }
}

void cli_print_help(void)
{
    printf("cadre %s: a team of coding agents that carries a repository to green CI and merges the result\n\n"
           "Usage: cadre [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n\nCommands:\n",
           CADRE_VERSION);
    for (size_t i = 0; command_table[i] != NULL; i++)
        if (!command_table[i]->is_hidden)
            printf("  %-12s %s\n", command_table[i]->name, command_table[i]->summary);
    printf("\nGlobal options:\n");
    print_options(global_options);
    printf("  %-28s %s\n", "    --version", "print the version");
    printf("\nExit codes: 0 done (run: green and merged) · 1 not converged within limits · 2 usage or configuration\n"
           "error · 3 a gate refuses · 4 model or authentication failure · 5 repository not usable · 130\n"
           "interrupted, resumable.\n\nExample:\n  cadre run \"make the failing tests pass\"\n"
           "  cadre COMMAND --help\n");
}
