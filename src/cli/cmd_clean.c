/* cli/cmd_clean.c: `cadre clean`: takes away what runs and sessions left behind, and only that: processes that carry their mark,
 * worktrees below their folder, the branch cadre/<run> and the refs below refs/cadre/<run>/ (clean_sessions.c: those of sessions, and
 * what the ledger lists of runs whose folder is gone).
 *
 * Never touched: a run that works, a run that can be resumed (unless given up by name), a worktree with changes that
 * are not committed, a commit that nothing else holds. What is kept is said, with the reason. */
#include "cli/clean_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "git/git.h"
#include "git/worktree.h"
#include "io/process.h"
#include "store/journal.h"
#include "store/run_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_spec clean_options[] = {
    {"dry-run", 'n', NULL, "only say what would be removed", false},
    {"abandon", 0, NULL, "give the named RUN up: it cannot be resumed then", false},
    {"records", 0, NULL, "also remove journals and rollouts of runs of which nothing is left", false},
    {"sessions", 0, "DAYS", "also remove what is kept of sessions that were not used for so many days", false},
    {0},
};

void clean_say_removed(struct clean *c, const char *what, const char *name)
{
    c->removed++;
    printf("%s %s %s\n", c->dry_run ? "would remove" : "removed", what, name);
}

void clean_say_kept(struct clean *c, const char *what, const char *name, const char *why)
{
    c->kept++;
    printf("kept %s %s: %s\n", what, name, why);
}

void clean_finish_step(struct clean *c, int rc, const char *what, const char *name, const struct error *err)
{
    if (rc < 0)
        clean_say_kept(c, what, name, err->text);
    else
        clean_say_removed(c, what, name);
}

/* --- worktrees --- */

static void clean_worktree(struct clean *c, struct git_repo *repo, const char *path)
{
    struct error err = {0};
    bool is_saved = false;
    char *why = NULL;
    int rc = 0;

    if (file_exists(path)) {
        rc = worktree_is_saved(repo, path, &is_saved, &why, &err);
        if (rc == 0 && !is_saved) {
            clean_say_kept(c, "worktree", path, why);
            free(why);
            return;
        }
    }
    if (rc == 0 && !c->dry_run)
        rc = worktree_remove(repo, path, &err);
    clean_finish_step(c, rc, "worktree", path, &err);
    free(why);
}

/* Folders that git does not know: exports of a commit, half-made ones. One with a .git in it may hold work. */
static void clean_folder(struct clean *c, const char *path)
{
    char *git = path_join(path, ".git");
    struct error err = {0};
    int rc = 0;

    if (file_exists(git)) {
        clean_say_kept(c, "folder", path, "it is a worktree that its repository does not know any more");
    } else {
        if (!c->dry_run)
            rc = file_remove_tree(path, &err);
        clean_finish_step(c, rc, "folder", path, &err);
    }
    free(git);
}

void clean_worktrees(struct clean *c, struct git_repo *repo, const char *named, const char *id)
{
    char *folder = realpath(named, NULL); /* as git records it */
    struct str_list known = {0};
    struct str_list names = {0};
    struct error err = {0};

    if (repo != NULL && worktree_list_below(repo, folder ? folder : named, &known, &err) < 0)
        clean_say_kept(c, "worktrees of", id, err.text);
    for (size_t i = 0; i < known.len; i++)
        clean_worktree(c, repo, known.items[i]);
    if (folder != NULL && file_list_directory(folder, &names, &err) == 0) {
        for (size_t i = 0; i < names.len; i++) {
            char *path = path_join(folder, names.items[i]);

            if (!str_list_has(&known, path))
                clean_folder(c, path);
            free(path);
        }
    }
    str_list_finish(&known);
    str_list_finish(&names);
    free(folder);
}

/* --- branch and refs --- */

/* Does a branch, tag or remote branch other than REF hold COMMIT? */
static int is_held_elsewhere(struct git_repo *repo, const char *ref, const char *commit, bool *held,
                             struct error *err)
{
    struct buf out = BUF_INIT;
    struct str_list refs = {0};
    int rc = git_run(repo, 0, NULL, &out, err, "for-each-ref", "--format=%(refname)", "--contains", commit,
                     "refs/heads", "refs/remotes", "refs/tags", NULL);

