/* agent/agent_job.c: see agent_job.h. */
#include "agent/agent_job.h"

#include "agent/role_match.h"
#include "agent/slots.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/json_schema.h"
#include "base/map.h"
#include "base/path.h"
#include "base/random.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "config/role.h"
#include "io/fiber.h"
#include "sandbox/safe_path.h"
#include "store/rollout.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES          ((size_t)8 << 20)
#define MAX_ROWS                10000
#define MAX_ROW_BYTES           ((size_t)256 << 10)
#define DEFAULT_CONCURRENCY     16
#define MAX_CONCURRENCY         64
#define DEFAULT_RUNTIME_SECONDS 1800
#define MAX_SAME_FAILURES       5 /* rows that fail alike one after another end the job */
#define MAX_TOLD_ERRORS         5
#define NICKNAME_BYTES          40

const char *agent_row_state_name(enum row_state state)
{
    static const char *const names[] = {
        [ROW_PENDING] = "pending", [ROW_RUNNING] = "running", [ROW_COMPLETED] = "completed", [ROW_FAILED] = "failed"};

    return names[state];
}

void agent_job_destroy(struct agent_job *job)
{
    if (job == NULL)
        return;
    for (size_t i = 0; job->rows != NULL && i < job->table.row_count; i++) {
        free(job->rows[i].item_id);
        free(job->rows[i].source_id);
        free(job->rows[i].last_error);
        json_decref(job->rows[i].result);
    }
    free(job->rows);
    csv_table_finish(&job->table);
    rollout_close(job->record);
    free(job->id);
    free(job->csv_path);
    free(job->output_path);
    free(job->instruction);
    free(job->id_column);
    free(job->role);
    free(job->model);
    free(job->effort);
    free(job->schema_text);
    json_decref(job->schema);
    free(job->failure);
    free(job->last_failure);
    free(job);
}

/* --- Rows --------------------------------------------------------------------------------------------------------- */

static void name_row(struct agent_job *job, size_t row, int column, struct map *taken)
{
    struct agent_row *r = &job->rows[row];
    const char *value = column < 0 ? "" : job->table.rows[row].fields.items[column];
    char *base = value[strspn(value, " \t")] != '\0' ? xstrdup(value) : xasprintf("row-%zu", row + 1);
    unsigned copy = 2;

    if (value[strspn(value, " \t")] != '\0')
        r->source_id = xstrdup(value);
    r->item_id = xstrdup(base);
    while (map_has(taken, r->item_id)) {
        free(r->item_id);
        r->item_id = xasprintf("%s-%u", base, copy++);
    }
    map_set(taken, r->item_id, r);
    free(base);
}

int agent_job_read_rows(struct agent_job *job, const char *text, size_t n, struct error *err)
{
    struct csv_limits limits = {MAX_ROWS, MAX_ROW_BYTES};
    struct map taken = {0};
    int column = -1;

    if (csv_parse(&job->table, text, n, job->csv_path, &limits, err) < 0)
        return -1;
    if (job->table.row_count == 0)
        return error_set(err, ERROR_PARSE, "%s: there is no row below the names of the columns", job->csv_path);
    if (job->id_column != NULL && (column = csv_column(&job->table, job->id_column)) < 0) {
        char *names = str_list_join(&job->table.header, ", ");

        error_set(err, ERROR_PARSE, "%s: there is no column \"%.80s\" (id_column); the columns are %.400s", job->csv_path,
                  job->id_column, names);
        free(names);
        return -1;
    }
    job->rows = xcalloc(job->table.row_count, sizeof *job->rows);
    for (size_t i = 0; i < job->table.row_count; i++)
        name_row(job, i, column, &taken);
    map_finish(&taken);
    return 0;
}

static size_t count_rows(const struct agent_job *job, enum row_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < job->table.row_count; i++)
        n += job->rows[i].state == state;
    return n;
}

static void set_error(struct agent_row *r, const char *text)
{
    char *clean = redact_text(text, strlen(text), REDACT_ALL, NULL);

    free(r->last_error);
    r->last_error = clean != NULL ? clean : xstrdup(text);
}

