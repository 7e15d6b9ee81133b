/* team/run_open.c: begins a new run, or takes one up where its journal ends. */
#include "team/run_internal.h"

#include "agent/inbox.h"
#include "agent/slots.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "git/merge.h"
#include "git/recover.h"
#include "git/worktree.h"
#include "io/process.h"
#include "model/budget.h"
#include "model/mock_server.h"
#include "store/journal.h"
#include "store/ledger.h"
#include "store/run_dir.h"
#include "team/builtin_checks.h"

#include <stdlib.h>
#include <string.h>

#define KILL_GRACE_MS   500
#define PLAN_KEPT_BYTES ((size_t)4 << 20)

void run_apply_limits(struct run *run)
{
    const struct run_options *o = &run->options;
    struct run_settings *s = &run->settings;

    run_settings_init(s, o->config);
    if (o->max_batches > 0)
        s->max_batches = o->max_batches;
    if (o->batch_size > 0)
        s->batch_size = o->batch_size;
    if (o->max_tokens > 0)
        s->max_tokens = o->max_tokens;
    if (o->max_cost_usd > 0)
        s->max_cost_microusd = (int64_t)(o->max_cost_usd * 1e6);
    if (o->max_minutes > 0)
        s->max_minutes = o->max_minutes;
}

/* The limits on what is spent that the command line gives, over those of OLD (taken; may be NULL). */
static json_t *given_limits(const struct run_options *o, json_t *old)
{
    json_t *limits = json_is_object(old) ? old : json_object();

    if (limits != old)
        json_decref(old);
    if (o->max_tokens > 0)
        json_object_set_new(limits, "max_tokens", json_integer((json_int_t)o->max_tokens));
    if (o->max_cost_usd > 0)
        json_object_set_new(limits, "max_cost_microusd", json_integer((json_int_t)(o->max_cost_usd * 1e6)));
    if (o->max_minutes > 0)
        json_object_set_new(limits, "max_minutes", json_integer(o->max_minutes));
    return limits;
}

/* A run that goes on keeps to what it was given, unless it is given something else now. */
static int recall_limits(struct run *run, struct error *err)
{
    struct run_settings *s = &run->settings;

    run->limits = given_limits(&run->options, run->limits);
    s->max_tokens = json_get_int(run->limits, "max_tokens", s->max_tokens);
    s->max_cost_microusd = json_get_int(run->limits, "max_cost_microusd", s->max_cost_microusd);
    s->max_minutes = json_get_int(run->limits, "max_minutes", s->max_minutes);
    if (run->options.command_line != NULL && run_put_json(run, "meta", "command_line", run->options.command_line, err) < 0)
        return -1;
    return run_put_json(run, "meta", "limits", run->limits, err);
}

/* An allowance of a check that does not exist allows nothing, and its author thinks it does. */
int run_check_allowances(const struct run *run, struct error *err)
{
    for (size_t i = 0; i < run->settings.allowance_count; i++) {
        const char *id = run->settings.allowances[i].check, *near = NULL;

        if (builtin_check_exists(id, &near))
            continue;
        error_set(err, ERROR_CONFIG, "cadre.toml: gates.allow: \"%s\" is no built-in check", id);
        return near != NULL ? error_hint(err, "did you mean \"%s\"?", near) : error_hint(err, "docs/checks.md lists them");
    }
    return 0;
}

static void on_thread_event(void *data, json_t *event)
{
    run_emit(data, json_incref(event));
}

static void on_thread_queued(void *data, const char *role, const char *task)
{
    run_emit(data, json_pack("{s:s, s:s, s:s*, s:s}", "type", "task.queued", "role", role, "task", task,
                             "reason", "max_threads"));
}

static void on_limiter(void *data, const char *provider, unsigned window, const char *reason)
{
    run_emit(data, json_pack("{s:s, s:s, s:i, s:s}", "type", "limiter.changed", "provider", provider, "window",
                             (int)window, "reason", reason));
    tuning_note_window(data, window);
}

static void on_budget_change(void *data, const struct budget *budget)
{
    struct usage spent = budget_spent(budget);

    run_emit(data, json_pack("{s:s, s:I, s:I, s:I}", "type", "budget.updated", "tokens",
                             (json_int_t)(spent.input_tokens + spent.output_tokens), "cost_microusd",
                             (json_int_t)spent.cost_microusd, "requests", (json_int_t)spent.requests));
}

