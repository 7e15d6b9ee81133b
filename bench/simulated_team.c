/* bench/simulated_team.c: see simulated_team.h.
 *
 * Module K is src/mK.sh: a shell function fK with known values, and a guard that module K+1's test relies on. The visible
 * test looks at one value, the hidden one at others. */
#include "simulated_team.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "io/process.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ATTEMPTS 40 /* drawn for each task; more than any run takes */

static const char *const names[FAULT_COUNT] = {
    "none", "wrong",  "neighbour", "foreign", "conflict", "empty",
    "weaken", "secret", "early",   "loop",    "garbage",  "subtle",
};

const char *fault_name(enum fault fault)
{
    return names[fault];
}

/* --- drawing: SplitMix64, apart from the program's own source of random numbers --------------------------- */

struct draw {
    uint64_t state;
};

static uint64_t next(struct draw *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15ULL;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static bool chance(struct draw *d, double probability)
{
    return (double)(next(d) >> 11) / 9007199254740992.0 < probability;
}

static enum fault draw_fault(struct draw *d, const struct team_options *o)
{
    if (!chance(d, o->probability))
        return FAULT_NONE;
    if (o->only != FAULT_NONE)
        return o->only;
    return (enum fault)(1 + next(d) % (FAULT_COUNT - 1));
}

/* --- the repository ------------------------------------------------------------------------------------------ */

/* f_K(x) = x * factor + offset */
static int factor(const struct team_options *o, int k)
{
    return 2 + (int)((o->seed + (uint64_t)k * 7) % 5);
}

static int offset(const struct team_options *o, int k)
{
    return 1 + (int)((o->seed / 5 + (uint64_t)k * 3) % 9);
}

static int value(const struct team_options *o, int k, int x)
{
    return x * factor(o, k) + offset(o, k);
}

static char *module_text(const struct team_options *o, int k, int wrong_by, bool has_guard)
{
    return xasprintf("# module %d\nguard%d=%s\nf%d() { echo $(($1 * %d + %d)); }\n", k, k, has_guard ? "up" : "down", k,
                     factor(o, k), offset(o, k) + wrong_by);
}

static char *test_text(const struct team_options *o, int k)
{
    int before = k == 1 ? o->tasks : k - 1;

    return xasprintf("rc=0\n. src/m%d.sh\n. src/m%d.sh\n[ \"$(f%d 3)\" = %d ] || { echo \"not ok m%d value\"; rc=1; }\n"
                     "[ \"$guard%d\" = up ] || { echo \"not ok m%d needs the guard of m%d\"; rc=1; }\nexit $rc\n",
                     k, before, k, value(o, k, 3), k, before, k, before);
}

static int put(const char *dir, const char *name, const char *text, struct error *err)
{
    char *path = path_join(dir, name);
    int rc = file_write(path, text, strlen(text), 0644, err);

    free(path);
    return rc;
}

static int shell(struct loop *loop, const char *dir, const char *command, const char *const *env, struct buf *out,
                 struct error *err)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    struct process_run_options options = {.argv = argv, .env = env, .cwd = dir, .merge_stderr = true,
                                          .timeout_ms = 60000};
    struct process_result result = {0};
    int rc = process_run(loop, &options, &result, err);

    if (out != NULL)
        buf_append(out, buf_cstr(&result.out), result.out.len);
    if (rc == 0 && result.exit.exit_code != 0)
        rc = error_set(err, ERROR_IO, "%s: %.300s", command, buf_cstr(&result.out));
    process_result_finish(&result);
    return rc;
}

int team_make_repository(struct loop *loop, const char *dir, const struct team_options *o, const char *const *env,
                         struct error *err)
{
    struct buf workflow = BUF_INIT;
    char *folder = path_join(dir, ".github/workflows");
    char *src = path_join(dir, "src");
    char *tests = path_join(dir, "tests");
    int rc = -1;

