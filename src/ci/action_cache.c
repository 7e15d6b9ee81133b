/* ci/action_cache.c: actions/cache, cache/restore and cache/save on a local store.
 *
 *     DIR/blobs/SHA256             archives, each content once
 *     DIR/entries/REPO/ID          JSON: key, paths, blob; its time is that of its last use
 */
#include "ci/action_steps.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "ci/sha256.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ENTRIES 5000
#define MAX_KEY     512

/* The paths within the tree, one a line of CADRE_PATHS relative to it; patterns filled in. Others are the machine's
 * own folders. Fails with 3 when there is none. */
#define PATHS_SCRIPT                                                                                                   \
    "shopt -s globstar nullglob dotglob\ncd \"$GITHUB_WORKSPACE\" || exit 1\nroot=$(realpath -ms .)\n"                 \
    "includes=() excludes=()\n"                                                                                        \
    "while IFS= read -r line; do\n"                                                                                    \
    "  line=${line#\"${line%%[![:space:]]*}\"}; line=${line%\"${line##*[![:space:]]}\"}\n"                             \
    "  no=; case $line in '' | '#'*) continue ;; '!'*) no=1; line=${line#!} ;; esac\n"                                 \
    "  case $line in '~'*) continue ;; esac\n"                                                                         \
    "  p=$(realpath -ms -- \"$line\"); case $p in \"$root\"/*) ;; *) continue ;; esac\n"                               \
    "  if [ -n \"$no\" ]; then excludes+=(\"${p#\"$root\"/}\"); else includes+=(\"${p#\"$root\"/}\"); fi\n"            \
    "done <<<\"$CADRE_PATHS\"\n"                                                                                       \
    "[ ${#includes[@]} -gt 0 ] || exit 3\n"

static const char probe_script[] = PATHS_SCRIPT "exit 0\n";

static const char restore_script[] = PATHS_SCRIPT "tar -xf \"$CADRE_ARCHIVE\"\n";

static const char save_script[] = PATHS_SCRIPT
    "IFS=; args=(); for e in \"${excludes[@]}\"; do args+=(--exclude=\"$e\"); done\n"
    "found=(); for p in \"${includes[@]}\"; do for f in $p; do [ -e \"$f\" ] && found+=(\"$f\"); done; done\n"
    "[ ${#found[@]} -gt 0 ] || { echo 'Path Validation Error: none of the paths exists: no cache is saved'; exit 4; }\n"
    "printf '%s\\0' \"${found[@]}\" | sort -zu |\n"
    "  tar --sort=name --anchored \"${args[@]}\" --null -T - -cf \"$CADRE_ARCHIVE\" || exit 1\n"
    "sha256sum <\"$CADRE_ARCHIVE\" | cut -d' ' -f1 >\"$CADRE_ARCHIVE.sha256\"\n";

struct entry {
    char *file, *key, *blob;
    time_t used;
    int64_t made; /* ms */
};

static void entry_finish(struct entry *e)
{
    free(e->file);
    free(e->key);
    free(e->blob);
    *e = (struct entry){0};
}

static char *store_dir(const struct job_runner *r)
{
    return r->options->cache_dir != NULL ? path_join(r->options->cache_dir, "actions") : NULL;
}

/* Entries of one repository do not show in another. */
static char *entries_dir(const struct job_runner *r, const char *dir)
{
    const char *repository = json_get_string(json_object_get(r->contexts, "github"), "repository", "");
    char *result = xasprintf("%s/entries/%016llx", dir, (unsigned long long)str_hash(repository, strlen(repository)));

    return result;
}

static bool read_entry(const char *file, const char *paths, struct entry *e)
{
    struct buf text = BUF_INIT;
    struct error ignored = {0};
    struct stat st;
    json_t *json = NULL;
    bool ok;

    if (file_read(file, &text, 65536, &ignored) == 0)
        json = json_parse(buf_cstr(&text), text.len, file, &ignored);
    ok = json != NULL && stat(file, &st) == 0 && (paths == NULL || str_eq(json_get_string(json, "paths", NULL), paths)) &&
         strlen(json_get_string(json, "blob", "")) == 64 && path_is_plain_relative(json_get_string(json, "blob", ""));
    if (ok) {
        *e = (struct entry){.file = xstrdup(file), .key = xstrdup(json_get_string(json, "key", "")),
                            .blob = xstrdup(json_get_string(json, "blob", "")), .used = st.st_mtime,
                            .made = json_get_int(json, "made", 0)};
    }
    json_decref(json);
    buf_free(&text);
    return ok;
}

