/* ci/plan_steps.c: what each step comes to on this machine, and why a job cannot run here. */
#include "ci/plan_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "ci/template.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define ACTION_FILE_MAX_BYTES (256 * 1024)

static bool program_exists(const char *name)
{
    const char *path = getenv("PATH");
    struct str_list folders = {0};
    bool found = false;

    str_split(&folders, path != NULL ? path : "/usr/bin:/bin", ':');
    for (size_t i = 0; !found && i < folders.len; i++) {
        char *file = path_join(folders.items[i], name);
        found = access(file, X_OK) == 0 && file_is_regular(file);
        free(file);
    }
    str_list_finish(&folders);
    return found;
}

static bool starts_with_one_of(const char *line, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (*words[i] == *line && strncmp(words[i], line, strlen(words[i])) == 0)
            return true;
    }
    return false;
}

/* Where the next command of the script starts at or after P: at a line's start or after ; & | ( ` { and words such as
 * "sudo" and "then". NULL at the end. */
static const char *next_command(const char *p)
{
    static const char *const before[] = {"sudo ", "then ", "do ", "else ", "! ", "exec ", "time "};
    bool moved = true;

    if (*p == '\0')
        return NULL;
    while (moved) {
        while (*p == ' ' || *p == '\t' || *p == '\n')
            p++;
        moved = false;
        for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
            if (*p != before[i][0])
                continue;
            size_t n = strlen(before[i]);
            if (strncmp(p, before[i], n) == 0) {
                p += n;
                moved = true;
            }
        }
    }
    return p;
}

/* Does some command of the script start with one of WORDS? */
static bool calls(const char *script, const char *const *words)
{
    bool is_first[UCHAR_MAX + 1] = {false};

    for (size_t i = 0; words[i] != NULL; i++)
        is_first[(unsigned char)words[i][0]] = true;
    for (const char *p = script; p != NULL && (p = next_command(p)) != NULL;) {
        for (size_t i = 0; is_first[(unsigned char)*p] && words[i] != NULL; i++) {
            size_t n;
            if (*p != words[i][0])
                continue;
            n = strlen(words[i]);
            if (strncmp(p, words[i], n) == 0 && (p[n] == ' ' || p[n] == '\n' || p[n] == '\0'))
                return true;
        }
        p = strpbrk(p, "\n;&|(`{");
        p = p != NULL ? p + 1 : NULL;
    }
    return false;
}

bool plan_is_dependency_step(const char *script, bool *is_system)
{
    static const char *const system_tools[] = {"apt-get ", "apt ", "dnf ", "yum ", "apk add", "brew ", "snap "};
    static const char *const tools[] = {
        "npm ci", "npm install", "npm i ", "pnpm install", "pnpm i", "yarn install", "yarn --frozen",
        "pip install", "pip3 install", "-m pip install", "uv sync", "uv pip", "poetry install",
        "cargo fetch", "cargo install", "rustup ", "go mod download", "go install ", "bundle install",
        "gem install", "composer install", "composer update", "dotnet restore", "corepack enable",
        "git submodule", "git clone", "curl -", "wget "};
    static const char *const anywhere[] = {"npm ci", "npm install", "pnpm install", "yarn install", "pip install",
                                           "pip3 install", "uv sync", "poetry install", "bundle install",
                                           "composer install", "go mod download", "cargo fetch", NULL};
    bool found = calls(script, anywhere);

    *is_system = false;
    for (const char *p = script; p != NULL && *p != '\0'; p = strchr(p, '\n')) {
        size_t n;

        p += strspn(p, "\n \t");
        if (strncmp(p, "sudo ", 5) == 0)
            p += 5;
        if (starts_with_one_of(p, system_tools, sizeof system_tools / sizeof *system_tools))
            *is_system = found = true;
        n = strcspn(p, "\n");
        found = found || starts_with_one_of(p, tools, sizeof tools / sizeof *tools) ||
                (strncmp(p, "python", 6) == 0 && memmem(p, n, "-m pip install", 14) != NULL);
    }
    return found;
}