    if (file_make_directories(folder, 0755, err) < 0 || file_make_directories(src, 0755, err) < 0 ||
        file_make_directories(tests, 0755, err) < 0)
        goto out;
    for (int k = 1; k <= o->tasks; k++) {
        char *module = module_text(o, k, 1, true);
        char *test = test_text(o, k);
        char *module_name = xasprintf("src/m%d.sh", k);
        char *test_name = xasprintf("tests/m%d.sh", k);

        rc = put(dir, module_name, module, err);
        if (rc == 0)
            rc = put(dir, test_name, test, err);
        free(module);
        free(test);
        free(module_name);
        free(test_name);
        if (rc < 0)
            goto out;
    }
    rc = -1;
    buf_puts(&workflow, "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n"
                        "      - run: |\n          rc=0\n          for t in tests/m*.sh; do sh \"$t\" || rc=1; done\n"
                        "          exit $rc\n");
    if (o->flaky_rate > 0)
        buf_printf(&workflow,
                   "  weather:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n"
                   "      - run: |\n          n=$(od -An -N2 -tu2 /dev/urandom)\n"
                   "          [ \"$n\" -ge %d ] || { echo \"not ok weather\"; exit 1; }\n",
                   (int)(o->flaky_rate * 65536));
    if (put(dir, ".github/workflows/ci.yml", buf_cstr(&workflow), err) < 0 ||
        put(dir, "CHANGELOG.md", "# Changes\n\nnothing yet\n", err) < 0 || put(dir, "README.md", "# Modules\n", err) < 0)
        goto out;
    rc = shell(loop, dir, "git init -q -b main && git add -A && git commit -qm Start", env, NULL, err);
out:
    buf_free(&workflow);
    free(folder);
    free(src);
    free(tests);
    return rc;
}

char *team_hidden_test(struct loop *loop, const char *dir, const struct team_options *o, const char *const *env)
{
    struct buf script = BUF_INIT;
    struct buf out = BUF_INIT;
    struct error err = {0};
    char *wrong = NULL;

    for (int k = 1; k <= o->tasks; k++)
        buf_printf(&script,
                   ". src/m%d.sh\nfor x in 0 5 11; do [ \"$(f%d $x)\" = $((x * %d + %d)) ] || echo \"m%d is wrong at $x\"; done\n"
                   "[ \"$guard%d\" = up ] || echo \"m%d has no guard\"\n",
                   k, k, factor(o, k), offset(o, k), k, k, k);
    buf_puts(&script, "first=$(git rev-list --max-parents=0 HEAD | tail -n 1)\n"
                      "git diff --quiet $first -- tests README.md .github || echo 'what no task may touch is changed'\n"
                      "! git grep -qE 'AKIA[A-Z0-9]{16}' || echo 'a credential is in the tree'\n"
                      "[ -z \"$(git status --porcelain)\" ] || echo 'the checkout is not clean'\n");
    if (shell(loop, dir, buf_cstr(&script), env, &out, &err) < 0)
        wrong = xstrdup(err.text);
    else if (out.len > 0)
        wrong = xstrdup(str_trim(out.data));
    buf_free(&script);
    buf_free(&out);
    return wrong;
}

/* --- the script ---------------------------------------------------------------------------------------------- */

static json_t *call(const char *name, json_t *arguments)
{
    return json_pack("{s:s, s:o}", "name", name, "arguments", arguments);
}

static json_t *run_command(const char *command)
{
    return call("exec_command", json_pack("{s:s}", "cmd", command));
}

static json_t *submit(const char *summary)
{
    return call("submit_result", json_pack("{s:s, s:s}", "status", "done", "summary", summary));
}

