/* fuzz/fuzz_codex_events.c: whatever a program prints that is taken for `codex exec --json`. */
#include "agent/codex_events.h"
#include "agent/final_answer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void emit(void *data, json_t *event)
{
    char *text = json_dumps(event, 0);

    /* Bounded, and an event that can be printed. */
    if (text == NULL || strlen(text) > (size_t)256 * 256 * 20000)
        abort();
    ++*(unsigned *)data;
    free(text);
    json_decref(event);
}

static unsigned next_item(void *data)
{
    return *(unsigned *)data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *line = (const char *)data;
    const char *end = line + size;
    struct codex_events events;
    unsigned count = 0;
    json_t *answer;

    codex_events_init(&events, emit, next_item, &count);
    while (line < end) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((stop == NULL ? end : stop) - line);

        (void)codex_events_line(&events, line, n);
        line += n + 1;
    }
    answer = final_answer_read("submit_review", events.last_message, NULL);
    json_decref(answer);
    codex_events_finish(&events);
    return 0;
}
