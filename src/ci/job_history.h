/* ci/job_history.h: how the jobs of a repository came out before, so that the likeliest to fail goes first. One small
 * JSON file a repository in the cache folder; losing it costs time, nothing else. */
#ifndef CADRE_CI_JOB_HISTORY_H
#define CADRE_CI_JOB_HISTORY_H

#include "base/str.h"

#include <stdbool.h>

struct ci_job_result;
struct job_history;

/* Never NULL; empty when CACHE_DIR is NULL or there is no file. */
struct job_history *history_load(const char *cache_dir, const char *repository);
void history_destroy(struct job_history *history);

/* 0 (never failed) up: the share of failures, newer ones counting more, and how many of CHANGED (or NULL) are in
 * folders over which the job failed before. */
double history_priority(const struct job_history *history, const char *job_id, const struct str_list *changed);
bool history_failed_last(const struct job_history *history, const char *job_id);

/* A result of this run; only passed and failed ones say something. */
void history_note(struct job_history *history, const struct ci_job_result *result);

/* Writes what was noted, with the folders of CHANGED for the jobs that failed. */
void history_save(struct job_history *history, const struct str_list *changed);

#endif
