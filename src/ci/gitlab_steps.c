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

void gitlab_job_add_steps(struct gitlab_reader *r, struct gitlab_job *j)
{
    const struct yaml_node *before = yaml_get(j->node, "before_script"),
                           *script = yaml_get(j->node, "script"), *after = yaml_get(j->node, "after_script");
    struct buf b = BUF_INIT;

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
    if (gitlab_saves_artifacts(j->node))
        add_save_step(r, j);
    buf_free(&b);
}
