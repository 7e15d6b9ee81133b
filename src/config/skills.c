/* config/skills.c: see skills.h. */
#include "config/skills.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "config/config.h"
#include "config/front_matter.h"
#include "config/role.h"

#include <stdlib.h>
#include <string.h>

#define SKILL_MAX_BYTES       ((size_t)256 << 10)
#define MAX_SKILLS            200
#define NAME_MAX_BYTES        64
#define DESCRIPTION_MAX_BYTES 1024

/* 1 enabled, 0 disabled by an entry {path | name, enabled}, -1 not mentioned. */
static int switched(const struct toml_value *list, const char *name, const char *file)
{
    int state = -1;

    if (list == NULL || list->type != TOML_ARRAY)
        return -1;
    for (size_t i = 0; i < list->as.array.len; i++) {
        const struct toml_value *item = list->as.array.items[i];
        const char *path = toml_string(item, "path", NULL), *by_name = toml_string(item, "name", NULL);
        char *folder = path_dirname(file), *home = path != NULL ? path_expand_home(path) : NULL;

        if (str_eq(by_name, name) || (home != NULL && (strcmp(home, file) == 0 || strcmp(home, folder) == 0)))
            state = toml_boolean(item, "enabled", true);
        free(folder);
        free(home);
    }
    return state;
}

static void add_skill(struct skill_list *out, const char *file, const struct config *c,
                      const struct role *role, struct str_list *warnings)
{
    struct buf text = BUF_INIT;
    struct error err = {0};
    size_t start = 0, end = 0;
    char *name = NULL, *description = NULL;
    int state;

    if (file_read(file, &text, SKILL_MAX_BYTES, &err) < 0) {
        if (warnings != NULL)
            str_list_add(warnings, err.text);
        goto out;
    }
    if (front_matter_find(buf_cstr(&text), &start, &end) > 0) {
        name = front_matter_scalar(buf_cstr(&text), start, end, "name");
        description = front_matter_scalar(buf_cstr(&text), start, end, "description");
    }
    if (str_is_empty(name) || str_is_empty(description) || strlen(name) > NAME_MAX_BYTES ||
        strlen(description) > DESCRIPTION_MAX_BYTES) {
        if (warnings != NULL) {
            char *line =
                xasprintf("%s: front matter needs a `name` of at most %d bytes and a `description` of "
                          "at most %d",
                          file, NAME_MAX_BYTES, DESCRIPTION_MAX_BYTES);

            str_list_take(warnings, line);
        }
        goto out;
    }
    for (size_t i = 0; i < out->len; i++)
        if (strcmp(out->items[i].name, name) == 0)
            goto out;
    state = switched(config_value(c, "skills.config"), name, file);
    if (role != NULL && role->skills != NULL) {
        int own = switched(toml_get(role->skills, "config"), name, file);

        state = own >= 0 ? own : state;
    }
    if (state == 0 || out->len == MAX_SKILLS)
        goto out;
    out->items = xrealloc(out->items, (out->len + 1) * sizeof *out->items);
    out->items[out->len].name = name;
    out->items[out->len].description = description;
    out->items[out->len].file = xstrdup(file);
    out->len++;
    name = description = NULL;
out:
    free(name);
    free(description);
    buf_free(&text);
}

/* SKILL.md of each folder in FOLDER. */
static void add_folder(struct skill_list *out, const char *folder, const struct config *c,
                       const struct role *role, struct str_list *warnings)
{
    struct str_list names = {0};
    struct error err = {0};

    if (!file_is_directory(folder) || file_list_directory(folder, &names, &err) < 0)
        return;
    for (size_t i = 0; i < names.len; i++) {
        char *inner = path_join(folder, names.items[i]), *file = path_join(inner, "SKILL.md");

        if (names.items[i][0] != '.' && file_is_regular(file))
            add_skill(out, file, c, role, warnings);
        free(inner);
        free(file);
    }
    str_list_finish(&names);
}

void skills_find(struct skill_list *out, const struct config *c, const struct role *role,
                 struct str_list *warnings)
{
    const char *cwd = config_cwd(c);
    size_t root_len = strlen(config_project_root(c)), end = strlen(cwd);
    char *user = path_expand_home("~/.agents/skills"), *codex = path_join(config_codex_home(c), "skills");

    memset(out, 0, sizeof *out);
    /* The nearest folder first: the first of a name wins. */
    while (config_is_project_trusted(c)) {
        char *level = xstrndup(cwd, end), *folder = path_join(level, ".agents/skills");

        add_folder(out, folder, c, role, warnings);
        free(level);
        free(folder);
        if (end <= root_len)
            break;
        while (end > root_len && cwd[end - 1] != '/')
            end--;
        if (end > root_len)
            end--;
    }
    add_folder(out, user, c, role, warnings);
    add_folder(out, codex, c, role, warnings);
    free(user);
    free(codex);
}

void skill_list_finish(struct skill_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        free(list->items[i].name);
        free(list->items[i].description);
        free(list->items[i].file);
    }
    free(list->items);
    list->items = NULL;
    list->len = 0;
}

void skills_append_context(struct buf *out, const struct skill_list *list)
{
    if (list->len == 0)
        return;
    buf_puts(out, "## Skills\n\nRead a skill's file before you use it.\n\n");
    for (size_t i = 0; i < list->len; i++)
        buf_printf(out, "- %s: %s (%s)\n", list->items[i].name, list->items[i].description,
                   list->items[i].file);
}

int skill_read_body(const struct skill *skill, struct buf *out, struct error *err)
{
    struct buf text = BUF_INIT;
    size_t start = 0, end = 0, body;
    int rc = file_read(skill->file, &text, SKILL_MAX_BYTES, err);

    if (rc == 0) {
        body = front_matter_find(buf_cstr(&text), &start, &end);
        buf_append(out, buf_cstr(&text) + body, text.len - body);
    }
    buf_free(&text);
    return rc;
}