static void on_approval(void *data, const char *id, const json_t *record)
{
    struct error err = {0};

    if (run_put_json(data, "approval", id, record, &err) < 0)
        log_warning("approval %s is not kept: %s", id, err.text);
}

static bool restore_approval(void *data, const char *id, const char *text)
{
    struct run *run = data;
    json_t *record = json_parse(text, strlen(text), "journal", NULL);

    if (record != NULL)
        inbox_restore(office_inbox(run->office), id, record);
    json_decref(record);
    return true;
}

static int open_office(struct run *run, struct error *err)
{
    struct budget_limits limits = {
        .max_tokens = run->settings.max_tokens,
        .max_cost_microusd = run->settings.max_cost_microusd,
        .max_requests = run->settings.max_requests,
    };
    struct office_options options = {
        .loop = run->loop,
        .config = run->options.config,
        .roles = run->options.roles,
        .state_dir = run->dir,
        .on_event = on_thread_event,
        .on_limiter = on_limiter,
        .on_queued = on_thread_queued,
        .data = run,
    };
    char *rollouts = path_join(run->dir, "rollouts");

    run->budget = budget_create("the run", NULL, &limits);
    budget_on_change(run->budget, on_budget_change, run);
    options.budget = run->budget;
    options.is_attended = run->options.is_attended;
    options.on_approval = on_approval;
    options.recorder = run->recorder;
    options.replay_url = run->replay == NULL ? NULL : mock_server_base_url(run->replay);
    options.rollout_dir = rollouts;
    run->office = office_create(&options, err);
    free(rollouts);
    if (run->office == NULL || journal_each(run->journal, "approval", restore_approval, run, err) < 0)
        return -1;
    if (run->options.on_inbox != NULL)
        run->options.on_inbox(run->options.data, office_inbox(run->office));
    return 0;
}

/* Where the plan stands: plan.md, unless the repository itself has a file of that name. */
static char *choose_plan_path(const struct run *run)
{
    char *tracked = path_join(run->integration_dir, "plan.md");

    if (!file_exists(tracked) || run->phase != PHASE_EXPLORING)
        return tracked;
    free(tracked);
    return path_join(run->integration_dir, "cadre-plan.md");
}

/* The worktree of a run that goes on shows V again, whatever was being done to it; plan.md in it is kept. */
static int mend_integration(struct run *run, struct error *err)
{
    struct buf plan = BUF_INIT;
    bool has_plan;
    int rc;

    if (worktree_is_ours(run->repo, run->integration_dir))
        return worktree_reset(run->repo, run->integration_dir, run->verified, err);
    /* Half made, or its record in the repository is gone. */
    has_plan = run->plan_path != NULL && file_read(run->plan_path, &plan, PLAN_KEPT_BYTES, NULL) == 0;
    rc = file_remove_tree(run->integration_dir, err);
    if (rc == 0)
        rc = worktree_add(run->repo, run->integration_dir, run->verified, err);
    if (rc == 0 && has_plan)
        rc = file_write(run->plan_path, buf_cstr(&plan), plan.len, 0644, err);
    buf_free(&plan);
    return rc;
}

static int open_integration(struct run *run, struct error *err)
{
    run->integration_dir = path_join(run->dir, "worktrees/integration");
    if ((file_is_directory(run->integration_dir) ? mend_integration(run, err)
                                                 : worktree_add(run->repo, run->integration_dir, run->verified, err)) < 0)
        return -1;
    if (run->plan_path == NULL)
        run->plan_path = choose_plan_path(run);
    return 0;
}

