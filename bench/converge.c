/* bench/converge.c: does the loop converge, and on the right thing, when its models make mistakes? (docs/loop.md)
 *
 *     converge --cadre PATH [--runs N] [--mix NAME] [--seed N] [--jobs N] [--p PROBABILITY] [--speed]
 *
 * Each run is `cadre run` on a fresh repository with real git, CI commands and sandbox; only the models are simulated.
 * Hidden tests say whether what was merged is right. Exits with 1 when a bad tree was merged or a run stopped without a
 * reason. */
#include "simulated_team.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/process.h"
#include "model/mock_script.h"
#include "model/mock_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUN_TIMEOUT_MS 600000

struct settings {
    const char *cadre;
    const char *mix; /* NULL: all */
    const char *keep; /* folder for what went wrong, or NULL */
    int64_t runs, jobs;
    uint64_t seed;
    double probability;
    bool speed;
};

struct outcome {
    bool green;   /* exit code 0 and right by the hidden tests */
    bool stopped; /* exit code 1 or 3, tasks blocked, nothing merged */
    bool bad;     /* something wrong was merged */
    int64_t wall_ms;
    int64_t calls;
    char *detail; /* of what is neither */
};

struct world { /* one run */
    struct settings *settings;
    struct loop *loop;
    struct team_options team;
    struct outcome *outcome;
    int batch_size; /* 0: four */
    char *dir;
    char *repo;
    struct str_list env;
    struct mock_server *mock;
};

static void add_env(struct world *w)
{
    static const char *const kept[] = {"PATH=", "LANG=", "TMPDIR=", "ASAN_OPTIONS=", "UBSAN_OPTIONS="};

    for (char **e = environ; *e != NULL; e++)
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
            if (str_starts_with(*e, kept[i]))
                str_list_add(&w->env, *e);
    str_list_take(&w->env, xasprintf("HOME=%s/home", w->dir));
    str_list_take(&w->env, xasprintf("CODEX_HOME=%s/home/.codex", w->dir));
    str_list_take(&w->env, xasprintf("XDG_STATE_HOME=%s/state", w->dir));
    str_list_add(&w->env, "GIT_CONFIG_NOSYSTEM=1");
    str_list_add(&w->env, "GIT_AUTHOR_NAME=Sim");
    str_list_add(&w->env, "GIT_AUTHOR_EMAIL=sim@example.invalid");
    str_list_add(&w->env, "GIT_COMMITTER_NAME=Sim");
    str_list_add(&w->env, "GIT_COMMITTER_EMAIL=sim@example.invalid");
    str_list_add(&w->env, "SIM_KEY=only-for-the-mock");
}

static int write_config(struct world *w, struct error *err)
{
    char *home = path_join(w->dir, "home/.codex");
    char *config = path_join(home, "config.toml");
    char *own = path_join(home, "cadre.toml");
    char *text = xasprintf("model = \"sim\"\nmodel_provider = \"sim\"\n\n[model_providers.sim]\nname = \"Sim\"\n"
                           "base_url = \"%s\"\nenv_key = \"SIM_KEY\"\nwire_api = \"responses\"\n",
                           mock_server_base_url(w->mock));
    char *cadre_text = xasprintf("[loop]\nbatch_size = %d\nmax_turn_steps = 1000\n\n[merge]\nshared_files = [\"CHANGELOG.md\"]\n\n[ci]\nretries = 3\n",
                                 w->batch_size > 0 ? w->batch_size : 4);
    int rc = file_make_directories(home, 0700, err);

    if (rc == 0)
        rc = file_write(config, text, strlen(text), 0600, err);
    if (rc == 0)
        rc = file_write(own, cadre_text, strlen(cadre_text), 0600, err);
    free(home);
    free(config);
    free(own);
    free(text);
    free(cadre_text);
    return rc;
}

static bool has_event(const struct buf *events, const char *type)
{
    char *needle = xasprintf("\"type\":\"%s\"", type);
    bool found = strstr(buf_cstr(events), needle) != NULL;

    free(needle);
    return found;
}

