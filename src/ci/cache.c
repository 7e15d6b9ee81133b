/* ci/cache.c: one small JSON file a result. Only passes are kept: a failure is always looked at afresh. */
#include "ci/cache.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "ci/sha256.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void hash_json(struct sha256 *h, const json_t *json)
{
    struct buf b = BUF_INIT;

    if (json != NULL)
        json_append_value(&b, json);
    sha256_update_text(h, buf_cstr(&b));
    buf_free(&b);
}

static void hash_node(struct sha256 *h, const struct yaml_node *node)
{
    json_t *json = yaml_to_json(node);

    hash_json(h, json);
    json_decref(json);
}

/* A tool that is updated has another file: its path, size and time stand for its version. */
static void hash_tools(struct sha256 *h)
{
    static const char *const tools[] = {"bash", "cc", "gcc", "clang", "make", "cmake", "meson", "ninja", "node",
                                        "npm", "python3", "go", "cargo", "rustc", "java", "php", "ruby", "git"};
    const char *path = getenv("PATH");
    struct str_list folders = {0};

    sha256_update_text(h, path);
    str_split(&folders, path != NULL ? path : "", ':');
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        for (size_t k = 0; k < folders.len; k++) {
            char *file = path_join(folders.items[k], tools[i]);
            struct stat st;
            bool found = stat(file, &st) == 0;
            if (found) {
                sha256_update_text(h, file);
                sha256_update(h, &st.st_size, sizeof st.st_size);
                sha256_update(h, &st.st_mtim, sizeof st.st_mtim);
            }
            free(file);
            if (found)
                break;
        }
    }
    str_list_finish(&folders);
}

/* The same tree in another commit is the same job, unless it hands the commit on. */
static void hash_contexts(struct sha256 *h, const json_t *contexts, bool hands_on)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)contexts), *github = json_copy(json_object_get(contexts, "github"));
    json_t *event = json_copy(json_object_get(github, "event"));

    if (!hands_on) {
        json_object_del(github, "sha");
        json_object_del(event, "after");
        json_object_del(event, "head_commit");
        json_object_del(event, "pull_request");
    }
    json_object_set_new(github, "event", event != NULL ? event : json_null());
    json_object_set_new(copy, "github", github != NULL ? github : json_null());
    hash_json(h, copy);
    json_decref(copy);
}

char *cache_key(const struct plan_job *pj, const json_t *contexts, const char *tree_id, const struct str_list *env)
{
    const struct workflow_job *job = pj->job;
    char text[SHA256_TEXT_BYTES];
    struct sha256 h;

    sha256_init(&h);
    sha256_update_text(&h, CADRE_VERSION);
    sha256_update_text(&h, tree_id);
    sha256_update_text(&h, pj->pub.id);
    hash_node(&h, pj->workflow->env);
    hash_node(&h, pj->workflow->defaults);
    hash_node(&h, job->env);
    hash_node(&h, job->defaults);
    hash_node(&h, job->outputs);
    hash_node(&h, job->container);
    hash_node(&h, job->services);
    for (size_t i = 0; i < job->step_count; i++) {
        const struct workflow_step *s = &job->steps[i];
        const char *texts[] = {s->id, s->condition, s->uses, s->run, s->shell, s->working_directory,
                               s->continue_on_error, s->timeout_minutes};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            sha256_update_text(&h, texts[k]);
        hash_node(&h, s->with);
        hash_node(&h, s->env);
    }
    hash_contexts(&h, contexts, job->outputs != NULL);
    for (size_t i = 0; env != NULL && i < env->len; i++)
        sha256_update_text(&h, env->items[i]);
    hash_tools(&h);
    sha256_finish_text(&h, text);
    return strdup(text);
}

static char *entry_path(const char *dir, const char *key)
{
    char *results = path_join(dir, "results"), *path = path_join(results, key);

    free(results);
    return path;
}

bool cache_load(const char *dir, const char *key, struct ci_job_result *result, json_t **outputs)
{
    char *path = entry_path(dir, key);
    struct buf text = BUF_INIT;
    struct error err = {0};
    json_t *entry = NULL;
    bool found;

    if (file_read(path, &text, 1 << 20, &err) == 0)
        entry = json_parse(buf_cstr(&text), text.len, path, &err);
    found = json_is_object(entry);
    if (found) {
        json_t *skipped = json_object_get(entry, "skipped"), *item;
        size_t i;
        result->state = CI_PASSED;
        result->from_cache = true;
        result->duration_ms = 0;
        result->steps_run = (size_t)json_get_int(entry, "run", 0);
        result->steps_satisfied = (size_t)json_get_int(entry, "satisfied", 0);
        json_array_foreach(skipped, i, item)
            str_list_add(&result->skipped_steps, json_string_value(item) != NULL ? json_string_value(item) : "");
        result->steps_skipped = result->skipped_steps.len;
        *outputs = json_incref(json_object_get(entry, "outputs"));
    }
    json_decref(entry);
    buf_free(&text);
    free(path);
    return found;
}

void cache_store(const char *dir, const char *key, const struct ci_job_result *result, const json_t *outputs)
{
    char *path = entry_path(dir, key), *folder = path_dirname(path);
    struct buf b = BUF_INIT;
    struct json_writer w = {.out = &b};
    struct error err = {0};

    jw_object_begin(&w);
    jw_pair_int(&w, "run", (int64_t)result->steps_run);
    jw_pair_int(&w, "satisfied", (int64_t)result->steps_satisfied);
    jw_key(&w, "skipped");
    jw_array_begin(&w);
    for (size_t i = 0; i < result->skipped_steps.len; i++)
        jw_string(&w, result->skipped_steps.items[i]);
    jw_array_end(&w);
    if (outputs != NULL) {
        jw_key(&w, "outputs");
        jw_value(&w, outputs);
    }
    jw_object_end(&w);
    /* A cache that cannot be written costs time, nothing else. */
    if (file_make_directories(folder, 0700, &err) == 0)
        (void)file_write_atomic(path, b.data, b.len, 0600, &err);
    buf_free(&b);
    free(folder);
    free(path);
}
