/* mcp/mcp_connect.c: what client and server agree on: the newest revision first, then the older ones.
 *
 * `server/discover` is asked first. A server of the stateless revisions answers it, or refuses with an error that only
 * such a server knows; anything else (another error, silence, an end) is a server that wants `initialize`. */
#include "mcp/mcp_client_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "config/mcp_config.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PROBE_MS    5000
#define MAX_PAGES       64
#define MIN_LIST_TTL_MS 10000
#define MAX_LIST_TTL_MS 3600000
#define OWN_LIST_TTL_MS 300000 /* where a stateless server says none */

enum era { ERA_STATELESS, ERA_SESSION, ERA_UNKNOWN };

static uint64_t time_left(int64_t deadline_ms)
{
    int64_t left = deadline_ms - clock_monotonic_ms();

    return left < 1 ? 1 : (uint64_t)left;
}

static bool has_version(const json_t *versions, const char *wanted)
{
    for (size_t i = 0; i < json_array_size(versions); i++)
        if (str_eq(json_string_value(json_array_get(versions, i)), wanted))
            return true;
    return false;
}

static bool has_session_version(const json_t *versions)
{
    for (size_t i = 0; i < json_array_size(versions); i++) {
        const char *version = json_string_value(json_array_get(versions, i));

        if (version != NULL && mcp_version_has_sessions(version))
            return true;
    }
    return false;
}

static void take_agreement(struct mcp_client *c, const char *version, const json_t *capabilities)
{
    free(c->version);
    c->version = xstrdup(version);
    json_decref(c->capabilities);
    c->capabilities = json_deep_copy(capabilities);
}

static int no_common_version(struct error *err, const json_t *versions)
{
    struct buf text = BUF_INIT;

    json_append_value(&text, versions);
    error_set(err, ERROR_PARSE,
              "it speaks the revisions %.200s; cadre speaks %s, %s, 2025-06-18 and 2025-03-26",
              buf_cstr(&text), MCP_VERSION_STATELESS, MCP_VERSION_SESSION);
    buf_free(&text);
    return -1;
}

/* One `server/discover`. -1 only when nothing can be spoken. */
static int discover(struct mcp_client *c, uint64_t timeout_ms, enum era *era, struct error *err)
{
    json_t *result = NULL;
    json_t *rpc_error = NULL;
    const json_t *versions;
    int rc = 0;

    *era = ERA_UNKNOWN;
    c->is_stateless = true;
    mcp_transport_set_version(c->transport, MCP_VERSION_STATELESS, true, false);
    if (mcp_client_fetch(c, "server/discover", NULL, timeout_ms, &result, &rpc_error, err) == 0) {
        versions = json_object_get(result, "supportedVersions");
        if (has_version(versions, MCP_VERSION_STATELESS)) {
            take_agreement(c, MCP_VERSION_STATELESS, json_object_get(result, "capabilities"));
            *era = ERA_STATELESS;
        } else if (!json_is_array(versions) || has_session_version(versions)) {
            *era = ERA_SESSION;
        } else {
            rc = no_common_version(err, versions);
        }
    } else if (rpc_error != NULL && mcp_error_is_stateless(rpc_error)) {
        versions = json_object_get(json_object_get(rpc_error, "data"), "supported");
        if (has_version(versions, MCP_VERSION_STATELESS))
            *era = ERA_STATELESS;
        else if (has_session_version(versions))
            *era = ERA_SESSION;
        else
            rc = json_is_array(versions) ? no_common_version(err, versions) : -1;
    } else if (rpc_error != NULL) {
        *era = ERA_SESSION;
    }
    json_decref(result);
    json_decref(rpc_error);
    return rc;
}

static bool announces_changes(const json_t *capabilities)
{
    static const char *const parts[] = {"tools", "resources", "prompts"};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (json_get_bool(json_object_get(capabilities, parts[i]), "listChanged", false))
            return true;
    return false;
}

static int initialize(struct mcp_client *c, int64_t deadline_ms, json_t **rpc_error, struct error *err)
{
    json_t *params = json_pack("{s:s, s:o, s:o}", "protocolVersion", MCP_VERSION_SESSION, "capabilities",
                               mcp_client_capabilities(c->options.config->command != NULL), "clientInfo",
                               mcp_client_info());
    json_t *result = NULL;
    const char *version;
    int rc = -1;

    c->is_stateless = false;
    mcp_transport_set_version(c->transport, NULL, false, false);
    if (mcp_client_fetch(c, "initialize", params, time_left(deadline_ms), &result, rpc_error, err) < 0)
        goto out;
    version = json_get_string(result, "protocolVersion", NULL);
    if (version == NULL || !mcp_version_has_sessions(version)) {
        error_set(
            err, ERROR_PARSE,
            "initialize: it answered with the revision \"%.40s\"; cadre speaks %s, 2025-06-18 and 2025-03-26",
            version == NULL ? "" : version, MCP_VERSION_SESSION);
        goto out;
    }
    take_agreement(c, version, json_object_get(result, "capabilities"));
    mcp_transport_set_version(c->transport, version, false, announces_changes(c->capabilities));
    mcp_transport_notify(c->transport, "notifications/initialized");
    c->is_session_server = true;
    rc = 0;
out:
    json_decref(params);
    json_decref(result);
    return rc;
}