/* The entry with this very key, or with EXACT false the newest whose key begins with it. */
static bool find_entry(const char *folder, const char *paths, const char *key, bool exact, struct entry *best)
{
    struct str_list names = {0};
    struct error ignored = {0};

    *best = (struct entry){0};
    if (!file_is_directory(folder) || file_list_directory(folder, &names, &ignored) < 0)
        return false;
    for (size_t i = 0; i < names.len && i < MAX_ENTRIES; i++) {
        char *file = path_join(folder, names.items[i]);
        struct entry e;
        if (read_entry(file, paths, &e)) {
            bool fits = exact ? strcmp(e.key, key) == 0 : strncmp(e.key, key, strlen(key)) == 0;
            if (fits && (best->file == NULL || e.made > best->made)) {
                entry_finish(best);
                *best = e;
            } else {
                entry_finish(&e);
            }
        }
        free(file);
    }
    str_list_finish(&names);
    return best->file != NULL;
}

static char *with_text(const json_t *with, const char *name)
{
    struct expr_value v = expr_from_json(expr_member(with, name));
    char *text = expr_to_string(&v), *copy = xstrdup(str_trim(text));

    free(text);
    expr_value_finish(&v);
    return copy;
}

static int run_script(const struct action_step *a, const char *script, const char *archive, const char *paths,
                      int *exit_code, struct error *err)
{
    json_t *env = json_object();
    struct step_command c = {.name = a->name, .script = script, .shell = "bash", .cwd = a->runner->tree_dir, .env = env,
                             .outputs = a->outputs, .is_on_machine = true};
    struct step_outcome o = {0};
    int rc;

    json_object_set_new(env, "CADRE_PATHS", json_string(paths));
    json_object_set_new(env, "CADRE_ARCHIVE", json_string(archive != NULL ? archive : ""));
    rc = step_command_run(a->runner, &c, &o, err);
    *exit_code = o.exit_code;
    if (rc == 0 && o.output.len > 0)
        job_runner_log(a->runner, buf_cstr(&o.output), o.output.len);
    step_outcome_finish(&o);
    json_decref(env);
    return rc;
}

/* Puts the blob where the job may read it. */
static int fetch(const char *dir, const struct entry *e, const char *archive, struct error *err)
{
    char *blobs = path_join(dir, "blobs"), *blob = path_join(blobs, e->blob);
    int rc = link(blob, archive) == 0 ? 0 : file_copy(blob, archive, err);

    if (rc == 0)
        (void)utimensat(AT_FDCWD, e->file, NULL, 0);
    free(blob);
    free(blobs);
    return rc;
}

static char *archive_path(struct job_runner *r)
{
    return xasprintf("%s/cache-%u.tar", r->scratch_dir, ++r->counter);
}

/* 1 restored, 0 nothing there, -1 stop. *MATCHED is the key of what was restored. */
static int restore(const struct action_step *a, const char *dir, const char *paths, const char *key,
                   const struct str_list *restore_keys, bool only_look, char **matched, struct error *err)
{
    char *folder = entries_dir(a->runner, dir), *archive = archive_path(a->runner);
    struct entry e;
    bool found = find_entry(folder, paths, key, true, &e) || find_entry(folder, paths, key, false, &e);
    int exit_code = 1, rc = 0;

    for (size_t i = 0; !found && i < restore_keys->len; i++) {
        char *prefix = str_trim(restore_keys->items[i]);
        found = *prefix != '\0' && find_entry(folder, paths, prefix, false, &e);
    }
    if (found && only_look) {
        exit_code = 0;
    } else if (found && fetch(dir, &e, archive, err) == 0) {
        rc = run_script(a, restore_script, archive, paths, &exit_code, err);
        (void)unlink(archive);
    }
    if (rc == 0 && found && exit_code == 0) {
        *matched = xstrdup(e.key);
        rc = 1;
    } else {
        error_clear(err);
    }
    entry_finish(&e);
    free(archive);
    free(folder);
    return rc;
}

