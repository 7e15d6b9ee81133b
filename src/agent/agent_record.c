/* agent/agent_record.c: the record of a session's agents, from which a later process knows them again. Each line is an
 * event: who was spawned by whom, and how each ended. What they said is in their rollouts. */
#include "agent/agent_tree_internal.h"

#include "agent/thread_history.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/path.h"
#include "store/rollout.h"
#include "store/session_dir.h"

#include <stdlib.h>
#include <string.h>

int agent_record_open(struct agent_tree *tree, struct error *err)
{
    char *path = session_dir_record(tree->session_dir);

    tree->record = rollout_open(path, err);
    free(path);
    if (tree->record == NULL)
        return -1;
    if (tree->options.resumes)
        agent_record(tree, "session.resumed", json_object());
    else
        agent_record(tree, "session", json_pack("{s:s, s:s, s:s}", "id", tree->root->id, "cwd", tree->cwd, "role",
                                                tree->root->role));
    return 0;
}

static struct agent_node *find(const struct agent_tree *tree, const char *id)
{
    for (size_t i = 0; i < tree->nodes.len; i++) {
        struct agent_node *node = tree->nodes.items[i];

        if (strcmp(node->id, id) == 0)
            return node;
    }
    return NULL;
}

static void restore_agent(struct agent_tree *tree, const json_t *said)
{
    const char *id = json_get_string(said, "id", "");
    struct agent_node *parent = find(tree, json_get_string(said, "parent", ""));
    struct agent_node *node;

    if (parent == NULL || id[0] == '\0' || strchr(id, '/') != NULL || find(tree, id) != NULL)
        return;
    node = agent_node_create(tree, parent, id, json_get_string(said, "name", id), json_get_string(said, "role", "default"));
    free(node->nickname);
    node->nickname = xstrdup(json_get_string(said, "nickname", node->name));
    node->model = xstrdup(json_get_string(said, "model", NULL));
    node->effort = xstrdup(json_get_string(said, "effort", NULL));
    node->needs_history = true;
    node->status = AGENT_INTERRUPTED; /* unless a later line says how it ended */
    tree->spawned++;
}

static bool on_line(void *data, const char *timestamp, const char *type, const json_t *payload)
{
    struct agent_tree *tree = data;
    struct agent_node *node;

    (void)timestamp;
    if (strcmp(type, "agent.spawned") == 0) {
        restore_agent(tree, payload);
    } else if (strcmp(type, "agent.status") == 0) {
        node = find(tree, json_get_string(payload, "id", ""));
        for (enum agent_status s = AGENT_COMPLETED; node != NULL && s <= AGENT_SHUTDOWN; s++)
            if (strcmp(agent_status_name(s), json_get_string(payload, "status", "")) == 0)
                node->status = s;
        if (node != NULL) {
            free(node->result);
            node->result = xstrdup(json_get_string(payload, "message", ""));
        }
    }
    if (strcmp(type, "agent.work") == 0 && (node = find(tree, json_get_string(payload, "id", ""))) != NULL)
        agent_work_restore(node, payload);
    return true;
}

int agent_record_restore(struct agent_tree *tree, struct error *err)
{
    char *path = session_dir_record(tree->session_dir);
    int rc = rollout_read(path, on_line, tree, err);

    free(path);
    if (rc < 0)
        return -1;
    tree->root->history = agent_record_history(tree->root, err);
    return tree->root->history == NULL ? -1 : 0;
}

struct thread_history *agent_record_history(const struct agent_node *node, struct error *err)
{
    const char *folder = office_options_of(node->tree->office)->rollout_dir;
    struct thread_history *history;
    char *path;

    if (folder == NULL) {
        error_set(err, ERROR_NOT_FOUND, "no conversation was kept of agent %s", node->path);
        return NULL;
    }
    path = xasprintf("%s/%s.jsonl", folder, node->id);
    history = thread_history_read(path, err);
    free(path);
    return history;
}
