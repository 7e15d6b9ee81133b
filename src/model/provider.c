/* model/provider.c: owns one provider's settings, its limiter and the token of its auth command. Keys are
 * looked up when a request is made and never stored or shown. */
#include "model/provider.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/redact.h"
#include "base/vec.h"
#include "config/provider_config.h"
#include "io/loop.h"
#include "io/process.h"
#include "model/limiter.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_REQUEST_RETRIES 4
#define DEFAULT_STREAM_RETRIES  5
#define DEFAULT_IDLE_TIMEOUT_MS 300000
#define RETRIES_MAX             100
#define TOKEN_MAX_BYTES         65536
#define ANTHROPIC_VERSION       "2023-06-01"

struct provider_wait {
    struct provider *provider;
    struct timer *timer; /* set when the answer is known and only its delivery is due */
    void (*cb)(void *data, const char *token, const struct error *err);
    void *data;
};

struct provider {
    struct loop *loop;
    struct limiter *limiter;
    const struct price_table *prices;   /* borrowed */
    struct cassette_recorder *recorder; /* borrowed */
    char *id;
    char *base_url;  /* no trailing slash */
    char *shown_url; /* without user and password */
    char *query;     /* "a=b&c=d" or NULL */
    enum wire_api wire;
    char *env_key;
    char *env_key_instructions;
    char *bearer_token;
    bool uses_codex_login;       /* requires_openai_auth: the key may stand in $CODEX_HOME/auth.json */
    struct str_list headers;     /* "Name: value" */
    struct str_list env_headers; /* "Name: VARIABLE" */
    int request_max_retries;
    int stream_max_retries;
    uint64_t stream_idle_timeout_ms;
    char *hint;

    char *auth_command;
    struct str_list auth_args;
    char *auth_cwd;
    uint64_t auth_timeout_ms;
    int64_t auth_refresh_ms;
    char *token;
    int64_t token_ms; /* when it was fetched, monotonic */
    struct process *auth_process;
    struct buf auth_output;
    struct vec waits; /* struct provider_wait * */
};

static void append_encoded(struct buf *out, const char *s)
{
    for (; *s != '\0'; s++)
        if (isalnum((unsigned char)*s) || strchr("-._~", *s) != NULL)
            buf_putc(out, *s);
        else
            buf_printf(out, "%%%02X", (unsigned char)*s);
}

/* "https://user:password@host/v1" without what stands before the '@'. */
static char *hide_user(const char *url)
{
    const char *start = strstr(url, "://");
    const char *at;

    if (start == NULL)
        return xstrdup(url);
    start += 3;
    at = memchr(start, '@', strcspn(start, "/"));
    return at == NULL ? xstrdup(url) : xasprintf("%.*s%s", (int)(start - url), url, at + 1);
}

static void set_base_url(struct provider *p, const char *url)
{
    size_t n = strlen(url);

    while (n > 0 && url[n - 1] == '/')
        n--;
    free(p->base_url);
    p->base_url = xstrndup(url, n);
    free(p->shown_url);
    p->shown_url = hide_user(p->base_url);
}

/* The variables that the vendors' own clients honour. Anthropic's is written without the version; those of the local
 * providers are Codex's. */
static void apply_environment_url(struct provider *p)
{
    const char *url, *port;
    int64_t number;

    if (strcmp(p->id, "openai") == 0 && (url = getenv("OPENAI_BASE_URL")) != NULL && *url != '\0')
        set_base_url(p, url);
    if (strcmp(p->id, "anthropic") == 0 && (url = getenv("ANTHROPIC_BASE_URL")) != NULL && *url != '\0') {
        set_base_url(p, url);
        if (!str_ends_with(p->base_url, "/v1")) {
            char *with_version = xasprintf("%s/v1", p->base_url);

            set_base_url(p, with_version);
            free(with_version);
        }
    }
    if (provider_config_local_model(p->id) == NULL)
        return;
    url = getenv("CODEX_OSS_BASE_URL");
    port = getenv("CODEX_OSS_PORT");
    if (url != NULL && *url != '\0') {
        set_base_url(p, url);
    } else if (port != NULL && str_to_int64(port, 1, 65535, &number)) {
        char *local = xasprintf("http://localhost:%d/v1", (int)number);

        set_base_url(p, local);
        free(local);
    }
}