/* A record that cannot be written (a full disk) ends the job: it could not be gone on with. */
static void keep_row(struct agent_job *job, size_t row)
{
    struct error err = {0};

    if (agent_job_record_row(job, row, &err) < 0 && job->failure == NULL)
        job->failure = xasprintf("its record cannot be kept: %s", err.text);
}

static void fail_row(struct agent_job *job, size_t row)
{
    struct agent_row *r = &job->rows[row];

    r->state = ROW_FAILED;
    job->same_failures = str_eq(job->last_failure, r->last_error) ? job->same_failures + 1 : 1;
    free(job->last_failure);
    job->last_failure = xstrdup(r->last_error);
    if (job->same_failures >= MAX_SAME_FAILURES && job->failure == NULL)
        job->failure = xasprintf("%d rows one after another failed alike: %s", MAX_SAME_FAILURES, r->last_error);
}

/* --- A row's agent ------------------------------------------------------------------------------------------------ */

void agent_job_fill_spec(const struct agent_node *node, struct agent_spec *spec, struct agent_tools *tools)
{
    tools->form = AGENT_FORM_NONE; /* a row's agent works alone */
    tools->may_spawn = false;
    tools->with_merge = false;
    tools->reports = true;
    tools->report_schema = node->job->schema_text;
    spec->timeout_ms = (uint64_t)node->job->max_runtime_seconds * 1000;
}

static void start_row(struct agent_job *job, size_t row)
{
    struct agent_row *r = &job->rows[row];
    struct error err = {0};
    char *prompt = agent_job_prompt(job, row, &err);
    char id[RANDOM_UUID_BYTES];
    struct buf name = BUF_INIT;

    if (prompt == NULL) {
        set_error(r, err.text);
        fail_row(job, row);
        keep_row(job, row);
        return;
    }
    random_uuid(id);
    utf8_append_printable(&name, r->item_id, utf8_floor(r->item_id, strlen(r->item_id), NICKNAME_BYTES), false);
    r->node = agent_node_create(job->tree, job->owner, id, id, job->role);
    free(r->node->nickname);
    r->node->nickname = buf_take(&name);
    r->node->model = xstrdup(job->model);
    r->node->effort = xstrdup(job->effort);
    r->node->job = job;
    r->node->row = row;
    r->state = ROW_RUNNING;
    r->attempts++;
    job->active++;
    job->tree->spawned++;
    agent_node_input(r->node, prompt);
    free(prompt);
}

static bool takes_rows(const struct agent_job *job)
{
    return !job->is_stopped && !job->is_interrupted && job->failure == NULL && !job->owner->is_closing &&
           !job->tree->is_closing;
}

static void start_rows(struct agent_job *job)
{
    struct agent_tree *tree = job->tree;

    while (job->first_open < job->table.row_count && (job->rows[job->first_open].state == ROW_COMPLETED ||
                                                      job->rows[job->first_open].state == ROW_FAILED))
        job->first_open++;
    for (size_t i = job->first_open;
         i < job->table.row_count && job->active < (size_t)job->max_concurrency && takes_rows(job); i++) {
        if (job->rows[i].state != ROW_PENDING)
            continue;
        if (tree->max_agents > 0 && tree->spawned >= tree->max_agents)
            job->failure = xasprintf("%lld agents were spawned in this session, as many as limits.max_agents allows",
                                     (long long)tree->spawned);
        else
            start_row(job, i);
    }
}

/* NODE is final. */
static void settle_row(struct agent_job *job, size_t row)
{
    struct agent_row *r = &job->rows[row];
    const struct agent_node *node = r->node;

    if (r->result != NULL) {
        r->state = ROW_COMPLETED; /* it is in the record already */
        FREE_NULL(r->last_error);
        job->same_failures = 0;
    } else if (node->status == AGENT_INTERRUPTED || node->status == AGENT_SHUTDOWN) {
        r->state = ROW_PENDING;
        r->attempts--;
        job->is_interrupted = true;
    } else {
        set_error(r, node->status == AGENT_ERRORED ? node->result : "its agent ended without calling " AGENT_REPORT_TOOL);
        r->state = ROW_PENDING;
        if (r->attempts >= AGENT_JOB_ATTEMPTS)
            fail_row(job, row);
        keep_row(job, row);
    }
}