static void judge(struct world *w, const struct process_result *result)
{
    struct outcome *o = w->outcome;
    int code = result->exit.exit_code;
    char *head = path_join(w->repo, ".git/refs/heads/main");
    char *wrong = team_hidden_test(w->loop, w->repo, &w->team, (const char *const *)w->env.items);

    if (code == 0 && wrong == NULL) {
        o->green = true;
    } else if (code == 0) {
        o->bad = true;
        o->detail = xasprintf("merged, but %s", wrong);
    } else if ((code == 1 || code == 3) && !has_event(&result->out, "run.completed") &&
               (has_event(&result->out, "task.blocked") || has_event(&result->out, "plan.rejected") ||
                strstr(buf_cstr(&result->err), "weather") != NULL)) {
        o->stopped = true;
        o->detail = xasprintf("stopped with %d: %.300s", code, buf_cstr(&result->err));
    } else {
        o->detail = xasprintf("exit code %d, signal %d%s: %.300s", code, result->exit.signal,
                              result->exit.timed_out ? ", took too long" : "", buf_cstr(&result->err));
    }
    free(wrong);
    free(head);
}

static int prepare(struct world *w, struct error *err)
{
    struct buf script = BUF_INIT;
    struct mock_script *parsed;
    int rc = -1;

    w->dir = file_make_temporary_directory("cadre-converge", err);
    if (w->dir == NULL)
        return -1;
    w->repo = path_join(w->dir, "repo");
    add_env(w);
    if (file_make_directories(w->repo, 0755, err) < 0 ||
        team_make_repository(w->loop, w->repo, &w->team, (const char *const *)w->env.items, err) < 0)
        return -1;
    team_write_script(&w->team, &script);
    parsed = mock_script_parse(buf_cstr(&script), script.len, "simulated team", err);
    if (parsed != NULL)
        w->mock = mock_server_start(w->loop, parsed, 0, err);
    if (w->mock != NULL)
        rc = write_config(w, err);
    buf_free(&script);
    return rc;
}

static void do_run(struct world *w)
{
    const char *const team[] = {w->settings->cadre, "run", "--json", "make every module right", NULL};
    const char *const one[] = {w->settings->cadre, "exec", "--json", "make every module right", NULL};
    struct process_run_options options = {.argv = w->team.one_agent ? one : team, .timeout_ms = RUN_TIMEOUT_MS,
                                          .max_output_bytes = (size_t)64 << 20};
    struct process_result result = {0};
    struct error err = {0};

    if (prepare(w, &err) == 0) {
        options.env = (const char *const *)w->env.items;
        options.cwd = w->repo;
        if (process_run(w->loop, &options, &result, &err) == 0) {
            w->outcome->wall_ms = result.exit.duration_us / 1000;
            w->outcome->calls = mock_server_answered(w->mock, 200);
            if (w->team.one_agent) {
                w->outcome->green = result.exit.exit_code == 0;
                if (!w->outcome->green)
                    w->outcome->detail = xasprintf("exit code %d: %.300s", result.exit.exit_code, buf_cstr(&result.err));
            } else {
                judge(w, &result);
            }
        }
    }
    if (err.code != ERROR_NONE)
        w->outcome->detail = xstrdup(err.text);
    if (w->settings->keep != NULL && !w->outcome->green) {
        char *path = xasprintf("%s/%llu.json", w->settings->keep, (unsigned long long)w->team.seed);

        (void)file_write(path, buf_cstr(&result.out), result.out.len, 0644, NULL);
        free(path);
    }
    process_result_finish(&result);
    mock_server_destroy(w->mock);
    if (w->dir != NULL)
        (void)file_remove_tree(w->dir, NULL);
    free(w->dir);
    free(w->repo);
    str_list_finish(&w->env);
}

/* --- many runs -------------------------------------------------------------------------------------------------- */