/* It ended before it answered: some servers do at a first message that they do not know. */
static int reopen(struct mcp_client *c, struct error *err)
{
    if (c->transport != NULL)
        return 0;
    if (c->options.config->command == NULL) {
        *err = c->ended;
        return -1;
    }
    return mcp_client_open(c, err);
}

int mcp_client_negotiate(struct mcp_client *c, struct error *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + c->options.config->startup_timeout_ms;
    uint64_t probe_ms = (uint64_t)c->options.config->startup_timeout_ms / 2;
    enum era era = ERA_SESSION;
    json_t *rpc_error = NULL;
    int rc;

    if (mcp_client_open(c, err) < 0)
        return -1;
    if (probe_ms > MAX_PROBE_MS)
        probe_ms = MAX_PROBE_MS;
    if (!c->is_session_server) {
        if (discover(c, probe_ms, &era, err) < 0)
            return -1;
        if (c->is_closing)
            return error_set(err, ERROR_CANCELLED, "given up");
        /* Refused with a list that has our revision: asked once more. */
        if (era == ERA_STATELESS && c->version == NULL && discover(c, probe_ms, &era, err) < 0)
            return -1;
    }
    if (era == ERA_STATELESS && c->version != NULL)
        return mcp_client_list_tools(c, deadline_ms, err);
    if (reopen(c, err) < 0)
        return -1;
    rc = initialize(c, deadline_ms, &rpc_error, err);
    if (rc < 0 && rpc_error != NULL && era == ERA_UNKNOWN && c->transport != NULL) {
        /* It was only slow at first. */
        if (discover(c, time_left(deadline_ms), &era, NULL) == 0 && era == ERA_STATELESS &&
            c->version != NULL)
            rc = 0;
    }
    json_decref(rpc_error);
    return rc < 0 ? -1 : mcp_client_list_tools(c, deadline_ms, err);
}

static void note_expiry(struct mcp_client *c, const json_t *result)
{
    int64_t ttl = json_get_int(result, "ttlMs", OWN_LIST_TTL_MS);

    if (!c->is_stateless) {
        c->list_expires_ms = 0; /* it tells of changes */
        return;
    }
    ttl = ttl < MIN_LIST_TTL_MS ? MIN_LIST_TTL_MS : ttl > MAX_LIST_TTL_MS ? MAX_LIST_TTL_MS : ttl;
    c->list_expires_ms = clock_monotonic_ms() + ttl;
}

int mcp_client_list_tools(struct mcp_client *c, int64_t deadline_ms, struct error *err)
{
    struct mcp_tool_list list = {0};
    struct str_list problems = {0};
    char *cursor = NULL;
    int rc = -1;

    if (json_object_get(c->capabilities, "tools") == NULL && !c->is_stateless)
        return 0; /* it has none, as it says */
    for (unsigned page = 0; page < MAX_PAGES; page++) {
        json_t *params = cursor != NULL ? json_pack("{s:s}", "cursor", cursor) : NULL;
        json_t *rpc_error = NULL;
        json_t *result = NULL;

        rc = mcp_client_fetch(c, "tools/list", params, time_left(deadline_ms), &result, &rpc_error, err);
        json_decref(params);
        if (rc < 0 && json_get_int(rpc_error, "code", 0) == -32601)
            rc = 0; /* none */
        else if (rc == 0)
            rc = mcp_tool_list_add(&list, result, &problems, err);
        if (page == 0)
            note_expiry(c, result);
        free(cursor);
        cursor = xstrdup(json_get_string(result, "nextCursor", NULL));
        json_decref(result);
        json_decref(rpc_error);
        if (rc < 0 || str_is_empty(cursor) || list.len >= MCP_MAX_TOOLS)
            break;
    }
    free(cursor);
    if (rc < 0) {
        mcp_tool_list_finish(&list);
        str_list_finish(&problems);
        return -1;
    }
    mcp_tool_list_sort(&list);
    mcp_tool_list_finish(&c->tools);
    str_list_finish(&c->problems);
    c->tools = list;
    c->problems = problems;
    for (size_t i = 0; i < problems.len; i++)
        log_warning("MCP server %s: %s", c->options.config->id, problems.items[i]);
    return 0;
}
