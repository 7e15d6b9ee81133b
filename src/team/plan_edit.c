/* team/plan_edit.c: small edits of plan.md as text, and the joining of two people's edits. What is not edited stays
 * byte for byte. */
#include "team/plan.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/vec.h"
#include "team/plan_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOG_LINE_MAX 500

bool plan_text_set_done(struct buf *text, const char *id, bool is_done)
{
    struct vec problems = {0};
    struct plan *plan = plan_parse_markdown(buf_cstr(text), text->len, "plan", &problems);
    const struct plan_task *task = plan_find(plan, id);
    bool found = task != NULL && task->mark_offset < text->len;

    if (found)
        text->data[task->mark_offset] = is_done ? 'x' : ' ';
    plan_destroy(plan);
    for (size_t i = 0; i < problems.len; i++)
        free(problems.items[i]);
    vec_finish(&problems);
    return found;
}

/* Is the line at P a heading of level 1 or 2? *TITLE gets its text (up to the end of the line). */
static bool is_heading(const char *p, const char **title)
{
    size_t level = strspn(p, "#");

    if (level == 0 || level > 2 || (p[level] != ' ' && p[level] != '\t'))
        return false;
    *title = p + level + strspn(p + level, " \t");
    return true;
}

static bool title_is(const char *title, const char *name)
{
    size_t n = strlen(name);

    if (strncasecmp(title, name, n) != 0)
        return false;
    title += n;
    title += strspn(title, " \t\r#");
    return *title == '\n' || *title == '\0';
}

/* A fence opens or closes at this line. */
static bool is_fence(const char *line)
{
    line += strspn(line, " ");
    return strncmp(line, "```", 3) == 0 || strncmp(line, "~~~", 3) == 0;
}

bool plan_find_section(const char *text, const char *name, size_t *begin, size_t *end)
{
    const char *p = text;
    bool found = false;
    bool inside = false;
    bool fenced = false;

    while (*p != '\0') {
        size_t n = strcspn(p, "\n");
        const char *next = p + n + (p[n] == '\n');
        const char *title;

        if (is_fence(p))
            fenced = !fenced;
        if (!fenced && is_heading(p, &title)) {
            if (inside)
                *end = (size_t)(p - text);
            inside = title_is(title, name);
            if (inside) {
                found = true;
                *begin = (size_t)(next - text);
            }
        }
        p = next;
    }
    if (inside)
        *end = (size_t)(p - text);
    return found;
}

void plan_text_append_log(struct buf *text, const char *line)
{
    struct buf out = BUF_INIT;
    const char *source = buf_cstr(text);
    size_t begin = 0;
    size_t end = 0;
    size_t n = 0;
    bool had_blank;

    if (!plan_find_section(source, "Log", &begin, &end)) {
        begin = end = text->len;
        buf_append(&out, source, text->len);
        if (out.len > 0 && out.data[out.len - 1] != '\n')
            buf_putc(&out, '\n');
        buf_puts(&out, out.len > 0 ? "\n## Log\n\n" : "## Log\n\n");
    } else {
        size_t last = end;

        while (last > begin && isspace((unsigned char)source[last - 1]))
            last--;
        buf_append(&out, source, last);
        if (out.len > 0 && out.data[out.len - 1] != '\n')
            buf_putc(&out, '\n');
        if (last == begin)
            buf_putc(&out, '\n');
    }
    buf_puts(&out, "- ");
    for (; n < LOG_LINE_MAX && line[n] != '\0'; n++)
        buf_putc(&out, iscntrl((unsigned char)line[n]) ? ' ' : line[n]);
    buf_putc(&out, '\n');
    had_blank = end < text->len;
    if (had_blank)
        buf_putc(&out, '\n');
    buf_append(&out, source + end, text->len - end);
    buf_free(text);
    *text = out;
}

