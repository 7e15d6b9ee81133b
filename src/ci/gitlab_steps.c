/* ci/gitlab_steps.c: scripts and artifacts of a GitLab job as steps. Artifacts go to the run's own store; such a step stands
 * for the store and is not one of the project's. */
#include "ci/gitlab_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "ci/plan_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SCRIPT ((size_t)256 * 1024)

static void append_lines(struct buf *b, const struct yaml_node *node, int depth)
{
    if (node == NULL || yaml_is_null(node) || depth > GITLAB_MAX_NESTING || b->len > MAX_SCRIPT)
        return;
    if (node->kind == YAML_SCALAR) {
        buf_printf(b, "%s\n", node->text);
        return;
    }
    for (size_t i = 0; node->kind == YAML_SEQUENCE && i < node->len; i++)
        append_lines(b, node->items[i], depth + 1);
}

/* Only commands that install and leave nothing in the shell can be a step of their own. */
static bool only_installs(const char *script)
{
    struct str_list lines = {0};
    bool all = *script != '\0';

    str_split(&lines, script, '\n');
    for (size_t i = 0; all && i < lines.len; i++) {
        char *line = str_trim(lines.items[i]);
        bool is_system;
        if (*line != '\0' && *line != '#')
            all = plan_is_dependency_step(line, &is_system) && strpbrk(line, "`;&|=") == NULL;
    }
    str_list_finish(&lines);
    return all;
}

static struct workflow_step *add_step(struct gitlab_reader *r, struct gitlab_job *j, const char *name,
                                      const char *script, const struct yaml_node *at)
{
    struct workflow_step *step = workflow_add_step(r->w, j->job, name, script);

    step->shell = "bash";
    step->line = at != NULL ? at->line : j->job->line;
    return step;
}

bool gitlab_saves_artifacts(const struct yaml_node *job)
{
    const struct yaml_node *artifacts = yaml_get(job, "artifacts");

    return !yaml_is_null(yaml_get(artifacts, "paths")) ||
           yaml_get(yaml_get(artifacts, "reports"), "dotenv") != NULL;
}

/* The job's folder in the store, the same for who saves and who takes. */
static void append_store(struct buf *b, const char *key)
{
    buf_printf(b, "\"$CADRE_ARTIFACT_DIR/gitlab-%016llx\"", (unsigned long long)str_hash(key, strlen(key)));
}

static void append_quoted(struct buf *b, const char *text)
{
    buf_putc(b, '\'');
    for (; *text != '\0'; text++)
        buf_puts(b, *text == '\'' ? "'\\''" : (char[]){*text, '\0'});
    buf_putc(b, '\'');
}

static void add_take_step(struct gitlab_reader *r, struct gitlab_job *j)
{
    struct buf b = BUF_INIT;

    buf_puts(&b, "for store in");
    for (size_t i = 0; i < j->sources.len; i++) {
        buf_putc(&b, ' ');
        append_store(&b, j->sources.items[i]);
    }
    buf_puts(&b,
             "; do\n  for f in \"$store\"/*.tar; do [ ! -e \"$f\" ] || tar -xf \"$f\"; done\n"
             "  for f in \"$store\"/*.env; do [ ! -e \"$f\" ] || cat \"$f\" >>\"$GITHUB_ENV\"; done\ndone\n");
    add_step(r, j, "artifacts of earlier jobs", buf_cstr(&b), NULL)->satisfied_by =
        "the local artifact store";
    buf_free(&b);
}

static void append_paths(struct buf *b, const struct yaml_node *paths, const json_t *variables)
{
    size_t n = paths == NULL ? 0 : paths->kind == YAML_SEQUENCE ? paths->len : 1;

    for (size_t i = 0; i < n; i++) {
        const char *text = yaml_text(paths->kind == YAML_SEQUENCE ? paths->items[i] : paths);
        char *expanded = gitlab_expand(text != NULL ? text : "", variables, NULL);
        size_t length = strlen(expanded);
        while (length > 1 && expanded[length - 1] == '/')
            expanded[--length] = '\0';
        if (length > 0 && strchr(expanded, '\n') == NULL) {
            buf_putc(b, ' ');
            append_quoted(b, expanded);
        }
        free(expanded);
    }
}

