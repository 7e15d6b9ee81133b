/* cli/prompt_history.c: see prompt_history.h. */
#include "cli/prompt_history.h"

#include "base/log.h"
#include "base/path.h"
#include "base/str.h"
#include "config/config.h"
#include "store/history.h"

#include <stdlib.h>

#define SHOWN_ENTRIES 200

/* PATH lives as long as what is returned. */
static struct history_options options_of(const struct config *config, const char *path)
{
    return (struct history_options){
        .path = path,
        .persistence = str_eq(config_string(config, "history.persistence"), "none") ? HISTORY_NONE : HISTORY_SAVE_ALL,
        .max_bytes = config_int(config, "history.max_bytes"),
    };
}

void prompt_history_each(const struct config *config,
                         bool (*cb)(void *data, const char *session_id, int64_t ts_s, const char *text), void *data)
{
    char *path = path_join(config_codex_home(config), "history.jsonl");
    struct history_options options = options_of(config, path);
    struct error err = {0};

    if (history_each(&options, SHOWN_ENTRIES, cb, data, &err) < 0)
        log_warning("earlier prompts cannot be read: %s", err.text);
    free(path);
}

void prompt_history_add(const struct config *config, const char *session_id, const char *text)
{
    char *path = path_join(config_codex_home(config), "history.jsonl");
    struct history_options options = options_of(config, path);
    struct error err = {0};

    if (history_add(&options, session_id, text, &err) < 0)
        log_warning("the prompt is not in the history: %s", err.text);
    free(path);
}