static int edit_file(const char *path, bool (*edit)(struct buf *text, const char *a, bool b), const char *a,
                     bool b, struct error *err)
{
    struct buf text = BUF_INIT;
    int rc = file_read(path, &text, PLAN_TEXT_MAX_BYTES, err);

    if (rc == 0 && !edit(&text, a, b))
        rc = error_set(err, ERROR_NOT_FOUND, "%s has no task %s", path, a);
    if (rc == 0)
        rc = file_write_atomic(path, buf_cstr(&text), text.len, 0644, err);
    buf_free(&text);
    return rc;
}

static bool edit_log(struct buf *text, const char *line, bool unused)
{
    (void)unused;
    plan_text_append_log(text, line);
    return true;
}

int plan_file_set_done(const char *path, const char *id, bool is_done, struct error *err)
{
    return edit_file(path, plan_text_set_done, id, is_done, err);
}

int plan_file_append_log(const char *path, const char *line, struct error *err)
{
    return edit_file(path, edit_log, line, false, err);
}

/* --- joining --- */

/* A piece of the text: a task with its fields, or what stands between tasks and headings. */
struct block {
    char *key; /* "task T1", "section Decisions", "head" */
    char *text;
    bool used;
};

struct blocks {
    struct block *items;
    size_t len;
};

static void blocks_finish(struct blocks *b)
{
    for (size_t i = 0; i < b->len; i++) {
        free(b->items[i].key);
        free(b->items[i].text);
    }
    free(b->items);
}

static void add_block(struct blocks *b, char *key, const char *text, size_t n)
{
    b->items = xrealloc(b->items, (b->len + 1) * sizeof *b->items);
    b->items[b->len++] = (struct block){.key = key, .text = xstrndup(text, n)};
}

static struct block *find_block(const struct blocks *b, const char *key)
{
    for (size_t i = 0; i < b->len; i++)
        if (str_eq(b->items[i].key, key))
            return &b->items[i];
    return NULL;
}

/* The id of the task whose first line is LINE ("- [ ] **T1** title"), or NULL; caller frees. */
static char *task_id_of(const char *line)
{
    const char *p = line;
    const char *end;

    if ((*p != '-' && *p != '*' && *p != '+') || p[1] != ' ')
        return NULL;
    p += 1 + strspn(p + 1, " ");
    if (p[0] != '[' || p[1] == '\0' || p[2] != ']')
        return NULL;
    p += 3 + strspn(p + 3, " ");
    if (strncmp(p, "**", 2) != 0)
        return NULL;
    end = strstr(p + 2, "**");
    if (end == NULL || memchr(p, '\n', (size_t)(end - p)) != NULL)
        return NULL;
    return xstrndup(p + 2, (size_t)(end - p) - 2);
}

static void split_blocks(const char *text, struct blocks *out)
{
    const char *start = text;
    char *key = xstrdup("head");
    bool fenced = false;

    for (const char *p = text; *p != '\0';) {
        size_t n = strcspn(p, "\n");
        const char *title;
        char *next = NULL;

        if (is_fence(p))
            fenced = !fenced;
        if (!fenced && is_heading(p, &title) && p[1] == '#')
            next = xasprintf("section %.*s", (int)strcspn(title, "\r\n"), title);
        else if (!fenced && (next = task_id_of(p)) != NULL) {
            char *id = next;

            next = xasprintf("task %s", id);
            free(id);
        }
        if (next != NULL) {
            if (p > start)
                add_block(out, key, start, (size_t)(p - start));
            else
                free(key);
            key = next;
            start = p;
        }
        p += n + (p[n] == '\n');
    }
    if (*start != '\0')
        add_block(out, key, start, strlen(start));
    else
        free(key);
}

static bool same_text(const char *a, const char *b)
{
    return str_eq(a, b);
}

static bool is_ticked(const char *block)
{
    const char *box = strchr(block, '[');

    return box != NULL && (box[1] == 'x' || box[1] == 'X');
}

/* The text without the state of its checkbox. */
static char *unticked(const char *block)
{
    char *copy = xstrdup(block);
    char *box = strchr(copy, '[');

    if (box != NULL && box[1] != '\0')
        box[1] = ' ';
    return copy;
}