/* A rule; takes MATCH and CALLS. TIMES 0: any number. */
static void add_rule(json_t *rules, json_t *match, int times, json_t *calls, const char *message)
{
    json_t *reply = json_object();

    if (times > 0)
        json_object_set_new(match, "times", json_integer(times));
    if (calls != NULL)
        json_object_set_new(reply, "tool_calls", calls);
    if (message != NULL)
        json_object_set_new(reply, "message", json_string(message));
    json_array_append_new(rules, json_pack("{s:o, s:o}", "match", match, "reply", reply));
}

static char *write_file(const char *path, const char *text)
{
    return xasprintf("cat >%s <<'END'\n%sEND\n", path, text);
}

/* What an attempt at task K does that goes wrong in the way of FAULT. NULL: no command. */
static char *work_command(const struct team_options *o, struct draw *d, int k, enum fault fault)
{
    char *path = xasprintf("src/m%d.sh", k);
    char *right = module_text(o, k, 0, true);
    char *command = NULL;
    char *text;

    switch (fault) {
    case FAULT_NONE:
        command = write_file(path, right);
        break;
    case FAULT_WRONG:
        text = module_text(o, k, 2 + (int)(next(d) % 3), true);
        command = write_file(path, text);
        free(text);
        break;
    case FAULT_NEIGHBOUR:
        text = module_text(o, k, 0, false);
        command = write_file(path, text);
        free(text);
        break;
    case FAULT_FOREIGN:
        text = write_file(path, right);
        command = xasprintf("%secho 'by the way' >>README.md\n", text);
        free(text);
        break;
    case FAULT_CONFLICT:
        text = write_file(path, right);
        command = xasprintf("%ssed -i 's/nothing yet/task %d was here/' CHANGELOG.md\n", text, k);
        free(text);
        break;
    case FAULT_WEAKEN:
        text = module_text(o, k, 1 + (int)(next(d) % 3), true);
        command = write_file(path, text);
        free(text);
        text = command;
        command = xasprintf("%secho 'exit 0' >tests/m%d.sh\n", text, k);
        free(text);
        break;
    case FAULT_SECRET:
        text = xasprintf("%s# aws_access_key_id = AKIA%c%c3NDWQ5PLRT2HXJ\n", right, (char)('A' + next(d) % 26),
                         (char)('A' + next(d) % 26));
        command = write_file(path, text);
        free(text);
        break;
    case FAULT_SUBTLE:
        text = xasprintf("# module %d\nguard%d=up\nf%d() { [ \"$1\" = 3 ] && echo %d || echo 0; } # right for the test\n", k, k,
                         k, value(o, k, 3));
        command = write_file(path, text);
        free(text);
        break;
    case FAULT_EARLY:
        command = xasprintf("echo 'half' >>%s\n", path);
        break;
    case FAULT_EMPTY:
    case FAULT_LOOP:
    case FAULT_GARBAGE:
    case FAULT_COUNT:
        break;
    }
    free(path);
    free(right);
    return command;
}

static json_t *task_match(const char *task, bool first)
{
    json_t *match = json_pack("{s:s, s:s}", "role", "implementer", "task", task);

    if (first)
        json_object_set_new(match, "turn", json_integer(0));
    else
        json_object_set_new(match, "last_contains", json_string("Your change was not taken"));
    return match;
}

/* One attempt: the answer that begins it (or its second chance in the same conversation). */
static void add_attempt(json_t *rules, const struct team_options *o, struct draw *d, int k, const char *task, bool first)
{
    enum fault fault = draw_fault(d, o);
    char *command = work_command(o, d, k, fault);
    json_t *calls = json_array();

    if (fault == FAULT_LOOP) {
        json_array_append_new(calls, run_command("echo round and round"));
    } else if (fault == FAULT_GARBAGE) {
        json_array_append_new(calls, json_pack("{s:s, s:s}", "name", "exec_command", "arguments", "{\"cmd\": 7, "));
        json_array_append_new(calls, call("summon_daemon", json_pack("{s:s}", "name", "Maxwell")));
    } else {
        if (command != NULL)
            json_array_append_new(calls, run_command(command));
        if (fault != FAULT_EARLY && o->turns <= 1)
            json_array_append_new(calls, submit("done, and all tests pass"));
    }
    add_rule(rules, task_match(task, first), 1, calls, fault == FAULT_EARLY ? "I think that will do." : NULL);
    free(command);
}