bool plan_needs_network(const char *script)
{
    static const char *const commands[] = {
        "curl", "wget", "ssh", "scp", "rsync", "gh", "npx", "ping", "git clone", "git fetch", "git pull", "git push",
        "git ls-remote", "docker pull", "docker push", "docker run", "docker build", "docker login", "docker compose",
        "docker-compose", "podman pull", "podman run", "go get", "pip download", "npm publish", "npm audit", "pnpm dlx",
        "yarn dlx", "cargo publish", "cargo audit", "twine", "helm", "kubectl", "aws", "gcloud", "az", NULL};

    return calls(script, commands);
}

/* From the definition; what is not there may have been made in the job's TREE by an earlier step. */
static struct action *load_action_from(struct ci_plan *plan, const char *root, bool is_tree, const char *uses,
                                       struct step_plan *out)
{
    static const char *const names[] = {"action.yml", "action.yaml"};
    char *relative = path_normalize(uses);
    struct action *action = NULL;

    for (size_t i = 0; action == NULL && i < 2; i++) {
        char *name = strcmp(relative, ".") == 0 ? xstrdup(names[i]) : path_join(relative, names[i]);
        char *path = path_join(root, name);
        struct buf text = BUF_INIT;
        struct error err = {0};

        for (size_t k = 0; !is_tree && action == NULL && k < plan->actions.len; k++) {
            struct action *known = plan->actions.items[k];
            if (!known->is_from_tree && strcmp(known->file, name) == 0)
                action = known;
        }
        if (action == NULL && path_is_plain_relative(name) && file_is_regular(path) &&
            file_read(path, &text, ACTION_FILE_MAX_BYTES, &err) == 0) {
            action = action_parse(buf_cstr(&text), text.len, name, &err);
            if (action == NULL) {
                out->reason = arena_strdup(&plan->arena, err.text);
            } else {
                action->is_from_tree = is_tree;
                vec_push(&plan->actions, action);
            }
        }
        buf_free(&text);
        free(path);
        free(name);
        if (out->reason != NULL)
            break;
    }
    free(relative);
    return action;
}

static bool has_dockerfile(const char *root, const char *uses)
{
    char *folder = path_join(root, uses), *file = path_join(folder, "Dockerfile");
    bool found = file_is_regular(file);

    free(file);
    free(folder);
    return found;
}

/* A folder with a Dockerfile and no action.yml is an action that takes no inputs. */
static struct action *dockerfile_action(struct ci_plan *plan, const char *uses, bool is_tree)
{
    static const char text[] = "runs: {using: docker, image: Dockerfile}\n";
    char *relative = path_normalize(uses), *file = path_join(relative, "action.yml");
    struct error ignored = {0};
    struct action *action = action_parse(text, strlen(text), file, &ignored);

    if (action != NULL) {
        action->is_from_tree = is_tree;
        vec_push(&plan->actions, action);
    }
    free(file);
    free(relative);
    return action;
}

static void plan_local_action(struct ci_plan *plan, const char *uses, const char *tree, struct step_plan *out)
{
    struct action *action = load_action_from(plan, plan->root, false, uses, out);

    if (action == NULL && out->reason == NULL && tree != NULL)
        action = load_action_from(plan, tree, true, uses, out);
    if (action == NULL && out->reason == NULL && has_dockerfile(tree != NULL ? tree : plan->root, uses))
        action = dockerfile_action(plan, uses, tree != NULL);
    if (action == NULL && out->reason == NULL)
        out->reason = arena_printf(&plan->arena, "no action.yml in '%s'", uses);

    out->kind = CI_STEP_SKIPPED;
    out->is_unknown = true;
    if (action == NULL)
        return;
    if (strcmp(action->using, "composite") == 0) {
        out->kind = CI_STEP_RUN;
        out->composite = action;
    } else if (strncmp(action->using, "node", 4) == 0) {
        if (program_exists("node")) {
            out->kind = CI_STEP_RUN;
            out->composite = action;
            out->is_script_action = true;
        } else {
            out->reason = "a JavaScript action; node is not installed";
        }
    } else if (strcmp(action->using, "docker") != 0 || action->image == NULL) {
        out->reason = arena_printf(&plan->arena, "an action that runs with '%s', which is not known", action->using);
    } else if (plan->container_engine != NULL) {
        out->kind = CI_STEP_RUN;
        out->composite = action;
        out->is_container_action = true;
    } else {
        out->reason = "an action in a container; no container engine is used";
    }
    out->is_unknown = out->kind == CI_STEP_SKIPPED;
}

