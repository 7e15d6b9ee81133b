/* sandbox/approval.h: may a command run, in the box or out of it, or must somebody be asked?
 *
 *     untrusted    commands known to be safe (read-only, by the shell's syntax) run; all others are asked for
 *     on-request   everything runs in the box; who wants out of it asks (sandbox_permissions = "require_escalated")
 *     on-failure   as on-request
 *     never        everything runs in the box; nobody is asked, and who wants out is refused
 *     granular     as on-request, but what is not allowed to be asked is refused
 *
 * Rules (sandbox/command_rules.h) come first: `forbidden` refuses, `prompt` asks (and refuses where nobody may be asked),
 * `allow` runs without a question and outside of the box, unless the box is read-only. What prompts or forbids is also looked
 * for in scripts that are not plain, and behind programs that start others. */
#ifndef CADRE_SANDBOX_APPROVAL_H
#define CADRE_SANDBOX_APPROVAL_H

#include "base/error.h"
#include "base/str.h"
#include "sandbox/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command_rules;

/* From tight to wide; comparable: a tighter one asks the person more, and `never` lets nobody out. */
enum approval_kind { APPROVAL_NEVER, APPROVAL_UNTRUSTED, APPROVAL_GRANULAR, APPROVAL_ON_REQUEST, APPROVAL_ON_FAILURE };

struct approval_policy {
    enum approval_kind kind;
    /* granular: what may be asked */
    bool may_ask_sandbox, may_ask_rules;
};

int approval_policy_parse(const char *name, struct approval_policy *out, struct error *err);
const char *approval_policy_name(const struct approval_policy *policy);

/* The tightest of both. */
struct approval_policy approval_policy_tightest(const struct approval_policy *a, const struct approval_policy *b);
enum sandbox_mode sandbox_mode_tightest(enum sandbox_mode a, enum sandbox_mode b);

/* Is the command one that only reads, whatever its arguments do? */
bool command_is_known_safe(const struct str_list *words);

enum approval_verdict {
    APPROVAL_RUN,         /* in the box */
    APPROVAL_RUN_OUTSIDE, /* a rule allows it */
    APPROVAL_ASK,         /* then outside of the box when it was asked for, else inside */
    APPROVAL_REFUSE,
};

struct approval_question {
    const char *const *argv;
    bool wants_out; /* sandbox_permissions = "require_escalated" */
    enum sandbox_mode mode;
};

/* REASON gets words for the model or the person ("" where none are needed); the caller frees it. */
enum approval_verdict approval_decide(const struct approval_policy *policy, const struct command_rules *rules,
                                      const struct approval_question *question, char **reason);

/* --- Asking somebody: handed to tools by who can ask ------------------------------------------------------ */

struct approval_wait;

struct approval_request { /* borrowed for the call */
    const char *thread, *role, *task; /* TASK may be NULL */
    const char *command; /* as a person reads it */
    const char *cwd;
    const char *reason;  /* the model's justification, or why it is asked */
    bool outside;        /* it would run outside of the box */
    const struct str_list *prefix; /* an approval for the run would allow what begins so; may be NULL */
    struct command_rules *rules;   /* where such an answer is noted; may be NULL */
};

struct approval_desk {
    /* Asks. ON_ANSWER comes once, never within the call, unless cancelled. WHY is for the model. */
    struct approval_wait *(*ask)(void *data, const struct approval_request *request,
                                 void (*on_answer)(void *answer_data, bool is_allowed, const char *why), void *answer_data);
    void (*cancel)(void *data, struct approval_wait *wait);
    void *data;
    struct approval_policy policy;
    struct command_rules *rules; /* may be NULL */
};

#endif
