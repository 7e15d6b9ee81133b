/* io/jsonrpc_process.h: JSON-RPC with a child process over its standard input and output. */
#ifndef CADRE_IO_JSONRPC_PROCESS_H
#define CADRE_IO_JSONRPC_PROCESS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct jsonrpc;
struct jsonrpc_options;
struct jsonrpc_process;
struct loop;
struct process;

struct jsonrpc_process_options {
    const char *const *argv;
    const char *const *env;
    const char *cwd;
    /* As in jsonrpc.h; `send` is set for you. */
    const struct jsonrpc_options *rpc;
    /* What it writes to standard error, may be NULL (then the last lines are kept for error messages). */
    void (*on_stderr)(void *data, const char *bytes, size_t n);
    /* It has ended by itself; WHY says how ("NAME: exited with code 1: last line of stderr"). Pending
     * requests have failed before. Destroy it in here or later. */
    void (*on_ended)(void *data, const struct error *why);
    void *data;
};

struct jsonrpc_process *
jsonrpc_process_start(struct loop *loop, const struct jsonrpc_process_options *options, struct error *err);
/* Valid until jsonrpc_process_destroy(). */
struct jsonrpc *jsonrpc_process_rpc(struct jsonrpc_process *p);
struct process *jsonrpc_process_process(struct jsonrpc_process *p);

/* Closes its standard input and gives it GRACE_MS to end, then kills its group; for fibers; then destroy. */
void jsonrpc_process_stop(struct jsonrpc_process *p, uint64_t grace_ms);

/* Kills the group, no callback any more, frees. NULL is fine. */
void jsonrpc_process_destroy(struct jsonrpc_process *p);

#endif
