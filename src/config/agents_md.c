/* config/agents_md.c: see agents_md.h. */
#include "config/agents_md.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/utf8.h"
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

/* A single file larger than this is cut before the budget is looked at. */
#define FILE_MAX_BYTES ((size_t)1 << 20)

struct collector {
    struct buf *out;
    struct str_list *sources;
    struct str_list names; /* in the order in which they are looked for */
    size_t left;           /* bytes of the budget */
};

static void collector_init(struct collector *k, const struct config *c, struct buf *out,
                           struct str_list *sources)
{
    int64_t budget = config_int(c, "project_doc_max_bytes");

    memset(k, 0, sizeof *k);
    k->out = out;
    k->sources = sources;
    k->left = budget > 0 ? (size_t)budget : 0;
    str_list_add(&k->names, "AGENTS.override.md");
    str_list_add(&k->names, "AGENTS.md");
}

/* Is PATH below ROOT also with its links resolved? A repository's AGENTS.md may be a link to its CLAUDE.md, but
 * not to a person's key. */
static bool stays_inside(const char *root, const char *path)
{
    char *real_root = realpath(root, NULL), *real = realpath(path, NULL);
    bool inside = real_root != NULL && real != NULL && path_is_below(real, real_root);

    free(real_root);
    free(real);
    return inside;
}

/* Adds FOLDER's file. With ROOT, only one that stays below it counts. */
static void add_folder(struct collector *k, const char *folder, const char *root)
{
    for (size_t i = 0; i < k->names.len && k->left > 0; i++) {
        char *path = path_join(folder, k->names.items[i]);
        struct buf text = BUF_INIT;
        struct error err = {0};
        size_t n;

        if (!path_is_plain_relative(k->names.items[i]) || !file_is_regular(path) ||
            (root != NULL && !stays_inside(root, path)) ||
            file_read(path, &text, FILE_MAX_BYTES, &err) < 0) {
            free(path);
            buf_free(&text);
            continue;
        }
        n = utf8_floor(buf_cstr(&text), text.len, text.len < k->left ? text.len : k->left);
        if (n > 0 && strspn(buf_cstr(&text), " \t\r\n") < text.len) {
            if (k->out->len > 0)
                buf_puts(k->out, "\n");
            buf_printf(k->out, "# From %s\n\n", path);
            utf8_append_repaired(k->out, buf_cstr(&text), n);
            if (k->out->data[k->out->len - 1] != '\n')
                buf_putc(k->out, '\n');
            if (n < text.len)
                buf_puts(k->out, "(cut: project_doc_max_bytes is used up)\n");
            k->left -= n;
            if (k->sources != NULL)
                str_list_add(k->sources, path);
        }
        free(path);
        buf_free(&text);
        return;
    }
}

static void add_global(struct collector *k, const struct config *c)
{
    add_folder(k, config_codex_home(c), NULL);
    config_list(c, "project_doc_fallback_filenames", &k->names);
}

void agents_md_load(const struct config *c, struct buf *out, struct str_list *sources)
{
    const char *cwd = config_cwd(c);
    size_t end = strlen(config_project_root(c));
    struct collector k;

    collector_init(&k, c, out, sources);
    add_global(&k, c);
    for (;;) {
        char *level = xstrndup(cwd, end);

        add_folder(&k, level, config_project_root(c));
        free(level);
        if (cwd[end] == '\0')
            break;
        end++;
        end += strcspn(cwd + end, "/");
    }
    str_list_finish(&k.names);
}

static int by_depth(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    size_t dx = 0, dy = 0;

    for (const char *p = x; *p != '\0'; p++)
        dx += *p == '/';
    for (const char *p = y; *p != '\0'; p++)
        dy += *p == '/';
    if (dx != dy)
        return dx < dy ? -1 : 1;
    return strcmp(x, y);
}

void agents_md_load_for_paths(const struct config *c, const char *root, const struct str_list *paths,
                              struct buf *global, struct buf *project, struct str_list *sources)
{
    struct str_list folders = {0};
    struct collector k;

    for (size_t i = 0; i < paths->len; i++) {
        char *path = xstrndup(paths->items[i], strcspn(paths->items[i], "*?["));
        char *whole = path_normalize(path);

        /* "src/" names a folder, "src/a.c" and "src/a" what stands in src */
        for (char *slash = strchr(path, '/'); path_is_plain_relative(whole) && slash != NULL;
             slash = strchr(slash + 1, '/')) {
            char *folder = xstrndup(path, (size_t)(slash - path));

            if (folder[0] != '\0' && !str_list_has(&folders, folder))
                str_list_add(&folders, folder);
            free(folder);
        }
        free(path);
        free(whole);
    }
    if (folders.len > 1)
        qsort(folders.items, folders.len, sizeof *folders.items, by_depth);
    collector_init(&k, c, global, sources);
    add_global(&k, c);
    k.out = project;
    add_folder(&k, root, root);
    for (size_t i = 0; i < folders.len; i++) {
        char *folder = path_join(root, folders.items[i]);

        add_folder(&k, folder, root);
        free(folder);
    }
    str_list_finish(&folders);
    str_list_finish(&k.names);
}
