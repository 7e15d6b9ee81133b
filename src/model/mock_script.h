/* model/mock_script.h: what the mock model says, read from JSON (docs/mock.md describes the format).
 *
 * Rules are tried in order; the first that matches answers. A request is described by role, task and attempt
 * (headers), and by its turn: how many answers of the model stand in its input already. All of that comes
 * with the request, so a retried or resumed run meets the same rule. Only `times` and faults count. */
#ifndef CADRE_MODEL_MOCK_SCRIPT_H
#define CADRE_MODEL_MOCK_SCRIPT_H

#include "base/buf.h"
#include "base/error.h"
#include "model/conversation.h"
#include "model/usage.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mock_call {
    char *name;
    char *arguments; /* JSON text; NULL when `input` is set */
    char *input;     /* free form */
};

struct mock_reply {
    char *message, *reasoning;
    char *incomplete;     /* reason, or NULL */
    int64_t after_finals; /* held back until so many answers without a call were given; 0: not */
    struct mock_call *calls;
    size_t call_count;
    struct usage usage;
    bool has_usage;
};

struct mock_fault {
    int status;                                                   /* 0: none */
    double retry_after_s;                                         /* < 0: none */
    char *body;                                                   /* JSON text, or NULL */
    int64_t cut_after_bytes, cut_after_events, hang_after_events; /* -1: no */
    int64_t delay_ms;
    bool dribble, malformed_event, close, overloaded;
    int64_t times; /* how many requests meet it; -1: all */
};

struct mock_rule {
    char *role, *task, *model, *input_contains, *last_contains; /* NULL: any */
    int64_t attempt, turn, turn_below;                          /* -1: any */
    int64_t times;                                              /* -1: any number */
    int64_t used, fault_used;
    char *input; /* cassette: what was new in the recorded request; else NULL */
    bool has_fault, has_reply;
    struct mock_fault fault;
    struct mock_reply reply;
};

struct mock_script {
    struct mock_rule *rules;
    size_t rule_count;
    double requests_per_second; /* 0: no limit */
    double burst;
    int64_t latency_ms; /* before every answer */
    bool needs_text;    /* some rule looks into the input, or a template does */
    bool is_cassette;   /* each rule is one recorded exchange (model/cassette.h) */
    bool is_strict;     /* a request that differs from the recorded one is refused */
};

/* What a rule is matched against. */
struct mock_request {
    enum wire_api wire;
    const char *role, *task, *model; /* "" when absent */
    int64_t attempt;                 /* -1: not said */
    int64_t turn;
    int64_t arrived_us;  /* monotonic; for the log */
    struct buf text;     /* the input's texts, one a line */
    size_t last_offset;  /* where those after the model's last answer begin */
    char *cwd;           /* from <cwd>...</cwd> in the input, or NULL */
    const json_t *tools; /* borrowed from the body */
    size_t body_bytes;
    const json_t *body; /* borrowed; for the log, may be NULL */
};

/* NULL with ERR set: "FILE: rules[3].match: unknown key ...". */
struct mock_script *mock_script_parse(const char *text, size_t n, const char *where, struct error *err);
struct mock_script *mock_script_load(const char *path, struct error *err);
void mock_script_destroy(struct mock_script *script);

/* Reads a request's body (BODY stays the owner of `model` and `tools`). */
void mock_request_read(struct mock_request *request, enum wire_api wire, const json_t *body, bool wants_text);
void mock_request_finish(struct mock_request *request);

/* The first rule that matches, NULL when none does. Does not count. */
struct mock_rule *mock_script_match(const struct mock_script *script, const struct mock_request *request);

/* Cassette: where REQUEST differs from what RULE recorded, for people; NULL when it does not. Caller frees. */
char *mock_rule_divergence(const struct mock_rule *rule, const struct mock_request *request);

/* TEXT with {{cwd}}, {{role}}, {{task}}, {{attempt}}, {{turn}} and {{model}} filled in; AS_JSON: TEXT is JSON
 * and what is filled in is escaped. Caller frees. */
char *mock_fill_template(const char *text, const struct mock_request *request, bool as_json);

#endif
