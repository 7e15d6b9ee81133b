/* agent/agent_job.h: an agent for each row of a CSV file (spawn_agents_on_csv), for the files of the agent tree.
 *
 *             start             reported                          PENDING: also a row whose agent was interrupted
 *   PENDING ---------> RUNNING ----------> COMPLETED
 *      ^                  | ended without a report, or failed
 *      +------------------+------------------> FAILED (after AGENT_JOB_ATTEMPTS)
 *
 * A job is an op of the agent that called: a fiber that starts rows while there is room and takes in those that ended. In
 * SESSION/jobs/ID.csv stands the file as it was, in SESSION/jobs/ID.jsonl what became of each row; a result is there before
 * its agent is told that it was taken. A job whose record has no end is gone on with by a later call. */
#ifndef CADRE_AGENT_AGENT_JOB_H
#define CADRE_AGENT_AGENT_JOB_H

#include "agent/agent_tree_internal.h"
#include "base/clock.h"
#include "base/csv.h"

#define AGENT_JOB_ATTEMPTS 3

enum row_state { ROW_PENDING, ROW_RUNNING, ROW_COMPLETED, ROW_FAILED };

struct agent_row {
    char *item_id;   /* unique in the job */
    char *source_id; /* value of the id column, or NULL */
    enum row_state state;
    int attempts;
    char *last_error; /* or NULL */
    json_t *result;   /* or NULL */
    char reported_at[CLOCK_TEXT_BYTES]; /* "" */
    struct agent_node *node; /* while it runs */
};

struct agent_job {
    struct agent_tree *tree;
    struct agent_node *owner;
    char *id;
    char *csv_path; /* below the owner's working directory, as is the next */
    char *output_path;
    char *instruction;
    char *id_column; /* or NULL */
    char *role;
    char *model; /* or NULL */
    char *effort;
    char *schema_text; /* of a result, or NULL */
    json_t *schema;
    int64_t max_concurrency;
    int64_t max_runtime_seconds;
    struct csv_table table;
    struct agent_row *rows; /* table.row_count of them */
    size_t first_open;      /* every row before it is completed or failed */
    size_t active;
    size_t same_failures; /* rows one after another that failed alike ... */
    char *last_failure;   /* ... with this */
    bool is_stopped;      /* an agent asked for it */
    bool is_interrupted;
    bool has_ended; /* its record says so */
    char *failure;  /* why no further rows are done, or NULL */
    struct rollout *record; /* NULL: nothing is kept */
};

/* --- agent_job.c --- */

const char *agent_row_state_name(enum row_state state);
/* Reads TEXT as the job's file and makes its rows. */
int agent_job_read_rows(struct agent_job *job, const char *text, size_t n, struct error *err);
void agent_job_destroy(struct agent_job *job); /* NULL is fine */

/* --- agent_job_text.c --- */

/* The instruction with ROW's values in it. */
int agent_job_render(const struct agent_job *job, size_t row, struct buf *out, struct error *err);
/* What the agent of ROW is asked. */
char *agent_job_prompt(const struct agent_job *job, size_t row, struct error *err);
/* The output file. */
void agent_job_write_csv(const struct agent_job *job, struct buf *out);

/* --- agent_job_record.c --- */

/* Begins the record of a new job; FILE is its CSV text. Without a session folder nothing is kept. */
int agent_job_record_begin(struct agent_job *job, const struct buf *file, struct error *err);
/* ROW as it is now; on the disk when it returns. */
int agent_job_record_row(struct agent_job *job, size_t row, struct error *err);
void agent_job_record_end(struct agent_job *job, const char *status);
/* The job ID of an earlier call. NULL with ERR set (ERROR_NOT_FOUND). */
struct agent_job *agent_job_record_load(struct agent_tree *tree, const char *id, struct error *err);
/* The id of the newest job without an end for the same file and instruction, or NULL; the caller frees. */
char *agent_job_record_find(struct agent_tree *tree, const char *csv_path, const char *instruction, const struct buf *file);
/* Leaves word of every job without an end in the main thread's mail. */
void agent_job_record_tell(struct agent_tree *tree);

#endif
