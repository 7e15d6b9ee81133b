/* team/gate.c: the verdicts that a candidate must pass: built-in checks, reviewer, security auditor.
 *
 * The two models work in parallel, read-only, in a clean context: the diff, the tasks, nothing else. A verdict
 * is kept in the journal under the exact commit and gate; another commit needs another verdict. Nothing that a
 * model says can leave a gate out: a gate without an answer has not passed. */
#include "team/run_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/glob.h"
#include "base/json.h"
#include "base/path.h"
#include "git/diff.h"
#include "git/worktree.h"
#include "io/fiber.h"
#include "team/builtin_checks.h"
#include "team/prompts.h"

#include <stdlib.h>
#include <string.h>

enum gate_kind { GATE_CHECKS, GATE_REVIEW, GATE_SECURITY };

static const char *const gate_names[] = {"checks", "review", "security"};

struct gate_work {
    struct run *run;
    enum gate_kind kind;
    const char *commit;
    const struct vec *tasks;
    const char *dir;
    const char *diff;
    size_t diff_len;
    int round;
    struct fiber_group *group;
    struct fiber *fiber;
    json_t *verdict; /* {verdict, summary, findings} */
    struct error err;
    bool failed;
};

void gate_verdict_finish(struct gate_verdict *verdict)
{
    verdict->evidence.free_value = free;
    map_finish(&verdict->evidence);
    map_finish(&verdict->reasons);
}

static void ask_model(struct gate_work *w)
{
    struct run *run = w->run;
    char *batch = xasprintf("batch-%d", run->batch);
    struct agent_spec spec = {
        .role = w->kind == GATE_REVIEW ? "reviewer" : "security_auditor",
        .task = batch,
        .attempt = w->round,
        .cwd = w->dir,
        .read_only = true,
        .owes = "submit_review",
        .timeout_ms = (uint64_t)run->settings.task_minutes * 60000,
    };
    struct agent_session *session = agent_session_open(run->office, &spec, &w->err);
    struct agent_answer answer = {0};
    char *prompt = NULL;

    w->failed = true;
    if (session == NULL)
        goto out;
    prompt = prompt_review(run, w->tasks, w->commit, w->diff, w->diff_len, w->kind == GATE_SECURITY);
    if (agent_session_ask(session, prompt, &answer, &w->err) < 0)
        goto out;
    if (answer.submission == NULL || strcmp(answer.submission_tool, "submit_review") != 0) {
        error_set(&w->err, ERROR_GATE, "the %s ended without a verdict (submit_review)", spec.role);
        goto out;
    }
    w->verdict = json_incref(answer.submission);
    w->failed = false;
out:
    free(prompt);
    free(batch);
    agent_answer_finish(&answer);
    agent_session_close(session);
}

static void gate_fiber(void *arg)
{
    struct gate_work *w = arg;

    ask_model(w);
    w->fiber = NULL;
    fiber_group_done(w->group);
}

/* --- Built-in checks ------------------------------------------------------------------------------------- */

static bool task_changes(const struct task *task, const char *path)
{
    return path != NULL && str_list_has(&task->changed, path);
}

/* Is the finding allowed for the repository, by `[[gates.allow]]`? */
static bool is_allowed_here(const struct run_settings *settings, const struct check_finding *finding)
{
    for (size_t i = 0; i < settings->allowance_count; i++) {
        const struct gate_allowance *a = &settings->allowances[i];
        bool fits = a->paths.len == 0;

        for (size_t k = 0; k < a->paths.len && !fits; k++)
            fits = glob_match(a->paths.items[k], finding->file);
        if (fits && strcmp(a->check, finding->check) == 0)
            return true;
    }
    return false;
}

/* ... or may every task that changes the finding's file have it, by the plan's `allow`? */
static bool is_allowed(const struct gate_work *w, const struct check_finding *finding)
{
    bool owned = false;

    if (is_allowed_here(&w->run->settings, finding))
        return true;
    for (size_t i = 0; i < w->tasks->len; i++) {
        const struct task *task = w->tasks->items[i];

        if (!task_changes(task, finding->file))
            continue;
        owned = true;
        if (!str_list_has(&task->allow, finding->check))
            return false;
    }
    return owned;
}