static void put_entry(struct job_runner *r, const char *dir, const char *paths, const char *key, const char *blob)
{
    char *folder = entries_dir(r, dir), *id = xasprintf("%s\n%s", key, paths);
    char *file = xasprintf("%s/%016llx", folder, (unsigned long long)str_hash(id, strlen(id)));
    struct buf b = BUF_INIT;
    struct json_writer w = {.out = &b};
    struct error ignored = {0};

    jw_object_begin(&w);
    jw_pair_string(&w, "key", key);
    jw_pair_string(&w, "paths", paths);
    jw_pair_string(&w, "blob", blob);
    jw_pair_int(&w, "made", clock_wall_ms());
    jw_object_end(&w);
    if (file_make_directories(folder, 0700, &ignored) == 0)
        (void)file_write_atomic(file, b.data, b.len, 0600, &ignored);
    buf_free(&b);
    free(file);
    free(id);
    free(folder);
}

/* 1 saved, 0 not, -1 stop. */
static int save(const struct action_step *a, const char *dir, const char *paths, const char *key, struct error *err)
{
    char *archive = archive_path(a->runner), *sum_file = xasprintf("%s.sha256", archive), *blobs = path_join(dir, "blobs");
    struct buf sum = BUF_INIT;
    struct error ignored = {0};
    int exit_code = 1, rc = run_script(a, save_script, archive, paths, &exit_code, err);

    if (rc == 0 && exit_code == 0 && file_read(sum_file, &sum, 100, &ignored) == 0 && sum.len == 65 &&
        strspn(sum.data, "0123456789abcdef") == 64) {
        char *blob;
        buf_truncate(&sum, 64);
        blob = path_join(blobs, sum.data);
        if (file_make_directories(blobs, 0700, &ignored) == 0 &&
            (file_exists(blob) || rename(archive, blob) == 0 || file_copy(archive, blob, &ignored) == 0)) {
            put_entry(a->runner, dir, paths, key, sum.data);
            action_cache_trim(dir, ACTION_CACHE_MAX_BYTES);
            rc = 1;
        }
        free(blob);
    }
    (void)unlink(archive);
    (void)unlink(sum_file);
    buf_free(&sum);
    free(blobs);
    free(sum_file);
    free(archive);
    return rc;
}

static void set_output(const struct action_step *a, const char *name, const char *value)
{
    json_object_set_new(a->outputs, name, json_string(value));
}

int action_step_cache(const struct action_step *a, struct error *err)
{
    struct job_runner *r = a->runner;
    char *dir = store_dir(r), *key = with_text(a->with, "key"), *paths = with_text(a->with, "path");
    char *prefixes = with_text(a->with, "restore-keys"), *matched = NULL, *must = with_text(a->with, "fail-on-cache-miss");
    char *look = with_text(a->with, "lookup-only");
    bool only_save = strstr(a->mapping->action, "/save") != NULL, only_restore = strstr(a->mapping->action, "/restore") != NULL;
    struct str_list restore_keys = {0};
    int exit_code = 0, rc = 0;

    str_split(&restore_keys, prefixes, '\n');
    set_output(a, "cache-hit", "");
    set_output(a, "cache-primary-key", key);
    r->result->steps_satisfied++;
    if (dir == NULL || *key == '\0' || strlen(key) > MAX_KEY) {
        rc = 1; /* nothing is kept */
        goto out;
    }
    if (run_script(a, probe_script, NULL, paths, &exit_code, err) < 0) {
        rc = -1;
        goto out;
    }
    if (exit_code == 3) { /* the machine's own folders: they are there */
        rc = 1;
        goto out;
    }
    if (only_save) {
        rc = save(a, dir, paths, key, err);
        rc = rc < 0 ? -1 : 1;
        goto out;
    }
    rc = restore(a, dir, paths, key, &restore_keys, strcmp(look, "true") == 0, &matched, err);
    if (rc == 1) {
        set_output(a, "cache-hit", strcmp(matched, key) == 0 ? "true" : "false");
        set_output(a, "cache-matched-key", matched);
    }
    if (rc == 0 && strcmp(must, "true") == 0) {
        char *text = xasprintf("Failed to restore cache entry. Exiting as fail-on-cache-miss is set. Input key: %s\n", key);
        job_runner_log(r, text, strlen(text));
        job_runner_fail(r, a->name, text);
        free(text);
        goto out;
    }
    if (rc >= 0 && !only_restore && (matched == NULL || strcmp(matched, key) != 0)) {
        struct cache_save *due = xcalloc(1, sizeof *due);
        *due = (struct cache_save){.key = xstrdup(key), .paths = xstrdup(paths), .name = xasprintf("Post %s", a->name)};
        vec_push(&r->cache_saves, due);
    }
    rc = rc < 0 ? -1 : 1;
out:
    str_list_finish(&restore_keys);
    free(look);
    free(must);
    free(matched);
    free(prefixes);
    free(paths);
    free(key);
    free(dir);
    return rc;
}