static void take_in_rows(struct agent_job *job)
{
    for (size_t i = job->first_open; i < job->table.row_count && job->active > 0; i++) {
        struct agent_node *node = job->rows[i].node;

        if (node == NULL || !agent_node_is_final(node) || node->is_closing)
            continue;
        settle_row(job, i);
        agent_node_close(node);
        job->rows[i].node = NULL;
        job->active--;
        agent_node_forget(node);
    }
}

static void close_rows(struct agent_job *job)
{
    fiber_shield(true);
    for (size_t i = job->first_open; i < job->table.row_count; i++)
        if (job->rows[i].node != NULL)
            agent_node_close(job->rows[i].node);
    take_in_rows(job);
    fiber_shield(false);
    assert(job->active == 0);
}

void agent_job_report(struct agent_node *node, const struct agent_request *request, struct tool_call *call)
{
    const struct agent_job_request *said = request->job;
    struct agent_job *job = node->job;
    struct agent_row *r;
    struct error err = {0};

    if (job == NULL) {
        agent_call_refuse(call, "this agent works on no row");
        return;
    }
    r = &job->rows[node->row];
    if ((said->resume_job_id != NULL && strcmp(said->resume_job_id, job->id) != 0) ||
        (said->item_id != NULL && strcmp(said->item_id, r->item_id) != 0)) {
        agent_call_refuse(call, "your row is job_id \"%s\", item_id \"%.200s\"", job->id, r->item_id);
    } else if (r->result != NULL) {
        agent_call_answer(call, json_pack("{s:b}", "accepted", 0), NULL);
    } else if (job->schema != NULL && json_schema_validate(job->schema, said->result, &err) < 0) {
        agent_call_refuse(call, "the result does not follow output_schema: %s. Mend it and call again", err.text);
    } else {
        r->result = json_deep_copy(said->result);
        redact_json(r->result);
        clock_format_utc(clock_wall_ms(), r->reported_at);
        r->state = ROW_COMPLETED;
        keep_row(job, node->row);
        r->state = ROW_RUNNING; /* until its agent has ended */
        job->is_stopped = job->is_stopped || said->stops;
        agent_call_accept_report(call);
    }
}

/* --- The job ------------------------------------------------------------------------------------------------------- */

/* PATH of a model as one below CWD; the caller frees. NULL with ERR set. */
static char *path_below(const char *cwd, const char *path, const char *argument, struct error *err)
{
    char *full = path_join(cwd, path);
    char *clean = path_normalize(full);
    char *below = path_is_below(clean, cwd) && strlen(clean) > strlen(cwd) + 1 ? xstrdup(clean + strlen(cwd) + 1) : NULL;

    if (below == NULL)
        error_set(err, ERROR_SANDBOX, "`%s`: %.300s is outside of the working directory %s", argument, path, cwd);
    free(full);
    free(clean);
    return below;
}

static int write_output(const struct agent_job *job, struct error *err)
{
    struct safe_root *root = safe_root_open(job->owner->cwd, err);
    struct buf text = BUF_INIT;
    int rc = -1;

    if (root == NULL)
        return -1;
    agent_job_write_csv(job, &text);
    if (safe_root_make_parents(root, job->output_path, err) == 0)
        rc = safe_root_write_file(root, job->output_path, text.data, text.len, err);
    safe_root_close(root);
    buf_free(&text);
    return rc < 0 ? error_wrap(err, "the output") : 0;
}

static json_t *make_answer(const struct agent_job *job, const char *status)
{
    json_t *answer = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s?}", "job_id", job->id, "status", status,
                               "output_csv_path", job->output_path, "total_items", (json_int_t)job->table.row_count,
                               "completed_items", (json_int_t)count_rows(job, ROW_COMPLETED), "failed_items",
                               (json_int_t)count_rows(job, ROW_FAILED), "job_error", job->failure);
    json_t *errors = json_array();

    for (size_t i = 0; i < job->table.row_count && json_array_size(errors) < MAX_TOLD_ERRORS; i++)
        if (job->rows[i].state == ROW_FAILED)
            json_array_append_new(errors, json_pack("{s:s, s:s?, s:s?}", "item_id", job->rows[i].item_id, "source_id",
                                                    job->rows[i].source_id, "last_error", job->rows[i].last_error));
    if (json_array_size(errors) > 0)
        json_object_set(answer, "failed_item_errors", errors);
    json_decref(errors);
    return answer;
}

