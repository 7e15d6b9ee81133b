/* cli/prompt_history.c: see prompt_history.h. */
#include "cli/prompt_history.h"

#include "base/log.h"
#include "base/path.h"
#include "base/str.h"
#include "config/config.h"
#include "store/history.h"

#include <stdlib.h>

void prompt_history_add(const struct config *config, const char *session_id, const char *text)
{
    char *path = path_join(config_codex_home(config), "history.jsonl");
    struct history_options options = {
        .path = path,
        .persistence = str_eq(config_string(config, "history.persistence"), "none") ? HISTORY_NONE : HISTORY_SAVE_ALL,
        .max_bytes = config_int(config, "history.max_bytes"),
    };
    struct error err = {0};

    if (history_add(&options, session_id, text, &err) < 0)
        log_warning("the prompt is not in the history: %s", err.text);
    free(path);
}