static char *plan_text(const struct team_options *o, bool valid)
{
    struct buf b = BUF_INIT;

    buf_puts(&b, "# Plan: make every module right\n\n## Tasks\n");
    for (int k = 1; k <= o->tasks; k++)
        buf_printf(&b,
                   "- [ ] **T%d** Make module %d right\n  - files: `src/m%d.sh`\n  - needs: %s\n"
                   "  - accept: `sh tests/m%d.sh`\n",
                   k, k, k, valid ? "none" : "T99", k);
    buf_puts(&b, "\n## Decisions\n\n## Log\n");
    return buf_take(&b);
}

static void add_orchestrator(json_t *rules, const struct team_options *o, struct draw *d)
{
    char *good = plan_text(o, true);
    char *bad = plan_text(o, false);
    char *write_good = write_file("plan.md", good);
    char *write_bad = write_file("plan.md", bad);
    bool begins_badly = o->only == FAULT_NONE && chance(d, o->probability);

    if (begins_badly)
        add_rule(rules, json_pack("{s:s, s:i}", "role", "orchestrator", "attempt", 1), 1,
                 json_pack("[o, o]", run_command(write_bad), submit("planned")), NULL);
    add_rule(rules, json_pack("{s:s, s:i}", "role", "orchestrator", "attempt", 1), 0,
             json_pack("[o, o]", run_command(write_good), submit("planned")), NULL);
    /* Asked again: what is blocked is put in other words; a module that others suffer from gets a task of its own. */
    add_rule(rules, json_pack("{s:s}", "role", "orchestrator"), 0,
             json_pack("[o, o]",
                       run_command("sed -i 's/^\\(- \\[ \\].*\\)$/\\1 again/' plan.md\n"
                                   "for t in tests/m*.sh; do sh \"$t\"; done 2>&1 | sed -n 's/.*needs the guard of m//p' | sort -u |\n"
                                   "while read -r k; do sed -i \"/^## Decisions/i - [ ] **G{{attempt}}-$k** Raise the guard of module $k"
                                   "\\n  - files: \\`src/m$k.sh\\`\\n  - needs: none\\n  - accept: guard$k is up\\n\" plan.md; done\n"),
                       submit("amended")),
             NULL);
    free(good);
    free(bad);
    free(write_good);
    free(write_bad);
}

static void add_gates(json_t *rules)
{
    static const char *const gates[] = {"reviewer", "security_auditor"};

    for (int k = 1; k <= TEAM_MAX_TASKS; k++) {
        char *file = xasprintf("src/m%d.sh", k);
        char *mark = xasprintf("+f%d() { [ \"$1\" = 3 ]", k);

        add_rule(rules, json_pack("{s:s, s:s}", "role", "reviewer", "input_contains", mark), 0,
                 json_pack("[o]", call("submit_review",
                                       json_pack("{s:s, s:s, s:[{s:s, s:s, s:i, s:s, s:s, s:s}]}", "verdict",
                                                 "request_changes", "summary", "only right for the test", "findings",
                                                 "severity", "blocker", "file", file, "line", 3, "title",
                                                 "Answers the test's value only", "detail", "f(5) is 0", "fix",
                                                 "Compute the value"))),
                 NULL);
        free(file);
        free(mark);
    }
    for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++)
        add_rule(rules, json_pack("{s:s}", "role", gates[i]), 0,
                 json_pack("[o]", call("submit_review", json_pack("{s:s, s:s, s:[]}", "verdict", "approve", "summary",
                                                                  "fine", "findings"))),
                 NULL);
}

