/* agent/agent_tree.c: see agent_tree.h. The main thread and the whole; a single agent is agent_node.c. */
#include "agent/agent_tree_internal.h"

#include "agent/agent_job.h"
#include "agent/role_match.h"
#include "base/alloc.h"
#include "base/random.h"
#include "config/config.h"
#include "config/role.h"
#include "git/git.h"
#include "store/rollout.h"

#include <stdlib.h>
#include <string.h>

/* [features] multi_agent_v2 chooses the second form; agents.enabled (or [features] multi_agent) switches both. */
static enum agent_form form_of(const struct config *c, const struct agent_settings *settings)
{
    const struct toml_value *v2 = config_value(c, "features.multi_agent_v2");
    bool is_v2 = v2 != NULL && v2->type == TOML_BOOLEAN ? config_bool(c, "features.multi_agent_v2")
                                                        : config_bool(c, "features.multi_agent_v2.enabled");

    if (!settings->is_enabled)
        return AGENT_FORM_NONE;
    return is_v2 ? AGENT_FORM_V2 : AGENT_FORM_V1;
}

/* Does some role work in a worktree of its own? By what is known without opening a role's file. */
static bool some_role_is_isolated(const struct config *c, const struct role_registry *roles)
{
    for (size_t i = 0; i < role_registry_count(roles); i++) {
        struct role_summary role = role_registry_at(roles, i);
        const struct toml_value *own = toml_get(toml_get(config_table(c, "roles"), role.name), "isolation");
        const struct builtin_role *builtin = builtin_role_find(role.name);
        const char *said = own != NULL && own->type == TOML_STRING ? own->as.string.bytes
                           : builtin != NULL                       ? builtin->isolation
                                                                   : "none";

        if (str_eq(said, "worktree"))
            return true;
    }
    return false;
}

static int open_main(struct agent_tree *tree, struct error *err)
{
    struct agent_spec spec = tree->options.main;
    struct agent_tools tools = {
        .host = &tree->root->host,
        .form = tree->form,
        .role_choices = tree->choices,
        .may_spawn = tree->settings.agents.max_depth > 0,
        .with_merge = tree->with_merge,
    };


    spec.is_main = true;
    spec.holds_no_slot = true;
    spec.has_project_docs = true;
    spec.thread_id = tree->root->id;
    spec.tools = &tools;
    spec.history = tree->root->history;
    spec.collect_input = agent_mail_collect;
    spec.input_data = tree->root;
    tree->root->session = agent_session_open(tree->office, &spec, err);
    return tree->root->session == NULL ? -1 : 0;
}

struct agent_tree *agent_tree_open(const struct agent_tree_options *options, struct error *err)
{
    const struct office_options *o = office_options_of(options->office);
    struct agent_tree *tree = xcalloc(1, sizeof *tree);
    char id[RANDOM_UUID_BYTES];

    tree->options = *options;
    tree->office = options->office;
    tree->session_dir = xstrdup(options->session_dir);
    tree->cwd = xstrdup(options->main.cwd);
    run_settings_init(&tree->settings, o->config);
    tree->max_agents = config_int(o->config, "limits.max_agents");
    tree->form = form_of(o->config, &tree->settings.agents);
    tree->with_merge = tree->session_dir != NULL && some_role_is_isolated(o->config, o->roles);
    tree->choices = role_choices(o->roles);
    random_uuid(id);
    tree->root = agent_node_create(tree, NULL, options->main.thread_id != NULL ? options->main.thread_id : id, "root",
                                   options->main.role);
    tree->root->cwd = xstrdup(tree->cwd);
    if ((tree->session_dir != NULL && agent_record_open(tree, err) < 0) ||
        (options->resumes && agent_record_restore(tree, err) < 0) || open_main(tree, err) < 0) {
        agent_tree_close(tree);
        return NULL;
    }
    tree->root->status = AGENT_COMPLETED;
    if (options->resumes)
        agent_job_record_tell(tree);
    return tree;
}

void agent_tree_close(struct agent_tree *tree)
{
    if (tree == NULL)
        return;
    tree->is_closing = true;
    if (tree->root->session != NULL)
        agent_node_close(tree->root);
    for (size_t i = 0; i < tree->nodes.len; i++)
        agent_node_free(tree->nodes.items[i]);
    vec_finish(&tree->nodes);
    vec_finish(&tree->waiters);
    vec_finish(&tree->jobs);
    git_repo_close(tree->repo);
    rollout_close(tree->record);
    run_settings_finish(&tree->settings);
    free(tree->session_dir);
    free(tree->cwd);
    free(tree->choices);
    free(tree);
}

int agent_tree_ask(struct agent_tree *tree, const char *text, bool waits_for_all, struct agent_answer *answer,
                   struct error *err)
{
    struct agent_node *root = tree->root;
    int rc;

    if (text != NULL)
        str_list_add(&root->inbox, text);
    do {
        char *input = agent_node_take_input(root);

        agent_answer_finish(answer);
        root->status = AGENT_RUNNING;
        root->is_in_turn = true;
        rc = agent_session_ask(root->session, input, answer, err);
        root->is_in_turn = false;
        root->status = rc == 0 ? AGENT_COMPLETED : AGENT_ERRORED;
        root->was_interrupted = rc < 0 && err->code == ERROR_CANCELLED;
        free(input);
    } while (rc == 0 && waits_for_all && agent_node_wants_turn(root, err));
    return rc == 0 && waits_for_all && error_is_set(err) ? -1 : rc;
}

struct agent_session *agent_tree_main(struct agent_tree *tree)
{
    return tree->root->session;
}

size_t agent_tree_live_count(const struct agent_tree *tree)
{
    size_t n = 0;

    for (size_t i = 1; i < tree->nodes.len; i++)
        n += !agent_node_is_final(tree->nodes.items[i]);
    return n;
}

bool agent_tree_wants_turn(const struct agent_tree *tree)
{
    return !agent_node_has_live_children(tree->root) && agent_node_has_result_mail(tree->root);
}

void agent_tree_interrupt_all(struct agent_tree *tree)
{
    for (size_t i = 1; i < tree->nodes.len; i++)
        agent_node_interrupt(tree->nodes.items[i]);
}

size_t agent_tree_count(const struct agent_tree *tree)
{
    return tree->nodes.len;
}

struct agent_view agent_tree_at(const struct agent_tree *tree, size_t index)
{
    const struct agent_node *node = tree->nodes.items[index];

    return (struct agent_view){
        .id = node->id,
        .path = node->path,
        .nickname = node->nickname,
        .role = node->role,
        .status = agent_status_name(node->status),
        .message = node->result,
        .depth = node->depth,
    };
}

const char *agent_tree_nickname(const struct agent_tree *tree, const char *thread_id)
{
    for (size_t i = 0; i < tree->nodes.len; i++) {
        const struct agent_node *node = tree->nodes.items[i];

        if (strcmp(node->id, thread_id) == 0)
            return node->nickname;
    }
    return NULL;
}
