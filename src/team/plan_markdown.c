/* team/plan_markdown.c: the form of plan.md, read by md4c.
 *
 * md4c gives no lines, but its texts point into the source, so the line and the exact source of every item are known.
 * Values are taken from the source, not from the rendered text: `tests/__init__.py` without backticks is emphasis to
 * Markdown and a path to us.
 *
 *   section (## heading) -> task (list item of depth 1 in Tasks) -> field (item of depth 2) -> more of the field */
#include "team/plan_internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/vec.h"

#include <ctype.h>
#include <md4c.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 64

enum section { SECTION_NONE, SECTION_TASKS, SECTION_DECISIONS, SECTION_LOG, SECTION_OTHER };

struct range { /* of the source; begin == NULL: empty */
    const char *begin;
    const char *end;
};

struct parser {
    struct plan *plan;
    const char *text;
    size_t n;
    const char *name;
    struct vec *problems;

    enum section section;
    const char *section_body; /* where the text of the section begins */
    unsigned heading_level;   /* inside a heading */
    struct range heading;

    unsigned list_depth;
    unsigned block_depth;
    struct plan_task *task; /* the one that is being read */
    bool in_task_head;      /* before its first field */
    struct range head;
    struct buf head_strong; /* the first strong text of the head: the id */
    bool in_strong;
    bool has_strong;

    bool in_field;
    struct range field;
    struct str_list field_codes; /* code spans of the field */
    struct buf code;
    bool in_code;
    unsigned fields_seen; /* bits of enum field, of the task */
};

enum field { FIELD_FILES, FIELD_NEEDS, FIELD_ACCEPT, FIELD_ROLE, FIELD_ALLOW, FIELD_PRIORITY, FIELD_BUDGET };
static const char *const field_names[] = {"files", "needs",    "accept", "role",
                                          "allow", "priority", "budget", NULL};

static int line_of(const struct parser *p, const char *at)
{
    int line = 1;

    if (at == NULL)
        return 1;
    for (const char *c = p->text; c < at; c++)
        line += *c == '\n';
    return line;
}

static bool is_inside(const struct parser *p, const char *at)
{
    uintptr_t a = (uintptr_t)at;

    return a >= (uintptr_t)p->text && a < (uintptr_t)p->text + p->n;
}

static void widen(struct range *r, const char *at, size_t n)
{
    if (r->begin == NULL || at < r->begin)
        r->begin = at;
    if (r->end == NULL || at + n > r->end)
        r->end = at + n;
}

/* The source of R to the end of its last line (closing marks are no text to md4c), on one line; caller frees. */
static char *source_of(const struct parser *p, const struct range *r)
{
    struct buf b = BUF_INIT;
    const char *end = r->end;
    char *text;
    char *trimmed;

    if (r->begin == NULL)
        return xstrdup("");
    while (end < p->text + p->n && *end != '\n')
        end++;
    for (const char *c = r->begin; c < end; c++) {
        bool is_space = *c == '\n' || *c == '\r' || *c == '\t' || *c == ' ';

        if (!is_space)
            buf_putc(&b, *c);
        else if (b.len > 0 && b.data[b.len - 1] != ' ')
            buf_putc(&b, ' ');
    }
    text = buf_take(&b);
    trimmed = xstrdup(str_trim(text));
    free(text);
    return trimmed;
}

/* --- values --- */

static bool means_nothing(const char *value)
{
    return *value == '\0' || strcasecmp(value, "none") == 0 || strcmp(value, "-") == 0 ||
           strcmp(value, "\xe2\x80\x94") == 0 || strcasecmp(value, "n/a") == 0 ||
           strcasecmp(value, "nothing") == 0;
}

/* Code spans if there are any, else words between commas and white space. */
static void take_list(struct parser *p, char *value, struct str_list *list)
{
    char *rest;

    if (p->field_codes.len > 0) {
        for (size_t i = 0; i < p->field_codes.len; i++)
            if (!means_nothing(p->field_codes.items[i]))
                str_list_add(list, p->field_codes.items[i]);
        return;
    }
    for (char *word = strtok_r(value, ", ", &rest); word != NULL; word = strtok_r(NULL, ", ", &rest)) {
        size_t to = 0;

        if (means_nothing(word) || strcmp(word, "*") == 0)
            continue;
        for (size_t i = 0; word[i] != '\0'; i++)
            if (!(word[i] == '\\' && word[i + 1] == '_')) /* Markdown's escape, no part of a path */
                word[to++] = word[i];
        word[to] = '\0';
        str_list_add(list, word);
    }
}

