/* cli/cmd_doctor.c: `cadre doctor`: is everything there that a run needs, and what each role really gets. */
#include "cli/command.h"
#include "cli/doctor.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/path.h"
#include "config/config.h"
#include "config/pack.h"
#include "config/provider_config.h"
#include "config/role.h"
#include "git/git.h"
#include "git/version.h"
#include "io/http_client.h"
#include "io/process.h"
#include "model/provider.h"
#include "sandbox/exec_helper.h"
#include "sandbox/permissions.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODELS_TIMEOUT_MS 10000
#define MODELS_MAX_BYTES  ((size_t)4 << 20)

static void print_line(const char *mark, const char *next, const char *fmt, va_list ap)
{
    printf("  %-4s  ", mark);
    vprintf(fmt, ap);
    putchar('\n');
    if (next != NULL)
        printf("        -> %s\n", next);
}

void doctor_ok(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_line("ok", NULL, fmt, ap);
    va_end(ap);
}

void doctor_warn(struct doctor *d, const char *next, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_line("warn", next, fmt, ap);
    va_end(ap);
    d->warnings++;
}

void doctor_fail(struct doctor *d, int code, const char *next, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_line("FAIL", next, fmt, ap);
    va_end(ap);
    if (d->failures++ == 0)
        d->exit_code = code;
}

static void check_git(struct doctor *d, struct loop *loop)
{
    struct error err = {0};
    struct git_repo *repo;
    int major, minor;

    if (git_check_version(loop, &major, &minor, &err) < 0) {
        doctor_fail(d, EXIT_REPOSITORY, "apt-get install git", "%s", err.text);
        return;
    }
    doctor_ok("git %d.%d", major, minor);
    repo = git_repo_open(loop, ".", &err);
    if (repo != NULL)
        doctor_ok("repository %s", git_repo_toplevel(repo));
    else
        doctor_warn(d, NULL, "%s (`cadre run` needs a repository with a commit)", err.text);
    git_repo_close(repo);
}

static void check_sandbox(struct doctor *d)
{
    struct sandbox_probe probe = {0};
    struct buf text = BUF_INIT;
    struct str_list lines = {0};

    sandbox_probe(&probe);
    sandbox_explain(&probe, &text);
    str_split(&lines, buf_cstr(&text), '\n');
    for (size_t i = 0; i < lines.len; i++)
        if (lines.items[i][0] != '\0')
            printf("        %s\n", lines.items[i]);
    if (probe.landlock_abi > 0 && probe.has_seccomp)
        doctor_ok("commands can be shut in");
    else
        doctor_fail(d, EXIT_USAGE,
                    "use a kernel with Landlock and seccomp, or sandbox_mode = \"danger-full-access\"",
                    "commands cannot be shut in on this kernel");
    str_list_finish(&lines);
    buf_free(&text);
}

static void check_permissions(struct doctor *d, const struct config *c)
{
    struct sandbox_policy policy;
    struct error err = {0};
    char *cwd;

    if (!permissions_are_set(c))
        return;
    cwd = path_current_directory();
    if (permissions_make_policy(c, cwd, &policy, &err) < 0) {
        doctor_fail(d, EXIT_USAGE, "change the profile, or set sandbox_mode", "%s", err.text);
    } else {
        doctor_ok("permission profile %s: %s", config_string(c, "default_permissions"), sandbox_mode_name(policy.mode));
        sandbox_policy_finish(&policy);
    }
    free(cwd);
}

/* The ids of {"data": [{"id": ...}]} or {"models": [{"id" | "slug" | "name": ...}]}. */
static void take_models(struct str_list *offered, const struct buf *body)
{
    struct error err = {0};
    json_t *answer = json_parse(buf_cstr(body), body->len, "model list", &err), *item;
    json_t *list = json_object_get(answer, "data");
    size_t i;

    if (list == NULL)
        list = json_object_get(answer, "models");
    json_array_foreach(list, i, item)
    {
        const char *id =
            json_get_string(item, "id", json_get_string(item, "slug", json_get_string(item, "name", NULL)));

        if (id != NULL)
            str_list_add(offered, id);
    }
    json_decref(answer);
}

static void compare_models(struct doctor *d, const struct str_list *offered)
{
    for (size_t i = 0; i < d->models.len; i++) {
        const char *model = d->models.items[i];
        char *other, *next;

        if (str_list_has(offered, model)) {
            doctor_ok("model %s is offered", model);
            continue;
        }
        other = pack_suggest_model(model, offered);
        next = other != NULL
                   ? xasprintf("set %s instead (`cadre init --models` writes a newer column)", other)
                   : xasprintf("set one of those offered: %s%s", offered->items[0],
                               offered->len > 1 ? ", ..." : "");
        doctor_warn(d, next, "model %s is not offered", model);
        free(other);
        free(next);
    }
}

