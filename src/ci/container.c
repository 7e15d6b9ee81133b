/* ci/container.c: builds the engine's command lines. */
#include "ci/container.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"
#include "base/random.h"
#include "ci/template.h"
#include "io/fiber.h"
#include "io/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define START_TIMEOUT_MS  600000 /* an image may have to be pulled */
#define STOP_TIMEOUT_MS   60000
#define HEALTH_TRIES      60
#define MAX_PROCESSES     "--pids-limit=4096"
#define NO_NEW_PRIVILEGES "--security-opt=no-new-privileges"

static bool socket_answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = false;

    if (fd >= 0 && strlen(path) < sizeof address.sun_path) {
        memcpy(address.sun_path, path, strlen(path) + 1);
        ok = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    }
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

const char *container_engine(const char *setting)
{
    const char *host = getenv("DOCKER_HOST");

    if (setting == NULL)
        return NULL;
    if (strcmp(setting, "auto") != 0)
        return strcmp(setting, "none") == 0 ? NULL : setting;
    if (host != NULL && strncmp(host, "unix://", 7) == 0)
        return socket_answers(host + 7) ? "docker" : NULL;
    return host != NULL || socket_answers("/var/run/docker.sock") ? "docker" : NULL;
}

/* Runs the engine with ARGV; its last line of output in *LINE (caller frees) when wanted. */
static int engine_run(const struct job_runner *r, const struct str_list *argv, uint64_t timeout_ms, char **line,
                      struct error *err)
{
    struct process_run_options options = {.argv = (const char *const *)argv->items, .merge_stderr = true, .timeout_ms = timeout_ms};
    struct process_result result = {0};
    int rc = process_run(r->options->loop, &options, &result, err);

    if (rc == 0 && result.exit.exit_code != 0)
        rc = error_set(err, ERROR_IO, "%s %s: %.300s", argv->items[0], argv->items[1], buf_cstr(&result.out));
    if (rc == 0 && line != NULL)
        *line = xstrndup(buf_cstr(&result.out), strcspn(buf_cstr(&result.out), "\n"));
    process_result_finish(&result);
    return rc;
}

