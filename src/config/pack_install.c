/* config/pack_install.c: see pack_install.h. */
#include "config/pack_install.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "config/line_diff.h"
#include "config/pack.h"
#include "config/toml.h"
#include "config/toml_edit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX_BYTES TOML_MAX_BYTES
#define MAX_INSTALLS   1000

enum action { ACTION_CREATE, ACTION_CHANGE, ACTION_KEEP, ACTION_ASIDE };

struct step {
    enum action action;
    char *name;   /* relative to the target */
    char *before; /* NULL when there is no such file */
    char *after;  /* what will stand there */
};

struct pack_install {
    char *target;
    struct step *steps;
    size_t len;
    size_t conflicts;
    struct buf diffs;
    struct str_list foreign_roles; /* roles that the user's config.toml gives to a file of its own */
};

struct pack_install *pack_install_create(const char *target)
{
    struct pack_install *plan = xcalloc(1, sizeof *plan);

    plan->target = xstrdup(target);
    return plan;
}

void pack_install_destroy(struct pack_install *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < plan->len; i++) {
        free(plan->steps[i].name);
        free(plan->steps[i].before);
        free(plan->steps[i].after);
    }
    free(plan->steps);
    free(plan->target);
    buf_free(&plan->diffs);
    str_list_finish(&plan->foreign_roles);
    free(plan);
}

static void add_step(struct pack_install *plan, enum action action, const char *name, const char *before,
                     const char *after)
{
    struct step *s;

    plan->steps = xrealloc(plan->steps, (plan->len + 1) * sizeof *plan->steps);
    s = &plan->steps[plan->len++];
    s->action = action;
    s->name = xstrdup(name);
    s->before = xstrdup(before);
    s->after = xstrdup(after);
}

/* The file's text, or NULL when there is none. -1 on a file that cannot be read. */
static int read_present(const struct pack_install *plan, const char *name, char **text, struct error *err)
{
    char *path = path_join(plan->target, name);
    struct buf b = BUF_INIT;
    int rc = 0;

    *text = NULL;
    if (file_exists(path)) {
        rc = file_read(path, &b, FILE_MAX_BYTES, err);
        if (rc == 0)
            *text = buf_take(&b);
    }
    buf_free(&b);
    free(path);
    return rc;
}

/* Keeps the pack's version beside the user's under a name that nothing reads. */
static void add_aside(struct pack_install *plan, const char *name, const char *text, struct error *err)
{
    char *aside = xasprintf("%s.from-pack", name), *present = NULL;

    if (read_present(plan, aside, &present, err) == 0 && (present == NULL || strcmp(present, text) != 0))
        add_step(plan, ACTION_ASIDE, aside, present, text);
    free(present);
    free(aside);
}

struct merge {
    struct pack_install *plan;
    const char *name;
    const struct toml_value *theirs; /* the user's document */
    struct buf text;                 /* the document being edited */
    struct str_list path;
    bool has_conflict;
};

static void conflict(struct merge *m, const struct toml_value *yours, const struct toml_value *pack)
{
    struct buf *d = &m->plan->diffs;
    struct buf key = BUF_INIT;

    for (size_t i = 0; i < m->path.len; i++)
        toml_append_path(&key, m->path.items[i]);
    if (!m->has_conflict)
        buf_printf(d, "--- %s (yours, kept)\n+++ %s (pack)\n", m->name, m->name);
    if (yours != NULL)
        buf_printf(d, "@@ line %d @@\n-%s = ", yours->line, buf_cstr(&key));
    else
        buf_printf(d, "@@ cannot be added without rewriting the file @@\n");
    if (yours != NULL) {
        toml_append_inline(d, yours);
        buf_putc(d, '\n');
    }
    buf_printf(d, "+%s = ", buf_cstr(&key));
    toml_append_inline(d, pack);
    buf_putc(d, '\n');
    m->has_conflict = true;
    buf_free(&key);
}

