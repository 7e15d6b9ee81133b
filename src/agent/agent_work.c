/* agent/agent_work.c: an agent's own worktree, when its role says `isolation = "worktree"`.
 *
 * It starts from what its parent sees: the parent's files, also those that are not committed, as a commit that no branch
 * knows. What the agent leaves becomes a commit on that, held by refs/cadre/<session>/<agent>, and is offered to the
 * parent as a diff. merge_agent brings it into the parent's files by a three-way merge, all or nothing; the user's
 * branches and index are never touched. All functions that use git wait. */
#include "agent/agent_tree_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "base/utf8.h"
#include "config/role.h"
#include "git/commit.h"
#include "git/diff.h"
#include "git/git.h"
#include "git/merge.h"
#include "git/worktree.h"
#include "sandbox/policy.h"
#include "store/ledger.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DIFF_MAX_BYTES     8000 /* of what is shown to the parent */
#define CONFLICT_MAX_BYTES 2000
#define MAX_SHOWN_FILES    100

struct agent_work {
    char *dir;    /* the worktree; NULL when it is not there now */
    char *top;    /* toplevel of the parent's files */
    char *base;   /* what it started from */
    char *commit; /* what it has made, on BASE; NULL: nothing */
    char *merged; /* the commit that was merged last, or NULL */
    char *ref;
    char *diff; /* cut; for the parent */
    json_t *files;
};

void agent_work_destroy(struct agent_work *work)
{
    if (work == NULL)
        return;
    free(work->dir);
    free(work->top);
    free(work->base);
    free(work->commit);
    free(work->merged);
    free(work->ref);
    free(work->diff);
    json_decref(work->files);
    free(work);
}

static char *ref_of(const struct agent_node *node)
{
    return xasprintf("refs/cadre/%s/%s", node->tree->root->id, node->id);
}

static void keep_record(const struct agent_node *node)
{
    const struct agent_work *w = node->work;

    agent_record(node->tree, "agent.work", json_pack("{s:s, s:s, s:s, s:s?, s:s?}", "id", node->id, "top", w->top, "base",
                                                     w->base, "commit", w->commit, "merged", w->merged));
}

static bool is_object_id(const char *text)
{
    return text != NULL && strlen(text) >= 40 && text[strspn(text, "0123456789abcdef")] == '\0';
}

void agent_work_restore(struct agent_node *node, const json_t *said)
{
    const char *commit = json_get_string(said, "commit", NULL);
    const char *merged = json_get_string(said, "merged", NULL);

    if (!is_object_id(json_get_string(said, "base", NULL)))
        return;
    agent_work_destroy(node->work);
    node->work = xcalloc(1, sizeof *node->work);
    node->work->top = xstrdup(json_get_string(said, "top", ""));
    node->work->base = xstrdup(json_get_string(said, "base", NULL));
    node->work->commit = is_object_id(commit) ? xstrdup(commit) : NULL;
    node->work->merged = is_object_id(merged) ? xstrdup(merged) : NULL;
    node->work->ref = ref_of(node);
}

static int open_repo(struct agent_tree *tree, struct error *err)
{
    if (tree->repo == NULL)
        tree->repo = git_repo_open(office_options_of(tree->office)->loop, tree->cwd, err);
    return tree->repo == NULL ? -1 : 0;
}

/* Where the files of NODE's repository stand: its own worktree, that of the nearest above, or the user's checkout. */
static const char *top_of(const struct agent_node *node)
{
    for (const struct agent_node *n = node; n != NULL; n = n->parent)
        if (n->work != NULL && n->work->dir != NULL)
            return n->work->dir;
    return git_repo_toplevel(node->tree->repo);
}

/* The files of NODE as a commit: PARENT itself when nothing differs. *TREE may be NULL. */
static int snapshot(struct agent_node *node, const char *parent, char **commit, char **tree, struct error *err)
{
    struct commit_result result = {0};
    int rc = commit_snapshot(node->tree->repo, top_of(node), node->tree->session_dir, parent,
                             "What an agent's parent had before it", &result, err);

    if (rc == 0) {
        *commit = xstrdup(result.id != NULL ? result.id : parent);
        if (tree != NULL)
            *tree = xstrdup(result.tree);
    }
    commit_result_finish(&result);
    return rc;
}