/* "./" in front and "/" at the end mean nothing. */
static void tidy_paths(struct str_list *files)
{
    for (size_t i = 0; i < files->len; i++) {
        char *path = files->items[i];
        size_t skip = 0;
        size_t n;

        while (path[skip] == '.' && path[skip + 1] == '/')
            skip += 2;
        memmove(path, path + skip, strlen(path + skip) + 1);
        for (n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
            path[n - 1] = '\0';
    }
}

static void take_priority(struct parser *p, const char *value, int line)
{
    static const struct {
        const char *name;
        int value;
    } words[] = {{"high", 1}, {"normal", 0}, {"low", -1}};
    int64_t number;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(value, words[i].name) == 0) {
            p->task->priority = words[i].value;
            return;
        }
    if (str_to_int64(value, -1000, 1000, &number))
        p->task->priority = (int)number;
    else
        plan_problem(p->problems, p->name, line,
                     "priority '%s' is no whole number from -1000 to 1000 (nor high, low)", value);
}

/* "200000", "200k", "1.5M", with or without "tokens" behind. */
static void take_budget(struct parser *p, char *value, int line)
{
    char *word = value;
    double factor = 1;
    double number;
    size_t n = strcspn(word, " ");

    if (word[n] != '\0' && strncasecmp(word + n + 1, "token", 5) == 0)
        word[n] = '\0';
    n = strlen(word);
    if (n > 1 && (word[n - 1] == 'k' || word[n - 1] == 'K'))
        factor = 1e3;
    else if (n > 1 && (word[n - 1] == 'm' || word[n - 1] == 'M'))
        factor = 1e6;
    if (factor > 1)
        word[n - 1] = '\0';
    if (str_to_double(word, &number) && number * factor >= 1 && number * factor <= 1e12)
        p->task->budget_tokens = (int64_t)(number * factor);
    else
        plan_problem(p->problems, p->name, line, "budget '%s' is no number of tokens (200000 or 200k)",
                     value);
}

static void take_value(struct parser *p, enum field field, char *value, int line)
{
    size_t n = strlen(value);

    switch (field) {
    case FIELD_FILES:
        take_list(p, value, &p->task->files);
        tidy_paths(&p->task->files);
        break;
    case FIELD_NEEDS:
        take_list(p, value, &p->task->needs);
        break;
    case FIELD_ALLOW:
        take_list(p, value, &p->task->allow);
        break;
    case FIELD_ACCEPT:
        p->task->accept = xstrdup(means_nothing(value) ? "" : value);
        break;
    case FIELD_ROLE:
        if (n > 1 && value[0] == '`' && value[n - 1] == '`') {
            value[n - 1] = '\0';
            value++;
        }
        if (!means_nothing(value))
            p->task->role = xstrdup(value);
        break;
    case FIELD_PRIORITY:
        take_priority(p, value, line);
        break;
    case FIELD_BUDGET:
        take_budget(p, value, line);
        break;
    }
}

static void end_field(struct parser *p)
{
    char *source;
    char *colon;
    char *key;
    int line = line_of(p, p->field.begin);

    if (!p->in_field)
        return;
    p->in_field = false;
    source = source_of(p, &p->field);
    colon = strchr(source, ':');
    key = source;
    while (*key == '*' || *key == '`' || *key == '_')
        key++;
    if (colon == NULL || colon - key > 40) {
        /* A note of the author; but a known name without its colon is a slip. */
        for (size_t i = 0; field_names[i] != NULL; i++) {
            size_t n = strlen(field_names[i]);

            if (strncasecmp(key, field_names[i], n) == 0 && (key[n] == ' ' || key[n] == '\0'))
                plan_problem(p->problems, p->name, line, "write '%s: ...', with a colon", field_names[i]);
        }
    } else {
        size_t n = strcspn(key, ":*`_ ");
        char *name = xstrndup(key, n);
        char *value = colon + 1;
        size_t i = 0;

        for (char *c = name; *c != '\0'; c++)
            *c = (char)tolower((unsigned char)*c);
        value += strspn(value, "*_ "); /* of "**files:** ..." */
        while (field_names[i] != NULL && strcmp(field_names[i], name) != 0)
            i++;
        if (field_names[i] == NULL) {
            const char *near = str_nearest(name, field_names);

            if (near != NULL)
                plan_problem(p->problems, p->name, line, "'%s' is no field of a task; did you mean '%s'?",
                             name, near);
        } else if ((p->fields_seen & (1u << i)) != 0) {
            plan_problem(p->problems, p->name, line, "'%s' stands twice in this task; join the two", name);
        } else {
            p->fields_seen |= 1u << i;
            take_value(p, (enum field)i, value, line);
        }
        free(name);
    }
    free(source);
    str_list_finish(&p->field_codes);
}