static int run_checks(struct gate_work *w, struct error *err)
{
    struct vec findings = {0};
    static const struct str_list none = {0};
    json_t *list = json_array();
    bool blocks = false;
    int rc;

    rc = builtin_checks_run(w->diff, w->diff_len, &none, &findings, err);
    for (size_t i = 0; i < findings.len; i++) {
        struct check_finding *f = findings.items[i];

        if (rc == 0 && !is_allowed(w, f)) {
            blocks = blocks || strcmp(f->severity, "blocker") == 0 || strcmp(f->severity, "major") == 0;
            json_array_append_new(list, json_pack("{s:s, s:s*, s:i, s:s, s:s*, s:s}", "severity", f->severity, "file",
                                                  f->file, "line", f->line, "title", f->title, "detail", f->detail,
                                                  "check", f->check));
        }
        check_finding_destroy(f);
    }
    vec_finish(&findings);
    w->verdict = json_pack("{s:s, s:s, s:o}", "verdict", blocks ? "request_changes" : "approve", "summary",
                           blocks ? "a built-in check refuses the diff" : "nothing found", "findings", list);
    return rc;
}

/* --- Verdicts ---------------------------------------------------------------------------------------------- */

static bool finding_blocks(const json_t *finding)
{
    const char *severity = json_get_string(finding, "severity", "");

    return strcmp(severity, "blocker") == 0 || strcmp(severity, "major") == 0;
}

static void add_evidence(struct gate_verdict *out, const struct task *task, enum return_reason reason,
                         const char *gate, const json_t *finding, const char *summary)
{
    char *before = map_get(&out->evidence, task->id);
    char *text = xasprintf("%s%s: %s%s%s:%lld %s\n%s\n%s%s", before == NULL ? "" : before, gate,
                           finding == NULL ? summary : json_get_string(finding, "severity", ""),
                           finding == NULL ? "" : " ", finding == NULL ? "" : json_get_string(finding, "file", "?"),
                           finding == NULL ? 0LL : (long long)json_get_int(finding, "line", 0),
                           finding == NULL ? "" : json_get_string(finding, "title", ""),
                           finding == NULL ? "" : json_get_string(finding, "detail", ""),
                           finding == NULL ? "" : json_get_string(finding, "fix", ""), "\n");

    out->evidence.free_value = free;
    map_set(&out->evidence, task->id, text);
    map_set(&out->reasons, task->id, (void *)(intptr_t)reason);
}

/* Which tasks have to answer for the verdict: those that changed a finding's file; all, when none did. */
static void assign(const struct gate_work *w, struct gate_verdict *out)
{
    enum return_reason reason = w->kind == GATE_REVIEW ? RETURN_REVIEW : RETURN_SECURITY;
    const json_t *findings = json_object_get(w->verdict, "findings");
    const char *summary = json_get_string(w->verdict, "summary", "");
    bool assigned = false;
    size_t i;
    json_t *finding;

    json_array_foreach(findings, i, finding) {
        const char *file = json_get_string(finding, "file", NULL);

        if (!finding_blocks(finding))
            continue;
        for (size_t k = 0; k < w->tasks->len; k++) {
            if (!task_changes(w->tasks->items[k], file))
                continue;
            add_evidence(out, w->tasks->items[k], reason, gate_names[w->kind], finding, summary);
            assigned = true;
        }
    }
    for (size_t k = 0; !assigned && k < w->tasks->len; k++) {
        bool any = false;

        json_array_foreach(findings, i, finding) {
            if (finding_blocks(finding)) {
                add_evidence(out, w->tasks->items[k], reason, gate_names[w->kind], finding, summary);
                any = true;
            }
        }
        if (!any)
            add_evidence(out, w->tasks->items[k], reason, gate_names[w->kind], NULL, summary);
    }
}

static bool approves(const json_t *verdict)
{
    size_t i;
    json_t *finding;

    json_array_foreach(json_object_get(verdict, "findings"), i, finding)
        if (finding_blocks(finding))
            return false;
    return strcmp(json_get_string(verdict, "verdict", ""), "approve") == 0;
}

static char *verdict_key(const struct gate_work *w)
{
    return xasprintf("%s:%s", w->commit, gate_names[w->kind]);
}