/* Codex refuses a file with both names of the limit: the one that is there counts. */
static const struct toml_value *present_value(const struct merge *m, const struct toml_value *theirs,
                                              const char *key)
{
    const struct toml_value *v = toml_get(theirs, key);

    if (v == NULL && m->path.len == 2 && strcmp(m->path.items[0], "agents") == 0 &&
        strcmp(key, "max_threads") == 0)
        v = toml_get(theirs, "max_concurrent_threads_per_session");
    return v;
}

static void merge_table(struct merge *m, const struct toml_value *theirs, const struct toml_value *pack)
{
    for (size_t i = 0; i < pack->as.table.len; i++) {
        const struct toml_member *p = &pack->as.table.members[i];
        const struct toml_value *yours;
        struct buf value = BUF_INIT;

        str_list_add(&m->path, p->key);
        yours = present_value(m, theirs, p->key);
        if (p->value->type == TOML_TABLE && (yours == NULL || yours->type == TOML_TABLE)) {
            merge_table(m, yours, p->value);
        } else if (yours != NULL) {
            if (!toml_is_equal(yours, p->value))
                conflict(m, yours, p->value);
        } else {
            toml_append_inline(&value, p->value);
            if (toml_edit_set(&m->text, m->name, m->path.items, m->path.len, buf_cstr(&value), NULL) < 0)
                conflict(m, NULL, p->value);
        }
        buf_free(&value);
        str_list_remove(&m->path, m->path.len - 1);
    }
}

/* A role that the user gives to another file must not be found a second time in agents/. */
static void note_foreign_roles(struct pack_install *plan, const struct toml_value *yours)
{
    const struct toml_value *agents = toml_get(yours, "agents");

    for (size_t i = 0; agents != NULL && agents->type == TOML_TABLE && i < agents->as.table.len; i++) {
        const struct toml_member *m = &agents->as.table.members[i];
        const char *file = toml_string(m->value, "config_file", NULL);
        char *own = xasprintf("agents/%s.toml", m->key);

        if (file != NULL && strcmp(file, own) != 0 && !str_ends_with(file, own))
            str_list_add(&plan->foreign_roles, own);
        free(own);
    }
}

static int merge_document(struct pack_install *plan, const char *name, const char *present, const char *text,
                          struct error *err)
{
    char *path = path_join(plan->target, name);
    struct toml_value *yours = toml_parse(present, strlen(present), path, err);
    struct toml_value *pack = toml_parse(text, strlen(text), name, err);
    struct merge m = {.plan = plan, .name = name, .theirs = yours};
    int rc = -1;

    if (yours == NULL || pack == NULL)
        goto out;
    note_foreign_roles(plan, yours);
    buf_puts(&m.text, present);
    merge_table(&m, yours, pack);
    if (strcmp(buf_cstr(&m.text), present) != 0)
        add_step(plan, ACTION_CHANGE, name, present, buf_cstr(&m.text));
    else
        add_step(plan, ACTION_KEEP, name, present, present);
    if (m.has_conflict) {
        plan->conflicts++;
        add_aside(plan, name, text, err);
    }
    rc = 0;
out:
    toml_free(yours);
    toml_free(pack);
    buf_free(&m.text);
    str_list_finish(&m.path);
    free(path);
    return rc;
}

int pack_install_add_file(struct pack_install *plan, const char *name, const char *text, struct error *err)
{
    char *present = NULL;
    int rc = read_present(plan, name, &present, err);

    if (rc < 0)
        goto out;
    if (present == NULL && str_list_has(&plan->foreign_roles, name)) {
        plan->conflicts++;
        buf_printf(&plan->diffs, "%s: config.toml gives this role to another file, which is kept\n", name);
        add_aside(plan, name, text, err);
    } else if (present == NULL) {
        add_step(plan, ACTION_CREATE, name, NULL, text);
    } else if (strcmp(present, text) == 0) {
        add_step(plan, ACTION_KEEP, name, present, present);
    } else if (strcmp(name, "config.toml") == 0 || strcmp(name, "cadre.toml") == 0) {
        rc = merge_document(plan, name, present, text, err);
    } else {
        char *yours = xasprintf("%s (yours, kept)", name), *pack = xasprintf("%s (pack)", name);

        plan->conflicts++;
        line_diff_append(&plan->diffs, yours, present, pack, text);
        add_step(plan, ACTION_KEEP, name, present, present);
        add_aside(plan, name, text, err);
        free(yours);
        free(pack);
    }
out:
    free(present);
    return rc;
}