static int make_base(struct agent_node *node, struct error *err)
{
    struct git_repo *repo = node->tree->repo;
    const struct agent_node *above = node->parent;
    char *head = NULL;
    char *branch = NULL;
    int rc = -1;

    while (above != NULL && (above->work == NULL || above->work->dir == NULL))
        above = above->parent;
    if (above != NULL)
        head = xstrdup(above->work->base);
    else if (git_head(repo, &head, &branch, err) < 0)
        return -1;
    rc = snapshot(node->parent, head, &node->work->base, NULL, err);
    free(head);
    free(branch);
    return rc;
}

static bool is_isolated(const struct agent_node *node, struct error *err)
{
    const struct role *role = role_registry_get(office_options_of(node->tree->office)->roles, node->role, err);

    return role != NULL && str_eq(role->isolation, "worktree");
}

static int begin(struct agent_node *node, char **cwd, struct error *err)
{
    struct agent_tree *tree = node->tree;
    struct agent_work *w = node->work;
    const char *parent_cwd = node->parent->cwd;
    char *root = path_join(tree->session_dir, "worktrees");
    const char *top;
    int rc = -1;

    w->dir = path_join(root, node->id);
    top = node->parent == NULL ? NULL : top_of(node->parent);
    free(w->top);
    w->top = xstrdup(top);
    if (w->base == NULL && make_base(node, err) < 0)
        goto out;
    if (!tree->is_in_ledger && ledger_note_run(tree->root->id, git_repo_toplevel(tree->repo), root, false, err) < 0)
        goto out;
    tree->is_in_ledger = true;
    if (git_ref_set(tree->repo, w->ref, w->commit != NULL ? w->commit : w->base, err) < 0)
        goto out;
    /* A worktree that a killed process left holds what its agent had done. */
    if (!worktree_is_ours(tree->repo, w->dir) &&
        (worktree_add(tree->repo, w->dir, w->commit != NULL ? w->commit : w->base, err) < 0 ||
         worktree_copy_included(tree->repo, w->dir, err) < 0))
        goto out;
    keep_record(node);
    *cwd = path_is_below(parent_cwd, top) && strlen(parent_cwd) > strlen(top) ? path_join(w->dir, parent_cwd + strlen(top) + 1)
                                                                              : xstrdup(w->dir);
    rc = file_make_directories(*cwd, 0755, err);
out:
    free(root);
    return rc;
}

int agent_work_begin(struct agent_node *node, char **cwd, struct error *err)
{
    struct agent_tree *tree = node->tree;

    if (!is_isolated(node, err)) {
        if (err->code != ERROR_NONE)
            return -1;
        *cwd = xstrdup(node->parent->cwd);
        return 0;
    }
    if (tree->session_dir == NULL || open_repo(tree, err) < 0) {
        if (tree->session_dir == NULL)
            error_set(err, ERROR_CONFIG, "nothing is kept of this session");
        error_wrap(err, "role %s works in a worktree of its own (isolation), which is not possible here", node->role);
        return -1;
    }
    if (node->work == NULL) {
        node->work = xcalloc(1, sizeof *node->work);
        node->work->ref = ref_of(node);
    }
    if (begin(node, cwd, err) == 0)
        return 0;
    FREE_NULL(*cwd);
    FREE_NULL(node->work->dir);
    if (node->work->base == NULL) {
        agent_work_destroy(node->work);
        node->work = NULL;
    }
    return error_wrap(err, "the worktree of agent %s", node->nickname);
}

static json_t *changes_json(const struct commit_result *result)
{
    json_t *files = json_array();

    for (size_t i = 0; i < result->change_count && i < MAX_SHOWN_FILES; i++) {
        const struct commit_change *c = &result->changes[i];

        json_array_append_new(files, json_pack("{s:s, s:s, s:i, s:i}", "path", c->path, "kind",
                                               c->kind == 'A'   ? "add"
                                               : c->kind == 'D' ? "delete"
                                                                : "update",
                                               "insertions", c->insertions, "deletions", c->deletions));
    }
    return files;
}