/* --- tasks --- */

static void end_task_head(struct parser *p)
{
    char *source;
    char *title;
    char *id;

    if (!p->in_task_head)
        return;
    p->in_task_head = false;
    source = source_of(p, &p->head);
    id = str_trim(p->head_strong.data ? p->head_strong.data : source + strlen(source));
    title = source;
    if (str_starts_with(title, id))
        title += strlen(id);
    else
        id += strlen(id); /* bold words further on are no id */
    title += strspn(title, "*_: ");
    if (str_ends_with(id, ":"))
        id[strlen(id) - 1] = '\0';
    p->task->id = xstrdup(id);
    p->task->title = xstrdup(title);
    free(source);
}

static void begin_task(struct parser *p, const MD_BLOCK_LI_DETAIL *item)
{
    struct plan *plan = p->plan;

    plan->tasks = xrealloc(plan->tasks, (plan->count + 1) * sizeof *plan->tasks);
    p->task = &plan->tasks[plan->count++];
    *p->task = (struct plan_task){
        .is_done = item->task_mark == 'x' || item->task_mark == 'X',
        .mark_offset = item->task_mark_offset,
        .line = line_of(p, p->text + item->task_mark_offset),
    };
    p->in_task_head = true;
    p->has_strong = false;
    p->head = (struct range){0};
    buf_clear(&p->head_strong);
    p->fields_seen = 0;
}

static void end_task(struct parser *p)
{
    if (p->task == NULL)
        return;
    end_field(p);
    end_task_head(p);
    if (p->task->accept == NULL)
        p->task->accept = xstrdup("");
    p->task = NULL;
}

/* --- sections --- */

static void end_section(struct parser *p, const char *at)
{
    if (p->section == SECTION_DECISIONS && p->plan->decisions == NULL && p->section_body != NULL &&
        at > p->section_body) {
        char *text = xstrndup(p->section_body, (size_t)(at - p->section_body));

        p->plan->decisions = xstrdup(str_trim(text));
        free(text);
    }
    p->section = SECTION_NONE;
}

static void end_heading(struct parser *p)
{
    char *title = source_of(p, &p->heading);
    const char *line_start = p->heading.begin;
    const char *line_end = p->heading.end;
    size_t n = strlen(title);

    while (n > 0 && (title[n - 1] == '#' || title[n - 1] == ' ')) /* "## Tasks ##" */
        title[--n] = '\0';
    while (line_start != NULL && line_start > p->text && line_start[-1] != '\n')
        line_start--;
    while (line_end != NULL && line_end < p->text + p->n && *line_end != '\n')
        line_end++;

    if (p->heading_level == 1 && !p->plan->has_title && strncasecmp(title, "plan", 4) == 0) {
        char *goal = title + 4;

        goal += strspn(goal, ": ");
        free(p->plan->goal);
        p->plan->goal = xstrdup(goal);
        p->plan->has_title = *goal != '\0';
    }
    if (p->heading_level <= 2) {
        end_section(p, line_start ? line_start : p->text + p->n);
        p->section_body = line_end;
        p->section = p->heading_level == 1                 ? SECTION_NONE
                     : strcasecmp(title, "tasks") == 0     ? SECTION_TASKS
                     : strcasecmp(title, "decisions") == 0 ? SECTION_DECISIONS
                     : strcasecmp(title, "log") == 0       ? SECTION_LOG
                                                           : SECTION_OTHER;
        if (p->section == SECTION_TASKS && !p->plan->has_tasks_section) {
            p->plan->has_tasks_section = true;
            p->plan->tasks_line = line_of(p, p->heading.begin);
        }
    }
    p->heading_level = 0;
    free(title);
}

/* --- what md4c calls --- */

