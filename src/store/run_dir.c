/* store/run_dir.c: the folders of runs, and run ids. */
#include "store/run_dir.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "base/random.h"
#include "base/str.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TIME_LENGTH   15 /* "YYYYMMDD-HHMMSS" */
#define RANDOM_LENGTH 4

void run_id_make(char id[RUN_ID_BYTES])
{
    char utc[CLOCK_TEXT_BYTES]; /* "2026-11-23T16:02:03.123Z" */
    size_t n = 0;

    clock_format_utc(clock_wall_ms(), utc);
    for (const char *c = utc; *c != '.' && *c != '\0' && n < TIME_LENGTH; c++) {
        if (isdigit((unsigned char)*c))
            id[n++] = *c;
        else if (*c == 'T')
            id[n++] = '-';
    }
    id[n++] = '-';
    random_id(id + n, RANDOM_LENGTH);
}

bool run_id_is_valid(const char *id)
{
    if (id == NULL || strlen(id) != RUN_ID_BYTES - 1)
        return false;
    for (size_t i = 0; i < RUN_ID_BYTES - 1; i++) {
        bool is_dash = i == 8 || i == TIME_LENGTH;
        unsigned char c = (unsigned char)id[i];

        if (is_dash ? c != '-' : i < TIME_LENGTH ? !isdigit(c) : !(isdigit(c) || islower(c)))
            return false;
    }
    return true;
}

static char *runs_path(void)
{
    char *home = path_state_home();
    char *runs = path_join(home, "runs");

    free(home);
    return runs;
}

char *run_dir_path(const char *id)
{
    char *runs = runs_path();
    char *path = path_join(runs, id);

    free(runs);
    return path;
}

static char *within(const char *id, const char *name)
{
    char *folder = run_dir_path(id);
    char *path = path_join(folder, name);

    free(folder);
    return path;
}

char *run_dir_journal(const char *id)
{
    return within(id, "journal.db");
}

char *run_dir_rollouts(const char *id)
{
    return within(id, "rollouts");
}

char *run_dir_ci(const char *id)
{
    return within(id, "ci");
}

char *run_dir_worktrees(const char *id)
{
    return within(id, "worktrees");
}

int run_dir_create(const char *id, struct error *err)
{
    static const char *const names[] = {"rollouts", "ci", "worktrees"};
    int rc = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && rc == 0; i++) {
        char *path = within(id, names[i]);

        rc = file_make_directories(path, 0700, err);
        free(path);
    }
    return rc < 0 ? error_wrap(err, "making the folder of run %s", id) : 0;
}

int run_dir_list(struct str_list *ids, struct error *err)
{
    char *runs = runs_path();
    struct str_list names = {0};
    int rc = 0;

    if (file_is_directory(runs))
        rc = file_list_directory(runs, &names, err);
    for (size_t i = 0; i < names.len; i++) {
        char *journal = run_id_is_valid(names.items[i]) ? run_dir_journal(names.items[i]) : NULL;

        if (journal != NULL && file_is_regular(journal))
            str_list_add(ids, names.items[i]);
        free(journal);
    }
    str_list_finish(&names);
    free(runs);
    return rc;
}

/* Was A started after B? Ids of one second differ only by chance: then the folders tell. */
static bool is_later(const char *a, const char *b)
{
    int order = strncmp(a, b, TIME_LENGTH);
    struct statx times[2] = {0};
    const char *ids[2] = {a, b};

    if (order != 0)
        return order > 0;
    for (int i = 0; i < 2; i++) {
        char *path = run_dir_path(ids[i]);

        (void)statx(-1, path, 0, STATX_BTIME, &times[i]);
        free(path);
    }
    if (times[0].stx_btime.tv_sec != times[1].stx_btime.tv_sec)
        return times[0].stx_btime.tv_sec > times[1].stx_btime.tv_sec;
    return times[0].stx_btime.tv_nsec > times[1].stx_btime.tv_nsec;
}

static char *choose(const struct str_list *ids, const char *name, struct error *err)
{
    const char *found = NULL;
    size_t matches = 0;

    for (size_t i = 0; i < ids->len; i++) {
        const char *id = ids->items[i];

        if (name == NULL) {
            if (found == NULL || is_later(id, found))
                found = id;
        } else if (str_eq(id, name)) {
            return xstrdup(id);
        } else if (name[0] != '\0' && str_starts_with(id, name)) {
            found = id;
            matches++;
        }
    }
    if (matches > 1) {
        error_set(err, ERROR_USAGE, "%s: %zu runs start so", name, matches);
        error_hint(err, "cadre status lists them");
        return NULL;
    }
    if (found == NULL) {
        if (name != NULL)
            error_set(err, ERROR_NOT_FOUND, "%s: no such run", name);
        else
            error_set(err, ERROR_NOT_FOUND, "there is no run yet");
        error_hint(err, name != NULL ? "cadre status lists them" : "cadre run GOAL starts one");
        return NULL;
    }
    return xstrdup(found);
}

char *run_dir_find(const char *name, struct error *err)
{
    struct str_list ids = {0};
    char *id = NULL;

    if (run_dir_list(&ids, err) == 0)
        id = choose(&ids, name, err);
    str_list_finish(&ids);
    return id;
}