int agent_work_collect(struct agent_node *node, struct error *err)
{
    struct agent_work *w = node->work;
    struct git_repo *repo = node->tree->repo;
    struct commit_result result = {0};
    struct buf diff = BUF_INIT;
    struct buf shown = BUF_INIT;
    char *message;
    int rc = -1;

    if (w == NULL || w->dir == NULL)
        return 0;
    message = xasprintf("%s: %.70s\n\nAgent %s of session %s.\n", node->role, node->last_task, node->nickname,
                        node->tree->root->id);
    message[strcspn(message, "\r\n")] = message[strcspn(message, "\r\n")] == '\0' ? '\0' : '\n';
    if (commit_worktree(repo, w->dir, w->base, message, &result, err) < 0) {
        error_wrap(err, "what agent %s did cannot be taken", node->nickname);
        goto out;
    }
    free(w->commit);
    w->commit = xstrdup(result.id);
    if (w->commit != NULL &&
        (git_ref_set(repo, w->ref, w->commit, err) < 0 || git_diff_text(repo, w->base, w->commit, &diff, err) < 0))
        goto out;
    utf8_append_repaired(&shown, buf_cstr(&diff), utf8_floor(buf_cstr(&diff), diff.len,
                                                             diff.len < DIFF_MAX_BYTES ? diff.len : DIFF_MAX_BYTES));
    if (diff.len > DIFF_MAX_BYTES)
        buf_printf(&shown, "\n[the rest is left out: `git diff %.12s %.12s` shows all]\n", w->base, w->commit);
    free(w->diff);
    w->diff = buf_take(&shown);
    json_decref(w->files);
    w->files = changes_json(&result);
    keep_record(node);
    rc = 0;
out:
    commit_result_finish(&result);
    buf_free(&diff);
    buf_free(&shown);
    free(message);
    return rc;
}

json_t *agent_work_json(const struct agent_node *node)
{
    const struct agent_work *w = node->work;

    if (w == NULL || w->commit == NULL)
        return NULL;
    return json_pack("{s:s, s:s, s:s, s:O, s:s, s:b, s:s}", "ref", w->ref, "base", w->base, "commit", w->commit, "files",
                     w->files == NULL ? json_null() : w->files, "diff", w->diff == NULL ? "" : w->diff, "is_merged",
                     str_eq(w->merged, w->commit), "next",
                     "these changes are in the agent's own worktree; merge_agent brings them into yours");
}

/* --- Merging ----------------------------------------------------------------------------------------------------- */

/* May INTO's sandbox write PATH (below TOP)? Its own commands could not write elsewhere either. */
static int check_path(const struct agent_node *into, const char *top, const char *path, struct error *err)
{
    static const char *const guarded[] = {".git", ".codex", ".agents"};
    char *full = path_join(top, path);
    struct str_list parts = {0};
    int rc = 0;

    if (agent_session_policy(into->session)->mode != SANDBOX_DANGER_FULL_ACCESS) {
        str_split(&parts, path, '/');
        if (!path_is_below(full, into->cwd))
            rc = error_set(err, ERROR_SANDBOX, "%s is outside of your working directory %s", path, into->cwd);
        for (size_t i = 0; i < parts.len && rc == 0; i++)
            for (size_t k = 0; k < sizeof guarded / sizeof guarded[0] && rc == 0; k++)
                if (strcasecmp(parts.items[i], guarded[k]) == 0)
                    rc = error_set(err, ERROR_SANDBOX, "%s: agents may not change %s", path, guarded[k]);
    }
    str_list_finish(&parts);
    free(full);
    return rc;
}

/* Brings the files below TOP from tree FROM to tree TO: all or nothing. */
static int apply(struct agent_node *into, const char *top, const char *from, const char *to, struct error *err)
{
    struct git_repo *repo = into->tree->repo;
    char *env_dir = xasprintf("GIT_DIR=%s", git_repo_common_dir(repo));
    char *env_tree = xasprintf("GIT_WORK_TREE=%s", top);
    const char *env[] = {env_dir, env_tree, NULL};
    const char *args[] = {"apply", "--whitespace=nowarn", "-", NULL};
    struct git_call call = {.dir = top, .args = args, .env = env, .flags = GIT_WRITES};
    struct buf patch = BUF_INIT;
    int rc = git_run(repo, 0, NULL, &patch, err, "diff-tree", "-p", "-r", "--binary", "--full-index", "--no-renames",
                     "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", from, to, NULL);

    call.input = patch.data;
    call.input_len = patch.len;
    if (rc == 0 && patch.len > 0 && (rc = git_call(repo, &call, NULL, NULL, err)) < 0)
        error_wrap(err, "nothing was merged");
    buf_free(&patch);
    free(env_dir);
    free(env_tree);
    return rc;
}

