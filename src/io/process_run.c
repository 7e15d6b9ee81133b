/* io/process_run.c: a command from start to end, for fibers and for small tools without one. */
#include "base/alloc.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/process.h"

#include <stdlib.h>

#define DEFAULT_OUTPUT_BYTES ((size_t)16 << 20)

struct process_run {
    struct process_result *result;
    size_t max_output_bytes;
    bool is_over;
    struct fiber *fiber;
};

static void on_output(void *data, int fd, const char *bytes, size_t n)
{
    struct process_run *run = data;
    struct buf *to = fd == 2 ? &run->result->err : &run->result->out;
    size_t room = to->len < run->max_output_bytes ? run->max_output_bytes - to->len : 0;

    if (n > room) {
        n = room;
        run->result->truncated = true;
    }
    buf_append(to, bytes, n);
}

static void on_exit_of_run(void *data, const struct process_exit *exit)
{
    struct process_run *run = data;

    run->result->exit = *exit;
    run->is_over = true;
    if (run->fiber != NULL)
        fiber_wake(run->fiber);
}

int process_run(struct loop *loop, const struct process_run_options *options, struct process_result *result,
                struct error *err)
{
    struct process_run run = {
        .result = result,
        .max_output_bytes = options->max_output_bytes ? options->max_output_bytes : DEFAULT_OUTPUT_BYTES,
        .fiber = fiber_current(),
    };
    struct process_options process_options = {
        .argv = options->argv,
        .env = options->env,
        .cwd = options->cwd,
        .want_stdin = options->input != NULL,
        .merge_stderr = options->merge_stderr,
        .timeout_ms = options->timeout_ms,
        .on_output = on_output,
        .on_exit = on_exit_of_run,
        .data = &run,
    };
    struct process *process;
    int rc = 0;

    *result = (struct process_result){0};
    if (run.fiber != NULL && fiber_is_cancelled(run.fiber) && !fiber_is_shielded())
        return error_set(err, ERROR_CANCELLED, "cancelled");
    process = process_start(loop, &process_options, err);
    if (process == NULL)
        return -1;
    if (options->input != NULL) {
        process_write(process, options->input, options->input_len);
        process_close_stdin(process);
    }
    if (run.fiber == NULL) {
        while (!run.is_over)
            loop_run_once(loop, true);
    } else {
        while (!run.is_over && rc == 0)
            rc = fiber_wait(err);
        if (!run.is_over) {
            /* When this returns, nothing of the child shall be left that still writes to its folder. */
            process_kill(process, 0);
            fiber_shield(true);
            while (!run.is_over)
                fiber_wait(NULL);
            fiber_shield(false);
        }
    }
    process_destroy(process);
    return rc;
}

void process_result_finish(struct process_result *result)
{
    buf_free(&result->out);
    buf_free(&result->err);
}