int run_begin(struct run *run, struct error *err)
{
    char *head = NULL;
    char *journal_path = NULL;
    char id[RUN_ID_BYTES];
    struct journal_run row;
    char *limits = NULL;
    char *worktrees = NULL;
    int rc = -1;

    if (git_head(run->repo, &head, &run->target, err) < 0)
        goto out;
    if (run->settings.merge_target != NULL) {
        free(run->target);
        run->target = xstrdup(run->settings.merge_target);
    }
    run_id_make(id);
    if (run_dir_create(id, err) < 0)
        goto out;
    run->id = xstrdup(id);
    run->dir = run_dir_path(id);
    run->base = xstrdup(head);
    run->verified = xstrdup(head);
    run->branch = xasprintf("cadre/%s", id);
    run->goal = xstrdup(run->options.goal);
    run->limits = given_limits(&run->options, NULL);
    limits = json_dumps(run->limits, JSON_COMPACT);
    row = (struct journal_run){.id = run->id,
                               .goal = run->goal,
                               .repo = (char *)git_repo_toplevel(run->repo),
                               .base_commit = run->base,
                               .target_branch = run->target,
                               .state = "running",
                               .config = limits,
                               .created_ms = clock_wall_ms()};
    journal_path = run_dir_journal(id);
    run->journal = journal_create(journal_path, &row, err);
    if (run->journal == NULL)
        goto out;
    process_set_mark(run->id);
    if (run->options.command_line != NULL && run_put_json(run, "meta", "command_line", run->options.command_line, err) < 0)
        goto out;
    worktrees = run_dir_worktrees(id);
    if (ledger_note_run(id, git_repo_toplevel(run->repo), worktrees, true, err) < 0 || run_open_cassette(run, err) < 0 ||
        open_office(run, err) < 0)
        goto out;
    run_emit(run, json_pack("{s:s, s:s, s:s, s:s, s:s*, s:i, s:i}", "type", "run.started", "goal", run->goal, "repo",
                            git_repo_toplevel(run->repo), "base", run->base, "target", run->target, "max_threads",
                            slots_limit(office_slots(run->office)), "batch_size", run->settings.batch_size));
    if (run_save(run, err) < 0 || git_branch_set(run->repo, run->branch, run->verified, NULL, err) < 0 ||
        open_integration(run, err) < 0)
        goto out;
    rc = run_save(run, err);
out:
    free(head);
    free(journal_path);
    free(limits);
    free(worktrees);
    return rc;
}

/* The latest run of this repository that is not finished; NULL with ERR set. */
static char *latest_run(struct git_repo *repo, struct error *err)
{
    struct str_list ids = {0};
    char *found = NULL;

    if (run_dir_list(&ids, err) < 0)
        return NULL;
    for (size_t i = ids.len; i-- > 0 && found == NULL;) {
        char *path = run_dir_journal(ids.items[i]);
        struct journal *journal = journal_open_readonly(path, NULL);
        struct journal_run row = {0};

        if (journal != NULL && journal_run_get(journal, &row, NULL) == 0 &&
            str_eq(row.repo, git_repo_toplevel(repo)) && !str_eq(row.state, "completed"))
            found = xstrdup(ids.items[i]);
        journal_run_finish(&row);
        journal_close(journal);
        free(path);
    }
    str_list_finish(&ids);
    if (found == NULL)
        error_set(err, ERROR_USAGE, "no run of this repository is to be resumed");
    return found;
}

/* Scratch files and exported trees in FOLDER, which git does not know: all that is there is the engine's. */
static int remove_scratch(const char *folder, struct error *err)
{
    struct str_list names = {0};
    int rc = file_is_directory(folder) ? file_list_directory(folder, &names, err) : 0;

    for (size_t i = 0; i < names.len && rc == 0; i++) {
        char *path = path_join(folder, names.items[i]);

        if (strcmp(names.items[i], "integration") != 0)
            rc = file_remove_tree(path, err);
        free(path);
    }
    str_list_finish(&names);
    return rc;
}

/* Removes what worktrees the run has; what was committed in them is in git. The plan is kept. */
static int remove_worktrees(struct run *run, struct error *err)
{
    char *folder = path_join(run->dir, "worktrees");
    struct str_list paths = {0};
    int rc = worktree_prune(run->repo, err);

    if (rc == 0)
        rc = worktree_list_below(run->repo, folder, &paths, err);
    for (size_t i = 0; i < paths.len && rc == 0; i++)
        if (strcmp(path_basename(paths.items[i]), "integration") != 0)
            rc = worktree_remove(run->repo, paths.items[i], err);
    if (rc == 0)
        rc = remove_scratch(folder, err);
    str_list_finish(&paths);
    free(folder);
    return rc;
}

