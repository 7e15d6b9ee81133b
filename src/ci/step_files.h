/* ci/step_files.h: how a step talks back: files named by GITHUB_ENV, GITHUB_OUTPUT, GITHUB_PATH,
 * GITHUB_STATE, and "::command::" lines in its output. All of it is text from the tree under test. */
#ifndef CADRE_CI_STEP_FILES_H
#define CADRE_CI_STEP_FILES_H

#include "base/error.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Adds "NAME=value" and "NAME<<DELIMITER ... DELIMITER" entries of TEXT to VALUES. */
int step_file_parse(const char *text, json_t *values, struct error *err);

/* What commands in the output change. */
struct step_effects {
    json_t *env;                 /* borrowed: set-env */
    json_t *outputs;             /* borrowed: set-output */
    json_t *state;               /* borrowed: save-state, or NULL */
    struct str_list *path;       /* borrowed: add-path */
    struct str_list *masks;      /* borrowed: add-mask */
    struct str_list *annotations; /* borrowed: "error file:line:column: message" */
    bool allow_insecure;         /* set-env and add-path are honoured (ACTIONS_ALLOW_UNSECURE_COMMANDS) */
    bool is_environment;         /* the step says that the machine lacks something */
    char *environment_reason;    /* owned */
};

/* Reads the whole output of one step, line by line. */
void step_commands_read(const char *output, size_t n, struct step_effects *effects);

/* Appends the output with masked values replaced by ***. */
void step_output_mask(struct buf *out, const char *text, size_t n, const struct str_list *masks);

#endif
