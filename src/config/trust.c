/* config/trust.c: see trust.h. */
#include "config/trust.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "config/toml.h"
#include "config/toml_edit.h"

#include <stdlib.h>
#include <string.h>

/* 1 trusted, 0 said not to be, -1 not mentioned. Keys are compared with links resolved. */
static int level_of(const struct toml_value *projects, const char *dir)
{
    for (size_t i = 0; i < projects->as.table.len; i++) {
        const struct toml_member *m = &projects->as.table.members[i];
        const char *level = toml_string(m->value, "trust_level", NULL);
        char *home, *real, *plain;
        bool same;

        if (level == NULL)
            continue;
        home = path_expand_home(m->key);
        real = realpath(home, NULL);
        plain = path_normalize(home);
        same = strcmp(plain, dir) == 0 || (real != NULL && strcmp(real, dir) == 0);
        free(home);
        free(real);
        free(plain);
        if (same)
            return strcmp(level, "trusted") == 0;
    }
    return -1;
}

static char *first_line(const char *path)
{
    struct buf text = BUF_INIT;
    struct error err = {0};
    char *line = NULL;

    if (file_is_regular(path) && file_read(path, &text, 4096, &err) == 0) {
        buf_puts(&text, "");
        if (text.data != NULL)
            text.data[strcspn(text.data, "\r\n")] = '\0';
        line = xstrdup(buf_cstr(&text));
    }
    buf_free(&text);
    return line;
}

/* The main checkout of a linked worktree. ROOT/.git names a folder REPO/.git/worktrees/NAME; that folder must
 * name ROOT/.git back, or any archive could claim to belong to a trusted repository. NULL when it is none. */
static char *main_checkout(const char *root)
{
    char *pointer = path_join(root, ".git"), *line = first_line(pointer), *out = NULL;
    char *git_dir = NULL, *back_file = NULL, *back = NULL, *worktrees = NULL, *dot_git = NULL, *real = NULL;

    if (line == NULL || !str_starts_with(line, "gitdir: "))
        goto done;
    git_dir = path_join(root, line + strlen("gitdir: "));
    back_file = path_join(git_dir, "gitdir");
    back = first_line(back_file);
    real = back != NULL ? realpath(back, NULL) : NULL;
    if (real == NULL || strcmp(real, pointer) != 0)
        goto done;
    worktrees = path_dirname(git_dir);
    dot_git = path_dirname(worktrees);
    if (strcmp(path_basename(worktrees), "worktrees") == 0 && strcmp(path_basename(dot_git), ".git") == 0)
        out = path_dirname(dot_git);
done:
    free(pointer);
    free(line);
    free(git_dir);
    free(back_file);
    free(back);
    free(worktrees);
    free(dot_git);
    free(real);
    return out;
}

bool trust_is_trusted(const struct toml_value *user_config, const char *dir, const char *root)
{
    const struct toml_value *projects = toml_get(user_config, "projects");
    char *at, *main_root;
    int level = -1;

    if (projects == NULL || projects->type != TOML_TABLE)
        return false;
    at = xstrdup(dir);
    for (;;) {
        char *parent;

        level = level_of(projects, at);
        if (level >= 0 || strcmp(at, root) == 0 || !path_is_below(at, root))
            break;
        parent = path_dirname(at);
        free(at);
        at = parent;
    }
    free(at);
    if (level < 0 && (main_root = main_checkout(root)) != NULL) {
        level = level_of(projects, main_root);
        free(main_root);
    }
    return level == 1;
}

int trust_add(const char *codex_home, const char *dir, bool *changed, struct error *err)
{
    char *path = path_join(codex_home, "config.toml");
    char *parts[] = {(char *)"projects", (char *)dir, (char *)"trust_level"};
    struct buf text = BUF_INIT, before = BUF_INIT;
    int rc = -1;

    *changed = false;
    if (file_exists(path) && file_read(path, &text, TOML_MAX_BYTES, err) < 0)
        goto out;
    buf_append(&before, buf_cstr(&text), text.len);
    if (toml_edit_set(&text, path, parts, 3, "\"trusted\"", err) < 0)
        goto out;
    *changed = before.len != text.len || memcmp(buf_cstr(&before), buf_cstr(&text), text.len) != 0;
    if (*changed && toml_edit_write(path, &text, err) < 0)
        goto out;
    rc = 0;
out:
    buf_free(&text);
    buf_free(&before);
    free(path);
    return rc;
}