/* Writes the output and ends the record, except when the job was interrupted. */
static void end_job(struct agent_op *op, struct agent_job *job)
{
    const char *status = job->failure != NULL ? "failed" : job->is_stopped ? "cancelled" : "completed";
    struct error err = {0};

    if (write_output(job, &err) < 0 && job->failure == NULL) {
        job->failure = xstrdup(err.text);
        status = "failed";
    }
    if (job->is_interrupted) {
        if (op->call != NULL)
            agent_call_refuse(op->call, "the job was interrupted; call again with resume_job_id \"%s\" to go on", job->id);
        return;
    }
    agent_job_record_end(job, status);
    if (op->call != NULL)
        agent_call_answer(op->call, make_answer(job, status), agent_event_json(NULL, 0));
}

static void run_job(struct agent_op *op)
{
    struct agent_job *job = op->job;
    struct error err = {0};

    agent_wait_begin(op->node);
    if (write_output(job, &err) < 0) { /* better now than when all the work is done */
        if (op->call != NULL)
            agent_call_refuse(op->call, "%s", err.text);
        agent_job_record_end(job, "failed");
        job->max_concurrency = 0;
    } else {
        for (;;) {
            start_rows(job);
            if (job->active == 0)
                break;
            if (agent_tree_wait_change(job->tree, &err) < 0) {
                job->is_interrupted = true;
                break;
            }
            take_in_rows(job);
        }
        close_rows(job);
        job->is_interrupted = job->is_interrupted || job->owner->is_closing;
        end_job(op, job);
    }
    (void)agent_wait_end(op->node, NULL);
    (void)vec_remove_item(&job->tree->jobs, job);
    agent_job_destroy(job);
    op->job = NULL;
}

/* --- Beginning ------------------------------------------------------------------------------------------------------ */

static bool can_do_rows(const struct role *role)
{
    return strcmp(role->runner, "native") == 0 && !str_eq(role->isolation, "worktree");
}

static const struct role *choose_role(struct agent_tree *tree, const char *asked, const char *instruction,
                                      struct error *err)
{
    struct role_registry *roles = office_options_of(tree->office)->roles;
    const struct role *role = role_registry_get(roles, asked != NULL ? asked : role_match(roles, instruction), err);

    if (role == NULL || can_do_rows(role))
        return role;
    if (asked == NULL)
        return role_registry_get(roles, "default", err);
    error_set(err, ERROR_CONFIG,
              "role \"%s\" cannot do rows: it %s; choose another agent_type", asked,
              strcmp(role->runner, "native") != 0 ? "is carried by another program, which has not the tool to report with"
                                                  : "works in worktrees of its own, which nobody would merge");
    return NULL;
}

static char *default_output(const char *csv_path, const char *id)
{
    size_t n = str_ends_with(csv_path, ".csv") ? strlen(csv_path) - 4 : strlen(csv_path);

    return xasprintf("%.*s.agent-job-%.8s.csv", (int)n, csv_path, id);
}

static int read_input(struct agent_node *owner, const char *path, struct buf *text, struct error *err)
{
    struct safe_root *root = safe_root_open(owner->cwd, err);
    int rc = root == NULL ? -1 : safe_root_read_file(root, path, text, FILE_MAX_BYTES, err);

    safe_root_close(root);
    return rc;
}

static struct agent_job *make_job(struct agent_node *owner, const struct agent_request *request, struct error *err)
{
    const struct agent_job_request *said = request->job;
    struct agent_tree *tree = owner->tree;
    struct agent_job *job = xcalloc(1, sizeof *job);
    struct buf file = BUF_INIT;
    struct buf schema = BUF_INIT;
    char id[RANDOM_UUID_BYTES];
    char *known = NULL;
    const struct role *role;

