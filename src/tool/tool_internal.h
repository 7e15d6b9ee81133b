/* tool/tool_internal.h: how a tool is written. Each file exports `const struct tool tool_NAME`; registry.c lists them. */
#ifndef CADRE_TOOL_INTERNAL_H
#define CADRE_TOOL_INTERNAL_H

#include "base/buf.h"
#include "tool/registry.h"

enum tool_flags {
    TOOL_PARALLEL = 1,   /* calls may run beside others */
    TOOL_WRITES = 2,     /* not given to read-only threads */
    TOOL_SUBMIT = 4,     /* only for who owes it */
    TOOL_FREE_FORM = 8,  /* custom tool where the API has those; then ARGS is {"input": text} */
    TOOL_HIDDEN = 16,    /* understood, but not offered (older names) */
    TOOL_OWN_WORDS = 32, /* answers in our words alone; what others answer is marked as data (base/fence.h) */
    TOOL_WAITS = 64,     /* its result depends on what others do meanwhile */
};

struct tool {
    const char *name;
    const char *description;
    const char *parameters; /* JSON schema text */
    const char *grammar;    /* lark, for free-form tools */
    unsigned flags;
    /* ARGS is an object, valid during the call. Ends with tool_call_finish(), now or later. */
    void (*start)(struct tool_call *call, const json_t *args);
};

struct tool_call {
    const struct tool *tool;
    struct tool_call_context ctx;
    void (*on_done)(void *data, const struct tool_result *result);
    void *data;
    struct buf output;
    struct tool_result result;
    struct tool_change *changes;
    char *image_base64;
    struct timer *deferred;
    /* Set by a tool that waits for something: stops it. */
    void (*cancel)(struct tool_call *call);
    void *state; /* the tool's own */
};

/* Answers with what is in call->output and call->result; the call is freed afterwards. */
void tool_call_finish(struct tool_call *call);
/* Answers with an error text for the model. */
void tool_call_fail(struct tool_call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tool_call_add_change(struct tool_call *call, const char *path, const char *kind);

/* Adds a tool that not every thread has; one that writes stays out of a read-only set. PARAMETERS (taken) replaces its
 * own schema when not NULL. */
void tool_set_add(struct tool_set *set, const struct tool *tool, char *parameters, bool is_hidden);

/* Arguments: false (and the call failed) when one is of another type, or missing where it is needed. What is left out or
 * null leaves *OUT as it is, except tool_take_string(), which sets it to NULL (also for ""). */
bool tool_need_string(struct tool_call *call, const json_t *args, const char *name, const char **out);
bool tool_take_string(struct tool_call *call, const json_t *args, const char *name, const char **out);
bool tool_take_bool(struct tool_call *call, const json_t *args, const char *name, bool *out);
/* A whole number from MIN on; 5.0 is one. */
bool tool_take_int(struct tool_call *call, const json_t *args, const char *name, int64_t min, int64_t *out);

/* Applies a patch text for CALL; answers the model (shared by the tool and the shell command of that name). */
void apply_patch_run(struct tool_call *call, const char *patch);
/* Is CMD an `apply_patch` heredoc? Then its patch text (caller frees), else NULL. */
char *apply_patch_from_command(const char *cmd);

extern const struct tool tool_apply_patch;
extern const struct tool tool_exec_command;
extern const struct tool tool_shell;
extern const struct tool tool_submit_result;
extern const struct tool tool_submit_review;
extern const struct tool tool_update_plan;
extern const struct tool tool_view_image;
extern const struct tool tool_write_stdin;

#endif
