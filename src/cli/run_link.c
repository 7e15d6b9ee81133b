/* cli/run_link.c: see run_link.h. */
#include "cli/run_link.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "io/fiber.h"
#include "io/jsonrpc.h"
#include "io/jsonrpc_stream.h"
#include "io/unix_socket.h"
#include "store/journal.h"
#include "store/run_dir.h"
#include "team/control.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_TIMEOUT_MS 10000

struct run_link {
    int fd;
    struct jsonrpc_stream *stream;
    void (*on_event)(void *data, const json_t *event);
    void *data;
    struct fiber *waiter;
    bool is_closed;
};

/* Is DIR the repository or a folder in it? */
static bool is_within(const char *repo, const char *dir)
{
    size_t n = strlen(repo);

    return strncmp(repo, dir, n) == 0 && (dir[n] == '\0' || dir[n] == '/');
}

char *run_link_find(const char *name, struct error *err)
{
    struct str_list ids = {0};
    char *cwd = getcwd(NULL, 0);
    char *here = NULL;
    char *any = NULL;
    size_t alive = 0;

    if (name != NULL) {
        free(cwd);
        return run_dir_find(name, err);
    }
    if (run_dir_list(&ids, err) < 0)
        goto out;
    for (size_t i = ids.len; i-- > 0 && here == NULL;) {
        char *path = run_dir_journal(ids.items[i]);
        struct journal_run row = {0};
        struct journal *journal = journal_is_locked(path, NULL, NULL) ? journal_open_readonly(path, NULL) : NULL;

        if (journal != NULL && journal_run_get(journal, &row, NULL) == 0) {
            alive++;
            if (cwd != NULL && is_within(row.repo, cwd))
                here = xstrdup(ids.items[i]);
            else if (any == NULL)
                any = xstrdup(ids.items[i]);
        }
        journal_run_finish(&row);
        journal_close(journal);
        free(path);
    }
    if (here == NULL && alive == 1) {
        here = any;
        any = NULL;
    }
    if (here == NULL) {
        error_set(err, ERROR_NOT_FOUND, alive == 0 ? "no run is alive" : "no run of this repository is alive");
        error_hint(err, "`cadre status` lists the runs");
    }
out:
    str_list_finish(&ids);
    free(any);
    free(cwd);
    return here;
}

static void on_notification(void *data, const char *method, const json_t *params)
{
    struct run_link *link = data;

    if (strcmp(method, "event") == 0 && link->on_event != NULL)
        link->on_event(link->data, params);
}

static void on_closed(void *data, const struct error *why)
{
    struct run_link *link = data;

    (void)why;
    link->is_closed = true;
    if (link->waiter != NULL)
        fiber_wake(link->waiter);
}

struct run_link *run_link_open(struct loop *loop, const char *id, void (*on_event)(void *data, const json_t *event),
                               void *data, struct error *err)
{
    struct jsonrpc_options options = {.on_notification = on_notification};
    struct run_link *link;
    char *path = run_control_path(id);
    int fd = unix_socket_connect(path, NULL);

    free(path);
    if (fd < 0) {
        error_set(err, ERROR_NOT_FOUND, "run %s is not alive", id);
        error_hint(err, "`cadre status` lists the runs; `cadre resume %s` goes on with this one", id);
        return NULL;
    }
    link = xcalloc(1, sizeof *link);
    link->fd = fd;
    link->on_event = on_event;
    link->data = data;
    options.data = link;
    link->stream = jsonrpc_stream_create(loop, fd, fd, &options, on_closed, link);
    return link;
}

void run_link_close(struct run_link *link)
{
    if (link == NULL)
        return;
    jsonrpc_stream_destroy(link->stream);
    close(link->fd);
    free(link);
}

int run_link_ask(struct run_link *link, const char *method, const char *params, json_t **result, struct error *err)
{
    json_t *answer = NULL;
    int rc = jsonrpc_fetch(jsonrpc_stream_rpc(link->stream), method, params, ANSWER_TIMEOUT_MS, &answer, err);

    /* What the run refuses is a mistake of the order. */
    if (rc < 0 && err->code == ERROR_IO && !link->is_closed)
        err->code = ERROR_USAGE;
    if (rc == 0 && result != NULL)
        *result = json_incref(answer);
    json_decref(answer);
    return rc;
}

int run_link_wait(struct run_link *link, struct error *err)
{
    int rc = 0;

    link->waiter = fiber_current();
    while (!link->is_closed && rc == 0)
        rc = fiber_wait(err);
    link->waiter = NULL;
    return rc;
}
