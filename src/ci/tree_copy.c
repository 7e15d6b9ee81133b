/* ci/tree_copy.c: asks git for the list once and lets the exec helper copy it. Nothing of the tree's own configuration is run. The
 * copy's repository is written by hand (HEAD, index, tags, and the objects by reference): a clone would start a dozen
 * processes for every job. */
#include "ci/tree_copy.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/copy_list.h"
#include "base/path.h"
#include "base/str.h"
#include "git/safe_git.h"
#include "io/process.h"
#include "sandbox/exec_helper.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMEOUT_MS 600000
#define MAX_LIST_BYTES (256U << 20)

struct tree_source {
    struct loop *loop;
    char *from;
    char *helper;
    struct buf list; /* base/copy_list.h */
    bool is_read;
    bool has_git;
};

struct tree_source *tree_source_create(struct loop *loop, const char *from)
{
    struct tree_source *source = xcalloc(1, sizeof *source);

    source->loop = loop;
    source->from = xstrdup(from);
    source->helper = exec_helper_program();
    return source;
}

void tree_source_destroy(struct tree_source *source)
{
    if (source == NULL)
        return;
    buf_free(&source->list);
    free(source->from);
    free(source->helper);
    free(source);
}

/* Asks git in the tree; OUT gets what it prints. 0, -1, or 1 when git says no. */
static int ask_git(const struct tree_source *source, const char *const *args, struct buf *out, struct error *err)
{
    struct git_question question = {source->from, args, TIMEOUT_MS, MAX_LIST_BYTES};
    struct process_result result = {0};
    int rc;

    /* Killed is no answer: it is asked again. */
    for (int tries = 0; (rc = git_ask(source->loop, &question, &result, err)) == 0 && result.exit.signal != 0 && tries < 2; tries++) {
        process_result_finish(&result);
        result = (struct process_result){0};
    }
    if (rc == 0 && result.exit.signal != 0)
        rc = error_set(err, ERROR_IO, "copying '%s' for a job: git was ended by signal %d", source->from, result.exit.signal);
    else if (rc == 0 && result.truncated)
        rc = error_set(err, ERROR_IO, "copying '%s' for a job: git lists more than %u MiB of names", source->from, MAX_LIST_BYTES >> 20);
    else if (rc == 0 && result.exit.exit_code != 0)
        rc = 1;
    else if (rc == 0)
        buf_append(out, buf_cstr(&result.out), result.out.len);
    process_result_finish(&result);
    return rc;
}

static void add_part(struct buf *list, const char *text)
{
    buf_append(list, text, strlen(text) + 1);
}

static void add_copy(struct buf *list, const char *name, const char *folder, const char *file)
{
    char *path = path_join(folder, file);

    add_part(list, name);
    add_part(list, path);
    free(path);
}

/* The copy's .git: COMMON and OWN are the repository's and the worktree's folder, HEAD the commit. */
static void add_repository(struct buf *list, const char *common, const char *own, const char *head)
{
    char *objects = xasprintf("%s/objects\n", common);
    char *detached = xasprintf("%s\n", head);

    add_part(list, "w.git/objects/info/alternates");
    add_part(list, objects);
    add_part(list, "w.git/config");
    add_part(list, "[core]\n\trepositoryformatversion = 0\n\tbare = false\n");
    add_part(list, "w.git/HEAD");
    add_part(list, detached);
    add_copy(list, "c.git/index", own, "index");
    add_copy(list, "c.git/packed-refs", common, "packed-refs");
    add_copy(list, "c.git/shallow", common, "shallow");
    add_copy(list, "c.git/refs/tags", common, "refs/tags");
    free(objects);
    free(detached);
}

static bool is_same_folder(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What git says of the repository: top level, common folder, the worktree's own folder, commit. Is FROM its top level? */
static int read_places(const struct tree_source *source, struct str_list *places, bool *is_top, struct error *err)
{
    static const char *const args[] = {"rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir", "--git-dir", "-q",
                                       "--verify", "HEAD", NULL};
    struct buf out = {0};
    int rc = ask_git(source, args, &out, err);

    if (rc == 0)
        str_split(places, buf_cstr(&out), '\n');
    buf_free(&out);
    *is_top = rc == 0 && places->len >= 4 && strlen(places->items[3]) == 40 && is_same_folder(places->items[0], source->from);
    return rc < 0 ? -1 : 0;
}

static int read_list(const struct tree_source *source, struct buf *list, bool *has_git, struct error *err)
{
    static const char *const args[] = {"ls-files", "-z", "-co", "--exclude-standard", NULL};
    struct str_list places = {0};
    struct buf names = {0};
    int rc = read_places(source, &places, has_git, err);

    if (rc == 0 && *has_git) {
        rc = ask_git(source, args, &names, err);
        if (rc > 0)
            rc = error_set(err, ERROR_IO, "copying '%s' for a job: git ls-files failed", source->from);
    }
    if (rc == 0 && *has_git) {
        add_repository(list, places.items[1], places.items[2], places.items[3]);
        for (size_t i = 0; i < names.len; i += strlen(names.data + i) + 1) {
            buf_putc(list, 'f');
            add_part(list, names.data + i);
        }
    }
    str_list_finish(&places);
    buf_free(&names);
    return rc;
}

/* Jobs that start together each read; the first one's answer stays. */
static int make_sure_it_is_read(struct tree_source *source, struct error *err)
{
    struct buf list = {0};
    bool has_git = false;

    if (source->is_read)
        return 0;
    if (read_list(source, &list, &has_git, err) < 0) {
        buf_free(&list);
        return -1;
    }
    if (source->is_read) {
        buf_free(&list);
        return 0;
    }
    source->list = list;
    source->has_git = has_git;
    source->is_read = true;
    return 0;
}

int tree_source_copy(struct tree_source *source, const char *to, struct error *err)
{
    char *all = xasprintf("%s/.", source->from);
    const char *helper[] = {source->helper, COPY_LIST_NAME, source->from, to, NULL};
    const char *cp[] = {"cp", "-a", "--reflink=auto", "-T", all, to, NULL};
    struct process_run_options options = {.merge_stderr = true, .timeout_ms = TIMEOUT_MS};
    struct process_result result = {0};
    int rc = make_sure_it_is_read(source, err);

    if (rc == 0) {
        options.argv = source->has_git ? helper : cp;
        options.input = source->list.data;
        options.input_len = source->list.len;
        rc = process_run(source->loop, &options, &result, err);
    }
    if (rc == 0 && result.exit.exit_code != 0)
        rc = error_set(err, ERROR_IO, "copying '%s' for a job failed: %.500s", source->from, buf_cstr(&result.out));
    process_result_finish(&result);
    free(all);
    return rc;
}
