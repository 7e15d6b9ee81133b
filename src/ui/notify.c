/* ui/notify.c: see notify.h. */
#include "ui/notify.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "config/config.h"
#include "config/shell_environment.h"
#include "io/fiber.h"
#include "io/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_TIMEOUT_MS 10000

struct notifier {
    struct loop *loop;
    struct str_list argv;    /* of `notify` */
    char *command;           /* of `notifications.command`, or NULL */
    struct str_list env;
    bool rings;
    struct vec running;      /* of struct notice * */
    struct fiber *waiter;
};

struct notice {
    struct notifier *notifier;
    struct process *process;
};

struct notifier *notifier_create(struct loop *loop, const struct config *config, bool can_ring)
{
    struct notifier *n = xcalloc(1, sizeof *n);

    n->loop = loop;
    n->rings = can_ring && config_bool(config, "notifications.bell");
    config_list(config, "notify", &n->argv);
    n->command = xstrdup(config_string(config, "notifications.command"));
    shell_environment_build(config, environ, &n->env);
    return n;
}

static void on_command_exit(void *data, const struct process_exit *exit)
{
    struct notice *notice = data;
    struct notifier *n = notice->notifier;

    if (exit->exit_code != 0)
        log_warning("the notification command ends with %s %d", exit->signal != 0 ? "signal" : "exit code",
                    exit->signal != 0 ? exit->signal : exit->exit_code);
    (void)vec_remove_item(&n->running, notice);
    process_destroy(notice->process);
    free(notice);
    if (n->waiter != NULL)
        fiber_wake(n->waiter);
}

static void start(struct notifier *n, const char *const *argv, const char *event)
{
    struct str_list env = {0};
    struct notice *notice = xcalloc(1, sizeof *notice);
    struct process_options options = {
        .argv = argv, .timeout_ms = COMMAND_TIMEOUT_MS, .on_exit = on_command_exit, .data = notice};
    struct error err = {0};

    str_list_copy(&env, &n->env);
    str_list_take(&env, xasprintf("CADRE_EVENT=%s", event));
    options.env = (const char *const *)env.items;
    notice->notifier = n;
    notice->process = process_start(n->loop, &options, &err);
    if (notice->process != NULL) {
        vec_push(&n->running, notice);
    } else {
        log_warning("the notification command cannot be started: %s", err.text);
        free(notice);
    }
    str_list_finish(&env);
}

static bool is_notable(const char *type)
{
    static const char *const types[] = {"run.completed", "run.failed", "run.interrupted", "approval.requested",
                                        "turn.completed"};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i], type) == 0)
            return true;
    return false;
}

void notifier_event(struct notifier *n, const json_t *event)
{
    const char *type = json_get_string(event, "type", "");
    struct buf text = BUF_INIT;

    /* The turns of a run's threads are its own affair. */
    if (n == NULL || !is_notable(type) ||
        (strcmp(type, "turn.completed") == 0 && json_object_get(event, "run") != NULL))
        return;
    if (n->rings) {
        (void)fputc('\a', stderr);
        (void)fflush(stderr);
    }
    json_append_value(&text, event);
    if (n->argv.len > 0) {
        struct str_list argv = {0};

        str_list_copy(&argv, &n->argv);
        str_list_add(&argv, text.data);
        start(n, (const char *const *)argv.items, text.data);
        str_list_finish(&argv);
    }
    if (!str_is_empty(n->command)) {
        const char *const argv[] = {"/bin/sh", "-c", n->command, NULL};

        start(n, argv, text.data);
    }
    buf_free(&text);
}

void notifier_finish(struct notifier *n)
{
    if (n == NULL)
        return;
    n->waiter = fiber_current();
    fiber_shield(true);
    while (n->running.len > 0)
        (void)fiber_wait(NULL);
    fiber_shield(false);
    vec_finish(&n->running);
    str_list_finish(&n->argv);
    str_list_finish(&n->env);
    free(n->command);
    free(n);
}
