/* ci/job_inputs.c: see job_inputs.h. */
#include "ci/job_inputs.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "ci/event_filter.h"
#include "ci/sha256.h"
#include "git/safe_git.h"
#include "io/process.h"

#include <stdlib.h>
#include <string.h>

#define LIST_TIMEOUT_MS 60000

struct job_inputs {
    char *tree_id;
    struct buf files; /* "MODE TYPE ID\tPATH\0" each; empty when they were not asked for or cannot be had */
};

/* The path filters of the workflow that the event runs; NULL when there are none. A tag has no changed paths. */
static const struct yaml_node *filters_of(const struct ci_plan *plan, const struct workflow *root)
{
    const json_t *github = json_object_get(plan->contexts, "github");
    const char *event = json_string_value(json_object_get(github, "event_name"));
    const char *kind = json_string_value(json_object_get(github, "ref_type"));

    if (root == NULL || root->is_literal || event == NULL || str_eq(kind, "tag"))
        return NULL;
    return event_path_filters(root->on, event);
}

static bool uses_own_action(const struct workflow_job *job)
{
    for (size_t i = 0; i < job->step_count; i++) {
        if (job->steps[i].uses != NULL && strncmp(job->steps[i].uses, "./", 2) == 0)
            return true;
    }
    return false;
}

struct job_inputs *job_inputs_read(struct loop *loop, const struct ci_plan *plan, const char *work_dir, const char *tree_id)
{
    const char *args[] = {"ls-tree", "-r", "-z", "--full-tree", tree_id, NULL};
    struct git_question question = {.dir = work_dir, .args = args, .timeout_ms = LIST_TIMEOUT_MS};
    struct job_inputs *inputs = xcalloc(1, sizeof *inputs);
    struct process_result result = {0};
    struct error ignored = {0};
    bool is_asked = false;

    inputs->tree_id = xstrdup(tree_id);
    for (size_t i = 0; i < plan->workflows.len; i++)
        is_asked = is_asked || filters_of(plan, plan->workflows.items[i]) != NULL;
    if (!is_asked)
        return inputs;
    if (git_ask(loop, &question, &result, &ignored) == 0 && result.exit.exit_code == 0 && !result.truncated)
        buf_append(&inputs->files, buf_cstr(&result.out), result.out.len);
    process_result_finish(&result);
    return inputs;
}

void job_inputs_destroy(struct job_inputs *inputs)
{
    if (inputs == NULL)
        return;
    buf_free(&inputs->files);
    free(inputs->tree_id);
    free(inputs);
}

char *job_inputs_id(const struct job_inputs *inputs, const struct ci_plan *plan, const struct plan_job *job)
{
    const struct yaml_node *filters = filters_of(plan, job->root);
    const char *end = buf_cstr(&inputs->files) + inputs->files.len;
    char text[SHA256_TEXT_BYTES];
    struct sha256 h;

    if (filters == NULL || inputs->files.len == 0 || uses_own_action(job->job))
        return xstrdup(inputs->tree_id);
    sha256_init(&h);
    for (const char *entry = buf_cstr(&inputs->files); entry < end; entry += strlen(entry) + 1) {
        const char *tab = strchr(entry, '\t');
        if (tab != NULL && event_path_counts(filters, tab + 1))
            sha256_update_text(&h, entry);
    }
    sha256_finish_text(&h, text);
    return xasprintf("paths %s", text);
}