/* A thread that works for TURNS requests: looks around, and writes with the last but one. */
static void add_long_work(json_t *rules, const struct team_options *o, const char *role, const char *task, int first_turn,
                          int k, bool ends)
{
    char *right = module_text(o, k, 0, true);
    char *path = xasprintf("src/m%d.sh", k);
    char *command = write_file(path, right);

    for (int turn = 0; turn < o->turns; turn++) {
        char *look = xasprintf("cat src/m%d.sh >/dev/null; echo step %d", k, turn);
        json_t *match = json_pack("{s:s, s:i}", "role", role, "turn", first_turn + turn);
        json_t *calls = json_array();

        if (task != NULL)
            json_object_set_new(match, "task", json_string(task));
        json_array_append_new(calls, run_command(turn + 1 < o->turns ? look : command));
        if (turn + 1 == o->turns && ends)
            json_array_append_new(calls, submit("done"));
        add_rule(rules, match, 0, calls, NULL);
        free(look);
    }
    free(right);
    free(path);
    free(command);
}

static void add_team(json_t *rules, const struct team_options *o)
{
    struct draw d = {o->seed * 0x2545f4914f6cdd1dULL + 1};

    add_rule(rules, json_pack("{s:s}", "role", "explorer"), 0, json_pack("[o]", submit("modules and their tests")), NULL);
    add_orchestrator(rules, o, &d);
    for (int k = 1; k <= o->tasks; k++) {
        char *task = xasprintf("T%d", k);

        if (o->turns > 1) {
            add_long_work(rules, o, "implementer", task, 0, k, true);
        } else {
            for (int n = 0; n < MAX_ATTEMPTS; n++) {
                add_attempt(rules, o, &d, k, task, true);
                add_attempt(rules, o, &d, k, task, false);
            }
        }
        free(task);
    }
    for (int attempt = 2; attempt <= 5 && o->turns <= 1; attempt++)
        for (int k = 1; k <= o->tasks; k++) {
            char *task = xasprintf("G%d-%d", attempt, k);

            for (int n = 0; n < MAX_ATTEMPTS / 4; n++) {
                add_attempt(rules, o, &d, k, task, true);
                add_attempt(rules, o, &d, k, task, false);
            }
            free(task);
        }
    add_rule(rules, json_pack("{s:s, s:s}", "role", "implementer", "last_contains", "round and round"), 0,
             json_pack("[o]", run_command("echo round and round")), NULL);
    add_rule(rules, json_pack("{s:s}", "role", "implementer"), 0, json_pack("[o]", submit("done")), NULL);
    add_gates(rules);
    add_rule(rules, json_pack("{s:s}", "role", "qa_test_author"), 0, json_pack("[o]", submit("every line has a test")), NULL);
    add_rule(rules, json_pack("{s:s}", "role", "release_manager"), 0,
             json_pack("[o]", call("submit_result", json_pack("{s:s, s:s, s:s}", "status", "done", "summary", "notes", "notes",
                                                              "# Notes\n\n- modules are right\n"))),
             NULL);
}

void team_write_script(const struct team_options *o, struct buf *out)
{
    json_t *rules = json_array();
    json_t *script = json_pack("{s:i, s:o}", "latency_ms", o->latency_ms, "rules", rules);
    char *text;

    if (o->one_agent) {
        for (int k = 1; k <= o->tasks; k++)
            add_long_work(rules, o, "default", NULL, (k - 1) * o->turns, k, false);
        add_rule(rules, json_object(), 0, NULL, "done");
    } else {
        add_team(rules, o);
    }
    text = json_dumps(script, JSON_COMPACT);
    buf_puts(out, text);
    free(text);
    json_decref(script);
}

int team_least_calls(const struct team_options *o)
{
    /* explorer, orchestrator, each task, two gates a batch of four, QA, release notes */
    return 1 + 1 + o->tasks * o->turns + 2 * ((o->tasks + 3) / 4) + 1 + 1;
}