struct series {
    struct settings *settings;
    struct loop *loop;
    struct team_options team;
    int batch_size; /* 0: four */
    struct outcome *outcomes;
    size_t count;
    size_t next;
    struct fiber_group group;
};

static void series_fiber(void *arg)
{
    struct series *s = arg;

    while (s->next < s->count) {
        size_t i = s->next++;
        struct world w = {.settings = s->settings, .loop = s->loop, .team = s->team, .outcome = &s->outcomes[i],
                          .batch_size = s->batch_size};

        w.team.seed = s->settings->seed + i;
        do_run(&w);
    }
    fiber_group_done(&s->group);
}

static void run_series(struct series *s, int64_t jobs)
{
    s->outcomes = xcalloc(s->count, sizeof *s->outcomes);
    for (int64_t i = 0; i < jobs; i++) {
        fiber_group_add(&s->group);
        fiber_start(s->loop, series_fiber, s);
    }
    (void)fiber_group_wait(&s->group, NULL);
}

static int compare_int64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static int64_t median_ms(const struct series *s)
{
    int64_t *values = xcalloc(s->count, sizeof *values);
    int64_t median;

    for (size_t i = 0; i < s->count; i++)
        values[i] = s->outcomes[i].wall_ms;
    qsort(values, s->count, sizeof *values, compare_int64);
    median = values[s->count / 2];
    free(values);
    return median;
}

struct mix {
    const char *name;
    double probability; /* < 0: as asked for */
    enum fault only;
    double flaky_rate;
};

static const struct mix mixes[] = {
    {"none", 0, FAULT_NONE, 0},           {"everything", -1, FAULT_NONE, 0.1},  {"wrong", -1, FAULT_WRONG, 0},
    {"neighbour", -1, FAULT_NEIGHBOUR, 0}, {"foreign", -1, FAULT_FOREIGN, 0},    {"conflict", -1, FAULT_CONFLICT, 0},
    {"empty", -1, FAULT_EMPTY, 0},        {"weaken", -1, FAULT_WEAKEN, 0},      {"secret", -1, FAULT_SECRET, 0},
    {"early", -1, FAULT_EARLY, 0},        {"loop", -1, FAULT_LOOP, 0},          {"garbage", -1, FAULT_GARBAGE, 0},
    {"subtle", -1, FAULT_SUBTLE, 0},      {"flaky", 0, FAULT_NONE, 0.2},
};

/* One line of the table; what went wrong is told below it. True when nothing bad was merged and nothing is unexplained. */
static bool report(const struct series *s, const char *name)
{
    size_t green = 0, stopped = 0, bad = 0;
    int64_t calls = 0;

    for (size_t i = 0; i < s->count; i++) {
        green += s->outcomes[i].green;
        stopped += s->outcomes[i].stopped;
        bad += s->outcomes[i].bad;
        calls += s->outcomes[i].calls;
    }
    printf("%-11s %5zu %9.1f %% %9.1f %% %8zu %11zu %8.2f %9.2f s\n", name, s->count, 100.0 * (double)green / (double)s->count,
           100.0 * (double)stopped / (double)s->count, s->count - green - stopped - bad, bad,
           (double)calls / (double)s->count / team_least_calls(&s->team), (double)median_ms(s) / 1000);
    for (size_t i = 0; i < s->count; i++)
        if (!s->outcomes[i].green)
            printf("    seed %llu: %s\n", (unsigned long long)(s->settings->seed + i),
                   s->outcomes[i].detail == NULL ? "no word" : s->outcomes[i].detail);
    (void)fflush(stdout);
    return bad == 0 && green + stopped == s->count;
}

static void free_series(struct series *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->outcomes[i].detail);
    free(s->outcomes);
}

