/* team/plan_change.c: `cadre plan add` and `drop`: a task more or less in plan.md, all else byte for byte as it was. */
#include "team/plan.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/vec.h"
#include "team/plan_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static struct plan *parse(const struct buf *text)
{
    struct vec problems = {0};
    struct plan *plan = plan_parse_markdown(buf_cstr(text), text->len, "plan", &problems);

    for (size_t i = 0; i < problems.len; i++)
        free(problems.items[i]);
    vec_finish(&problems);
    return plan;
}

static size_t line_start(const char *text, size_t at)
{
    while (at > 0 && text[at - 1] != '\n')
        at--;
    return at;
}

static char *next_id(const struct plan *plan)
{
    for (int n = 1;; n++) {
        char *id = xasprintf("T%d", n);

        if (plan_find(plan, id) == NULL)
            return id;
        free(id);
    }
}

static int check_line(const char *what, const char *text, const char *forbidden, struct error *err)
{
    for (const char *p = text; p != NULL && *p != '\0'; p++)
        if (iscntrl((unsigned char)*p) || strchr(forbidden, *p) != NULL)
            return error_set(err, ERROR_USAGE, "%s '%.100s' has a character that a line of the plan cannot hold", what,
                             text);
    return 0;
}

static void add_list(struct buf *b, const char *name, const struct str_list *list, const char *quote)
{
    if (list == NULL || list->len == 0)
        return;
    buf_printf(b, "  - %s: ", name);
    for (size_t i = 0; i < list->len; i++)
        buf_printf(b, "%s%s%s%s", i > 0 ? ", " : "", quote, list->items[i], quote);
    buf_putc(b, '\n');
}

static int check_all(const struct plan_new_task *task, struct error *err)
{
    const struct {
        const char *what;
        const struct str_list *list;
        const char *forbidden;
    } lists[] = {{"the file", task->files, "`"}, {"the need", task->needs, "`,*"}, {"the check", task->allow, "`,*"}};

    if (check_line("the title", task->title, "", err) < 0 || check_line("the acceptance check", task->accept, "", err) < 0 ||
        check_line("the role", task->role, "`*", err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (size_t k = 0; lists[i].list != NULL && k < lists[i].list->len; k++)
            if (check_line(lists[i].what, lists[i].list->items[k], lists[i].forbidden, err) < 0)
                return -1;
    return 0;
}

char *plan_text_add_task(struct buf *text, const struct plan_new_task *task, struct error *err)
{
    struct plan *plan = parse(text);
    struct buf block = BUF_INIT;
    struct buf out = BUF_INIT;
    const char *source = buf_cstr(text);
    size_t begin = 0;
    size_t end = 0;
    char *id = NULL;

    if (check_all(task, err) < 0)
        goto out;
    if (plan == NULL || !plan_find_section(source, "Tasks", &begin, &end)) {
        error_set(err, ERROR_CONFIG, "the plan has no section '## Tasks'");
        goto out;
    }
    id = next_id(plan);
    buf_printf(&block, "- [ ] **%s** %s\n", id, task->title);
    add_list(&block, "files", task->files, "`");
    if (task->needs != NULL && task->needs->len > 0)
        add_list(&block, "needs", task->needs, "");
    else
        buf_puts(&block, "  - needs: none\n");
    buf_printf(&block, "  - accept: %s\n", task->accept);
    if (task->role != NULL)
        buf_printf(&block, "  - role: %s\n", task->role);
    add_list(&block, "allow", task->allow, "");
    if (task->priority != 0)
        buf_printf(&block, "  - priority: %lld\n", (long long)task->priority);
    if (task->budget_tokens > 0)
        buf_printf(&block, "  - budget: %lld\n", (long long)task->budget_tokens);
    while (end > begin && isspace((unsigned char)source[end - 1]))
        end--;
    buf_append(&out, source, end);
    if (out.len > 0 && out.data[out.len - 1] != '\n')
        buf_putc(&out, '\n');
    buf_append(&out, block.data, block.len);
    if (source[end] == '\n')
        end++;
    buf_puts(&out, source + end);
    buf_free(text);
    *text = out;
    out = (struct buf)BUF_INIT;
out:
    buf_free(&out);
    buf_free(&block);
    plan_destroy(plan);
    return id;
}

bool plan_text_drop_task(struct buf *text, const char *id)
{
    struct plan *plan = parse(text);
    const struct plan_task *task = plan_find(plan, id);
    size_t begin = 0;
    size_t end = 0;
    size_t from;
    size_t to;

    if (task == NULL || !plan_find_section(buf_cstr(text), "Tasks", &begin, &end)) {
        plan_destroy(plan);
        return false;
    }
    from = line_start(text->data, task->mark_offset);
    to = end;
    for (size_t i = 0; i < plan_task_count(plan); i++) {
        size_t other = line_start(text->data, plan_task_at(plan, i)->mark_offset);

        if (other > from && other < to)
            to = other;
    }
    if (to == end) /* the blank lines before the next heading stay */
        while (to > from && isspace((unsigned char)text->data[to - 1]))
            to--;
    if (to < text->len && text->data[to] == '\n' && to != end && text->data[to - 1] != '\n')
        to++;
    memmove(text->data + from, text->data + to, text->len - to);
    buf_truncate(text, text->len - (to - from));
    plan_destroy(plan);
    return true;
}
