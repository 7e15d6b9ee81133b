/* ci/cache.c: one small JSON file a result. Only passes are kept: a failure is always looked at afresh. */
#include "ci/cache.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "ci/sha256.h"
#include "ci/tree_store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_ACTION_DEPTH 10
#define MAX_FOLDER_DEPTH 64
#define TRIM_EVERY_S     3600
#define ARTIFACTS        ".artifacts" /* what a job uploaded, beside its result */

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

static void hash_file(struct sha256 *h, const char *file, const struct stat *st)
{
    sha256_update_text(h, file);
    sha256_update(h, &st->st_size, sizeof st->st_size);
    sha256_update(h, &st->st_mtim, sizeof st->st_mtim);
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
    for (size_t k = 0; k < folders.len; k++) {
        struct stat st;
        if (stat(folders.items[k], &st) == 0)
            hash_file(h, folders.items[k], &st);
    }
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        for (size_t k = 0; k < folders.len; k++) {
            char *file = path_join(folders.items[k], tools[i]);
            struct stat st;
            bool found = stat(file, &st) == 0;
            if (found)
                hash_file(h, file, &st);
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

char *cache_tools_id(void)
{
    char text[SHA256_TEXT_BYTES];
    struct sha256 h;

    sha256_init(&h);
    hash_tools(&h);
    sha256_finish_text(&h, text);
    return xstrdup(text);
}

/* What the steps do, with the actions of the repository and what stands for actions by others. */
static void hash_steps(struct sha256 *h, struct ci_plan *plan, const struct workflow_step *steps, size_t count, int depth)
{
    for (size_t i = 0; i < count; i++) {
        const struct workflow_step *s = &steps[i];
        const char *texts[] = {s->id, s->condition, s->uses, s->run, s->shell, s->working_directory,
                               s->continue_on_error, s->timeout_minutes};
        struct step_plan sp;

        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            sha256_update_text(h, texts[k]);
        hash_node(h, s->with);
        hash_node(h, s->env);
        if (s->uses == NULL)
            continue;
        plan_step(plan, s, NULL, NULL, &sp);
        sha256_update(h, &sp.action.kind, sizeof sp.action.kind);
        sha256_update_text(h, sp.action.command);
        if (sp.composite != NULL && depth < MAX_ACTION_DEPTH) {
            const struct action *action = sp.composite;
            const char *more[] = {action->using, action->main, action->post, action->post_if, action->image, action->entrypoint};
            for (size_t k = 0; k < sizeof more / sizeof *more; k++)
                sha256_update_text(h, more[k]);
            hash_node(h, action->inputs);
            hash_node(h, action->args);
            hash_node(h, action->env);
            hash_node(h, action->outputs);
            hash_steps(h, plan, action->steps, action->step_count, depth + 1);
        }
    }
}

char *cache_key(struct ci_plan *plan, const struct plan_job *pj, const json_t *contexts, const struct cache_ground *ground)
{
    const struct workflow_job *job = pj->job;
    const struct yaml_node *nodes[] = {pj->workflow->env, pj->workflow->defaults, job->env, job->defaults,
                                       job->outputs, job->container, job->services};
    char text[SHA256_TEXT_BYTES];
    struct sha256 h;

    sha256_init(&h);
    sha256_update_text(&h, CADRE_VERSION);
    sha256_update_text(&h, ground->inputs_id);
    sha256_update_text(&h, ground->tools_id);
    sha256_update_text(&h, ground->conditions);
    sha256_update_text(&h, plan->container_engine);
    sha256_update_text(&h, pj->pub.id);
    sha256_update_text(&h, pj->starts_empty ? "without a tree" : "");
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        hash_node(&h, nodes[i]);
    hash_steps(&h, plan, job->steps, job->step_count, 0);
    hash_contexts(&h, contexts, job->outputs != NULL);
    for (size_t i = 0; ground->env != NULL && i < ground->env->len; i++)
        sha256_update_text(&h, ground->env->items[i]);
    sha256_finish_text(&h, text);
    return xstrdup(text);
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
        (void)utimensat(AT_FDCWD, path, NULL, 0); /* used now: what was used longest ago goes first */
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

/* --- Bounds --------------------------------------------------------------------------------------------- */

struct kept_result {
    char *file, *artifacts;
    time_t used;
    int64_t bytes;
};

static int64_t size_of(const char *path, int depth)
{
    struct str_list names = {0};
    struct error ignored = {0};
    struct stat st;
    int64_t bytes;

    if (lstat(path, &st) < 0)
        return 0;
    bytes = st.st_size;
    if (S_ISDIR(st.st_mode) && depth < MAX_FOLDER_DEPTH && file_list_directory(path, &names, &ignored) == 0) {
        for (size_t i = 0; i < names.len; i++) {
            char *below = path_join(path, names.items[i]);
            bytes += size_of(below, depth + 1);
            free(below);
        }
    }
    str_list_finish(&names);
    return bytes;
}

static int by_use(const void *a, const void *b)
{
    const struct kept_result *x = a, *y = b;

    return x->used < y->used ? -1 : x->used > y->used;
}

static void remove_result(const struct kept_result *kept)
{
    struct error ignored = {0};

    (void)unlink(kept->file);
    (void)file_remove_tree(kept->artifacts, &ignored);
}

void cache_trim(const char *dir, int64_t max_bytes, int64_t max_age_s)
{
    char *results = path_join(dir, "results");
    struct str_list names = {0};
    struct error ignored = {0};
    struct kept_result *kept;
    size_t count = 0;
    int64_t total = 0;
    time_t now = time(NULL);

    if (file_is_directory(results))
        (void)file_list_directory(results, &names, &ignored);
    kept = xcalloc(names.len + 1, sizeof *kept);
    for (size_t i = 0; i < names.len; i++) {
        char *path = path_join(results, names.items[i]);
        struct stat st;

        if (str_ends_with(names.items[i], ARTIFACTS)) { /* counted with its result, which is written last */
            char *owner = xstrndup(path, strlen(path) - strlen(ARTIFACTS));
            if (!file_exists(owner) && stat(path, &st) == 0 && now - st.st_mtime > TRIM_EVERY_S)
                (void)file_remove_tree(path, &ignored);
            free(owner);
        } else if (lstat(path, &st) == 0) {
            struct kept_result *one = &kept[count++];
            one->file = xstrdup(path);
            one->artifacts = xasprintf("%s" ARTIFACTS, path);
            one->used = st.st_mtime;
            one->bytes = size_of(one->file, 0) + size_of(one->artifacts, 0);
            total += one->bytes;
        }
        free(path);
    }
    qsort(kept, count, sizeof *kept, by_use);
    for (size_t i = 0; i < count; i++) {
        if (total > max_bytes || now - kept[i].used > max_age_s) {
            remove_result(&kept[i]);
            total -= kept[i].bytes;
        }
        free(kept[i].file);
        free(kept[i].artifacts);
    }
    free(kept);
    str_list_finish(&names);
    free(results);
}

void cache_trim_now_and_then(const char *dir)
{
    char *mark = path_join(dir, "trimmed");
    struct error ignored = {0};
    struct stat st;

    if (stat(mark, &st) < 0 || time(NULL) - st.st_mtime >= TRIM_EVERY_S || st.st_mtime > time(NULL)) {
        if (file_write(mark, "", 0, 0600, &ignored) == 0) {
            cache_trim(dir, CACHE_MAX_BYTES, CACHE_MAX_AGE_S);
            tree_store_trim(dir, CACHE_MAX_AGE_S);
        }
    }
    free(mark);
}