static bool run_mixes(struct settings *settings, struct loop *loop)
{
    bool all_well = true;

    printf("mix          runs      green    stopped  unclear  bad merges   calls    median\n");
    for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++) {
        const struct mix *mix = &mixes[i];
        struct series s = {.settings = settings, .loop = loop, .count = (size_t)settings->runs};

        if (settings->mix != NULL && strcmp(settings->mix, mix->name) != 0)
            continue;
        s.team = (struct team_options){.tasks = 4, .turns = 1, .only = mix->only, .flaky_rate = mix->flaky_rate,
                                       .probability = mix->probability < 0 ? settings->probability : mix->probability};
        run_series(&s, settings->jobs);
        all_well = report(&s, mix->name) && all_well;
        free_series(&s);
    }
    return all_well;
}

/* Four implementers against one: long independent tasks, with a model that takes its time. */
static bool run_speed(struct settings *settings, struct loop *loop)
{
    struct team_options team = {.tasks = 4, .turns = 60, .latency_ms = 200};
    int64_t wall[3] = {0};
    static const char *const names[] = {"four implementers", "the same loop, one at a time", "one agent, no team"};
    bool all_green = true;

    for (int i = 0; i < 3; i++) {
        struct series s = {.settings = settings, .loop = loop, .count = (size_t)settings->runs, .team = team};

        s.team.one_agent = i == 2;
        s.batch_size = i == 1 ? 1 : 0;
        run_series(&s, 1);
        wall[i] = median_ms(&s);
        for (size_t k = 0; k < s.count; k++) {
            all_green = all_green && s.outcomes[k].green;
            if (!s.outcomes[k].green)
                printf("    %s\n", s.outcomes[k].detail == NULL ? "not green" : s.outcomes[k].detail);
        }
        printf("%-30s median of %zu: %7.2f s  (%.2f times the team's)\n", names[i], s.count, (double)wall[i] / 1000,
               (double)wall[i] / (double)wall[0]);
        (void)fflush(stdout);
        free_series(&s);
    }
    return all_green;
}

static bool parse(struct settings *s, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        int64_t number = 0;

        if (strcmp(argv[i], "--speed") == 0) {
            s->speed = true;
            continue;
        }
        if (value == NULL)
            return false;
        i++;
        if (strcmp(argv[i - 1], "--cadre") == 0)
            s->cadre = value;
        else if (strcmp(argv[i - 1], "--mix") == 0)
            s->mix = value;
        else if (strcmp(argv[i - 1], "--keep") == 0)
            s->keep = value;
        else if (strcmp(argv[i - 1], "--p") == 0 && str_to_double(value, &s->probability))
            continue;
        else if (strcmp(argv[i - 1], "--runs") == 0 && str_to_int64(value, 1, 100000, &s->runs))
            continue;
        else if (strcmp(argv[i - 1], "--jobs") == 0 && str_to_int64(value, 1, 64, &s->jobs))
            continue;
        else if (strcmp(argv[i - 1], "--seed") == 0 && str_to_int64(value, 0, INT64_MAX, &number))
            s->seed = (uint64_t)number;
        else
            return false;
    }
    return s->cadre != NULL;
}

struct start {
    struct settings settings;
    struct loop *loop;
    bool all_well;
};

static void main_fiber(void *arg)
{
    struct start *start = arg;

    start->all_well = start->settings.speed ? run_speed(&start->settings, start->loop)
                                            : run_mixes(&start->settings, start->loop);
}

int main(int argc, char **argv)
{
    struct start start = {.settings = {.runs = 200, .jobs = 2, .seed = 1, .probability = 0.3}};
    char *program;

    if (!parse(&start.settings, argc, argv)) {
        fprintf(stderr, "usage: converge --cadre PATH [--runs N] [--mix NAME] [--seed N] [--jobs N] [--p P] [--keep DIR] [--speed]\n");
        return 2;
    }
    program = realpath(start.settings.cadre, NULL); /* runs have folders of their own */
    if (program == NULL) {
        fprintf(stderr, "converge: %s: %s\n", start.settings.cadre, strerror(errno));
        return 2;
    }
    start.settings.cadre = program;
    start.loop = loop_create();
    fiber_run_to_end(start.loop, main_fiber, &start);
    free(program);
    return start.all_well ? 0 : 1;
}
