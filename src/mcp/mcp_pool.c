/* mcp/mcp_pool.c: see mcp_pool.h. */
#include "mcp/mcp_pool.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "config/mcp_config.h"
#include "io/fiber.h"
#include "mcp/mcp_client.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_MAX_SERVERS 16
#define END_GRACE_MS        300
#define END_STEP_MS         10

struct mcp_pool {
    struct loop *loop;
    struct http_client *http;
    size_t max_servers;
    struct vec servers; /* of struct server *, the one used longest ago first */
};

struct server {
    char *key;
    struct mcp_config config;
    struct mcp_client *client;
    struct vec leases;
    struct str_list roots; /* folders of the leases, each once */
};

struct mcp_lease {
    struct mcp_pool *pool;
    struct server *server;
    char *cwd;
};

static void put_list(struct json_writer *w, const struct str_list *list)
{
    jw_array_begin(w);
    for (size_t i = 0; i < list->len; i++)
        jw_string(w, list->items[i]);
    jw_array_end(w);
}

static void put_pairs(struct json_writer *w, const struct name_value *pairs, size_t n)
{
    jw_array_begin(w);
    for (size_t i = 0; i < n; i++) {
        jw_string(w, pairs[i].name);
        jw_string(w, pairs[i].value);
    }
    jw_array_end(w);
}

/* Equal for servers that can be shared. */
static char *definition_key(const struct mcp_config *m)
{
    struct buf text = BUF_INIT;
    struct json_writer w = {.out = &text};

    jw_array_begin(&w);
    jw_string(&w, m->command);
    put_list(&w, &m->args);
    jw_string(&w, m->cwd);
    put_pairs(&w, m->env, m->env_count);
    put_list(&w, &m->env_vars);
    jw_string(&w, m->url);
    jw_string(&w, m->bearer_token_env_var);
    put_pairs(&w, m->http_headers, m->http_header_count);
    put_pairs(&w, m->env_http_headers, m->env_http_header_count);
    jw_array_end(&w);
    return buf_take(&text);
}

static void server_destroy(struct server *s)
{
    mcp_client_destroy(s->client);
    mcp_config_finish(&s->config);
    vec_finish(&s->leases);
    str_list_finish(&s->roots);
    free(s->key);
    free(s);
}

struct mcp_pool *mcp_pool_create(struct loop *loop, struct http_client *http, size_t max_servers)
{
    struct mcp_pool *pool = xcalloc(1, sizeof *pool);

    pool->loop = loop;
    pool->http = http;
    pool->max_servers = max_servers > 0 ? max_servers : DEFAULT_MAX_SERVERS;
    return pool;
}

static bool is_any_connected(const struct mcp_pool *pool)
{
    for (size_t i = 0; i < pool->servers.len; i++)
        if (mcp_client_is_connected(((struct server *)pool->servers.items[i])->client))
            return true;
    return false;
}

void mcp_pool_destroy(struct mcp_pool *pool)
{
    if (pool == NULL)
        return;
    for (size_t i = 0; i < pool->servers.len; i++)
        mcp_client_shut(((struct server *)pool->servers.items[i])->client);
    if (fiber_current() != NULL) {
        fiber_shield(true);
        for (unsigned waited = 0; waited < END_GRACE_MS && is_any_connected(pool); waited += END_STEP_MS)
            (void)fiber_sleep(END_STEP_MS, NULL);
        fiber_shield(false);
    }
    while (pool->servers.len > 0)
        server_destroy(vec_pop(&pool->servers));
    vec_finish(&pool->servers);
    free(pool);
}

size_t mcp_pool_server_count(const struct mcp_pool *pool)
{
    return pool->servers.len;
}

static struct server *find(const struct mcp_pool *pool, const char *key)
{
    for (size_t i = 0; i < pool->servers.len; i++)
        if (strcmp(((struct server *)pool->servers.items[i])->key, key) == 0)
            return pool->servers.items[i];
    return NULL;
}

/* Ends the server that nobody has had for the longest time. */
static int make_room(struct mcp_pool *pool, struct error *err)
{
    if (pool->servers.len < pool->max_servers)
        return 0;
    for (size_t i = 0; i < pool->servers.len; i++) {
        struct server *s = pool->servers.items[i];

        if (s->leases.len == 0) {
            vec_remove(&pool->servers, i);
            server_destroy(s);
            return 0;
        }
    }
    return error_set(err, ERROR_LIMIT, "%zu MCP servers are in use, which is the limit", pool->max_servers);
}

static struct server *server_create(struct mcp_pool *pool, const struct mcp_config *config, const char *key)
{
    struct server *s = xcalloc(1, sizeof *s);
    struct mcp_client_options options = {
        .loop = pool->loop, .http = pool->http, .config = &s->config, .roots = &s->roots};

    s->key = xstrdup(key);
    mcp_config_copy(&s->config, config);
    s->client = mcp_client_create(&options);
    return s;
}

static void update_roots(struct server *s)
{
    struct str_list roots = {0};
    bool same;

    for (size_t i = 0; i < s->leases.len; i++) {
        const struct mcp_lease *lease = s->leases.items[i];

        if (lease->cwd != NULL && !str_list_has(&roots, lease->cwd))
            str_list_add(&roots, lease->cwd);
    }
    same = roots.len == s->roots.len;
    for (size_t i = 0; i < roots.len && same; i++)
        same = strcmp(roots.items[i], s->roots.items[i]) == 0;
    str_list_finish(&s->roots);
    s->roots = roots;
    if (!same)
        mcp_client_roots_changed(s->client);
}

struct mcp_lease *mcp_pool_acquire(struct mcp_pool *pool, const struct mcp_config *config, const char *cwd,
                                   struct error *err)
{
    char *key = definition_key(config);
    struct server *s = find(pool, key);
    struct mcp_lease *lease;

    if (s == NULL && make_room(pool, err) < 0) {
        free(key);
        return NULL;
    }
    if (s == NULL && (s = find(pool, key)) == NULL) /* making room may have waited */
        s = server_create(pool, config, key);
    free(key);
    (void)vec_remove_item(&pool->servers, s);
    vec_push(&pool->servers, s);
    lease = xcalloc(1, sizeof *lease);
    lease->pool = pool;
    lease->server = s;
    lease->cwd = xstrdup(cwd);
    vec_push(&s->leases, lease);
    update_roots(s);
    return lease;
}

struct mcp_client *mcp_lease_client(const struct mcp_lease *lease)
{
    return lease->server->client;
}

void mcp_lease_release(struct mcp_lease *lease)
{
    if (lease == NULL)
        return;
    (void)vec_remove_item(&lease->server->leases, lease);
    update_roots(lease->server);
    free(lease->cwd);
    free(lease);
}
