/* ci/gitlab_tree.c: several YAML files to one tree. */
#include "ci/gitlab_tree.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/glob.h"
#include "base/path.h"
#include "ci/gitlab_inputs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int gitlab_fail(const struct yaml_node *at, struct error *err, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return error_set_at(err, ERROR_PARSE, at->file != NULL ? at->file : ".gitlab-ci.yml", at->line,
                        at->column, "%s", text);
}

struct yaml_node *gitlab_merge(struct arena *arena, struct yaml_node *below, struct yaml_node *above)
{
    struct yaml_node *merged;

    if (below == NULL || above == NULL)
        return above != NULL ? above : below;
    if (below->kind != YAML_MAPPING || above->kind != YAML_MAPPING)
        return above;
    merged = arena_alloc(arena, sizeof *merged);
    *merged = *above;
    merged->items = arena_alloc(arena, (below->len + above->len + 1) * sizeof *merged->items);
    merged->len = 0;
    for (size_t i = 0; i + 1 < below->len; i += 2) {
        struct yaml_node *over = yaml_get(above, below->items[i]->text);
        merged->items[merged->len++] = below->items[i];
        merged->items[merged->len++] =
            over != NULL ? gitlab_merge(arena, below->items[i + 1], over) : below->items[i + 1];
    }
    for (size_t i = 0; i + 1 < above->len; i += 2) {
        if (yaml_get(below, above->items[i]->text) == NULL) {
            merged->items[merged->len++] = above->items[i];
            merged->items[merged->len++] = above->items[i + 1];
        }
    }
    return merged;
}

static int spend(struct gitlab_tree *t, const struct yaml_node *at, size_t n, struct error *err)
{
    t->nodes += n;
    if (t->nodes <= YAML_MAX_NODES)
        return 0;
    (void)gitlab_fail(at, err, "more than %d values (references expanded)", YAML_MAX_NODES);
    err->code = ERROR_LIMIT;
    return -1;
}

/* ------------------------------------------------------------------------------------------- includes */

/* What an include gives to the file, and where. */
struct given {
    const struct yaml_node *inputs, *at;
};

static int load_file(struct gitlab_tree *t, const char *text, size_t n, const char *file, struct given given, int depth,
                     struct yaml_node **out, struct error *err);

static void note_foreign(struct gitlab_tree *t, const struct yaml_node *entry, const char *kind,
                         const char *name)
{
    str_list_take(&t->foreign, xasprintf("%s '%s'", kind, name != NULL ? name : ""));
    vec_push(&t->foreign_nodes, (void *)(uintptr_t)entry);
}

static int include_path(struct gitlab_tree *t, const struct yaml_node *at, const char *path, const struct yaml_node *inputs,
                        int depth, struct yaml_node **out, struct error *err)
{
    char *full = path_join(t->root_dir, path);
    struct buf text = BUF_INIT;
    struct yaml_node *part = NULL;
    struct error why = {0};
    int rc = -1;

    if (!file_is_regular(full)) {
        (void)gitlab_fail(at, err, "Local file `%s` does not exist!", path);
    } else if (file_read(full, &text, YAML_MAX_BYTES, &why) < 0) {
        (void)gitlab_fail(at, err, "Local file `%s`: %.300s", path, why.text);
    } else if (load_file(t, buf_cstr(&text), text.len, path, (struct given){inputs, at}, depth + 1, &part, err) == 0) {
        *out = gitlab_merge(t->arena, *out, part);
        rc = 0;
    }
    buf_free(&text);
    free(full);
    return rc;
}

/* Files below the root that match a pattern such as "ci/" + "*.yml", in bytewise order. */
static void expand_pattern(const struct gitlab_tree *t, const char *folder, const char *pattern,
                           unsigned depth, struct str_list *found)
{
    char *full = path_join(t->root_dir, folder);
    struct str_list names = {0};
    struct error ignored = {0};

    if (depth <= 16 && file_list_directory(full, &names, &ignored) == 0) {
        for (size_t i = 0; i < names.len && found->len < GITLAB_MAX_FILES; i++) {
            char *path = *folder != '\0' ? path_join(folder, names.items[i]) : xstrdup(names.items[i]);
            char *file = path_join(t->root_dir, path);
            if (file_is_directory(file) && strcmp(names.items[i], ".git") != 0)
                expand_pattern(t, path, pattern, depth + 1, found);
            else if (glob_match(pattern, path) && file_is_regular(file))
                str_list_add(found, path);
            free(file);
            free(path);
        }
    }
    str_list_finish(&names);
    free(full);
}

