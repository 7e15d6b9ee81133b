/* agent/agent_job_record.c: what is kept of a job, so that a later process goes on with it: the file as it was, and a line
 * for what became of each row. */
#include "agent/agent_job.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "store/rollout.h"

#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES ((size_t)16 << 20)
#define RECORD_SUFFIX  ".jsonl"

static char *jobs_dir(const struct agent_tree *tree)
{
    return path_join(tree->session_dir, "jobs");
}

/* "<session>/jobs/<id><suffix>" */
static char *file_of(const struct agent_tree *tree, const char *id, const char *suffix)
{
    return xasprintf("%s/jobs/%s%s", tree->session_dir, id, suffix);
}

static bool is_id(const char *text)
{
    return text[0] != '\0' && strlen(text) < 64 && text[strspn(text, "0123456789abcdef-")] == '\0';
}

static int write_line(struct agent_job *job, const char *type, json_t *payload, struct error *err)
{
    struct buf b = BUF_INIT;
    int rc = 0;

    if (job->record != NULL) {
        json_append_value(&b, payload);
        rollout_add(job->record, type, b.data, b.len);
        rc = rollout_flush(job->record, err);
    }
    buf_free(&b);
    json_decref(payload);
    return rc;
}

int agent_job_record_begin(struct agent_job *job, const struct buf *file, struct error *err)
{
    char *dir;
    char *copy;
    char *path;
    int rc = -1;

    if (job->tree->session_dir == NULL)
        return 0;
    dir = jobs_dir(job->tree);
    copy = file_of(job->tree, job->id, ".csv");
    path = file_of(job->tree, job->id, RECORD_SUFFIX);
    if (file_make_directories(dir, 0700, err) == 0 && file_write_atomic(copy, file->data, file->len, 0600, err) == 0 &&
        (job->record = rollout_open(path, err)) != NULL)
        rc = write_line(job, "job",
                        json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s, s:s?, s:s?, s:s?, s:I, s:I}", "id", job->id, "csv_path",
                                  job->csv_path, "output_csv_path", job->output_path, "instruction", job->instruction,
                                  "id_column", job->id_column, "role", job->role, "model", job->model, "effort", job->effort,
                                  "output_schema", job->schema_text, "max_concurrency", (json_int_t)job->max_concurrency,
                                  "max_runtime_seconds", (json_int_t)job->max_runtime_seconds),
                        err);
    free(dir);
    free(copy);
    free(path);
    return rc < 0 ? error_wrap(err, "the record of the job") : 0;
}

int agent_job_record_row(struct agent_job *job, size_t row, struct error *err)
{
    const struct agent_row *r = &job->rows[row];

    return write_line(job, "row",
                      json_pack("{s:I, s:s, s:i, s:s?, s:O?, s:s}", "row", (json_int_t)row, "status",
                                agent_row_state_name(r->state), "attempts", r->attempts, "error", r->last_error, "result",
                                r->result, "reported_at", r->reported_at),
                      err);
}

