/* cli/settings.c: see settings.h. */
#include "cli/settings.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/redact.h"
#include "base/str.h"
#include "cli/command.h"
#include "config/config.h"
#include "config/known_secrets.h"
#include "config/role.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Strict means every role file too, also those that no thread would open. */
static int check_roles(const struct config *config, struct error *err)
{
    struct role_registry *roles = role_registry_create(config);
    struct str_list problems = {0};
    int rc = 0;

    if (role_registry_check(roles, &problems) > 0)
        rc = error_set(err, ERROR_CONFIG, "%s", problems.items[0]);
    else if (role_registry_warnings(roles)->len > 0)
        rc = error_set(err, ERROR_CONFIG, "%s", role_registry_warnings(roles)->items[0]);
    str_list_finish(&problems);
    role_registry_destroy(roles);
    return rc;
}

/* Is what `-c KEY=VALUE` sets a secret? The names of variables that hold one are none. */
static bool is_secret(const char *override)
{
    size_t n = strcspn(override, "=");
    const char *last = override;
    char *clean = redact_copy(override);
    bool is_it = strcmp(clean, override) != 0;

    for (size_t i = 0; i < n; i++)
        last = override[i] == '.' ? override + i + 1 : last;
    n -= (size_t)(last - override);
    free(clean);
    return is_it || (redact_is_secret_name(last, n) && memmem(last, n, "env_", 4) == NULL && memmem(last, n, "tokens", 6) == NULL &&
                     memmem(last, n, "token_limit", 11) == NULL);
}

json_t *cli_keep_options(const struct cli_context *ctx)
{
    json_t *kept = json_pack("{s:s*, s:s*, s:s*}", "profile", ctx->profile, "model", ctx->model, "local_provider", ctx->local_provider);
    json_t *overrides = json_array(), *left_out = json_array();

    for (size_t i = 0; i < ctx->overrides.len; i++) {
        const char *text = ctx->overrides.items[i];

        if (is_secret(text))
            json_array_append_new(left_out, json_stringn(text, strcspn(text, "=")));
        else
            json_array_append_new(overrides, json_string(text));
    }
    if (kept == NULL) /* no UTF-8 */
        kept = json_object();
    if (ctx->oss)
        json_object_set_new(kept, "oss", json_true());
    if (json_array_size(overrides) > 0)
        json_object_set(kept, "overrides", overrides);
    if (json_array_size(left_out) > 0)
        json_object_set(kept, "left_out", left_out);
    json_decref(overrides);
    json_decref(left_out);
    return kept;
}

static bool sets(const struct str_list *overrides, const char *key, size_t n)
{
    for (size_t i = 0; i < overrides->len; i++)
        if (strcspn(overrides->items[i], "=") == n && strncmp(overrides->items[i], key, n) == 0)
            return true;
    return false;
}

static const char *recalled(const json_t *kept, const char *key, const char *now, struct buf *told)
{
    const char *value = json_get_string(kept, key, NULL);

    if (now != NULL || value == NULL)
        return now;
    buf_printf(told, " --%s %s", strcmp(key, "local_provider") == 0 ? "local-provider" : key, value);
    return value;
}

void cli_recall_options(struct cli_context *ctx, const json_t *kept)
{
    struct str_list now = {0};
    struct buf told = BUF_INIT;
    json_t *item;
    size_t i;

    str_list_copy(&now, &ctx->overrides);
    str_list_finish(&ctx->overrides);
    ctx->profile = recalled(kept, "profile", ctx->profile, &told);
    if (json_get_bool(kept, "oss", false) && !ctx->oss && !sets(&now, "model_provider", strlen("model_provider"))) {
        ctx->oss = true;
        buf_puts(&told, " --oss");
        ctx->local_provider = recalled(kept, "local_provider", ctx->local_provider, &told);
    }
    if (!sets(&now, "model", strlen("model")))
        ctx->model = recalled(kept, "model", ctx->model, &told);
    json_array_foreach(json_object_get(kept, "overrides"), i, item) { /* the later of two with one key wins: those of now */
        const char *text = json_string_value(item);

        if (text == NULL || sets(&now, text, strcspn(text, "=")))
            continue;
        str_list_add(&ctx->overrides, text);
        buf_printf(&told, " -c %s", text);
    }
    for (i = 0; i < now.len; i++)
        str_list_add(&ctx->overrides, now.items[i]);
    if (told.len > 0 && !ctx->quiet)
        fprintf(stderr, "cadre: as the run was begun:%s\n", buf_cstr(&told));
    json_array_foreach(json_object_get(kept, "left_out"), i, item)
        if (json_is_string(item) && !sets(&now, json_string_value(item), json_string_length(item)))
            log_warning("the run was begun with -c %s=..., which is a secret and was not kept: give it again where it is needed",
                        json_string_value(item));
    str_list_finish(&now);
    buf_free(&told);
}

struct config *cli_load_config(const struct cli_context *ctx, struct error *err)
{
    struct config_options options = {
        .profile = ctx->profile,
        .overrides = &ctx->overrides,
        .model = ctx->model,
        .strict = ctx->strict_config,
        .oss = ctx->oss,
        .local_provider = ctx->local_provider,
    };
    struct config *config = config_load(&options, err);
    struct str_list lines = {0};

    if (config == NULL)
        return NULL;
    known_secrets_register(config, environ);
    if (ctx->strict_config && check_roles(config, err) < 0) {
        config_destroy(config);
        return NULL;
    }
    config_warnings(config, &lines);
    for (size_t i = 0; i < lines.len; i++)
        log_warning("%s", lines.items[i]);
    str_list_finish(&lines);
    return config;
}