int pack_install_add_pack(struct pack_install *plan, const char *pack, const char *generation,
                          struct error *err)
{
    char *prefix = xasprintf("%s/", pack);
    struct str_list names = {0};
    int rc = -1;

    /* config.toml first: it tells which roles are the user's. */
    str_list_add(&names, "config.toml");
    for (size_t i = 0; i < pack_file_count; i++) {
        const char *name = pack_files[i].path + strlen(prefix);

        if (str_starts_with(pack_files[i].path, prefix) && str_ends_with(name, ".toml") &&
            !str_list_has(&names, name))
            str_list_add(&names, name);
    }
    if (names.len < 2) {
        struct str_list packs = {0};
        char *all;

        pack_list(&packs);
        all = str_list_join(&packs, ", ");
        error_set(err, ERROR_USAGE, "there is no pack \"%s\"; there are %s", pack, all);
        free(all);
        str_list_finish(&packs);
        goto out;
    }
    for (size_t i = 0; i < names.len; i++) {
        struct buf text = BUF_INIT;
        int failed = pack_read(pack, names.items[i], generation, &text, err) < 0 ||
                     pack_install_add_file(plan, names.items[i], buf_cstr(&text), err) < 0;

        buf_free(&text);
        if (failed)
            goto out;
    }
    rc = 0;
out:
    str_list_finish(&names);
    free(prefix);
    return rc;
}

void pack_install_describe(const struct pack_install *plan, struct buf *out)
{
    static const char *const words[] = {"new", "add keys", "unchanged", "kept aside"};

    for (size_t i = 0; i < plan->len; i++)
        buf_printf(out, "  %-10s  %s/%s\n", words[plan->steps[i].action], plan->target, plan->steps[i].name);
    if (plan->diffs.len > 0)
        buf_printf(out, "\nDifferences; yours is kept:\n%s", buf_cstr(&plan->diffs));
}

bool pack_install_is_empty(const struct pack_install *plan)
{
    for (size_t i = 0; i < plan->len; i++)
        if (plan->steps[i].action != ACTION_KEEP)
            return false;
    return true;
}

size_t pack_install_conflict_count(const struct pack_install *plan)
{
    return plan->conflicts;
}

static char *records_folder(void)
{
    char *state = path_state_home(), *out = path_join(state, "init");

    free(state);
    return out;
}