static void ask_models(struct doctor *d, struct loop *loop, struct provider *provider)
{
    struct http_client *http = http_client_create(loop);
    struct str_list headers = {0}, offered = {0};
    struct buf body = BUF_INIT;
    struct error err = {0};
    char *url = provider_url(provider, "/models");
    int status = 0;
    struct http_request_options options = {.method = "GET",
                                           .url = url,
                                           .total_timeout_ms = MODELS_TIMEOUT_MS,
                                           .max_body_bytes = MODELS_MAX_BYTES};

    if (provider_headers(provider, NULL, &headers, &err) < 0) {
        doctor_fail(d, EXIT_MODEL, NULL, "%s", err.text);
        goto out;
    }
    options.headers = (const char *const *)headers.items;
    if (http_fetch(http, &options, &status, &body, &err) < 0) {
        doctor_fail(d, EXIT_MODEL, "is the server running, and the base_url right?", "%s: %s",
                    provider_base_url(provider), err.text);
        goto out;
    }
    if (status == 401 || status == 403) {
        doctor_fail(d, EXIT_MODEL, provider_auth_hint(provider), "%s refuses the key (HTTP %d)",
                    provider_base_url(provider), status);
        goto out;
    }
    doctor_ok("%s answers", provider_base_url(provider));
    if (status == 200)
        take_models(&offered, &body);
    if (offered.len > 0)
        compare_models(d, &offered);
    else
        printf("  note  it lists no models (HTTP %d): the configured names are not checked\n", status);
out:
    http_client_destroy(http);
    str_list_finish(&headers);
    str_list_finish(&offered);
    buf_free(&body);
    free(url);
}

static void check_provider(struct doctor *d, struct loop *loop, bool offline)
{
    struct error err = {0};
    struct provider_config *config = provider_config_get(d->config, NULL, &err);
    struct provider *provider;

    if (config == NULL) {
        doctor_fail(d, EXIT_USAGE, NULL, "%s", err.text);
        return;
    }
    provider = provider_create(loop, config);
    if (provider_check_auth(provider, &err) < 0)
        doctor_fail(d, EXIT_MODEL, NULL, "%s", err.text);
    else if (offline)
        doctor_ok("%s: a key is at hand; not asked (--offline)", provider_base_url(provider));
    else if (config->auth_command != NULL)
        doctor_ok("%s: its token comes from `%s`; the model list is not asked", provider_base_url(provider),
                  config->auth_command);
    else
        ask_models(d, loop, provider);
    provider_destroy(provider);
    provider_config_destroy(config);
}

static void check_all(struct doctor *d, struct cli_context *ctx, bool offline)
{
    printf("git\n");
    check_git(d, ctx->loop);
    printf("sandbox\n");
    check_sandbox(d);
    if (d->config == NULL)
        return;
    printf("configuration\n");
    doctor_check_config(d);
    check_permissions(d, d->config);
    printf("roles\n");
    doctor_check_roles(d);
    printf("programs\n");
    doctor_check_runners(d, ctx->loop);
    doctor_check_programs(d);
    printf("model provider\n");
    check_provider(d, ctx->loop, offline);
}

static int run(struct cli_context *ctx, const struct cli_args *args)
{
    struct config_options options = {.profile = ctx->profile,
                                     .overrides = &ctx->overrides,
                                     .model = ctx->model,
                                     .strict = ctx->strict_config,
                                     .oss = ctx->oss,
                                     .local_provider = ctx->local_provider};
    struct doctor d = {0};
    struct error err = {0};
    struct config *config = config_load(&options, &err);

    d.config = config;
    if (config != NULL)
        d.roles = role_registry_create(config);
    check_all(&d, ctx, cli_flag(args, "offline"));
    if (config == NULL) {
        printf("configuration\n");
        doctor_fail(&d, EXIT_USAGE, NULL, "%s", err.text);
    }
    printf("\n%u failures, %u warnings\n", d.failures, d.warnings);
    role_registry_destroy(d.roles);
    config_destroy(config);
    str_list_finish(&d.models);
    return d.failures > 0 ? d.exit_code : EXIT_DONE;
}

static const struct option_spec options[] = {
    {"offline", 0, NULL, "do not ask the model provider", false},
    {0},
};

const struct command command_doctor = {
    .name = "doctor",
    .summary = "check git, sandbox, configuration, roles, programs and provider",
    .usage = "[--offline]",
    .details =
        "Prints what each role really gets, names keys that are unknown, old or refused by Codex, and asks "
        "the\n"
        "provider which models it offers. Each failure says what to do; the exit code is that of the first.",
    .example = "cadre doctor\ncadre --strict-config doctor --offline",
    .options = options,
    .min_positionals = 0,
    .max_positionals = 0,
    .run = run,
};