static int include_local(struct gitlab_tree *t, const struct yaml_node *at, const char *name, const struct yaml_node *inputs,
                         int depth, struct yaml_node **out, struct error *err)
{
    struct str_list found = {0};
    char *path;
    int rc = 0;

    while (*name == '/')
        name++;
    path = path_normalize(name);
    if (t->root_dir == NULL) {
        note_foreign(t, at, "local", name);
    } else if (!path_is_plain_relative(path)) {
        rc = gitlab_fail(at, err, "Local file `%s` does not exist!", name);
    } else if (strpbrk(path, "*?[") != NULL) {
        expand_pattern(t, "", path, 0, &found);
        if (found.len == 0)
            rc = gitlab_fail(at, err, "Local file `%s` does not exist!", name);
        for (size_t i = 0; rc == 0 && i < found.len; i++)
            rc = include_path(t, at, found.items[i], inputs, depth, out, err);
    } else {
        rc = include_path(t, at, path, inputs, depth, out, err);
    }
    str_list_finish(&found);
    free(path);
    return rc;
}

static int include_entry(struct gitlab_tree *t, const struct yaml_node *entry, int depth,
                         struct yaml_node **out, struct error *err)
{
    static const char *const foreign[] = {"project", "remote", "template", "component", "artifact"};
    const struct yaml_node *local, *rules;

    if (entry->kind == YAML_SCALAR) {
        bool is_remote = strncmp(entry->text, "http://", 7) == 0 || strncmp(entry->text, "https://", 8) == 0;
        if (!is_remote)
            return include_local(t, entry, entry->text, NULL, depth, out, err);
        note_foreign(t, entry, "remote", entry->text);
        return 0;
    }
    if (entry->kind != YAML_MAPPING)
        return gitlab_fail(entry, err, "include config should be a hash or a string");
    rules = yaml_get(entry, "rules");
    if (rules != NULL && t->include_holds != NULL) {
        int holds = t->include_holds(t->data, rules, err);
        if (holds <= 0)
            return holds;
    }
    local = yaml_get(entry, "local");
    if (local != NULL && local->kind != YAML_SCALAR)
        return gitlab_fail(local, err, "include config: local should be a string");
    if (local != NULL)
        return include_local(t, local, local->text, yaml_get(entry, "inputs"), depth, out, err);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        const struct yaml_node *value = yaml_get(entry, foreign[i]);
        if (value != NULL) {
            note_foreign(t, value, foreign[i], yaml_text(value));
            return 0;
        }
    }
    return gitlab_fail(entry, err,
                       "include config: one of local, project, remote, template or component is missing");
}

static int load_includes(struct gitlab_tree *t, const struct yaml_node *root, int depth,
                         struct yaml_node **out, struct error *err)
{
    const struct yaml_node *include = yaml_get(root, "include");
    int rc = 0;

    if (yaml_is_null(include))
        return 0;
    if (include->kind != YAML_SEQUENCE)
        return include_entry(t, include, depth, out, err);
    for (size_t i = 0; rc == 0 && i < include->len; i++)
        rc = include_entry(t, include->items[i], depth, out, err);
    return rc;
}

/* The second document of a file with inputs; its lines keep their numbers. */
static int read_body(struct gitlab_tree *t, const char *text, size_t n, size_t header, const char *file, struct yaml_node **root,
                     struct error *err)
{
    char *body = xstrndup(text, n);
    int rc;

    for (size_t i = 0; i < header; i++)
        body[i] = body[i] == '\n' ? '\n' : ' ';
    rc = yaml_tree_read(t->arena, body, n, file, true, root, err);
    free(body);
    return rc;
}