static void plan_remote_action(struct ci_plan *plan, const struct workflow_step *step, struct step_plan *out)
{
    const char *repository = yaml_get_text(step->with, "repository");

    action_map_find(step->uses, plan->user_actions, plan->user_action_count, &out->action);
    out->reason = out->action.reason;
    switch (out->action.kind) {
    case ACTION_CHECKOUT:
        out->kind = CI_STEP_SATISFIED;
        if (repository != NULL && *repository != '\0' && !template_has_expression(repository)) {
            out->kind = CI_STEP_SKIPPED;
            out->is_unknown = true;
            out->reason = "needs another repository";
        }
        break;
    case ACTION_SATISFIED:
    case ACTION_SETUP:
    case ACTION_CACHE:
    case ACTION_UPLOAD:
    case ACTION_DOWNLOAD:
    case ACTION_COMMAND:
        out->kind = CI_STEP_SATISFIED;
        break;
    case ACTION_SKIP:
        out->kind = CI_STEP_SKIPPED;
        break;
    case ACTION_UNKNOWN:
    default:
        out->kind = CI_STEP_SKIPPED;
        out->is_unknown = true;
        break;
    }
}

void plan_step(struct ci_plan *plan, const struct workflow_step *step, const char *shell, const char *tree,
               struct step_plan *out)
{
    memset(out, 0, sizeof *out);
    if (step->waits != NULL) {
        out->kind = CI_STEP_SKIPPED;
        out->reason = "is about background steps, which are not mirrored";
    } else if (step->is_background) {
        out->kind = CI_STEP_SKIPPED;
        out->is_unknown = true;
        out->reason = "a background step, which is not mirrored";
    } else if (step->satisfied_by != NULL) {
        out->kind = CI_STEP_SATISFIED;
        out->reason = step->satisfied_by;
    } else if (step->run != NULL) {
        char *program = xstrndup(shell != NULL ? shell : "bash", strcspn(shell != NULL ? shell : "bash", " "));

        out->kind = CI_STEP_RUN;
        if (strcmp(program, "cmd") == 0 || strcmp(program, "powershell") == 0) {
            out->kind = CI_STEP_SKIPPED;
            out->reason = "its shell needs Windows";
            out->is_unknown = true;
        } else if (strcmp(program, "pwsh") == 0 && !program_exists("pwsh")) {
            out->kind = CI_STEP_SKIPPED;
            out->reason = "its shell pwsh is not installed";
            out->is_unknown = true;
        }
        free(program);
    } else if (strncmp(step->uses, "./", 2) == 0) {
        plan_local_action(plan, step->uses, tree, out);
    } else if (strncmp(step->uses, "docker://", 9) == 0) {
        out->is_image = plan->container_engine != NULL;
        out->kind = out->is_image ? CI_STEP_RUN : CI_STEP_SKIPPED;
        out->reason = out->is_image ? NULL : "an action in a container; no container engine is used";
        out->is_unknown = !out->is_image;
    } else {
        plan_remote_action(plan, step, out);
    }
}

