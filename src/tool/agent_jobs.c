/* tool/agent_jobs.c: spawn_agents_on_csv, which runs an agent for each row of a CSV file, and report_agent_job_result, by
 * which such an agent hands in its row's result. Codex had them by these names until 0.145; docs/agents.md says what is
 * added. This side checks arguments; agent/agent_job.c does the work. */
#include "tool/agents.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/json_schema.h"
#include "base/str.h"
#include "tool/tool_internal.h"

#include <stdlib.h>
#include <string.h>

#define MAX_INSTRUCTION_BYTES ((size_t)256 << 10)
#define MAX_SCHEMA_BYTES      ((size_t)64 << 10)
#define MAX_RESULT_BYTES      ((size_t)256 << 10)

void agent_call_accept_report(struct tool_call *call)
{
    buf_puts(&call->output, "{\"accepted\":true}");
    call->result.is_submission = true;
    tool_call_finish(call);
}

static size_t json_bytes(const json_t *value)
{
    struct buf b = BUF_INIT;
    size_t n;

    json_append_value(&b, value);
    n = b.len;
    buf_free(&b);
    return n;
}

static bool take_schema(struct tool_call *call, const json_t *args, const json_t **out)
{
    const json_t *schema = json_object_get(args, "output_schema");
    struct error err = {0};

    if (schema == NULL || json_is_null(schema) || (json_is_object(schema) && json_object_size(schema) == 0))
        return true;
    if (!json_is_object(schema))
        agent_call_refuse(call, "`output_schema` has to be an object: the JSON schema of a result");
    else if (json_bytes(schema) > MAX_SCHEMA_BYTES)
        agent_call_refuse(call, "`output_schema` is larger than %zu bytes", MAX_SCHEMA_BYTES);
    else if (json_schema_check_form(schema, &err) < 0)
        agent_call_refuse(call, "`output_schema`: %s", err.text);
    else
        *out = schema;
    return *out != NULL;
}

static bool need(struct tool_call *call, const json_t *args, const char *name, const char *what, const char **out)
{
    if (!tool_take_string(call, args, name, out))
        return false;
    if (*out != NULL && (*out)[strspn(*out, " \t\r\n")] != '\0')
        return true;
    agent_call_refuse(call, "`%s` is missing or empty: %s", name, what);
    return false;
}

static void start_job(struct tool_call *call, const json_t *args)
{
    struct agent_job_request job = {0};
    struct agent_request request = {.verb = AGENT_VERB_JOB, .args = args, .timeout_ms = -1, .job = &job};

    if (!tool_take_string(call, args, "resume_job_id", &job.resume_job_id))
        return;
    if (job.resume_job_id == NULL &&
        !(need(call, args, "csv_path", "the file with a row for each agent", &job.csv_path) &&
          need(call, args, "instruction", "say what is to be done for a row; {column} stands for its value",
               &request.message)))
        return;
    if (request.message != NULL && strlen(request.message) > MAX_INSTRUCTION_BYTES) {
        agent_call_refuse(call, "`instruction` is larger than %zu bytes: put it into a file and name that",
                          MAX_INSTRUCTION_BYTES);
        return;
    }
    /* max_workers is Codex's second name of max_concurrency. */
    if (tool_take_string(call, args, "id_column", &job.id_column) &&
        tool_take_string(call, args, "output_csv_path", &job.output_csv_path) &&
        tool_take_int(call, args, "max_workers", 1, &job.max_concurrency) &&
        tool_take_int(call, args, "max_concurrency", 1, &job.max_concurrency) &&
        tool_take_int(call, args, "max_runtime_seconds", 1, &job.max_runtime_seconds) &&
        tool_take_string(call, args, "agent_type", &request.role) &&
        tool_take_string(call, args, "model", &request.model) &&
        tool_take_string(call, args, "reasoning_effort", &request.effort) && take_schema(call, args, &job.output_schema))
        agent_call_hand_over(call, &request);
}

static void start_report(struct tool_call *call, const json_t *args)
{
    struct agent_job_request job = {.result = json_object_get(args, "result")};
    struct agent_request request = {.verb = AGENT_VERB_REPORT, .args = args, .timeout_ms = -1, .job = &job};

    if (!json_is_object(job.result))
        agent_call_refuse(call, "`result` is missing: a JSON object is expected");
    else if (json_bytes(job.result) > MAX_RESULT_BYTES)
        agent_call_refuse(call, "`result` is larger than %zu bytes: write a file and name it in the result", MAX_RESULT_BYTES);
    else if (tool_take_string(call, args, "job_id", &job.resume_job_id) &&
             tool_take_string(call, args, "item_id", &job.item_id) && tool_take_bool(call, args, "stop", &job.stops))
        agent_call_hand_over(call, &request);
}

#define STRING "{\"type\":\"string\"}"
#define TEXT(s) "{\"type\":\"string\",\"description\":\"" s "\"}"
#define NUMBER(s) "{\"type\":\"integer\",\"description\":\"" s "\"}"

static const struct tool spawn_agents_on_csv = {
    .name = "spawn_agents_on_csv",
    .description = "Runs one agent for each row of a CSV file (its first row names the columns), several at once, waits for "
                   "all and writes a CSV file with their results. A row whose agent fails or reports nothing is tried "
                   "again, three times at most.",
    .parameters =
        "{\"type\":\"object\",\"properties\":{\"csv_path\":" STRING
        ",\"instruction\":" TEXT("What an agent is to do; {column} stands for the row's value, {{ and }} for braces")
        ",\"id_column\":" TEXT("The column that names a row") ",\"output_csv_path\":" STRING
        ",\"output_schema\":{\"type\":\"object\",\"description\":\"JSON schema of a row's result\"}"
        ",\"max_concurrency\":" NUMBER("16 when left out; never more than the limit of threads")
        ",\"max_runtime_seconds\":" NUMBER("For a row; 1800 when left out")
        ",\"agent_type\":" TEXT("A role; left out: by the instruction") ",\"model\":" STRING ",\"reasoning_effort\":" STRING
        ",\"resume_job_id\":" TEXT("Goes on with that job of this session: rows without a result are done")
        "},\"required\":[\"csv_path\",\"instruction\"],\"additionalProperties\":false}",
    .flags = TOOL_PARALLEL | TOOL_WRITES | TOOL_WAITS,
    .start = start_job,
};

#define REPORT(result)                                                                                                     \
    "{\"type\":\"object\",\"properties\":{\"job_id\":" STRING ",\"item_id\":" STRING ",\"result\":" result                 \
    ",\"stop\":{\"type\":\"boolean\",\"description\":\"No further rows are to be done\"}},\"required\":[\"job_id\","     \
    "\"item_id\",\"result\"],\"additionalProperties\":false}"

static const struct tool report_agent_job_result = {
    .name = AGENT_REPORT_TOOL,
    .description = "Hands in the result of your row and ends your work. Call it exactly once.",
    .parameters = REPORT("{\"type\":\"object\"}"),
    .flags = TOOL_OWN_WORDS,
    .start = start_report,
};

void tool_set_add_jobs(struct tool_set *set, bool may_spawn)
{
    tool_set_add(set, &spawn_agents_on_csv, NULL, !may_spawn);
}

void tool_set_add_report(struct tool_set *set, const char *result_schema)
{
    char *parameters = result_schema == NULL ? NULL : xasprintf(REPORT("%s"), result_schema);

    tool_set_add(set, &report_agent_job_result, parameters, false);
}

bool agent_tool_is_job(const char *name)
{
    return strcmp(name, spawn_agents_on_csv.name) == 0;
}