static void make_hint(struct provider *p)
{
    if (p->env_key_instructions != NULL)
        p->hint = xstrdup(p->env_key_instructions);
    else if (p->auth_command != NULL)
        p->hint = xasprintf("check that `%s` prints a valid token", p->auth_command);
    else if (p->env_key != NULL)
        p->hint = xasprintf("set %s to a valid key: export %s=...", p->env_key, p->env_key);
    else
        p->hint = xasprintf("set env_key in [model_providers.%s] to the variable that holds the key", p->id);
}

static struct provider *allocate(struct loop *loop, const char *id, enum wire_api wire)
{
    struct provider *p = xcalloc(1, sizeof *p);

    p->loop = loop;
    p->id = xstrdup(id);
    p->limiter = limiter_create(loop, id);
    p->wire = wire;
    p->request_max_retries = DEFAULT_REQUEST_RETRIES;
    p->stream_max_retries = DEFAULT_STREAM_RETRIES;
    p->stream_idle_timeout_ms = DEFAULT_IDLE_TIMEOUT_MS;
    return p;
}

static int bounded_retries(int value)
{
    return value < 0 ? 0 : value > RETRIES_MAX ? RETRIES_MAX : value;
}

struct provider *provider_create(struct loop *loop, const struct provider_config *config)
{
    static const enum wire_api wires[] = {
        [PROVIDER_WIRE_RESPONSES] = WIRE_RESPONSES,
        [PROVIDER_WIRE_CHAT] = WIRE_CHAT,
        [PROVIDER_WIRE_MESSAGES] = WIRE_MESSAGES,
    };
    struct provider *p = allocate(loop, config->id != NULL ? config->id : "custom", wires[config->wire]);
    struct buf query = BUF_INIT;

    set_base_url(p, config->base_url != NULL ? config->base_url : "");
    p->env_key = xstrdup(config->env_key);
    p->env_key_instructions = xstrdup(config->env_key_instructions);
    p->bearer_token = xstrdup(config->bearer_token);
    p->uses_codex_login = config->requires_openai_auth;
    if (p->uses_codex_login && p->env_key == NULL)
        p->env_key = xstrdup("OPENAI_API_KEY");
    for (size_t i = 0; i < config->query_param_count; i++) {
        if (query.len > 0)
            buf_putc(&query, '&');
        append_encoded(&query, config->query_params[i].name);
        buf_putc(&query, '=');
        append_encoded(&query, config->query_params[i].value);
    }
    p->query = query.len > 0 ? buf_take(&query) : NULL;
    buf_free(&query);
    for (size_t i = 0; i < config->http_header_count; i++)
        str_list_take(&p->headers,
                      xasprintf("%s: %s", config->http_headers[i].name, config->http_headers[i].value));
    for (size_t i = 0; i < config->env_http_header_count; i++)
        str_list_take(&p->env_headers, xasprintf("%s: %s", config->env_http_headers[i].name,
                                                 config->env_http_headers[i].value));
    p->request_max_retries = bounded_retries(config->request_max_retries);
    p->stream_max_retries = bounded_retries(config->stream_max_retries);
    if (config->stream_idle_timeout_ms > 0)
        p->stream_idle_timeout_ms = (uint64_t)config->stream_idle_timeout_ms;
    p->auth_command = xstrdup(config->auth_command);
    str_list_copy(&p->auth_args, &config->auth_args);
    p->auth_cwd = xstrdup(config->auth_cwd);
    p->auth_timeout_ms = config->auth_timeout_ms > 0 ? (uint64_t)config->auth_timeout_ms : 5000;
    p->auth_refresh_ms = config->auth_refresh_interval_ms;
    if (config->is_builtin)
        apply_environment_url(p);
    make_hint(p);
    return p;
}

struct provider *provider_create_simple(struct loop *loop, const char *id, const char *base_url,
                                        enum wire_api wire, const char *env_key)
{
    struct provider *p = allocate(loop, id, wire);

    set_base_url(p, base_url);
    p->env_key = xstrdup(env_key);
    make_hint(p);
    return p;
}