static int conclude(struct gate_work *w, struct gate_verdict *out, bool fresh, struct error *err)
{
    char *key = verdict_key(w);
    int rc = 0;

    if (fresh) {
        rc = run_put_json(w->run, "verdict", key, w->verdict, err);
        run_emit(w->run, json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:O}", "type", "gate.completed", "batch",
                                   w->run->batch, "gate", gate_names[w->kind], "verdict",
                                   approves(w->verdict) ? "approve" : "request_changes", "commit", w->commit,
                                   "summary", json_get_string(w->verdict, "summary", ""), "findings",
                                   json_object_get(w->verdict, "findings") != NULL
                                       ? json_object_get(w->verdict, "findings")
                                       : json_null()));
    }
    if (!approves(w->verdict)) {
        out->passed = false;
        assign(w, out);
    }
    free(key);
    return rc;
}

static bool has_verdict(struct gate_work *w)
{
    char *key = verdict_key(w);

    w->verdict = run_get_json(w->run, "verdict", key);
    free(key);
    return w->verdict != NULL;
}

/* Asks the models whose gates are on and have no verdict on this commit yet. */
static int ask_models(struct run *run, struct gate_work works[3], struct error *err)
{
    struct fiber_group group = {0};
    int rc = 0;

    for (int k = GATE_REVIEW; k <= GATE_SECURITY; k++) {
        if (works[k].verdict != NULL || works[k].run == NULL)
            continue;
        works[k].group = &group;
        fiber_group_add(&group);
        works[k].fiber = fiber_start(run->loop, gate_fiber, &works[k]);
    }
    if (fiber_group_wait(&group, err) < 0) {
        rc = -1;
        for (int k = GATE_REVIEW; k <= GATE_SECURITY; k++)
            if (works[k].fiber != NULL)
                fiber_cancel(works[k].fiber);
        fiber_shield(true);
        (void)fiber_group_wait(&group, NULL);
        fiber_shield(false);
    }
    for (int k = GATE_REVIEW; k <= GATE_SECURITY && rc == 0; k++) {
        if (works[k].failed) {
            *err = works[k].err;
            rc = -1;
        }
    }
    return rc;
}

int run_gates(struct run *run, const char *commit, const struct vec *tasks, int round, struct gate_verdict *verdict,
              struct error *err)
{
    struct gate_work works[3] = {{0}};
    bool wanted[3] = {true, run->settings.gate_review, run->settings.gate_security};
    bool fresh[3] = {false};
    struct buf diff = BUF_INIT;
    char *dir = xasprintf("%s/worktrees/gate-%.12s", run->dir, commit);
    bool needs_models = false;
    int rc = -1;

    verdict->passed = true;
    if (git_diff_text(run->repo, run->verified, commit, &diff, err) < 0)
        goto out;
    for (int k = 0; k < 3; k++) {
        if (!wanted[k])
            continue;
        works[k] = (struct gate_work){.run = run, .kind = (enum gate_kind)k, .commit = commit, .tasks = tasks,
                                      .dir = dir, .diff = buf_cstr(&diff), .diff_len = diff.len, .round = round};
        fresh[k] = !has_verdict(&works[k]);
        needs_models = needs_models || (k != GATE_CHECKS && fresh[k]);
    }
    if (fresh[GATE_CHECKS] && run_checks(&works[GATE_CHECKS], err) < 0)
        goto out;
    /* What the checks refuse will be another commit: its models' verdicts would be void. */
    if (!approves(works[GATE_CHECKS].verdict)) {
        rc = conclude(&works[GATE_CHECKS], verdict, fresh[GATE_CHECKS], err);
        goto out;
    }
    if (needs_models) {
        if (worktree_is_ours(run->repo, dir) && worktree_remove(run->repo, dir, err) < 0)
            goto out;
        if (worktree_add(run->repo, dir, commit, err) < 0 || ask_models(run, works, err) < 0)
            goto out;
    }
    rc = 0;
    for (int k = 0; k < 3 && rc == 0; k++)
        if (wanted[k])
            rc = conclude(&works[k], verdict, fresh[k], err);
out:
    fiber_shield(true);
    if (file_is_directory(dir))
        (void)worktree_remove(run->repo, dir, NULL);
    fiber_shield(false);
    for (int k = 0; k < 3; k++)
        json_decref(works[k].verdict);
    buf_free(&diff);
    free(dir);
    return rc;
}
