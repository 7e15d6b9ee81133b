/* cli/main_session.c: see main_session.h. */
#include "cli/main_session.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "base/random.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/settings.h"
#include "config/config.h"
#include "config/role.h"
#include "io/process.h"
#include "store/session_dir.h"

#include <stdlib.h>
#include <unistd.h>

#define KILL_GRACE_MS 500

struct main_session {
    struct config *config;
    struct role_registry *roles;
    struct office *office;
    struct agent_tree *tree;
    char *cwd;
    char *dir; /* NULL when nothing is kept */
    int lock_fd;
    char id[RANDOM_UUID_BYTES];
};

/* The folder of the session, locked, or none. */
static int take_dir(struct main_session *s, const struct main_session_options *o, struct error *err)
{
    if (o->is_ephemeral && o->resumed != NULL)
        return error_set(err, ERROR_USAGE, "--ephemeral keeps nothing, so there is nothing to resume");
    if (o->is_ephemeral)
        return 0;
    s->dir = session_dir_path(o->resumed != NULL ? o->resumed->id : s->id);
    s->lock_fd = session_dir_take(s->dir, err);
    if (s->lock_fd >= 0 && o->resumed != NULL)
        (void)process_end_marked(o->resumed->id, KILL_GRACE_MS); /* what outlived the last process */
    if (s->lock_fd >= 0)
        return 0;
    if (o->resumed != NULL)
        return -1;
    /* A full disk or a read-only home keeps nobody from asking. */
    log_warning("nothing is kept of this session: %s", err->text);
    error_clear(err);
    FREE_NULL(s->dir);
    return 0;
}

static int open_tree(struct main_session *s, const struct main_session_options *o, struct error *err)
{
    char *rollouts = s->dir == NULL ? NULL : path_join(s->dir, "rollouts");
    struct office_options office_options = {.loop = o->ctx->loop,
                                            .config = s->config,
                                            .roles = s->roles,
                                            .rollout_dir = rollouts,
                                            .state_dir = s->dir,
                                            .keeps_history = true,
                                            .is_attended = o->is_attended,
                                            .on_event = o->on_event,
                                            .data = o->data};
    struct agent_tree_options tree_options = {
        .main = {.role = o->role != NULL      ? o->role
                         : o->resumed != NULL ? o->resumed->role
                                              : "default",
                 .attempt = 1,
                 .cwd = s->cwd,
                 .thread_id = o->resumed != NULL ? o->resumed->id : s->id,
                 .output_schema = o->output_schema,
                 .on_text_delta = o->on_text_delta,
                 .delta_data = o->data},
        .session_dir = s->dir,
        .resumes = o->resumed != NULL,
        .on_change = o->on_change,
        .data = o->data,
    };

    s->office = office_create(&office_options, err);
    free(rollouts);
    if (s->office == NULL)
        return -1;
    tree_options.office = s->office;
    s->tree = agent_tree_open(&tree_options, err);
    return s->tree == NULL ? -1 : 0;
}

struct main_session *main_session_open(const struct main_session_options *o, struct error *err)
{
    struct main_session *s = xcalloc(1, sizeof *s);

    s->lock_fd = -1;
    s->cwd = path_current_directory();
    random_uuid(s->id);
    s->config = cli_load_config(o->ctx, err);
    if (s->config == NULL)
        goto fail;
    s->roles = role_registry_create(s->config);
    process_set_mark(o->resumed != NULL ? o->resumed->id : s->id);
    if (take_dir(s, o, err) < 0 || open_tree(s, o, err) < 0)
        goto fail;
    return s;
fail:
    main_session_close(s);
    return NULL;
}

void main_session_close(struct main_session *s)
{
    if (s == NULL)
        return;
    agent_tree_close(s->tree);
    process_set_mark(NULL);
    office_destroy(s->office);
    role_registry_destroy(s->roles);
    config_destroy(s->config);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->cwd);
    free(s->dir);
    free(s);
}

struct agent_tree *main_session_tree(struct main_session *s)
{
    return s->tree;
}

struct inbox *main_session_inbox(const struct main_session *s)
{
    return office_inbox(s->office);
}

const struct config *main_session_config(const struct main_session *s)
{
    return s->config;
}

const char *main_session_id(const struct main_session *s)
{
    return agent_session_thread_id(agent_tree_main(s->tree));
}

bool main_session_is_main(const struct agent_tree *tree, const json_t *event)
{
    return tree == NULL || str_eq(json_get_string(event, "thread", NULL), agent_tree_at(tree, 0).id);
}