/* The lines of ENGINE that PERSON has not, behind those of PERSON. */
static void join_log(const char *person, const char *engine, struct buf *out)
{
    struct str_list have = {0};
    struct str_list lines = {0};

    str_split(&have, person, '\n');
    str_split(&lines, engine, '\n');
    buf_puts(out, person);
    while (out->len > 1 && out->data[out->len - 1] == '\n' && out->data[out->len - 2] == '\n')
        buf_truncate(out, out->len - 1);
    if (out->len > 0 && out->data[out->len - 1] != '\n')
        buf_putc(out, '\n');
    for (size_t i = 0; i < lines.len; i++)
        if (lines.items[i][0] != '\0' && !str_list_has(&have, lines.items[i]))
            buf_printf(out, "%s\n", lines.items[i]);
    str_list_finish(&have);
    str_list_finish(&lines);
}

/* One block of all three; any may be NULL. Appends what stands. */
static void join_block(const char *key, const char *base, const char *person, const char *engine,
                       struct buf *out, struct vec *conflicts)
{
    bool is_task = str_starts_with(key, "task ");
    char *b = base ? (is_task ? unticked(base) : xstrdup(base)) : NULL;
    char *p = person ? (is_task ? unticked(person) : xstrdup(person)) : NULL;
    char *e = engine ? (is_task ? unticked(engine) : xstrdup(engine)) : NULL;
    const char *winner = person;
    size_t start = out->len;

    if (strcasecmp(key, "section log") == 0 && person != NULL && engine != NULL) {
        join_log(person, engine, out);
        goto out;
    }
    if (same_text(b, p))
        winner = engine; /* the person left it alone */
    else if (!same_text(b, e) && !same_text(p, e))
        vec_push(conflicts, xasprintf("%s: changed by hand and by the run; the hand-made %s stands", key,
                                      person ? "text" : "removal"));
    if (winner == NULL)
        goto out;
    buf_puts(out, winner);
    if (is_task && engine != NULL && is_ticked(engine) && !is_ticked(base ? base : "[ ]")) {
        char *box = strchr(out->data + start, '[');

        if (box != NULL && box[1] != '\0')
            box[1] = 'x';
    } else if (is_task && person != NULL && base != NULL && is_ticked(person) != is_ticked(base)) {
        char *box = strchr(out->data + start, '[');

        if (box != NULL && box[1] != '\0')
            box[1] = is_ticked(person) ? 'x' : ' ';
    }
out:
    free(b);
    free(p);
    free(e);
}

void plan_text_merge(const char *base, const char *person, const char *engine, struct buf *out,
                     struct vec *conflicts)
{
    struct blocks b = {0};
    struct blocks p = {0};
    struct blocks e = {0};

    split_blocks(base, &b);
    split_blocks(person, &p);
    split_blocks(engine, &e);
    /* In the person's order; what only the engine has comes behind the block that it follows there. */
    for (size_t i = 0; i < p.len; i++) {
        const struct block *old = find_block(&b, p.items[i].key);
        struct block *other = find_block(&e, p.items[i].key);

        join_block(p.items[i].key, old ? old->text : NULL, p.items[i].text, other ? other->text : NULL, out,
                   conflicts);
        if (other == NULL)
            continue;
        other->used = true;
        for (size_t k = (size_t)(other - e.items) + 1; k < e.len; k++) {
            const struct block *gone = find_block(&b, e.items[k].key);

            if (e.items[k].used || find_block(&p, e.items[k].key) != NULL)
                break;
            e.items[k].used = true;
            join_block(e.items[k].key, gone ? gone->text : NULL, NULL, e.items[k].text, out, conflicts);
        }
    }
    for (size_t k = 0; k < e.len; k++) {
        const struct block *gone = find_block(&b, e.items[k].key);

        if (!e.items[k].used && find_block(&p, e.items[k].key) == NULL)
            join_block(e.items[k].key, gone ? gone->text : NULL, NULL, e.items[k].text, out, conflicts);
    }
    blocks_finish(&b);
    blocks_finish(&p);
    blocks_finish(&e);
}