/* "**" + "/" stands for any folders or none: tar is told both. */
static void append_excludes(struct buf *b, const struct yaml_node *exclude, const json_t *variables)
{
    for (size_t i = 0; exclude != NULL && exclude->kind == YAML_SEQUENCE && i < exclude->len; i++) {
        const char *text = yaml_text(exclude->items[i]), *stars;
        char *pattern = gitlab_expand(text != NULL ? text : "", variables, NULL);

        stars = strstr(pattern, "**/");
        buf_puts(b, strstr(pattern, "**") != NULL ? " --wildcards-match-slash --exclude="
                                                  : " --no-wildcards-match-slash --exclude=");
        append_quoted(b, pattern);
        if (stars != NULL) {
            char *without = xasprintf("%.*s%s", (int)(stars - pattern), pattern, stars + 3);
            buf_puts(b, " --exclude=");
            append_quoted(b, without);
            free(without);
        }
        free(pattern);
    }
}

static void add_save_step(struct gitlab_reader *r, struct gitlab_job *j)
{
    const struct yaml_node *artifacts = yaml_get(j->node, "artifacts");
    const struct yaml_node *dotenv = yaml_get(yaml_get(artifacts, "reports"), "dotenv");
    const char *when = yaml_get_text(artifacts, "when");
    json_t *raw = yaml_to_json_texts(j->job->env), *variables = gitlab_resolve_variables(raw);
    struct workflow_step *step;
    struct buf b = BUF_INIT;

    json_decref(raw);
    /* A leg's own file: legs of one job do not overwrite each other. */
    buf_puts(&b, "shopt -s globstar nullglob dotglob\nstore=");
    append_store(&b, j->job->key);
    buf_puts(&b, "\nmkdir -p \"$store\"\nid=$(printf %s \"$CI_JOB_NAME\" | cksum | tr ' ' -)\nIFS=\n"
                 "for p in");
    append_paths(&b, yaml_get(artifacts, "paths"), variables);
    buf_puts(&b, "; do\n  for f in $p; do [ ! -e \"$f\" ] || printf '%s\\0' \"$f\"; done\ndone |\n"
                 "  tar --wildcards");
    append_excludes(&b, yaml_get(artifacts, "exclude"), variables);
    buf_puts(&b, " -cf \"$store/$id.tar\" --null -T -\n");
    if (dotenv != NULL) {
        buf_puts(&b, "for p in");
        append_paths(&b, dotenv, variables);
        buf_puts(&b,
                 "; do\n  for f in $p; do [ ! -e \"$f\" ] || cat \"$f\" >>\"$store/$id.env\"; done\ndone\n");
    }
    step = add_step(r, j, "save artifacts", buf_cstr(&b), artifacts);
    step->satisfied_by = "the local artifact store";
    step->is_always = when != NULL && strcmp(when, "always") == 0;
    step->is_after_failure = when != NULL && strcmp(when, "on_failure") == 0;
    json_decref(variables);
    buf_free(&b);
}

/* --- cache: the local store of actions/cache ------------------------------------------------------------------ */

#define MAX_CACHES 4 /* as on GitLab */

/* What the cache is called. `key: files` is what is in them; that is known when the job runs. */
static char *cache_name(const struct yaml_node *cache, const json_t *variables)
{
    const struct yaml_node *key = yaml_get(cache, "key"), *files = yaml_get(key, "files");
    const char *text = key != NULL && key->kind == YAML_MAPPING ? yaml_get_text(key, "prefix") : yaml_text(key);
    char *expanded = gitlab_expand(text != NULL ? text : files != NULL ? "" : "default", variables, NULL);
    struct buf b = BUF_INIT;

    buf_printf(&b, "%s/%016llx/", files != NULL ? "gitlab-files" : "gitlab",
               (unsigned long long)str_hash(expanded, strlen(expanded)));
    for (size_t i = 0; files != NULL && files->kind == YAML_SEQUENCE && i < files->len; i++) {
        const char *file = yaml_text(files->items[i]);
        if (file != NULL && strpbrk(file, "'$") == NULL)
            buf_printf(&b, "${{ hashFiles('%s') }}/", file);
    }
    free(expanded);
    return buf_take(&b);
}

static void add_pair(struct gitlab_reader *r, struct yaml_node *mapping, const char *key, const char *value)
{
    yaml_mapping_add(&r->w->arena, mapping, key, yaml_new_scalar(&r->w->arena, value));
}