/* The record of one installation: what stood where before and after. */
static int write_record(const struct pack_install *plan, char **record, struct error *err)
{
    char *folder = records_folder();
    struct buf text = BUF_INIT;
    struct json_writer w = {.out = &text};
    int rc = file_make_directories(folder, 0700, err);

    *record = NULL;
    for (int i = 1; rc == 0 && *record == NULL && i <= MAX_INSTALLS; i++) {
        char *name = xasprintf("%04d.json", i), *path = path_join(folder, name);

        if (!file_exists(path))
            *record = path;
        else
            free(path);
        free(name);
    }
    if (rc == 0 && *record == NULL)
        rc = error_set(err, ERROR_LIMIT, "%s holds %d records; remove old ones", folder, MAX_INSTALLS);
    jw_object_begin(&w);
    jw_pair_string(&w, "target", plan->target);
    jw_key(&w, "files");
    jw_array_begin(&w);
    for (size_t i = 0; i < plan->len; i++) {
        if (plan->steps[i].action == ACTION_KEEP)
            continue;
        jw_object_begin(&w);
        jw_pair_string(&w, "name", plan->steps[i].name);
        jw_pair_string(&w, "before", plan->steps[i].before);
        jw_pair_string(&w, "after", plan->steps[i].after);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_object_end(&w);
    if (rc == 0)
        rc = file_write_atomic(*record, buf_cstr(&text), text.len, 0600, err);
    buf_free(&text);
    free(folder);
    return rc;
}

int pack_install_apply(struct pack_install *plan, struct error *err)
{
    char *record = NULL;
    int rc = write_record(plan, &record, err);

    for (size_t i = 0; rc == 0 && i < plan->len; i++) {
        const struct step *s = &plan->steps[i];
        char *path = path_join(plan->target, s->name);
        struct buf text = BUF_INIT;

        if (s->action != ACTION_KEEP) {
            buf_puts(&text, s->after);
            rc = toml_edit_write(path, &text, err);
        }
        buf_free(&text);
        free(path);
    }
    free(record);
    return rc;
}

/* Puts one file back as it was, if it is still as we left it. */
static int undo_file(const char *target, const json_t *file, struct str_list *lines, struct error *err)
{
    const char *name = json_get_string(file, "name", ""), *before = json_get_string(file, "before", NULL);
    const char *after = json_get_string(file, "after", "");
    char *path = path_join(target, name), *line = NULL;
    struct buf now = BUF_INIT;
    int rc = 0;

    if (!path_is_plain_relative(name)) {
        rc = error_set(err, ERROR_PARSE, "the record of the installation is damaged");
        goto out;
    }
    if (!file_exists(path)) {
        line = xasprintf("  gone already  %s", path);
    } else if (file_read(path, &now, FILE_MAX_BYTES, err) < 0) {
        rc = -1;
    } else if (strcmp(buf_cstr(&now), after) != 0) {
        line = xasprintf("  left          %s (changed since)", path);
    } else if (before == NULL) {
        rc = unlink(path) < 0 ? error_set_errno(err, "%s", path) : 0;
        line = xasprintf("  removed       %s", path);
    } else {
        struct buf text = BUF_INIT;

        buf_puts(&text, before);
        rc = toml_edit_write(path, &text, err);
        buf_free(&text);
        line = xasprintf("  put back      %s", path);
    }
    if (line != NULL)
        str_list_add(lines, line);
out:
    free(line);
    free(path);
    buf_free(&now);
    return rc;
}

/* The latest record for TARGET, parsed; *PATH is its file. */
static json_t *latest_record(const char *target, char **path, struct error *err)
{
    char *folder = records_folder();
    struct str_list names = {0};
    json_t *found = NULL;

    *path = NULL;
    if (file_is_directory(folder) && file_list_directory(folder, &names, err) == 0) {
        for (size_t i = names.len; i-- > 0 && found == NULL;) {
            struct buf text = BUF_INIT;
            char *file = path_join(folder, names.items[i]);
            json_t *record = NULL;

            if (str_ends_with(file, ".json") && file_read(file, &text, (size_t)16 << 20, err) == 0)
                record = json_parse(buf_cstr(&text), text.len, file, err);
            if (record != NULL && str_eq(json_get_string(record, "target", NULL), target)) {
                found = json_incref(record);
                *path = xstrdup(file);
            }
            json_decref(record);
            buf_free(&text);
            free(file);
        }
    }
    if (found == NULL)
        error_set(err, ERROR_NOT_FOUND, "no installation into %s is known", target);
    str_list_finish(&names);
    free(folder);
    return found;
}

int pack_install_undo(const char *target, struct str_list *lines, struct error *err)
{
    char *path = NULL, *agents = path_join(target, "agents");
    json_t *record = latest_record(target, &path, err), *file;
    size_t i;
    int rc = record != NULL ? 0 : -1;

    json_array_foreach(json_object_get(record, "files"), i, file)
    {
        if (rc == 0)
            rc = undo_file(target, file, lines, err);
    }
    if (rc == 0) {
        (void)rmdir(agents); /* only if it is empty */
        (void)unlink(path);
    }
    json_decref(record);
    free(path);
    free(agents);
    return rc;
}