void agent_job_record_end(struct agent_job *job, const char *status)
{
    struct error err = {0};

    job->has_ended = true;
    if (write_line(job, "job.ended", json_pack("{s:s}", "status", status), &err) < 0)
        log_warning("the record of job %s: %s", job->id, err.text);
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */

static void take_head(struct agent_job *job, const json_t *said)
{
    const char *schema = json_get_string(said, "output_schema", NULL);

    job->csv_path = xstrdup(json_get_string(said, "csv_path", ""));
    job->output_path = xstrdup(json_get_string(said, "output_csv_path", ""));
    job->instruction = xstrdup(json_get_string(said, "instruction", ""));
    job->id_column = xstrdup(json_get_string(said, "id_column", NULL));
    job->role = xstrdup(json_get_string(said, "role", "default"));
    job->model = xstrdup(json_get_string(said, "model", NULL));
    job->effort = xstrdup(json_get_string(said, "effort", NULL));
    job->schema_text = xstrdup(schema);
    job->schema = schema == NULL ? NULL : json_parse(schema, strlen(schema), "output_schema", NULL);
    job->max_concurrency = json_get_int(said, "max_concurrency", 1);
    job->max_runtime_seconds = json_get_int(said, "max_runtime_seconds", 1);
}

static void take_row(struct agent_job *job, const json_t *said)
{
    int64_t index = json_get_int(said, "row", -1);
    const char *state = json_get_string(said, "status", "");
    const char *at = json_get_string(said, "reported_at", "");
    struct agent_row *r;

    if (index < 0 || (uint64_t)index >= job->table.row_count)
        return;
    r = &job->rows[index];
    r->state = strcmp(state, "completed") == 0 ? ROW_COMPLETED : strcmp(state, "failed") == 0 ? ROW_FAILED : ROW_PENDING;
    r->attempts = (int)json_get_int(said, "attempts", 0);
    free(r->last_error);
    r->last_error = xstrdup(json_get_string(said, "error", NULL));
    json_decref(r->result);
    r->result = json_is_object(json_object_get(said, "result")) ? json_deep_copy(json_object_get(said, "result")) : NULL;
    if (strlen(at) < sizeof r->reported_at)
        memcpy(r->reported_at, at, strlen(at) + 1);
    if (r->state == ROW_COMPLETED && r->result == NULL)
        r->state = ROW_PENDING;
}

struct reading {
    struct agent_job *job;
    struct error *err;
    bool is_bad;
    bool heads_only;
};

static int read_copy(struct agent_job *job, struct error *err)
{
    char *path = file_of(job->tree, job->id, ".csv");
    struct buf text = BUF_INIT;
    int rc = file_read(path, &text, FILE_MAX_BYTES, err) == 0 ? agent_job_read_rows(job, text.data, text.len, err) : -1;

    buf_free(&text);
    free(path);
    return rc;
}

static bool on_line(void *data, const char *timestamp, const char *type, const json_t *payload)
{
    struct reading *reading = data;
    struct agent_job *job = reading->job;

    (void)timestamp;
    if (strcmp(type, "job") == 0 && job->csv_path == NULL) {
        take_head(job, payload);
        reading->is_bad = !reading->heads_only && read_copy(job, reading->err) < 0;
    } else if (strcmp(type, "row") == 0) {
        take_row(job, payload);
    }
    job->has_ended = strcmp(type, "job.ended") == 0; /* a later call may have gone on with it */
    return !reading->is_bad;
}

static struct agent_job *load(struct agent_tree *tree, const char *id, bool heads_only, struct error *err)
{
    struct agent_job *job = xcalloc(1, sizeof *job);
    struct reading reading = {.job = job, .err = err, .heads_only = heads_only};
    char *path = NULL;
    int rc = -1;

    job->tree = tree;
    job->id = xstrdup(id);
    if (tree->session_dir != NULL && is_id(id)) {
        path = file_of(tree, id, RECORD_SUFFIX);
        if (file_is_regular(path))
            rc = rollout_read(path, on_line, &reading, err);
    }
    if (rc == 0 && !reading.is_bad && job->csv_path != NULL) {
        free(path);
        return job;
    }
    if (!error_is_set(err))
        error_set(err, ERROR_NOT_FOUND, "no job \"%.80s\" was kept in this session", id);
    free(path);
    agent_job_destroy(job);
    return NULL;
}

struct agent_job *agent_job_record_load(struct agent_tree *tree, const char *id, struct error *err)
{
    struct agent_job *job = load(tree, id, false, err);
    char *path;

    if (job == NULL)
        return NULL;
    path = file_of(tree, id, RECORD_SUFFIX);
    job->record = rollout_open(path, err);
    free(path);
    if (job->record != NULL && write_line(job, "job.resumed", json_object(), err) == 0)
        return job;
    agent_job_destroy(job);
    return NULL;
}

static bool is_active(const struct agent_tree *tree, const char *id)
{
    for (size_t i = 0; i < tree->jobs.len; i++)
        if (strcmp(((const struct agent_job *)tree->jobs.items[i])->id, id) == 0)
            return true;
    return false;
}

/* Calls CB for the head of each job that has no end; CB returns false to stop. */
static void each_open_job(struct agent_tree *tree, bool (*cb)(void *data, const struct agent_job *job), void *data)
{
    struct str_list names = {0};
    char *dir;
    bool goes_on = true;

    if (tree->session_dir == NULL)
        return;
    dir = jobs_dir(tree);
    if (file_is_directory(dir))
        (void)file_list_directory(dir, &names, NULL);
    for (size_t i = 0; i < names.len && goes_on; i++) {
        char *id = str_ends_with(names.items[i], RECORD_SUFFIX)
                       ? xstrndup(names.items[i], strlen(names.items[i]) - strlen(RECORD_SUFFIX))
                       : NULL;
        struct error err = {0};
        struct agent_job *job = id == NULL || is_active(tree, id) ? NULL : load(tree, id, true, &err);

        if (job != NULL && !job->has_ended)
            goes_on = cb(data, job);
        else if (error_is_set(&err))
            log_warning("a job's record: %s", err.text);
        agent_job_destroy(job);
        free(id);
    }
    str_list_finish(&names);
    free(dir);
}

struct wanted {
    const char *csv_path;
    const char *instruction;
    const struct buf *file;
    char *id;
};

static bool match(void *data, const struct agent_job *job)
{
    struct wanted *w = data;
    char *path = file_of(job->tree, job->id, ".csv");
    struct buf text = BUF_INIT;

    if (strcmp(job->csv_path, w->csv_path) == 0 && strcmp(job->instruction, w->instruction) == 0 &&
        file_read(path, &text, FILE_MAX_BYTES, NULL) == 0 && text.len == w->file->len &&
        (text.len == 0 || memcmp(text.data, w->file->data, text.len) == 0))
        w->id = xstrdup(job->id);
    buf_free(&text);
    free(path);
    return w->id == NULL;
}

char *agent_job_record_find(struct agent_tree *tree, const char *csv_path, const char *instruction, const struct buf *file)
{
    struct wanted wanted = {csv_path, instruction, file, NULL};

    each_open_job(tree, match, &wanted);
    return wanted.id;
}

static bool tell(void *data, const struct agent_job *job)
{
    struct agent_tree *tree = data;
    json_t *said = json_pack("{s:s, s:s, s:s, s:s}", "job_id", job->id, "csv_path", job->csv_path, "status", "interrupted",
                             "next", "spawn_agents_on_csv with resume_job_id goes on with it: finished rows are not done again");
    struct buf b = BUF_INIT;

    buf_puts(&b, "<agent_job_notification>\n");
    json_append_value(&b, said);
    buf_puts(&b, "\n</agent_job_notification>");
    agent_mail_add(tree->root, tree->root, b.data, false);
    json_decref(said);
    buf_free(&b);
    return true;
}

void agent_job_record_tell(struct agent_tree *tree)
{
    each_open_job(tree, tell, tree);
}
