/* ci/action_steps.h: what is done in place of actions by others: tools looked up, caches and artifacts kept in
 * local stores.
 *
 * Caches (actions/cache): archives by content below CACHE_DIR/actions/, found by key, else by the newest entry whose
 * key begins with the key or one of the restore keys; kept when the job has passed; the oldest go when the store is
 * over its bound. Folders outside of the tree are the machine's own and left alone.
 * Artifacts: one folder a name, for the jobs of one workflow of one run. */
#ifndef CADRE_CI_ACTION_STEPS_H
#define CADRE_CI_ACTION_STEPS_H

#include "ci/step_runner.h"

#define ACTION_CACHE_MAX_BYTES ((int64_t)5 << 30)

struct action_step {
    struct job_runner *runner;
    const struct workflow_step *step;
    const struct action_mapping *mapping;
    const char *name;
    json_t *with, *env, *outputs;
};

/* Each carries one step out: 1 passed, 0 failed, -1 with ERR: stop. */
int action_step_setup(const struct action_step *a, struct error *err);
int action_step_artifact(const struct action_step *a, bool is_upload, struct error *err);
int action_step_cache(const struct action_step *a, struct error *err);

/* A cache that is saved when the job has passed. */
struct cache_save {
    char *key, *paths, *name;
};
/* Saves what is due (the job's last act); failures are noted in the log and harm nothing. */
int action_steps_save_caches(struct job_runner *runner, struct error *err);
void cache_save_destroy(struct cache_save *save);

/* Removes the entries used longest ago until the store below DIR holds at most MAX_BYTES. */
void action_cache_trim(const char *dir, int64_t max_bytes);

#endif