static int enter_block(MD_BLOCKTYPE type, void *detail, void *user)
{
    struct parser *p = user;

    if (++p->block_depth > DEPTH_MAX) {
        plan_problem(p->problems, p->name, 1, "lists and quotes are nested more than %d deep", DEPTH_MAX);
        return 1;
    }
    if (type == MD_BLOCK_H && p->list_depth == 0) { /* in a list it is text of the item, no section */
        p->heading_level = ((const MD_BLOCK_H_DETAIL *)detail)->level;
        p->heading = (struct range){0};
    } else if (type == MD_BLOCK_UL || type == MD_BLOCK_OL) {
        p->list_depth++;
    } else if (type == MD_BLOCK_LI && p->section == SECTION_TASKS) {
        const MD_BLOCK_LI_DETAIL *item = detail;

        if (p->list_depth == 1 && item->is_task) {
            if (p->plan->count >= PLAN_MAX_TASKS) {
                plan_problem(p->problems, p->name, line_of(p, p->text + item->task_mark_offset),
                             "more than %d tasks; a plan is for one goal, split the goal", PLAN_MAX_TASKS);
                return 1;
            }
            begin_task(p, item);
        } else if (p->list_depth == 1) {
            p->head = (struct range){0};
        } else if (p->list_depth == 2 && p->task != NULL) {
            end_task_head(p);
            p->in_field = true;
            p->field = (struct range){0};
            str_list_finish(&p->field_codes);
        }
    }
    return 0;
}

static int leave_block(MD_BLOCKTYPE type, void *detail, void *user)
{
    struct parser *p = user;

    p->block_depth--;
    if (type == MD_BLOCK_H && p->heading_level > 0) {
        end_heading(p);
    } else if (type == MD_BLOCK_UL || type == MD_BLOCK_OL) {
        p->list_depth--;
    } else if (type == MD_BLOCK_LI && p->section == SECTION_TASKS) {
        const MD_BLOCK_LI_DETAIL *item = detail;

        if (p->list_depth == 2)
            end_field(p);
        else if (p->list_depth == 1 && item->is_task)
            end_task(p);
        else if (p->list_depth == 1)
            plan_problem(p->problems, p->name, line_of(p, p->head.begin),
                         "this is no task; write '- [ ] **T1** title', or move the text to Decisions");
    } else if (type == MD_BLOCK_DOC) {
        end_section(p, p->text + p->n);
    }
    return 0;
}

static int enter_span(MD_SPANTYPE type, void *detail, void *user)
{
    struct parser *p = user;

    (void)detail;
    if (type == MD_SPAN_CODE) {
        p->in_code = true;
        buf_clear(&p->code);
    } else if (type == MD_SPAN_STRONG && p->in_task_head && !p->has_strong) {
        p->in_strong = true;
    }
    return 0;
}

static int leave_span(MD_SPANTYPE type, void *detail, void *user)
{
    struct parser *p = user;

    (void)detail;
    if (type == MD_SPAN_CODE) {
        p->in_code = false;
        if (p->in_field && p->code.len > 0)
            str_list_add(&p->field_codes, str_trim(p->code.data));
    } else if (type == MD_SPAN_STRONG && p->in_strong) {
        p->in_strong = false;
        p->has_strong = true;
    }
    return 0;
}

static int on_text(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE size, void *user)
{
    struct parser *p = user;

    if (p->in_code)
        buf_append(&p->code, text, size);
    if (!is_inside(p, text) || type == MD_TEXT_BR || type == MD_TEXT_SOFTBR || size == 0)
        return 0;
    if (p->heading_level > 0)
        widen(&p->heading, text, size);
    else if (p->in_field)
        widen(&p->field, text, size);
    else if (p->section == SECTION_TASKS && p->list_depth == 1)
        widen(&p->head, text, size);
    if (p->in_strong)
        buf_append(&p->head_strong, text, size);
    return 0;
}

struct plan *plan_parse_markdown(const char *text, size_t n, const char *name, struct vec *problems)
{
    static const MD_PARSER callbacks = {
        .flags = MD_FLAG_TASKLISTS | MD_FLAG_NOHTML | MD_FLAG_NOINDENTEDCODEBLOCKS,
        .enter_block = enter_block,
        .leave_block = leave_block,
        .enter_span = enter_span,
        .leave_span = leave_span,
        .text = on_text,
    };
    struct parser p = {.text = text, .n = n, .name = name, .problems = problems};

    p.plan = xcalloc(1, sizeof *p.plan);
    p.plan->tasks_line = 1;
    if (md_parse(text, (MD_SIZE)n, &callbacks, &p) != 0 && problems->len == 0)
        plan_problem(problems, name, 1, "the plan cannot be read as Markdown");
    end_task(&p);
    buf_free(&p.code);
    buf_free(&p.head_strong);
    str_list_finish(&p.field_codes);
    return p.plan;
}