static void words(struct str_list *argv, const char *const *list)
{
    for (; *list != NULL; list++)
        str_list_add(argv, *list);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

/* image, env, ports, volumes and options of a container or service, as arguments. Options are split at blanks. */
static void container_arguments(struct str_list *argv, const json_t *spec)
{
    struct str_list options = {0};
    const char *key;
    json_t *value;
    size_t i;

    json_object_foreach(json_object_get(spec, "env"), key, value) {
        struct expr_value v = expr_from_json(value);
        char *text = expr_to_string(&v);
        str_list_add(argv, "-e");
        str_list_take(argv, xasprintf("%s=%s", key, text));
        free(text);
        expr_value_finish(&v);
    }
    json_array_foreach(json_object_get(spec, "ports"), i, value) {
        struct expr_value v = expr_from_json(value);
        char *text = expr_to_string(&v);
        str_list_add(argv, "-p");
        str_list_take(argv, strchr(text, ':') != NULL ? xasprintf("127.0.0.1:%s", text) : xasprintf("127.0.0.1::%s", text));
        free(text);
        expr_value_finish(&v);
    }
    str_split(&options, text_of(spec, "options"), ' ');
    for (i = 0; i < options.len; i++) {
        if (*str_trim(options.items[i]) != '\0')
            str_list_add(argv, str_trim(options.items[i]));
    }
    str_list_finish(&options);
}

static const char *image_of(const json_t *spec)
{
    return json_is_string(spec) ? json_string_value(spec) : text_of(spec, "image");
}

static char *fresh_name(const char *what)
{
    char id[9];

    random_id(id, 8);
    return xasprintf("cadre-%s-%s", what, id);
}

static int make_network(struct job_runner *r, struct error *err)
{
    struct containers *c = &r->containers;
    char *name = fresh_name("net");
    struct str_list argv = {0};
    int rc;

    words(&argv, (const char *const[]){c->engine, "network", "create", name, NULL});
    rc = engine_run(r, &argv, STOP_TIMEOUT_MS, NULL, err);
    if (rc == 0)
        c->network = xstrdup(name);
    free(name);
    str_list_finish(&argv);
    return rc;
}

/* Starts one container. KEY is its name in the network; IS_JOB: the steps run in it. */
static int start_one(struct job_runner *r, const char *key, const json_t *spec, bool is_job, struct error *err)
{
    struct containers *c = &r->containers;
    char *name = fresh_name(is_job ? "job" : "service");
    struct str_list argv = {0};
    int rc;

    words(&argv, (const char *const[]){c->engine, "run", "-d", "--name", name, MAX_PROCESSES, NO_NEW_PRIVILEGES, NULL});
    if (c->network != NULL)
        words(&argv, (const char *const[]){"--network", c->network, "--network-alias", key, NULL});
    if (is_job) {
        str_list_add(&argv, "-v");
        str_list_take(&argv, xasprintf("%s:%s", r->tree_dir, r->tree_dir));
        str_list_add(&argv, "-v");
        str_list_take(&argv, xasprintf("%s:%s", r->scratch_dir, r->scratch_dir));
        words(&argv, (const char *const[]){"-w", r->tree_dir, "--entrypoint", "tail", NULL});
    }
    container_arguments(&argv, spec);
    str_list_add(&argv, image_of(spec));
    if (is_job)
        words(&argv, (const char *const[]){"-f", "/dev/null", NULL});
    str_list_add(&c->names, name); /* to be removed whatever came of it */
    rc = engine_run(r, &argv, START_TIMEOUT_MS, NULL, err);
    if (rc == 0 && is_job)
        c->job = xstrdup(name);
    str_list_finish(&argv);
    free(name);
    return rc;
}

/* A service with a health check is waited for. */
static int wait_healthy(struct job_runner *r, const char *name, struct error *err)
{
    struct str_list argv = {0};
    int rc = 0;
    bool ready = false;

    words(&argv, (const char *const[]){r->containers.engine, "inspect", "--format",
                                      "{{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}", name, NULL});
    for (int i = 0; rc == 0 && !ready && i < HEALTH_TRIES; i++) {
        char *status = NULL;
        rc = engine_run(r, &argv, STOP_TIMEOUT_MS, &status, err);
        ready = rc == 0 && strcmp(status, "healthy") == 0;
        if (rc == 0 && !ready && strcmp(status, "unhealthy") == 0)
            rc = error_set(err, ERROR_IO, "the service's health check fails");
        free(status);
        if (rc == 0 && !ready)
            rc = fiber_sleep(1000, err);
    }
    if (rc == 0 && !ready)
        rc = error_set(err, ERROR_IO, "the service did not become healthy in %d s", HEALTH_TRIES);
    str_list_finish(&argv);
    return rc;
}

static json_t *expanded(struct job_runner *r, const struct yaml_node *node, struct error *err)
{
    struct expr_scope scope = scope_make(r->contexts, &r->state);

    return node != NULL ? template_expand_node(node, &scope, r->job->workflow->file, err) : NULL;
}

static int read_path(struct job_runner *r, struct error *err)
{
    struct str_list argv = {0};
    int rc;

    words(&argv, (const char *const[]){r->containers.engine, "exec", r->containers.job, "printenv", "PATH", NULL});
    rc = engine_run(r, &argv, STOP_TIMEOUT_MS, &r->containers.path, err);
    str_list_finish(&argv);
    return rc;
}

int containers_start(struct job_runner *r, struct error *err)
{
    const struct workflow_job *job = r->job->job;
    json_t *container, *services, *service;
    const char *key;
    int rc = 0;

    r->containers.engine = r->plan->container_engine;
    if (r->containers.engine == NULL || (job->container == NULL && job->services == NULL))
        return 0;
    container = expanded(r, job->container, err);
    services = expanded(r, job->services, err);
    if (json_object_size(services) > 0)
        rc = make_network(r, err);
    json_object_foreach(services, key, service) {
        if (rc == 0 && *image_of(service) != '\0')
            rc = start_one(r, key, service, false, err);
    }
    for (size_t i = 0; rc == 0 && i < r->containers.names.len; i++)
        rc = wait_healthy(r, r->containers.names.items[i], err);
    if (rc == 0 && container != NULL && *image_of(container) != '\0') {
        rc = start_one(r, "job", container, true, err);
        if (rc == 0)
            rc = read_path(r, err);
    }
    json_decref(container);
    json_decref(services);
    return rc;
}

void containers_stop(struct job_runner *r)
{
    struct containers *c = &r->containers;
    struct error ignored = {0};
    struct str_list argv = {0};

    fiber_shield(true);
    if (c->job != NULL && getuid() != 0) { /* what root in the container made must be removable */
        char *owner = xasprintf("%u:%u", (unsigned)getuid(), (unsigned)getgid());
        words(&argv, (const char *const[]){c->engine, "exec", c->job, "chown", "-R", owner, r->tree_dir, r->scratch_dir, NULL});
        (void)engine_run(r, &argv, STOP_TIMEOUT_MS, NULL, &ignored);
        str_list_finish(&argv);
        free(owner);
    }
    if (c->names.len > 0) {
        words(&argv, (const char *const[]){c->engine, "rm", "-f", "-v", NULL});
        str_list_copy(&argv, &c->names);
        (void)engine_run(r, &argv, STOP_TIMEOUT_MS, NULL, &ignored);
        str_list_finish(&argv);
    }
    if (c->network != NULL) {
        words(&argv, (const char *const[]){c->engine, "network", "rm", c->network, NULL});
        (void)engine_run(r, &argv, STOP_TIMEOUT_MS, NULL, &ignored);
        str_list_finish(&argv);
    }
    fiber_shield(false);
    free(c->network);
    free(c->job);
    free(c->path);
    str_list_finish(&c->names);
    *c = (struct containers){0};
}

/* Names of the environment that the container gets; values stay out of the command line. */
#define PASS_ENVIRONMENT                                                                                               \
    "args=(); while IFS= read -r -d '' e; do n=${e%%=*}; case $n in PATH | HOME | SHELL | PWD | OLDPWD | SHLVL | _ | USER | "   \
    "LOGNAME | TMPDIR | DOCKER_* | XDG_* | SSH_* | LS_COLORS) ;; *) args+=(-e \"$n\") ;; esac; done < <(env -0)\n"

void containers_exec(const struct job_runner *r, const struct step_command *c, const struct str_list *argv,
                     struct str_list *out)
{
    static const char script[] = PASS_ENVIRONMENT
        "engine=$1 name=$2 cwd=$3 path=$4; shift 4\n"
        "[ -z \"$path\" ] || args+=(-e \"PATH=$path\")\n"
        "exec \"$engine\" exec -w \"$cwd\" \"${args[@]}\" \"$name\" \"$@\"\n";
    struct buf path = BUF_INIT;

    for (size_t i = r->path.len; i > 0; i--)
        buf_printf(&path, "%s:", r->path.items[i - 1]);
    if (path.len > 0)
        buf_puts(&path, r->containers.path != NULL ? r->containers.path : "/usr/local/bin:/usr/bin:/bin");
    words(out, (const char *const[]){"bash", "-c", script, "container", r->containers.engine, r->containers.job, c->cwd,
                                     buf_cstr(&path), NULL});
    str_list_copy(out, argv);
    buf_free(&path);
}

/* With $image, the array words, and the environment of the step. */
#define RUN_IMAGE                                                                                                      \
    "[ -z \"$INPUT_ENTRYPOINT\" ] || args+=(--entrypoint \"$INPUT_ENTRYPOINT\")\n"                                     \
    "[ -z \"$CADRE_NETWORK\" ] || args+=(--network \"$CADRE_NETWORK\")\n"                                             \
    "exec \"$CADRE_ENGINE\" run --rm " MAX_PROCESSES " " NO_NEW_PRIVILEGES " -w /github/workspace "                     \
    "-v \"$GITHUB_WORKSPACE:/github/workspace\" -v \"$CADRE_SCRATCH:$CADRE_SCRATCH\" \"${args[@]}\" "                  \
    "-e GITHUB_WORKSPACE=/github/workspace \"$image\" \"${words[@]}\"\n"

#define SPLIT_ARGS                                                                                                     \
    "[ -z \"$INPUT_ARGS\" ] || mapfile -d '' -t words < <(printf '%s' \"$INPUT_ARGS\" | xargs -n1 printf '%s\\0')\n"

static int run_image(struct job_runner *r, const struct workflow_step *step, const char *name, const char *script, json_t *env,
                     json_t *outputs, struct error *err)
{
    struct step_command c = {.script = script, .shell = "bash", .cwd = r->tree_dir, .env = env, .outputs = outputs,
                             .is_on_machine = true, .is_dependency = true};

    json_object_set_new(env, "CADRE_ENGINE", json_string(r->containers.engine));
    json_object_set_new(env, "CADRE_SCRATCH", json_string(r->scratch_dir));
    json_object_set_new(env, "CADRE_NETWORK", json_string(r->containers.network != NULL ? r->containers.network : ""));
    return job_runner_command(r, step, name, &c, err);
}

int container_step(struct job_runner *r, const struct workflow_step *step, const char *name, json_t *with, json_t *env,
                   json_t *outputs, struct error *err)
{
    job_runner_inputs(env, with);
    json_object_set_new(env, "CADRE_IMAGE", json_string(step->uses + strlen("docker://")));
    return run_image(r, step, name, PASS_ENVIRONMENT "words=()\n" SPLIT_ARGS "image=$CADRE_IMAGE\n" RUN_IMAGE, env, outputs, err);
}

static void append_quoted(struct buf *b, const char *text)
{
    buf_putc(b, '\'');
    for (; *text != '\0'; text++)
        buf_puts(b, *text == '\'' ? "'\\''" : (char[]){*text, '\0'});
    buf_puts(b, "' ");
}

int container_action(struct job_runner *r, const struct workflow_step *step, const char *name, const struct action *action,
                     const char *folder, const json_t *inputs, const json_t *args, json_t *env, json_t *outputs, struct error *err)
{
    bool is_built = strncmp(action->image, "docker://", 9) != 0;
    const char *file = strncmp(action->image, "./", 2) == 0 ? action->image + 2 : action->image;
    struct buf script = BUF_INIT;
    json_t *value;
    size_t i;
    int rc;

    job_runner_inputs(env, inputs);
    if (json_object_get(env, "INPUT_ENTRYPOINT") == NULL)
        json_object_set_new(env, "INPUT_ENTRYPOINT", json_string(action->entrypoint != NULL ? action->entrypoint : ""));
    buf_puts(&script, PASS_ENVIRONMENT "words=(");
    json_array_foreach(args, i, value) {
        struct expr_value v = expr_from_json(value);
        char *text = expr_to_string(&v);
        append_quoted(&script, text);
        free(text);
        expr_value_finish(&v);
    }
    buf_puts(&script, ")\n" SPLIT_ARGS);
    if (is_built) { /* its id, not a name: another tree may be built at the same time */
        json_object_set_new(env, "CADRE_FOLDER", json_string(folder));
        json_object_set_new(env, "CADRE_DOCKERFILE", json_string(file));
        buf_printf(&script,
                   "image=$(\"$CADRE_ENGINE\" build -q -t cadre-action:%016llx -f \"$CADRE_FOLDER/$CADRE_DOCKERFILE\" "
                   "\"$CADRE_FOLDER\") || { echo \"building $CADRE_DOCKERFILE failed\"; exit 1; }\n",
                   (unsigned long long)str_hash(action->file, strlen(action->file)));
    } else {
        json_object_set_new(env, "CADRE_IMAGE", json_string(action->image + 9));
        buf_puts(&script, "image=$CADRE_IMAGE\n");
    }
    buf_puts(&script, RUN_IMAGE);
    rc = run_image(r, step, name, buf_cstr(&script), env, outputs, err);
    buf_free(&script);
    return rc;
}