    *held = false;
    if (rc == 0)
        str_split(&refs, buf_cstr(&out), '\n');
    for (size_t i = 0; i < refs.len; i++)
        if (refs.items[i][0] != '\0' && !str_eq(refs.items[i], ref))
            *held = true;
    str_list_finish(&refs);
    buf_free(&out);
    return rc;
}

static void clean_ref(struct clean *c, struct git_repo *repo, const char *ref, bool is_merged)
{
    struct error err = {0};
    char *commit = NULL;
    bool held = false;
    int rc = git_resolve(repo, ref, &commit, &err);

    if (rc == 0)
        rc = is_held_elsewhere(repo, ref, commit, &held, &err);
    if (rc == 0 && !held && !is_merged) {
        clean_say_kept(c, "ref", ref, "it is not merged; delete it with `git update-ref -d` if you do not want it");
    } else {
        if (rc == 0 && !c->dry_run)
            rc = git_run(repo, GIT_WRITES, NULL, NULL, &err, "update-ref", "-d", ref, commit, NULL);
        clean_finish_step(c, rc, "ref", ref, &err);
    }
    free(commit);
}

void clean_refs(struct clean *c, struct git_repo *repo, const char *pattern, bool is_merged)
{
    struct error err = {0};
    struct buf out = BUF_INIT;
    struct str_list refs = {0};

    if (git_run(repo, 0, NULL, &out, &err, "for-each-ref", "--format=%(refname)", pattern, NULL) < 0)
        clean_say_kept(c, "refs", pattern, err.text);
    else
        str_split(&refs, buf_cstr(&out), '\n');
    for (size_t i = 0; i < refs.len; i++)
        if (refs.items[i][0] != '\0')
            clean_ref(c, repo, refs.items[i], is_merged);
    str_list_finish(&refs);
    buf_free(&out);
}

/* --- runs --- */

static bool was_merged(struct journal *journal)
{
    char *text = journal_get(journal, "meta", "run", NULL);
    json_t *meta = text == NULL ? NULL : json_parse(text, strlen(text), "journal", NULL);
    bool merged = meta != NULL && json_get_bool(meta, "merged", false);

    json_decref(meta);
    free(text);
    return merged;
}

void clean_processes(struct clean *c, const char *id)
{
    unsigned count = c->dry_run ? 0 : process_kill_marked(id);

    if (count > 0) {
        c->removed += count;
        printf("ended %u process%s of %s\n", count, count == 1 ? "" : "es", id);
    }
}

void clean_records(struct clean *c, const char *folder)
{
    struct error err = {0};
    int rc = c->dry_run ? 0 : file_remove_tree(folder, &err);

    clean_finish_step(c, rc, "record", folder, &err);
}

static void clean_run(struct clean *c, const char *id)
{
    char *path = run_dir_journal(id);
    struct error err = {0};
    struct journal_run row = {0};
    struct git_repo *repo = NULL;
    struct journal *journal = NULL;
    char *named = NULL;
    bool is_over;
    bool merged;
    unsigned kept_before = c->kept;

    if (journal_is_locked(path, NULL, NULL)) {
        clean_say_kept(c, "run", id, "it is working");
        goto out;
    }
    journal = journal_open_readonly(path, &err);
    if (journal == NULL || journal_run_get(journal, &row, &err) < 0) {
        clean_say_kept(c, "run", id, err.text);
        goto out;
    }
    is_over = str_eq(row.state, "completed");
    merged = is_over && was_merged(journal);
    journal_close(journal);
    journal = NULL;
    clean_processes(c, id); /* no engine holds the run, so whatever carries its mark is left over */
    if (!is_over && !c->abandon) {
        clean_say_kept(c, "run", id, "it can be resumed; give it up with `cadre clean --abandon RUN`");
        goto out;
    }
    repo = git_repo_open(c->ctx->loop, row.repo, &err);
    if (repo == NULL && file_exists(row.repo)) {
        clean_say_kept(c, "run", id, err.text);
        goto out;
    }
    named = run_dir_worktrees(id);
    clean_worktrees(c, repo, named, id);
    if (repo != NULL) {
        char *refs = xasprintf("refs/cadre/%s/", id);
        char *branch = xasprintf("refs/heads/cadre/%s", id);

        clean_refs(c, repo, refs, merged);
        clean_refs(c, repo, branch, merged);
        free(refs);
        free(branch);
    }
    if (c->kept == kept_before && !c->dry_run)
        clean_forget(c, id);
    if (c->records && c->kept == kept_before) {
        char *folder = run_dir_path(id);
        clean_records(c, folder);
        free(folder);
    }
out:
    free(named);
    journal_close(journal);
    journal_run_finish(&row);
    git_repo_close(repo);
    free(path);
}