int action_steps_save_caches(struct job_runner *r, struct error *err)
{
    char *dir = store_dir(r);
    int rc = 0;

    for (size_t i = r->cache_saves.len; rc >= 0 && dir != NULL && !r->state.is_failed && i > 0; i--) {
        const struct cache_save *due = r->cache_saves.items[i - 1];
        json_t *outputs = json_object();
        struct action_step a = {.runner = r, .name = due->name, .outputs = outputs};

        rc = save(&a, dir, due->paths, due->key, err);
        json_decref(outputs);
    }
    free(dir);
    return rc < 0 ? -1 : 0;
}

void cache_save_destroy(struct cache_save *save_due)
{
    if (save_due == NULL)
        return;
    free(save_due->key);
    free(save_due->paths);
    free(save_due->name);
    free(save_due);
}

/* --- The bound ---------------------------------------------------------------------------------------- */

struct trim {
    struct entry *entries;
    size_t len;
};

static int by_use(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return x->used < y->used ? -1 : x->used > y->used;
}

static void read_all_entries(const char *dir, struct trim *trim)
{
    char *top = path_join(dir, "entries");
    struct str_list folders = {0};
    struct error ignored = {0};

    if (file_is_directory(top))
        (void)file_list_directory(top, &folders, &ignored);
    trim->entries = xcalloc(MAX_ENTRIES, sizeof *trim->entries);
    for (size_t i = 0; i < folders.len; i++) {
        char *folder = path_join(top, folders.items[i]);
        struct str_list names = {0};
        (void)file_list_directory(folder, &names, &ignored);
        for (size_t k = 0; k < names.len && trim->len < MAX_ENTRIES; k++) {
            char *file = path_join(folder, names.items[k]);
            trim->len += read_entry(file, NULL, &trim->entries[trim->len]);
            free(file);
        }
        str_list_finish(&names);
        free(folder);
    }
    str_list_finish(&folders);
    free(top);
}

static bool is_used(const struct trim *trim, const char *blob)
{
    for (size_t i = 0; i < trim->len; i++) {
        if (trim->entries[i].file != NULL && strcmp(trim->entries[i].blob, blob) == 0)
            return true;
    }
    return false;
}

void action_cache_trim(const char *dir, int64_t max_bytes)
{
    char *blobs = path_join(dir, "blobs");
    struct str_list names = {0};
    struct error ignored = {0};
    struct trim trim = {0};
    int64_t total = 0;

    if (file_is_directory(blobs))
        (void)file_list_directory(blobs, &names, &ignored);
    read_all_entries(dir, &trim);
    qsort(trim.entries, trim.len, sizeof *trim.entries, by_use);
    for (size_t i = 0; i < names.len; i++) {
        char *blob = path_join(blobs, names.items[i]);
        struct stat st;
        if (stat(blob, &st) == 0 && is_used(&trim, names.items[i]))
            total += st.st_size;
        else
            (void)unlink(blob);
        free(blob);
    }
    for (size_t i = 0; i < trim.len && total > max_bytes; i++) {
        char *blob = path_join(blobs, trim.entries[i].blob);
        struct stat st;
        bool is_there = stat(blob, &st) == 0;
        (void)unlink(trim.entries[i].file);
        FREE_NULL(trim.entries[i].file);
        if (is_there && !is_used(&trim, trim.entries[i].blob) && unlink(blob) == 0)
            total -= st.st_size;
        free(blob);
    }
    for (size_t i = 0; i < trim.len; i++)
        entry_finish(&trim.entries[i]);
    free(trim.entries);
    str_list_finish(&names);
    free(blobs);
}