static void set_cut(json_t *object, const char *key, const char *text)
{
    struct buf b = BUF_INIT;
    size_t n = text == NULL ? 0 : strlen(text);

    if (text == NULL) {
        json_object_set_new(object, key, json_null());
        return;
    }
    utf8_append_repaired(&b, text, utf8_floor(text, n, n < CONFLICT_MAX_BYTES ? n : CONFLICT_MAX_BYTES));
    json_object_set_new(object, key, json_string(buf_cstr(&b)));
    buf_free(&b);
}

static json_t *conflict_answer(const struct merge_result *merge)
{
    json_t *conflicts = json_array();

    for (size_t i = 0; i < merge->conflict_count && i < MAX_SHOWN_FILES; i++) {
        json_t *one = json_pack("{s:s}", "path", merge->conflicts[i].path);

        set_cut(one, "yours", merge->conflicts[i].ours);
        set_cut(one, "theirs", merge->conflicts[i].theirs);
        json_array_append_new(conflicts, one);
    }
    return json_pack("{s:s, s:o, s:s}", "status", "conflict", "conflicts", conflicts, "next",
                     "nothing was changed; mend your side or send the agent its part of the conflict, then merge again");
}

static int merge_into(struct agent_node *node, struct agent_node *into, json_t **answer, struct error *err)
{
    struct agent_work *w = node->work;
    struct git_repo *repo = node->tree->repo;
    const char *top = top_of(into);
    struct merge_result merge = {0};
    struct commit_result changes = {0};
    char *ours = NULL;
    char *tree = NULL;
    int rc = -1;

    if (snapshot(into, w->base, &ours, &tree, err) < 0 || merge_trees(repo, ours, w->commit, &merge, err) < 0)
        goto out;
    if (!merge.is_clean) {
        *answer = conflict_answer(&merge);
        rc = 0;
        goto out;
    }
    if (commit_changes(repo, tree, merge.tree, &changes, err) < 0)
        goto out;
    for (size_t i = 0; i < changes.change_count; i++)
        if (check_path(into, top, changes.changes[i].path, err) < 0)
            goto out;
    if (apply(into, top, tree, merge.tree, err) < 0)
        goto out;
    free(w->merged);
    w->merged = xstrdup(w->commit);
    keep_record(node);
    *answer = json_pack("{s:s, s:o}", "status", "merged", "files", changes_json(&changes));
    rc = 0;
out:
    merge_result_finish(&merge);
    commit_result_finish(&changes);
    free(ours);
    free(tree);
    return rc;
}

json_t *agent_work_merge(struct agent_node *node, struct agent_node *into, struct error *err)
{
    json_t *answer = NULL;

    if (!agent_node_is_final(node))
        error_set(err, ERROR_DENIED, "%s is still at work: wait for it first", node->nickname);
    else if (node->work == NULL)
        error_set(err, ERROR_NOT_FOUND, "%s has no worktree of its own: what it changed is in your files already",
                  node->nickname);
    else if (node->work->commit == NULL)
        error_set(err, ERROR_NOT_FOUND, "%s has changed nothing", node->nickname);
    else if (agent_session_policy(into->session)->mode == SANDBOX_READ_ONLY)
        error_set(err, ERROR_SANDBOX, "this thread is read-only");
    else if (open_repo(node->tree, err) == 0)
        (void)merge_into(node, into, &answer, err);
    return answer;
}

void agent_work_end(struct agent_node *node)
{
    struct agent_work *w = node->work;
    struct git_repo *repo = node->tree->repo;
    struct error err = {0};

    if (w == NULL || w->dir == NULL)
        return;
    if (agent_work_collect(node, &err) < 0) {
        log_warning("%s; its worktree stays: %s", err.text, w->dir);
        return;
    }
    if (worktree_remove(repo, w->dir, &err) < 0)
        log_warning("%s", err.text);
    FREE_NULL(w->dir);
    if (w->commit == NULL || str_eq(w->merged, w->commit))
        (void)git_run(repo, GIT_WRITES, NULL, NULL, NULL, "update-ref", "-d", w->ref, NULL);
    else if (node->tree->is_closing)
        log_warning("the changes of agent %s were not merged; `git diff %.12s %s` shows them, `git branch NAME %s` keeps them",
                    node->nickname, w->base, w->ref, w->ref);
}