/* Unlike on GitHub a cache is written anew by each job that may: taken before everything, saved at the end. */
static void add_cache_step(struct gitlab_reader *r, struct gitlab_job *j, const struct yaml_node *cache, const json_t *variables,
                           bool is_save)
{
    static const char *const uses[] = {"actions/cache/restore@v4", "actions/cache/save@v4"};
    const struct yaml_node *paths = yaml_get(cache, "paths"), *fallback = yaml_get(cache, "fallback_keys");
    struct arena *arena = &r->w->arena;
    struct yaml_node *with = yaml_new_mapping(arena);
    const char *when = yaml_get_text(cache, "when");
    char *name = cache_name(cache, variables);
    struct buf b = BUF_INIT, restore = BUF_INIT;
    struct workflow_step *step;

    for (size_t i = 0; paths != NULL && paths->kind == YAML_SEQUENCE && i < paths->len; i++) {
        char *path = gitlab_expand(yaml_text(paths->items[i]) != NULL ? yaml_text(paths->items[i]) : "", variables, NULL);
        if (strstr(path, "${{") == NULL)
            buf_printf(&b, "%s\n", path);
        free(path);
    }
    for (size_t i = 0; fallback != NULL && fallback->kind == YAML_SEQUENCE && i < fallback->len; i++) {
        char *other = gitlab_expand(yaml_text(fallback->items[i]) != NULL ? yaml_text(fallback->items[i]) : "", variables, NULL);
        buf_printf(&restore, "gitlab/%016llx/\n", (unsigned long long)str_hash(other, strlen(other)));
        free(other);
    }
    add_pair(r, with, "path", buf_cstr(&b));
    add_pair(r, with, "key", name);
    if (!is_save && restore.len > 0)
        add_pair(r, with, "restore-keys", buf_cstr(&restore));
    if (b.len > 0) {
        step = add_step(r, j, is_save ? "save the cache" : "cache", NULL, cache);
        step->uses = uses[is_save];
        step->with = with;
        step->is_always = is_save && str_eq(when, "always");
        step->is_after_failure = is_save && str_eq(when, "on_failure");
        step->continue_on_error = "true";
    }
    buf_free(&b);
    buf_free(&restore);
    free(name);
}

static void add_cache_steps(struct gitlab_reader *r, struct gitlab_job *j, bool is_save)
{
    const struct yaml_node *caches = yaml_get(j->node, "cache");
    json_t *raw = yaml_to_json_texts(j->job->env), *variables = gitlab_resolve_variables(raw);
    size_t n = yaml_is_null(caches) ? 0 : caches->kind == YAML_SEQUENCE ? caches->len : 1;

    for (size_t i = 0; i < n && i < MAX_CACHES; i++) {
        const struct yaml_node *cache = caches->kind == YAML_SEQUENCE ? caches->items[i] : caches;
        const char *policy = yaml_get_text(cache, "policy");
        if (!str_eq(policy, is_save ? "pull" : "push"))
            add_cache_step(r, j, cache, variables, is_save);
    }
    json_decref(variables);
    json_decref(raw);
}

void gitlab_job_add_steps(struct gitlab_reader *r, struct gitlab_job *j)
{
    const struct yaml_node *before = yaml_get(j->node, "before_script"),
                           *script = yaml_get(j->node, "script"), *after = yaml_get(j->node, "after_script");
    struct buf b = BUF_INIT;

    add_cache_steps(r, j, false);
    if (j->sources.len > 0)
        add_take_step(r, j);
    append_lines(&b, before, 0);
    if (only_installs(buf_cstr(&b))) {
        add_step(r, j, "before_script", buf_cstr(&b), before)->installs = true;
        buf_clear(&b);
    }
    append_lines(&b, script, 0);
    if (b.len > 0)
        add_step(r, j, "script", buf_cstr(&b), script);
    buf_clear(&b);
    append_lines(&b, after, 0);
    if (b.len > 0) {
        struct workflow_step *step = add_step(r, j, "after_script", buf_cstr(&b), after);
        step->is_always = true;
        step->continue_on_error = "true";
        step->timeout_minutes = "5";
    }
    add_cache_steps(r, j, true);
    if (gitlab_saves_artifacts(j->node))
        add_save_step(r, j);
    buf_free(&b);
}
