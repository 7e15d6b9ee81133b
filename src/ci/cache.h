/* ci/cache.h: results of jobs that passed, by tree, job definition and the tools of this machine. */
#ifndef CADRE_CI_CACHE_H
#define CADRE_CI_CACHE_H

#include "ci/plan_internal.h"

/* The key: SHA-256 over the tree id, everything in the job's definition and contexts, PATH, and size and time
 * of the compilers and interpreters on it. Caller frees. */
char *cache_key(const struct plan_job *job, const json_t *contexts, const char *tree_id,
                const struct str_list *env);

/* A result that was kept: fills RESULT's counts and OUTPUTS (new reference). */
bool cache_load(const char *dir, const char *key, struct ci_job_result *result, json_t **outputs);
void cache_store(const char *dir, const char *key, const struct ci_job_result *result, const json_t *outputs);

#endif