void provider_destroy(struct provider *p)
{
    if (p == NULL)
        return;
    limiter_destroy(p->limiter);
    process_destroy(p->auth_process);
    while (p->waits.len > 0)
        provider_wait_cancel(p->waits.items[0]);
    vec_finish(&p->waits);
    free(p->id);
    free(p->base_url);
    free(p->shown_url);
    free(p->query);
    free(p->env_key);
    free(p->env_key_instructions);
    free(p->bearer_token);
    str_list_finish(&p->headers);
    str_list_finish(&p->env_headers);
    free(p->hint);
    free(p->auth_command);
    str_list_finish(&p->auth_args);
    free(p->auth_cwd);
    free(p->token);
    buf_free(&p->auth_output);
    free(p);
}

const char *provider_id(const struct provider *p)
{
    return p->id;
}

const char *provider_base_url(const struct provider *p)
{
    return p->base_url;
}

const char *provider_shown_url(const struct provider *p)
{
    return p->shown_url;
}

enum wire_api provider_wire(const struct provider *p)
{
    return p->wire;
}

int provider_request_max_retries(const struct provider *p)
{
    return p->request_max_retries;
}

int provider_stream_max_retries(const struct provider *p)
{
    return p->stream_max_retries;
}

struct limiter *provider_limiter(struct provider *p)
{
    return p->limiter;
}

void provider_set_recorder(struct provider *p, struct cassette_recorder *recorder)
{
    p->recorder = recorder;
}

struct cassette_recorder *provider_recorder(const struct provider *p)
{
    return p->recorder;
}

void provider_set_prices(struct provider *p, const struct price_table *table)
{
    p->prices = table;
}

const struct price_table *provider_prices(const struct provider *p)
{
    return p->prices;
}

uint64_t provider_stream_idle_timeout_ms(const struct provider *p)
{
    return p->stream_idle_timeout_ms;
}

void provider_set_limits(struct provider *p, int request_max_retries, int stream_max_retries,
                         uint64_t stream_idle_timeout_ms)
{
    p->request_max_retries = bounded_retries(request_max_retries);
    p->stream_max_retries = bounded_retries(stream_max_retries);
    p->stream_idle_timeout_ms = stream_idle_timeout_ms;
}

bool provider_is_loopback(const struct provider *p)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};

    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (str_starts_with(p->base_url, hosts[i])) {
            char next = p->base_url[strlen(hosts[i])];

            /* "http://localhost.example.org" is another machine, "http://localhost:1@x" too. */
            if ((next == '\0' || next == '/' || next == ':') && strchr(p->base_url, '@') == NULL)
                return true;
        }
    return false;
}

char *provider_url(const struct provider *p, const char *path)
{
    return xasprintf("%s%s%s%s", p->base_url, path, p->query != NULL ? "?" : "",
                     p->query != NULL ? p->query : "");
}

const char *provider_auth_hint(const struct provider *p)
{
    return p->hint;
}

/* --- The key ------------------------------------------------------------------------------------------ */

/* The API key that `codex login` stored, or NULL; caller frees. */
static char *read_codex_login(void)
{
    const char *home = getenv("CODEX_HOME"), *user = getenv("HOME");
    char *path, *key = NULL;
    struct buf text = BUF_INIT;
    json_t *root;

    if (home != NULL && *home != '\0')
        path = xasprintf("%s/auth.json", home);
    else
        path = xasprintf("%s/.codex/auth.json", user != NULL ? user : "");
    if (file_read(path, &text, 1 << 20, NULL) == 0) {
        root = json_parse(buf_cstr(&text), text.len, "auth.json", NULL);
        key = xstrdup(json_string_value(json_object_get(root, "OPENAI_API_KEY")));
        json_decref(root);
    }
    buf_free(&text);
    free(path);
    return key;
}

/* 0 with *KEY owned (NULL: the provider needs none), or -1 with ERROR_AUTH. */
static int find_key(const struct provider *p, const char *token, char **key, struct error *err)
{
    const char *value = token;
    char *start;

    *key = NULL;
    if (value == NULL && p->bearer_token != NULL)
        value = p->bearer_token;
    if (value == NULL && p->env_key != NULL) {
        value = getenv(p->env_key);
        if (value == NULL || *value == '\0') {
            *key = p->uses_codex_login ? read_codex_login() : NULL;
            if (*key == NULL) {
                error_set(err, ERROR_AUTH, "provider %s needs a key: the environment variable %s is not set",
                          p->id, p->env_key);
                return error_hint(err, "%s", p->hint);
            }
            value = NULL;
        }
    }
    if (value != NULL)
        *key = xstrdup(value);
    if (*key == NULL)
        return 0;
    start = str_trim(*key);
    memmove(*key, start, strlen(start) + 1);
    for (const char *c = *key; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f) {
            FREE_NULL(*key);
            error_set(err, ERROR_AUTH,
                      "provider %s: the key contains a space, line break or other character "
                      "that a header cannot carry",
                      p->id);
            return error_hint(err, "%s", p->hint);
        }
    return 0;
}

