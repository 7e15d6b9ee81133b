/* ci/job_history.c: {"JOB": {"rate": 0.3, "failed": true, "folders": ["src/date"]}} */
#include "ci/job_history.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "ci/ci.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES   ((size_t)4 << 20)
#define MAX_JOBS    2000
#define MAX_FOLDERS 20
#define WEIGHT      0.3 /* of the newest result */

struct job_history {
    char *file; /* NULL: nothing is kept */
    json_t *jobs;
    struct str_list failed; /* in this run */
    bool is_changed;
};

struct job_history *history_load(const char *cache_dir, const char *repository)
{
    struct job_history *h = xcalloc(1, sizeof *h);
    struct buf text = BUF_INIT;
    struct error ignored = {0};

    if (cache_dir != NULL) {
        h->file = xasprintf("%s/history/%016llx.json", cache_dir,
                            (unsigned long long)str_hash(repository, strlen(repository)));
        if (file_read(h->file, &text, MAX_BYTES, &ignored) == 0)
            h->jobs = json_parse(buf_cstr(&text), text.len, h->file, &ignored);
    }
    if (!json_is_object(h->jobs)) {
        json_decref(h->jobs);
        h->jobs = json_object();
    }
    buf_free(&text);
    return h;
}

void history_destroy(struct job_history *h)
{
    if (h == NULL)
        return;
    json_decref(h->jobs);
    str_list_finish(&h->failed);
    free(h->file);
    free(h);
}

static json_t *folders_of(const json_t *job)
{
    return json_object_get(job, "folders");
}

static bool has_text(const json_t *array, const char *text)
{
    json_t *item;
    size_t i;

    json_array_foreach(array, i, item) {
        if (str_eq(json_string_value(item), text))
            return true;
    }
    return false;
}

double history_priority(const struct job_history *h, const char *job_id, const struct str_list *changed)
{
    const json_t *job = json_object_get(h->jobs, job_id);
    double priority = json_get_number(job, "rate", 0);

    for (size_t i = 0; job != NULL && changed != NULL && i < changed->len; i++) {
        char *folder = path_dirname(changed->items[i]);
        if (has_text(folders_of(job), folder))
            priority += 1.0 / (double)changed->len;
        free(folder);
    }
    return priority;
}

bool history_failed_last(const struct job_history *h, const char *job_id)
{
    return json_get_bool(json_object_get(h->jobs, job_id), "failed", false);
}

void history_note(struct job_history *h, const struct ci_job_result *result)
{
    json_t *job = json_object_get(h->jobs, result->id);
    bool failed = result->state == CI_FAILED;

    if (h->file == NULL || (result->state != CI_FAILED && result->state != CI_PASSED) ||
        (job == NULL && (!failed || json_object_size(h->jobs) >= MAX_JOBS)))
        return; /* what always passed is not worth a line */
    if (job == NULL) {
        job = json_object();
        json_object_set_new(h->jobs, result->id, job);
    }
    json_object_set_new(job, "rate", json_real(json_get_number(job, "rate", 0) * (1 - WEIGHT) + (failed ? WEIGHT : 0)));
    json_object_set_new(job, "failed", json_boolean(failed));
    if (failed)
        str_list_add(&h->failed, result->id);
    h->is_changed = true;
}

void history_save(struct job_history *h, const struct str_list *changed)
{
    struct buf b = BUF_INIT;
    struct error ignored = {0};
    char *folder;

    if (h->file == NULL || !h->is_changed)
        return;
    for (size_t i = 0; changed != NULL && i < h->failed.len; i++) {
        json_t *job = json_object_get(h->jobs, h->failed.items[i]), *folders = folders_of(job);
        if (folders == NULL) {
            folders = json_array();
            json_object_set_new(job, "folders", folders);
        }
        for (size_t k = 0; k < changed->len && k < MAX_FOLDERS; k++) {
            char *name = path_dirname(changed->items[k]);
            if (!has_text(folders, name))
                json_array_append_new(folders, json_string(name));
            free(name);
        }
        while (json_array_size(folders) > MAX_FOLDERS)
            json_array_remove(folders, 0);
    }
    json_append_value(&b, h->jobs);
    folder = path_dirname(h->file);
    if (file_make_directories(folder, 0700, &ignored) == 0)
        (void)file_write_atomic(h->file, b.data, b.len, 0600, &ignored);
    free(folder);
    buf_free(&b);
}
