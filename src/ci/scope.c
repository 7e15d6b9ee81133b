/* ci/scope.c: status functions, hashFiles, and the names of all contexts. */
#include "ci/scope.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/glob.h"
#include "base/path.h"
#include "base/str.h"
#include "ci/sha256.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const names[] = {"github", "env",     "vars",   "job",    "jobs",   "steps", "runner",
                                    "secrets", "strategy", "matrix", "needs", "inputs", NULL};

#define HASH_MAX_FILES 20000
#define HASH_MAX_BYTES ((size_t)64 << 20)
#define HASH_MAX_DEPTH 32

static int call_success(void *data, const struct expr_value *args, size_t n, struct expr_value *out,
                        struct error *err)
{
    const struct scope_state *state = data;

    (void)args, (void)n, (void)err;
    *out = expr_boolean(!state->is_failed && !state->is_cancelled && !state->is_skipped);
    return 0;
}

static int call_failure(void *data, const struct expr_value *args, size_t n, struct expr_value *out,
                        struct error *err)
{
    const struct scope_state *state = data;

    (void)args, (void)n, (void)err;
    *out = expr_boolean(state->is_failed && !state->is_cancelled);
    return 0;
}

static int call_always(void *data, const struct expr_value *args, size_t n, struct expr_value *out,
                       struct error *err)
{
    (void)data, (void)args, (void)n, (void)err;
    *out = expr_boolean(true);
    return 0;
}

static int call_cancelled(void *data, const struct expr_value *args, size_t n, struct expr_value *out,
                          struct error *err)
{
    const struct scope_state *state = data;

    (void)args, (void)n, (void)err;
    *out = expr_boolean(state->is_cancelled);
    return 0;
}

static int call_hash_files(void *data, const struct expr_value *args, size_t n, struct expr_value *out,
                           struct error *err)
{
    const struct scope_state *state = data;
    struct str_list patterns = {0};

    (void)err;
    for (size_t i = 0; i < n; i++) {
        char *text = expr_to_string(&args[i]);
        struct str_list lines = {0};
        str_split(&lines, text, '\n');
        for (size_t k = 0; k < lines.len; k++) {
            char *line = str_trim(lines.items[k]);
            if (*line != '\0')
                str_list_add(&patterns, line);
        }
        str_list_finish(&lines);
        free(text);
    }
    if (state->workspace == NULL || patterns.len == 0)
        *out = expr_string("");
    else
        *out = expr_string_taken(
            scope_hash_files(state->workspace, (const char *const *)patterns.items, patterns.len));
    str_list_finish(&patterns);
    return 0;
}

static const struct expr_function functions[] = {
    {"success", 0, 255, call_success, true},   {"failure", 0, 255, call_failure, true},
    {"always", 0, 0, call_always, true},       {"cancelled", 0, 0, call_cancelled, true},
    {"hashFiles", 1, 255, call_hash_files, false}, {0},
};

struct expr_scope scope_make(json_t *contexts, struct scope_state *state)
{
    return (struct expr_scope){.names = names,
                               .functions = functions,
                               .data = state,
                               .contexts = contexts,
                               .max_memory = (size_t)10 << 20};
}

struct walk {
    const char *root;
    const char *const *patterns;
    size_t pattern_count;
    struct sha256 hash;
    size_t files;
};

static bool is_wanted(const struct walk *walk, const char *path)
{
    bool wanted = false;

    for (size_t i = 0; i < walk->pattern_count; i++) {
        const char *p = walk->patterns[i];
        bool is_negative = *p == '!';
        if (is_negative)
            p++;
        if (strncmp(p, "./", 2) == 0)
            p += 2;
        if (glob_match(p, path))
            wanted = !is_negative;
    }
    return wanted;
}

/* Each file's digest goes into the whole, in bytewise order of paths. */
static void walk_folder(struct walk *walk, const char *relative, unsigned depth)
{
    char *folder = path_join(walk->root, relative);
    struct str_list entries = {0};
    struct error err = {0};

    if (depth <= HASH_MAX_DEPTH && file_list_directory(folder, &entries, &err) == 0) {
        for (size_t i = 0; i < entries.len && walk->files < HASH_MAX_FILES; i++) {
            char *path = *relative != '\0' ? path_join(relative, entries.items[i]) : xstrdup(entries.items[i]);
            char *full = path_join(walk->root, path);
            struct stat st;

            if (strcmp(entries.items[i], ".git") != 0 && lstat(full, &st) == 0) {
                if (S_ISDIR(st.st_mode)) {
                    walk_folder(walk, path, depth + 1);
                } else if (S_ISREG(st.st_mode) && is_wanted(walk, path)) {
                    struct buf b = BUF_INIT;
                    unsigned char digest[SHA256_BYTES];
                    if (file_read(full, &b, HASH_MAX_BYTES, &err) == 0) {
                        sha256_once(buf_cstr(&b), b.len, digest);
                        sha256_update(&walk->hash, digest, sizeof digest);
                        walk->files++;
                    }
                    buf_free(&b);
                }
            }
            free(full);
            free(path);
        }
    }
    str_list_finish(&entries);
    free(folder);
}

char *scope_hash_files(const char *root, const char *const *patterns, size_t n)
{
    struct walk walk = {.root = root, .patterns = patterns, .pattern_count = n};
    char text[SHA256_TEXT_BYTES];

    sha256_init(&walk.hash);
    walk_folder(&walk, "", 0);
    if (walk.files == 0)
        return xstrdup("");
    sha256_finish_text(&walk.hash, text);
    return xstrdup(text);
}
