/* tool/patch_apply.c: applies a parsed patch beneath a folder through sandbox/safe_path.h; see patch.h. */
#include "tool/patch.h"

#include "base/alloc.h"
#include "base/path.h"
#include "sandbox/safe_path.h"

#include <stdlib.h>
#include <string.h>

void patch_applied_finish(struct patch_applied *applied)
{
    str_list_finish(&applied->added);
    str_list_finish(&applied->changed);
    str_list_finish(&applied->deleted);
    str_list_finish(&applied->removed_sources);
}

/* PATH relative to ROOT: models often give absolute paths below their working directory. */
static const char *relative_to(const char *root, const char *path)
{
    size_t n = strlen(root);

    if (path[0] == '/' && path_is_below(path, root) && path[n] == '/')
        return path + n + 1;
    return path;
}

static int apply_add(struct safe_root *root, const char *dir, const struct patch_hunk *hunk,
                     struct patch_applied *applied, struct error *err)
{
    const char *path = relative_to(dir, hunk->path);

    if (safe_root_make_parents(root, path, err) < 0 ||
        safe_root_write_file(root, path, buf_cstr(&hunk->contents), hunk->contents.len, err) < 0)
        return error_wrap(err, "Failed to write file %s/%s", dir, path);
    str_list_add(&applied->added, hunk->path);
    return 0;
}

static int apply_delete(struct safe_root *root, const char *dir, const struct patch_hunk *hunk,
                        struct patch_applied *applied, struct error *err)
{
    const char *path = relative_to(dir, hunk->path);
    struct error why = {0};

    if (safe_root_remove(root, path, &why) < 0) {
        if (why.code == ERROR_SANDBOX)
            return error_set(err, ERROR_SANDBOX, "Failed to delete file %s/%s: %s", dir, path, why.text);
        return error_set(err, ERROR_IO, "Failed to delete file %s/%s", dir, path);
    }
    str_list_add(&applied->deleted, hunk->path);
    return 0;
}

static int apply_update(struct safe_root *root, const char *dir, const struct patch_hunk *hunk,
                        struct patch_applied *applied, struct error *err)
{
    const char *path = relative_to(dir, hunk->path);
    const char *to = hunk->move_to == NULL ? path : relative_to(dir, hunk->move_to);
    char *full = path_join(dir, path);
    struct buf old = BUF_INIT;
    struct buf text = BUF_INIT;
    struct error why = {0};
    int rc = -1;

    if (safe_root_read_file(root, path, &old, PATCH_MAX_FILE_BYTES, &why) < 0) {
        if (why.code == ERROR_NOT_FOUND)
            error_set(err, ERROR_NOT_FOUND, "Failed to read file to update %s: No such file or directory (os error 2)",
                      full);
        else
            error_set(err, why.code, "Failed to read file to update %s: %s", full, why.text);
        goto out;
    }
    if (patch_update_text(hunk, full, &old, &text, err) < 0)
        goto out;
    if (hunk->move_to != NULL && safe_root_make_parents(root, to, err) < 0)
        goto out;
    if (safe_root_write_file(root, to, buf_cstr(&text), text.len, err) < 0) {
        error_wrap(err, "Failed to write file %s/%s", dir, to);
        goto out;
    }
    if (hunk->move_to != NULL && strcmp(to, path) != 0) {
        if (safe_root_remove(root, path, err) < 0) {
            error_wrap(err, "Failed to remove original %s", full);
            goto out;
        }
        str_list_add(&applied->removed_sources, hunk->path);
    }
    str_list_add(&applied->changed, hunk->move_to != NULL ? hunk->move_to : hunk->path);
    rc = 0;
out:
    buf_free(&old);
    buf_free(&text);
    free(full);
    return rc;
}

int patch_apply(const struct patch *patch, const char *dir, struct patch_applied *applied, struct error *err)
{
    struct safe_root *root;
    int rc = 0;

    if (patch->hunk_count == 0)
        return error_set(err, ERROR_PARSE, "No files were modified.");
    root = safe_root_open(dir, err);
    if (root == NULL)
        return -1;
    for (size_t i = 0; i < patch->hunk_count && rc == 0; i++) {
        const struct patch_hunk *hunk = &patch->hunks[i];

        switch (hunk->kind) {
        case PATCH_ADD:
            rc = apply_add(root, dir, hunk, applied, err);
            break;
        case PATCH_DELETE:
            rc = apply_delete(root, dir, hunk, applied, err);
            break;
        case PATCH_UPDATE:
            rc = apply_update(root, dir, hunk, applied, err);
            break;
        }
    }
    safe_root_close(root);
    return rc;
}

void patch_describe(const struct patch_applied *applied, struct buf *out)
{
    buf_puts(out, "Success. Updated the following files:\n");
    for (size_t i = 0; i < applied->added.len; i++)
        buf_printf(out, "A %s\n", applied->added.items[i]);
    for (size_t i = 0; i < applied->changed.len; i++)
        buf_printf(out, "M %s\n", applied->changed.items[i]);
    for (size_t i = 0; i < applied->deleted.len; i++)
        buf_printf(out, "D %s\n", applied->deleted.items[i]);
}