    job->tree = tree;
    job->csv_path = path_below(owner->cwd, said->csv_path, "csv_path", err);
    if (job->csv_path == NULL || read_input(owner, job->csv_path, &file, err) < 0)
        goto fail;
    known = agent_job_record_find(tree, job->csv_path, request->message, &file);
    if (known != NULL) {
        agent_job_destroy(job);
        job = agent_job_record_load(tree, known, err);
        goto out;
    }
    random_uuid(id);
    job->id = xstrdup(id);
    job->output_path = said->output_csv_path == NULL ? default_output(job->csv_path, id)
                                                     : path_below(owner->cwd, said->output_csv_path, "output_csv_path", err);
    if (job->output_path == NULL)
        goto fail;
    if (strcmp(job->output_path, job->csv_path) == 0) {
        error_set(err, ERROR_USAGE, "`output_csv_path` is the input itself: name another file");
        goto fail;
    }
    job->instruction = xstrdup(request->message);
    job->id_column = xstrdup(said->id_column);
    job->model = xstrdup(request->model);
    job->effort = xstrdup(request->effort);
    if (said->output_schema != NULL) {
        json_append_value(&schema, said->output_schema);
        job->schema_text = buf_take(&schema);
        job->schema = json_deep_copy(said->output_schema);
    }
    job->max_concurrency = said->max_concurrency > 0 ? said->max_concurrency : DEFAULT_CONCURRENCY;
    job->max_runtime_seconds = said->max_runtime_seconds > 0                ? said->max_runtime_seconds
                               : tree->settings.agents.job_max_runtime_seconds > 0
                                   ? tree->settings.agents.job_max_runtime_seconds
                                   : DEFAULT_RUNTIME_SECONDS;
    role = choose_role(tree, request->role, request->message, err);
    if (role == NULL)
        goto fail;
    job->role = xstrdup(role->name);
    if (agent_job_read_rows(job, buf_cstr(&file), file.len, err) == 0 && agent_job_record_begin(job, &file, err) == 0)
        goto out;
fail:
    agent_job_destroy(job);
    job = NULL;
out:
    free(known);
    buf_free(&file);
    return job;
}

static struct agent_job *resume_job(struct agent_tree *tree, const char *id, struct error *err)
{
    for (size_t i = 0; i < tree->jobs.len; i++) {
        if (strcmp(((const struct agent_job *)tree->jobs.items[i])->id, id) == 0) {
            error_set(err, ERROR_DENIED, "job %s is at work", id);
            return NULL;
        }
    }
    return agent_job_record_load(tree, id, err);
}

/* Every row without a result is done, with all its attempts; those with one are not done again. */
static void open_rows(struct agent_job *job)
{
    for (size_t i = 0; i < job->table.row_count; i++) {
        if (job->rows[i].state == ROW_COMPLETED)
            continue;
        job->rows[i].state = ROW_PENDING;
        job->rows[i].attempts = 0;
    }
}

void agent_job_start(struct agent_node *node, const struct agent_request *request, struct tool_call *call)
{
    struct agent_tree *tree = node->tree;
    int threads = slots_limit(office_slots(tree->office));
    struct error err = {0};
    struct agent_job *job = request->job->resume_job_id != NULL ? resume_job(tree, request->job->resume_job_id, &err)
                                                                : make_job(node, request, &err);
    struct agent_op *op;
    size_t open;

    if (job == NULL) {
        agent_call_refuse(call, "%s", err.text);
        return;
    }
    job->owner = node;
    open_rows(job);
    open = count_rows(job, ROW_PENDING);
    if (tree->max_agents > 0 && tree->spawned + (int64_t)open > tree->max_agents) {
        agent_call_refuse(call, "%zu rows are to be done, and limits.max_agents leaves %lld agents in this session: split the "
                                "file, or have the user raise the limit",
                          open, (long long)(tree->max_agents - tree->spawned));
        agent_job_record_end(job, "failed");
        agent_job_destroy(job);
        return;
    }
    if (job->max_concurrency > MAX_CONCURRENCY)
        job->max_concurrency = MAX_CONCURRENCY;
    if (threads > 0 && job->max_concurrency > threads)
        job->max_concurrency = threads;
    vec_push(&tree->jobs, job);
    op = agent_op_start(node, call, run_job);
    op->job = job;
    op->is_cancellable = true;
}