/* Refs of runs whose record is gone, in the repository that we are in. */
static void clean_strays(struct clean *c, const struct str_list *ids)
{
    static const char *const prefixes[] = {"refs/cadre/", "refs/heads/cadre/"};
    struct error err = {0};
    struct git_repo *repo = git_repo_open(c->ctx->loop, ".", &err);

    for (size_t p = 0; repo != NULL && p < 2; p++) {
        struct buf out = BUF_INIT;
        struct str_list refs = {0};

        if (git_run(repo, 0, NULL, &out, &err, "for-each-ref", "--format=%(refname)", prefixes[p], NULL) == 0)
            str_split(&refs, buf_cstr(&out), '\n');
        for (size_t i = 0; i < refs.len; i++) {
            const char *rest = refs.items[i] + (refs.items[i][0] != '\0' ? strlen(prefixes[p]) : 0);
            char *id = xstrndup(rest, strcspn(rest, "/"));

            if (run_id_is_valid(id) && !str_list_has(ids, id))
                clean_ref(c, repo, refs.items[i], false);
            free(id);
        }
        str_list_finish(&refs);
        buf_free(&out);
    }
    git_repo_close(repo);
}

static int run_clean(struct cli_context *ctx, const struct cli_args *args)
{
    struct clean c = {
        .ctx = ctx,
        .dry_run = cli_flag(args, "dry-run"),
        .abandon = cli_flag(args, "abandon"),
        .records = cli_flag(args, "records"),
        .session_days = -1,
    };
    struct str_list ids = {0};
    struct error err = {0};
    char *one = NULL;
    int rc = -1;

    if (!cli_int_option(args, "sessions", 0, 36500, -1, &c.session_days, &err))
        goto out;
    if (c.session_days >= 0 && args->positionals.len > 0) {
        error_set(&err, ERROR_USAGE, "--sessions is for all of them: no RUN is named with it");
        goto out;
    }
    if (c.abandon && args->positionals.len == 0) {
        error_set(&err, ERROR_USAGE, "--abandon needs the RUN that is given up");
        error_hint(&err, "see `cadre status`");
        goto out;
    }
    if (args->positionals.len > 0) {
        one = run_dir_find(args->positionals.items[0], &err);
        if (one == NULL)
            goto out;
        clean_run(&c, one);
    } else {
        if (run_dir_list(&ids, &err) < 0)
            goto out;
        for (size_t i = 0; i < ids.len; i++)
            clean_run(&c, ids.items[i]);
        clean_strays(&c, &ids);
        clean_sessions(&c);
        clean_listed(&c);
    }
    if (c.removed == 0 && c.kept == 0)
        puts("nothing is left over");
    rc = 0;
out:
    free(one);
    str_list_finish(&ids);
    return rc < 0 ? cli_fail(&err) : EXIT_DONE;
}

const struct command command_clean = {
    .name = "clean",
    .summary = "remove what runs and sessions left behind",
    .usage = "[OPTIONS] [RUN]",
    .details =
        "Ends left-over processes and removes worktrees, branches and refs of runs that are over, and worktrees of\n"
        "sessions that nobody has open. A worktree with changes and a commit that is not merged are never removed;\n"
        "what is kept is said, with the reason.",
    .example = "cadre clean --dry-run\ncadre clean --abandon 20261123-160203\ncadre clean --records --sessions 30",
    .options = clean_options,
    .min_positionals = 0,
    .max_positionals = 1,
    .run = run_clean,
};