/* What goes into headers is secret where their names say so, and where it comes from the environment. */
static void register_headers(const struct provider *p)
{
    for (size_t i = 0; i < p->headers.len; i++) {
        const char *line = p->headers.items[i];
        const char *value = strchr(line, ':') + 2;
        const char *space = strchr(value, ' ');

        if (!redact_is_secret_name(line, strcspn(line, ":")))
            continue;
        redact_add(value);
        redact_add(space == NULL ? NULL : space + 1); /* "Bearer TOKEN" */
    }
    for (size_t i = 0; i < p->env_headers.len; i++)
        redact_add(getenv(strchr(p->env_headers.items[i], ':') + 2));
}

int provider_check_auth(const struct provider *p, struct error *err)
{
    char *key = NULL;
    int rc;

    if (p->auth_command != NULL)
        return 0;
    rc = find_key(p, NULL, &key, err);
    redact_add(key);
    free(key);
    register_headers(p);
    return rc;
}

/* A header line that came from the environment or a file must stay one line. */
static void add_line(struct str_list *headers, char *line)
{
    for (char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    str_list_take(headers, line);
}

int provider_headers(const struct provider *p, const char *token, struct str_list *headers, struct error *err)
{
    char *key = NULL;

    if (find_key(p, token, &key, err) < 0)
        return -1;
    if (key != NULL && p->wire == WIRE_MESSAGES && p->bearer_token == NULL && token == NULL)
        add_line(headers, xasprintf("x-api-key: %s", key));
    else if (key != NULL)
        add_line(headers, xasprintf("Authorization: Bearer %s", key));
    if (p->wire == WIRE_MESSAGES)
        str_list_add(headers, "anthropic-version: " ANTHROPIC_VERSION);
    free(key);
    for (size_t i = 0; i < p->headers.len; i++)
        add_line(headers, xstrdup(p->headers.items[i]));
    for (size_t i = 0; i < p->env_headers.len; i++) {
        const char *line = p->env_headers.items[i];
        const char *colon = strchr(line, ':');
        const char *value = getenv(colon + 2);

        if (value != NULL && *value != '\0')
            add_line(headers, xasprintf("%.*s: %s", (int)(colon - line), line, value));
    }
    return 0;
}

static void scrub_value(struct error *err, const char *secret)
{
    size_t n = secret != NULL ? strlen(secret) : 0;
    char *at;

    if (n < 6)
        return; /* a word, not a key */
    while ((at = strstr(err->text, secret)) != NULL) {
        static const char mark[] = "[key]";
        size_t rest = strlen(at + n);

        memcpy(at, mark, sizeof mark - 1);
        memmove(at + sizeof mark - 1, at + n, rest + 1);
    }
}

void provider_scrub(const struct provider *p, const char *token, struct error *err)
{
    char *key = NULL;

    if (find_key(p, token, &key, NULL) == 0)
        scrub_value(err, key);
    free(key);
    for (size_t i = 0; i < p->env_headers.len; i++)
        scrub_value(err, getenv(strchr(p->env_headers.items[i], ':') + 2));
}

/* --- The auth command --------------------------------------------------------------------------------- */

static void deliver(struct provider_wait *wait, const char *token, const struct error *err)
{
    void (*cb)(void *, const char *, const struct error *) = wait->cb;
    void *data = wait->data;

    vec_remove_item(&wait->provider->waits, wait);
    free(wait);
    cb(data, token, err);
}

static void on_known(void *data)
{
    struct provider_wait *wait = data;

    wait->timer = NULL;
    deliver(wait, wait->provider->token, NULL);
}

static void on_auth_output(void *data, int fd, const char *bytes, size_t n)
{
    struct provider *p = data;

    if (fd == 1 && p->auth_output.len + n <= TOKEN_MAX_BYTES)
        buf_append(&p->auth_output, bytes, n);
}

/* Answers everyone who waits for the command. A callback may destroy neither the provider nor the loop. */
static void answer_waits(struct provider *p, const struct error *err)
{
    struct vec waiting = {0};

    for (size_t i = 0; i < p->waits.len; i++) {
        struct provider_wait *wait = p->waits.items[i];

        if (wait->timer == NULL)
            vec_push(&waiting, wait);
    }
    for (size_t i = 0; i < waiting.len; i++)
        if (vec_has(&p->waits, waiting.items[i])) /* not cancelled by an earlier callback */
            deliver(waiting.items[i], err != NULL ? NULL : p->token, err);
    vec_finish(&waiting);
}

static void on_auth_exit(void *data, const struct process_exit *exit)
{
    struct provider *p = data;
    struct error err = {0};
    char *text = buf_take(&p->auth_output);
    char *token = str_trim(text);

    process_destroy(p->auth_process);
    p->auth_process = NULL;
    if (exit->timed_out)
        error_set(&err, ERROR_AUTH, "provider %s: the auth command `%s` took longer than %lu ms", p->id,
                  p->auth_command, (unsigned long)p->auth_timeout_ms);
    else if (exit->exit_code != 0)
        error_set(&err, ERROR_AUTH, "provider %s: the auth command `%s` failed (exit code %d)", p->id,
                  p->auth_command, exit->exit_code);
    else if (*token == '\0')
        error_set(&err, ERROR_AUTH, "provider %s: the auth command `%s` printed no token", p->id,
                  p->auth_command);
    if (error_is_set(&err)) {
        error_hint(&err, "%s", p->hint);
    } else {
        free(p->token);
        p->token = xstrdup(token);
        redact_add(token);
        p->token_ms = clock_monotonic_ms();
    }
    free(text);
    answer_waits(p, error_is_set(&err) ? &err : NULL);
}

static bool token_is_fresh(const struct provider *p)
{
    return p->token != NULL &&
           (p->auth_refresh_ms <= 0 || clock_monotonic_ms() - p->token_ms < p->auth_refresh_ms);
}

static void on_start_failed(void *data)
{
    struct provider_wait *wait = data;
    struct error err = {0};

    wait->timer = NULL;
    error_set(&err, ERROR_AUTH, "provider %s: the auth command `%s` cannot be started", wait->provider->id,
              wait->provider->auth_command);
    error_hint(&err, "%s", wait->provider->hint);
    deliver(wait, NULL, &err);
}

static int start_auth(struct provider *p)
{
    struct vec argv = {0};
    struct process_options options = {
        .cwd = p->auth_cwd,
        .timeout_ms = p->auth_timeout_ms,
        .on_output = on_auth_output,
        .on_exit = on_auth_exit,
        .data = p,
    };

    vec_push(&argv, p->auth_command);
    for (size_t i = 0; i < p->auth_args.len; i++)
        vec_push(&argv, p->auth_args.items[i]);
    vec_push(&argv, NULL);
    options.argv = (const char *const *)argv.items;
    p->auth_process = process_start(p->loop, &options, NULL);
    vec_finish(&argv);
    return p->auth_process != NULL ? 0 : -1;
}

struct provider_wait *provider_token_get(struct provider *p,
                                         void (*cb)(void *data, const char *token, const struct error *err),
                                         void *data)
{
    struct provider_wait *wait = xcalloc(1, sizeof *wait);

    wait->provider = p;
    wait->cb = cb;
    wait->data = data;
    vec_push(&p->waits, wait);
    if (p->auth_command == NULL || token_is_fresh(p))
        wait->timer = timer_start(p->loop, 0, on_known, wait);
    else if (p->auth_process == NULL && start_auth(p) < 0)
        wait->timer = timer_start(p->loop, 0, on_start_failed, wait);
    return wait;
}

void provider_wait_cancel(struct provider_wait *wait)
{
    if (wait == NULL)
        return;
    timer_cancel(wait->timer);
    vec_remove_item(&wait->provider->waits, wait);
    free(wait);
}

bool provider_token_expire(struct provider *p)
{
    bool had = p->auth_command != NULL && p->token != NULL;

    FREE_NULL(p->token);
    return had;
}
