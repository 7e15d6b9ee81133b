/* base/kill_point.c: see kill_point.h. Counts of the process, since its start. */
#include "base/kill_point.h"

#ifdef CADRE_TEST_HOOKS

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[KILL_POINT_COUNT] = {
    [KILL_POINT_JOURNAL_BEFORE] = "journal-before",
    [KILL_POINT_JOURNAL_AFTER] = "journal-after",
    [KILL_POINT_GIT_BEFORE] = "git-before",
    [KILL_POINT_GIT_AFTER] = "git-after",
};

static struct {
    bool is_read;
    enum kill_point point; /* KILL_POINT_COUNT: none */
    unsigned long at;
    const char *report;
    unsigned long passed[KILL_POINT_COUNT];
} state;

static void write_report(void)
{
    FILE *out = fopen(state.report, "w");

    if (out == NULL)
        return;
    for (int i = 0; i < KILL_POINT_COUNT; i++)
        fprintf(out, "%s %lu\n", names[i], state.passed[i]);
    fclose(out);
}

static void read_environment(void)
{
    const char *text = getenv("CADRE_TEST_KILL_AT");
    const char *colon = text == NULL ? NULL : strchr(text, ':');

    state.is_read = true;
    state.point = KILL_POINT_COUNT;
    for (int i = 0; colon != NULL && i < KILL_POINT_COUNT; i++)
        if (strlen(names[i]) == (size_t)(colon - text) &&
            strncmp(text, names[i], (size_t)(colon - text)) == 0)
            state.point = (enum kill_point)i;
    if (state.point != KILL_POINT_COUNT)
        state.at = strtoul(colon + 1, NULL, 10);
    state.report = getenv("CADRE_TEST_POINTS");
    if (state.report != NULL)
        atexit(write_report);
}

void kill_point_pass(enum kill_point point)
{
    if (!state.is_read)
        read_environment();
    if (++state.passed[point] == state.at && point == state.point)
        kill(getpid(), SIGKILL);
}

#endif
