/* cli/clean_sessions.c: what `cadre clean` does with sessions, and with what only the ledger knows of. */
#include "cli/clean_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "git/git.h"
#include "store/ledger.h"
#include "store/run_dir.h"
#include "store/session_dir.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* NULL when there is none, or when it cannot be read: that is said. */
static struct ledger *open_ledger(struct clean *c)
{
    char *path = ledger_default_path();
    struct error err = {0};
    struct ledger *ledger = file_exists(path) ? ledger_open(path, &err) : NULL;

    if (err.code != ERROR_NONE)
        clean_say_kept(c, "what is listed in", path, err.text);
    free(path);
    return ledger;
}

void clean_forget(struct clean *c, const char *id)
{
    struct ledger *ledger = open_ledger(c);
    struct error err = {0};

    if (ledger != NULL && ledger_forget_run(ledger, id, &err) < 0)
        clean_say_kept(c, "entry of the ledger", id, err.text);
    ledger_close(ledger);
}

/* --- Sessions ---------------------------------------------------------------------------------------------------- */

static void clean_session(struct clean *c, const char *id)
{
    char *dir = session_dir_path(id), *worktrees = path_join(dir, "worktrees");
    struct error err = {0}, none = {0};
    struct session_head head = {0};
    struct git_repo *repo = NULL;
    int lock = session_dir_take(dir, &err);
    unsigned kept_before = c->kept;
    bool is_old;

    if (lock < 0) {
        if (file_is_directory(worktrees) || c->session_days >= 0)
            clean_say_kept(c, "session", id, err.text);
        goto out;
    }
    clean_processes(c, id);
    if (session_dir_find(id, NULL, &head, &err) == 0)
        repo = git_repo_open(c->ctx->loop, head.cwd, &none); /* its folder may be gone, or never was a repository */
    clean_worktrees(c, repo, worktrees, id);
    if (repo != NULL) {
        char *refs = xasprintf("refs/cadre/%s/", id);

        clean_refs(c, repo, refs, false);
        free(refs);
    }
    if (c->kept == kept_before && !c->dry_run)
        clean_forget(c, id);
    is_old = c->session_days >= 0 && clock_wall_ms() / 1000 - session_dir_used_s(id) >= c->session_days * 86400;
    if (is_old && c->kept == kept_before)
        clean_records(c, dir);
out:
    if (lock >= 0)
        (void)close(lock);
    git_repo_close(repo);
    session_head_finish(&head);
    free(worktrees);
    free(dir);
}

void clean_sessions(struct clean *c)
{
    struct str_list ids = {0};
    struct error err = {0};

    if (session_dir_list(&ids, &err) < 0)
        clean_say_kept(c, "sessions", "", err.text);
    for (size_t i = 0; i < ids.len; i++)
        clean_session(c, ids.items[i]);
    str_list_finish(&ids);
}

/* --- The ledger -------------------------------------------------------------------------------------------------- */

struct listed {
    struct clean *c;
    struct ledger *ledger;
};

static bool clean_entry(void *data, const struct ledger_entry *entry)
{
    struct listed *l = data;
    struct clean *c = l->c;
    char *session = session_dir_path(entry->run), *run = run_dir_path(entry->run);
    unsigned kept_before = c->kept;
    struct git_repo *repo = NULL;
    struct error err = {0};

    if (file_is_directory(run) || file_is_directory(session))
        goto out; /* cleaned with its folder, or begun just now */
    if (entry->repo[0] != '\0' && file_exists(entry->repo)) {
        repo = git_repo_open(c->ctx->loop, entry->repo, &err);
        if (repo == NULL) {
            clean_say_kept(c, ledger_kind_name(entry->kind), entry->name, err.text);
            goto out;
        }
    }
    clean_processes(c, entry->run);
    if (repo != NULL && entry->kind == LEDGER_DIRECTORY)
        clean_worktrees(c, repo, entry->name, entry->run);
    if (repo != NULL && entry->kind == LEDGER_REF)
        clean_refs(c, repo, entry->name, false);
    if (repo != NULL && entry->kind == LEDGER_BRANCH) {
        char *branch = xasprintf("refs/heads/%s", entry->name);

        clean_refs(c, repo, branch, false);
        free(branch);
    }
    if (c->kept == kept_before && !c->dry_run && ledger_remove(l->ledger, entry->kind, entry->name, entry->repo, &err) < 0)
        clean_say_kept(c, "entry of the ledger", entry->name, err.text);
out:
    git_repo_close(repo);
    free(session);
    free(run);
    return true;
}

void clean_listed(struct clean *c)
{
    struct listed l = {.c = c, .ledger = open_ledger(c)};
    struct error err = {0};

    if (l.ledger != NULL && ledger_each(l.ledger, NULL, clean_entry, &l, &err) < 0)
        clean_say_kept(c, "the ledger", "", err.text);
    ledger_close(l.ledger);
}
