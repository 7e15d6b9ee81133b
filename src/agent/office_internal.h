/* agent/office_internal.h: the inside of an office and its sessions, shared by office.c, office_session.c,
 * office_approvals.c and office_carried.c. Not for others. */
#ifndef CADRE_AGENT_OFFICE_INTERNAL_H
#define CADRE_AGENT_OFFICE_INTERNAL_H

#include "agent/runner.h"
#include "base/map.h"
#include "base/vec.h"
#include "config/runner_config.h"
#include "sandbox/approval.h"
#include "sandbox/policy.h"

struct buf;
struct carried_thread;
struct fiber;
struct price_table;
struct provider;
struct role;
struct rollout;
struct thread;
struct tool_set;

struct office {
    struct office_options options;
    struct http_client *http;
    struct mcp_pool *mcp; /* servers of all threads */
    struct slots *slots;
    struct map providers; /* id -> struct provider *, owned */
    struct price_table *prices;
    char *rollout_dir;
    char *state_dir;
    char *replay_url;
    struct vec sessions; /* of struct agent_session *, open ones, borrowed */
    struct inbox *inbox;          /* office_approvals.c */
    struct command_rules *rules;
    bool is_paused;
    int default_turn_seconds;
    int max_turn_steps;
    bool has_told_trust;    /* that AGENTS.md files are not followed */
    int can_nest;           /* sandbox_can_nest(), -1 until it was asked */
    bool has_runner_folder; /* "<run>/runners" was cleared */
};

struct agent_session {
    struct office *office;
    struct thread *thread; /* NULL when another program carries it */
    struct carried_thread *carried;
    struct runner_config runner; /* of the carried thread */
    struct str_list docs_for;    /* the context is made when the worktree is there: with the first question */
    bool has_context;
    char *skills;
    struct sandbox_policy policy;
    struct mcp_toolbox *toolbox; /* NULL: its role has no MCP server */
    struct tool_set *tools;
    struct str_list env;
    struct approval_desk desk;
    char *role;
    char *task;
    char *instructions; /* the role's, and the engine's rule about data */
    int attempt;
    void (*on_text_delta)(void *data, const char *text, size_t n);
    void *delta_data;
    void (*collect_input)(void *data, struct str_list *messages);
    void *input_data;
    bool holds_slot;
    bool has_project_docs;
    /* The turn that a fiber waits for. */
    struct fiber *waiter;
    bool turn_over;
    struct error turn_err;
    bool turn_failed;
};

/* Reports EVENT with the session's ids. */
void session_report_event(struct agent_session *s, const char *thread, const json_t *event);
/* The provider of a role (its file may name another than the configuration), made once; the office's. */
struct provider *office_find_provider(struct office *office, const struct role *role, struct error *err);
/* AGENTS.md: the user's own is followed; a repository's only when the user trusts the project. */
void office_add_docs(struct office *office, const char *root, const struct str_list *paths, struct buf *out);
/* Names and descriptions of the role's skills, or ""; caller frees. */
char *office_skills(const struct office *office, const struct role *role);
/* NULL when there are none, or with a warning. */
struct rollout *office_open_rollout(const struct office *office, const char *id);
uint64_t office_turn_timeout(const struct office *office, const struct agent_spec *spec);

/* Rules files and the inbox (office_approvals.c). */
void office_open_inbox(struct office *office);
void office_close_inbox(struct office *office);
/* Who decides on the commands of S. */
int session_make_desk(struct agent_session *s, const struct role *role, struct error *err);

/* Makes s->carried for a ROLE that another program carries (office_carried.c). */
int office_make_carried(struct agent_session *s, const struct role *role, const struct agent_spec *spec,
                        struct error *err);
void office_finish_carried(struct agent_session *s);

#endif
