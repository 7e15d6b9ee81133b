/* ci/cache.h: results of jobs that passed, by the job's inputs, its definition and the tools of this machine. */
#ifndef CADRE_CI_CACHE_H
#define CADRE_CI_CACHE_H

#include "ci/plan_internal.h"

/* A digest of PATH, of the folders on it (what is installed or replaced there changes them), and of size and time of the
 * compilers and interpreters that it leads to. Caller frees. */
char *cache_tools_id(void);

/* What a result depends on beside the job. All borrowed. */
struct cache_ground {
    const char *inputs_id; /* of the tree (job_inputs.h) */
    const char *tools_id;
    const char *conditions;      /* how commands are run; or NULL */
    const struct str_list *env;  /* or NULL */
};

/* The key: SHA-256 over the ground and everything in the job's definition and contexts, with the actions of the repository
 * that it uses and the mappings of actions by others. Caller frees. */
char *cache_key(struct ci_plan *plan, const struct plan_job *job, const json_t *contexts, const struct cache_ground *ground);

/* A result that was kept: fills RESULT's counts and OUTPUTS (new reference). */
bool cache_load(const char *dir, const char *key, struct ci_job_result *result, json_t **outputs);
void cache_store(const char *dir, const char *key, const struct ci_job_result *result, const json_t *outputs);

/* Results are removed that were not used for MAX_AGE_S seconds, then those used longest ago until what is left (with the
 * artifacts kept beside them) takes at most MAX_BYTES. */
#define CACHE_MAX_BYTES ((int64_t)1 << 30)
#define CACHE_MAX_AGE_S ((int64_t)30 * 24 * 3600)
void cache_trim(const char *dir, int64_t max_bytes, int64_t max_age_s);
/* The same with these limits, at most once an hour. */
void cache_trim_now_and_then(const char *dir);

#endif
