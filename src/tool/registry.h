/* tool/registry.h: what a model can call: the tools, the selection of a role, one call.
 *
 * A call is asynchronous: tool_call_start() returns at once and on_done comes later, never within the call. Input that a
 * model gets wrong (unknown tool, bad JSON, a missing argument) is answered with a text for the model, never an error of
 * the program. */
#ifndef CADRE_TOOL_REGISTRY_H
#define CADRE_TOOL_REGISTRY_H

#include "base/error.h"
#include "base/str.h"
#include "model/conversation.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct approval_desk;
struct buf;
struct agent_host;
struct loop;
struct sandbox_policy;
struct tool_call;
struct tool_session; /* what a thread's tools keep between calls: running commands */
struct tool_set;

struct tool_call_context { /* borrowed until the call is done */
    struct loop *loop;
    const char *thread_id;
    const char *role;
    const char *task; /* or NULL */
    const char *cwd;  /* absolute: the thread's working directory */
    const struct sandbox_policy *policy;
    const char *const *env; /* of commands */
    struct tool_session *session;
    const struct approval_desk *desk; /* who decides whether a command may run; NULL: all run in the sandbox */
    const struct agent_host *agents; /* tool/agents.h; NULL: this thread works alone */
};

struct tool_change { /* for file_change events */
    char *path;
    const char *kind; /* "add", "delete", "update" */
};

struct tool_result { /* strings are borrowed for the callback */
    const char *output; /* for the model */
    size_t output_len;
    bool is_error;
    bool is_submission;  /* a submit tool took it: the work is over */
    const char *image_mime; /* an image that goes with the answer, or NULL */
    const char *image_base64;
    int exit_code; /* of a command; -1 when it runs still or was killed */
    const struct tool_change *changes;
    size_t change_count;
    const json_t *agents; /* of an agent tool: what its event says, see tool/agents.h; or NULL */
};

/* The tools of a thread: commands and patches (unless READ_ONLY leaves patches out), the plan, images, and the submit
 * tool OWES (or NULL). */
struct tool_set *tool_set_create(const char *owes, bool read_only);
void tool_set_destroy(struct tool_set *set);

/* Does SET have a tool of that name? */
bool tool_set_has(const struct tool_set *set, const char *name);

/* The tool list in the form of WIRE, for conversation_create(); "[]"-like JSON text, caller frees. */
char *tool_set_wire_json(const struct tool_set *set, enum wire_api wire);

/* May calls of tool NAME run beside each other? */
bool tool_set_is_parallel_safe(const struct tool_set *set, const char *name);

/* Appends OUTPUT of tool NAME as a model gets it: what comes from outside is marked as data with its source; the head that
 * the engine writes before a command's output stays as it is. */
void tool_append_for_model(struct buf *out, const struct tool_set *set, const char *name, const char *output, size_t n);
/* Does tool NAME wait for what others do? Calling it again and again is then no sign of a loop. */
bool tool_set_waits(const struct tool_set *set, const char *name);

/* NAME without the prefix that some models put before it ("functions.", "multi_agent_v1."). */
const char *tool_plain_name(const char *name);

struct tool_session *tool_session_create(struct loop *loop);
void tool_session_destroy(struct tool_session *session); /* kills what runs; NULL is fine */

/* ARGUMENTS is JSON text, or the free-form input when CUSTOM. */
struct tool_call *tool_call_start(const struct tool_set *set, const struct tool_call_context *ctx, const char *name,
                                  const char *arguments, bool custom,
                                  void (*on_done)(void *data, const struct tool_result *result), void *data);
void tool_call_cancel(struct tool_call *call); /* no callback any more; NULL is fine */

/* A hash of an output that leaves out what differs from call to call (times, chunk ids), to see repetition. */
uint64_t tool_output_fingerprint(const char *output, size_t n);

#endif