/* A killed run leaves processes, locks of git commands and worktrees of its attempts. */
static int clear_remains(struct run *run, struct error *err)
{
    char *folder = path_join(run->dir, "worktrees");
    struct str_list locks = {0};
    int rc;

    process_end_marked(run->id, KILL_GRACE_MS);
    rc = git_recover_locks(run->repo, run->id, folder, run->target, run->created_ms, &locks, err);
    for (size_t i = 0; i < locks.len; i++)
        log_info("removed %s, which a killed git left", locks.items[i]);
    str_list_finish(&locks);
    free(folder);
    return rc < 0 ? -1 : remove_worktrees(run, err);
}

/* The branch may lag behind the journal, or a person moved it: what is not in V is kept under another name. */
static int set_branch(struct run *run, struct error *err)
{
    char *ref = xasprintf("refs/heads/%s", run->branch);
    char *kept = xasprintf("%s-by-hand", run->branch);
    struct error missing = {0};
    char *tip = NULL;
    bool is_old = true;
    int rc = 0;

    if (git_resolve(run->repo, ref, &tip, &missing) == 0)
        rc = git_is_ancestor(run->repo, tip, run->verified, &is_old, err);
    else if (missing.code != ERROR_NOT_FOUND)
        rc = error_set(err, missing.code, "%s", missing.text);
    if (rc == 0 && !is_old) {
        rc = git_branch_set(run->repo, kept, tip, NULL, err);
        log_warning("%s was moved by hand to %.12s: the run goes on from %.12s, the other is kept as %s", run->branch, tip,
                    run->verified, kept);
    }
    if (rc == 0)
        rc = git_branch_set(run->repo, run->branch, run->verified, NULL, err);
    free(ref);
    free(kept);
    free(tip);
    return rc;
}

static const char hint_of_runs[] = "`cadre status` lists the runs; start one with `cadre run GOAL`";

int run_find(struct loop *loop, const char *directory, const char *name, char **id, json_t **command_line, struct error *err)
{
    struct git_repo *repo = name == NULL ? git_repo_open(loop, directory, err) : NULL;
    char *path, *text;
    struct journal *journal;

    *command_line = NULL;
    if (name == NULL && repo == NULL) {
        *id = NULL;
        return -1;
    }
    *id = name != NULL ? run_dir_find(name, err) : latest_run(repo, err);
    git_repo_close(repo);
    if (*id == NULL)
        return error_hint(err, hint_of_runs);
    path = run_dir_journal(*id);
    journal = journal_open_readonly(path, NULL); /* what is wrong with it is told when it is opened for good */
    text = journal == NULL ? NULL : journal_get(journal, "meta", "command_line", NULL);
    *command_line = text == NULL ? NULL : json_parse(text, strlen(text), "journal", NULL);
    journal_close(journal);
    free(text);
    free(path);
    return 0;
}

int run_resume(struct run *run, struct error *err)
{
    char *id = run->options.run_id != NULL ? run_dir_find(run->options.run_id, err) : latest_run(run->repo, err);
    char *path;

    if (id == NULL)
        return error_hint(err, hint_of_runs);
    run->id = id;
    run->dir = run_dir_path(id);
    run->branch = xasprintf("cadre/%s", id);
    path = run_dir_journal(id);
    run->journal = journal_open(path, err);
    free(path);
    if (run->journal == NULL)
        return -1;
    process_set_mark(run->id);
    if (run_load(run, err) < 0)
        return error_wrap(err, "resuming run %s", id);
    if (run->phase == PHASE_DONE && run->was_completed)
        return error_set(err, ERROR_USAGE, "run %s is finished", id);
    if (recall_limits(run, err) < 0 || journal_run_set_state(run->journal, "running", err) < 0)
        return error_wrap(err, "resuming run %s", id);
    if (run_reopen_cassette(run, err) < 0 || open_office(run, err) < 0)
        return -1;
    budget_restore(run->budget, &run->spent);
    run_emit(run, json_pack("{s:s, s:s}", "type", "run.resumed", "state", run_phase_name(run->phase)));
    if (clear_remains(run, err) < 0)
        return -1;
    if (run->phase == PHASE_DONE) { /* only what is left of it has to go */
        run->integration_dir = path_join(run->dir, "worktrees/integration");
        return 0;
    }
    if (set_branch(run, err) < 0)
        return -1;
    return open_integration(run, err);
}