static int load_file(struct gitlab_tree *t, const char *text, size_t n, const char *file, struct given given, int depth,
                     struct yaml_node **out, struct error *err)
{
    size_t header = n > 0 && memchr(text, '\0', n) == NULL ? gitlab_inputs_header(text, n) : 0;
    struct yaml_node *root, *included = NULL, *inputs;

    if (depth > GITLAB_MAX_NESTING || ++t->files > GITLAB_MAX_FILES)
        return error_set_at(err, ERROR_LIMIT, file, 0, 0, "Maximum of %d nested includes are allowed!",
                            GITLAB_MAX_FILES);
    if (gitlab_inputs_read(t->arena, text, header, file, given.inputs, given.at, &inputs, err) < 0 ||
        (header > 0 ? read_body(t, text, n, header, file, &root, err)
                    : yaml_tree_read(t->arena, text, n, file, true, &root, err)) < 0)
        return -1;
    if (root != NULL && header > 0 && gitlab_inputs_apply(t->arena, root, inputs, err) < 0)
        return -1;
    if (root == NULL)
        return depth > 0
                   ? 0
                   : error_set_at(err, ERROR_PARSE, file, 1, 1, "Please provide content of .gitlab-ci.yml");
    if (root->kind != YAML_MAPPING)
        return gitlab_fail(root, err, "Invalid configuration format: a mapping was expected");
    if (load_includes(t, root, depth, &included, err) < 0)
        return -1;
    *out = gitlab_merge(t->arena, included, root);
    return spend(t, root, (*out)->len, err);
}

/* ------------------------------------------------------------------------------------------ references */

static bool is_reference(const struct yaml_node *node)
{
    return node->tag != NULL && strcmp(node->tag, "!reference") == 0;
}

/* NODE with the references in it replaced; itself when there are none. */
static struct yaml_node *resolve(struct gitlab_tree *t, struct yaml_node *node, int depth, int references,
                                 struct error *err);

static struct yaml_node *look_up(struct gitlab_tree *t, const struct yaml_node *reference, int references,
                                 struct error *err)
{
    struct yaml_node *node = t->config;

    if (references >= GITLAB_MAX_NESTING) {
        (void)gitlab_fail(reference, err, "!reference is nested deeper than %d, or part of a circular chain",
                          GITLAB_MAX_NESTING);
        return NULL;
    }
    if (reference->kind != YAML_SEQUENCE || reference->len == 0) {
        (void)gitlab_fail(reference, err, "!reference is not valid: a list of keys was expected");
        return NULL;
    }
    for (size_t i = 0; i < reference->len; i++) {
        const char *key = yaml_text(reference->items[i]);
        node = key != NULL ? yaml_get(node, key) : NULL;
        if (node == NULL) {
            (void)gitlab_fail(reference->items[i], err, "!reference [\"%s\"%s] could not be found",
                              yaml_text(reference->items[0]) != NULL ? reference->items[0]->text : "",
                              reference->len > 1 ? ", ..." : "");
            return NULL;
        }
    }
    return resolve(t, node, 0, references + 1, err);
}

static struct yaml_node *resolve(struct gitlab_tree *t, struct yaml_node *node, int depth, int references,
                                 struct error *err)
{
    struct yaml_node *copy = node;

    if (depth > YAML_MAX_DEPTH) {
        (void)gitlab_fail(node, err, "nested deeper than %d", YAML_MAX_DEPTH);
        return NULL;
    }
    if (spend(t, node, 1, err) < 0)
        return NULL;
    if (is_reference(node))
        return look_up(t, node, references, err);
    for (size_t i = 0; node->kind != YAML_SCALAR && i < node->len; i++) {
        struct yaml_node *item = resolve(t, node->items[i], depth + 1, references, err);
        if (item == NULL)
            return NULL;
        if (item == node->items[i])
            continue;
        if (copy == node) {
            copy = arena_alloc(t->arena, sizeof *copy);
            *copy = *node;
            copy->items = arena_alloc(t->arena, (node->len + 1) * sizeof *copy->items);
            memcpy(copy->items, node->items, node->len * sizeof *copy->items);
        }
        copy->items[i] = item;
    }
    return copy;
}

