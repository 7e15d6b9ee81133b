/* agent/rpc_program.h: a program in its box that speaks JSON-RPC on its standard input and output, for the life of a thread
 * (runner_acp.c, runner_app_server.c). What it sends and what it makes us answer is bounded for each turn. */
#ifndef CADRE_AGENT_RPC_PROGRAM_H
#define CADRE_AGENT_RPC_PROGRAM_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct carried_thread;
struct jsonrpc;
struct jsonrpc_options;
struct rpc_program;
struct str_list;

/* ARGV is run in the thread's box, in its worktree. SERVE: what answers its calls (`send` is set for you). */
struct rpc_program *rpc_program_start(struct carried_thread *thread, const struct str_list *argv,
                                      const struct jsonrpc_options *serve, struct error *err);
void rpc_program_destroy(struct rpc_program *p); /* kills its group; NULL is fine */

struct jsonrpc *rpc_program_rpc(struct rpc_program *p);
/* A new turn. -1 with why, when it has ended. */
int rpc_program_begin_turn(struct rpc_program *p, struct error *err);
/* The handshake is over: from now on its end is not its configuration's fault. */
void rpc_program_set_ready(struct rpc_program *p);
bool rpc_program_is_ready(const struct rpc_program *p);

/* Sends METHOD and waits. PARAMS (JSON text) is taken. 0 with rpc_program_result() set; -1 with ERR, and with
 * rpc_program_refusal() when the program said no. TIMEOUT_MS 0: none. */
int rpc_program_ask(struct rpc_program *p, const char *method, char *params, uint64_t timeout_ms,
                    struct error *err);
const json_t *rpc_program_result(const struct rpc_program *p);  /* NULL: none */
const json_t *rpc_program_refusal(const struct rpc_program *p); /* its error object, or NULL */

/* Waits, also in a cancelled fiber, until IS_OVER says so or the program ended; kills it after GRACE_MS. */
void rpc_program_wait_over(struct rpc_program *p, uint64_t grace_ms, bool (*is_over)(void *data), void *data);
bool rpc_program_has_answer(const struct rpc_program *p); /* to the last ask */
bool rpc_program_has_ended(const struct rpc_program *p);
void rpc_program_kill(struct rpc_program *p);

#endif