static bool contains_word(const char *text, const char *word)
{
    for (; *text != '\0'; text++) {
        if (strncasecmp(text, word, strlen(word)) == 0)
            return true;
    }
    return false;
}

/* One label of runs-on. NULL when this machine has it. */
static char *label_obstacle(const char *label, bool is_arm)
{
    bool wants_arm = contains_word(label, "-arm") || strcasecmp(label, "arm64") == 0;

    if (contains_word(label, "windows") || contains_word(label, "macos") || contains_word(label, "freebsd"))
        return xasprintf("needs %s; this machine is Linux", label);
    if (wants_arm != is_arm && (wants_arm || strcasecmp(label, "x64") == 0))
        return xasprintf("needs %s; this machine is %s", label, is_arm ? "arm64" : "x86-64");
    if (contains_word(label, "ubuntu") || strcasecmp(label, "linux") == 0 || strcasecmp(label, "x64") == 0 ||
        strcasecmp(label, "self-hosted") == 0 || strcasecmp(label, "arm64") == 0 || *label == '\0')
        return NULL;
    return xasprintf("needs a runner labelled '%s'", label);
}

static char *runner_obstacle(const struct ci_plan *plan, const struct workflow *workflow, const struct workflow_job *job,
                             const struct expr_scope *scope)
{
    struct error err = {0};
    json_t *runs_on = template_expand_node(job->runs_on, scope, workflow->file, &err);
    const json_t *labels = json_is_object(runs_on) ? json_object_get(runs_on, "labels") : runs_on;
    char *obstacle = NULL;
    json_t *label;
    size_t i;

    if (json_is_string(labels))
        obstacle = label_obstacle(json_string_value(labels), plan->is_arm);
    json_array_foreach(labels, i, label) {
        if (obstacle == NULL && json_is_string(label))
            obstacle = label_obstacle(json_string_value(label), plan->is_arm);
    }
    json_decref(runs_on);
    return obstacle;
}

/* A container that is not switched off by an expression that comes to nothing. */
static char *container_obstacle(const struct workflow *workflow, const struct workflow_job *job,
                                const struct expr_scope *scope)
{
    struct error err = {0};
    json_t *container, *services;
    const char *image;
    char *obstacle = NULL;

    if (job->container != NULL) {
        container = template_expand_node(job->container, scope, workflow->file, &err);
        image = json_is_string(container) ? json_string_value(container)
                                          : json_string_value(json_object_get(container, "image"));
        if (image != NULL && *image != '\0')
            obstacle = xasprintf("runs in the container %s; no container engine is used", image);
        json_decref(container);
    }
    if (obstacle == NULL && job->services != NULL) {
        const char *key;
        json_t *service;

        services = template_expand_node(job->services, scope, workflow->file, &err);
        json_object_foreach(services, key, service) {
            image = json_is_string(service) ? json_string_value(service)
                                            : json_string_value(json_object_get(service, "image"));
            if (obstacle == NULL && image != NULL && *image != '\0')
                obstacle = xasprintf("needs the service %s (%s); no container engine is used", key, image);
        }
        json_decref(services);
    }
    return obstacle;
}

char *plan_job_obstacle(const struct ci_plan *plan, const struct workflow *workflow, const struct workflow_job *job, json_t *contexts)
{
    struct scope_state state = {0};
    struct expr_scope scope = scope_make(contexts, &state);
    char *obstacle;

    if (job->skip_reason != NULL)
        return xstrdup(job->skip_reason);
    if (workflow->is_literal)
        return NULL;
    if (job->uses != NULL) {
        if (strncmp(job->uses, "./", 2) != 0)
            return xasprintf("a reusable workflow of another repository: %s", job->uses);
        return NULL; /* with a matrix that is only known when other jobs have run: plan_expand_call() */
    }
    obstacle = runner_obstacle(plan, workflow, job, &scope);
    return obstacle != NULL || plan->container_engine != NULL ? obstacle : container_obstacle(workflow, job, &scope);
}