int gitlab_tree_load(struct gitlab_tree *t, const char *text, size_t n, const char *file, struct error *err)
{
    struct yaml_node *resolved;

    if (load_file(t, text, n, file, (struct given){t->inputs, NULL}, 0, &t->config, err) < 0)
        return -1;
    t->nodes = 0;
    resolved = resolve(t, t->config, 0, 0, err);
    if (resolved == NULL)
        return -1;
    t->config = resolved;
    t->nodes = 0;
    return 0;
}

void gitlab_tree_finish(struct gitlab_tree *t)
{
    str_list_finish(&t->foreign);
    vec_finish(&t->foreign_nodes);
}

/* --------------------------------------------------------------------------------------------- extends */

static struct yaml_node *without_extends(struct gitlab_tree *t, const struct yaml_node *job)
{
    struct yaml_node *copy = arena_alloc(t->arena, sizeof *copy);

    *copy = *job;
    copy->items = arena_alloc(t->arena, (job->len + 1) * sizeof *copy->items);
    copy->len = 0;
    for (size_t i = 0; i + 1 < job->len; i += 2) {
        if (strcmp(job->items[i]->text, "extends") != 0) {
            copy->items[copy->len++] = job->items[i];
            copy->items[copy->len++] = job->items[i + 1];
        }
    }
    return copy;
}

static struct yaml_node *extend(struct gitlab_tree *t, const char *key, struct yaml_node *job,
                                const char *const *chain, size_t depth, bool *is_foreign, struct error *err)
{
    const struct yaml_node *extends = yaml_get(job, "extends");
    const char *next_chain[GITLAB_MAX_EXTENDS + 1];
    struct yaml_node *below = NULL, *own;
    size_t count;

    if (extends == NULL)
        return job;
    if (spend(t, extends, job->len + 1, err) < 0)
        return NULL;
    if (depth >= GITLAB_MAX_EXTENDS) {
        (void)gitlab_fail(extends, err, "%s: nesting too deep in `extends`", key);
        return NULL;
    }
    if (depth > 0)
        memcpy(next_chain, chain, depth * sizeof *chain);
    next_chain[depth] = key;
    count = extends->kind == YAML_SEQUENCE ? extends->len : 1;
    for (size_t i = 0; i < count; i++) {
        const struct yaml_node *name = extends->kind == YAML_SEQUENCE ? extends->items[i] : extends;
        struct yaml_node *base, *resolved;

        if (name->kind != YAML_SCALAR) {
            (void)gitlab_fail(name, err, "jobs:%s:extends config should be an array of strings or a string",
                              key);
            return NULL;
        }
        for (size_t k = 0; k <= depth; k++) {
            if (strcmp(next_chain[k], name->text) == 0) {
                (void)gitlab_fail(name, err, "%s: circular dependency detected in `extends`", key);
                return NULL;
            }
        }
        base = yaml_get(t->config, name->text);
        if (base == NULL && t->foreign.len > 0) {
            *is_foreign = true;
            continue;
        }
        if (base == NULL || base->kind != YAML_MAPPING) {
            (void)gitlab_fail(name, err,
                              base == NULL ? "%s: unknown keys in `extends` (%s)"
                                           : "%s: invalid base hashes in `extends` (%s)",
                              key, name->text);
            return NULL;
        }
        resolved = extend(t, name->text, base, next_chain, depth + 1, is_foreign, err);
        if (resolved == NULL)
            return NULL;
        below = gitlab_merge(t->arena, below, resolved);
    }
    own = without_extends(t, job);
    own = gitlab_merge(t->arena, below, own);
    return own;
}

struct yaml_node *gitlab_tree_job(struct gitlab_tree *t, const char *key, bool *is_foreign, struct error *err)
{
    struct yaml_node *job = yaml_get(t->config, key);

    *is_foreign = false;
    if (job == NULL) {
        error_set(err, ERROR_NOT_FOUND, "no job '%s'", key);
        return NULL;
    }
    if (job->kind != YAML_MAPPING) {
        (void)gitlab_fail(job, err, "jobs:%s config should be a hash", key);
        return NULL;
    }
    return extend(t, key, job, NULL, 0, is_foreign, err);
}
