/* agent/context.c: see context.h. */
#include "agent/context.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "model/tokens.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_WINDOW_TOKENS 128000
#define BYTES_PER_TOKEN       4
#define MAX_STEPS             60   /* in the list of steps */
#define STEP_MAX_BYTES        240
#define RESULT_MIN_BYTES      2000
#define TASK_MIN_BYTES        2000 /* a task is not cut below this */

struct kept_message {
    enum message_role role;
    char *text;
    enum kept_kind kind;
};

struct context {
    int64_t window;
    int64_t limit;
    struct vec kept;        /* of struct kept_message * */
    struct str_list steps;  /* the newest last */
    size_t dropped_steps;
    char *plan;             /* arguments of the last update_plan, or NULL */
    size_t written;         /* so many of kept were given to context_write() */
    bool is_plan_written;
};

struct context *context_create(int64_t window_tokens, int64_t limit_tokens)
{
    struct context *context = xcalloc(1, sizeof *context);

    context_set_window(context, window_tokens, limit_tokens);
    return context;
}

void context_set_window(struct context *context, int64_t window_tokens, int64_t limit_tokens)
{
    context->window = window_tokens > 0 ? window_tokens : DEFAULT_WINDOW_TOKENS;
    context->limit = limit_tokens > 0 && limit_tokens < context->window ? limit_tokens : context->window / 10 * 9;
}

static void free_message(struct kept_message *message)
{
    free(message->text);
    free(message);
}

void context_destroy(struct context *context)
{
    if (context == NULL)
        return;
    for (size_t i = 0; i < context->kept.len; i++)
        free_message(context->kept.items[i]);
    vec_finish(&context->kept);
    str_list_finish(&context->steps);
    free(context->plan);
    free(context);
}

/* TEXT with its middle left out, so that at most MAX bytes of it remain. */
static char *shorten(const char *text, size_t n, size_t max)
{
    size_t head = utf8_floor(text, n, max / 2);
    size_t from = n - max / 2;
    struct buf b = BUF_INIT;

    while (from < n && ((unsigned char)text[from] & 0xc0) == 0x80)
        from++;
    buf_append(&b, text, head);
    buf_printf(&b, "\n[... %zu bytes left out: more than the model's context window takes ...]\n", from - head);
    buf_append(&b, text + from, n - from);
    return buf_take(&b);
}

static void add_kept(struct context *context, enum message_role role, enum kept_kind kind, const char *text)
{
    struct kept_message *message = xcalloc(1, sizeof *message);

    message->role = role;
    message->text = xstrdup(text);
    message->kind = kind;
    vec_push(&context->kept, message);
}

const char *context_keep(struct context *context, enum message_role role, const char *text, enum kept_kind kind,
                         char **shortened)
{
    size_t n = strlen(text);
    size_t max = (size_t)(context->window / 2) * BYTES_PER_TOKEN;

    *shortened = n > max ? shorten(text, n, max) : NULL;
    add_kept(context, role, kind, *shortened != NULL ? *shortened : text);
    return *shortened != NULL ? *shortened : text;
}

static void set_plan(struct context *context, const char *arguments)
{
    free(context->plan);
    context->plan = xstrdup(arguments);
    context->is_plan_written = false;
}

void context_copy(struct context *to, const struct context *from)
{
    for (size_t i = 0; i < from->kept.len; i++) {
        const struct kept_message *message = from->kept.items[i];

        add_kept(to, message->role, message->kind, message->text);
    }
    if (from->plan != NULL)
        set_plan(to, from->plan);
}

void context_write(struct context *context, struct json_writer *w, bool only_new)
{
    jw_key(w, "kept");
    jw_array_begin(w);
    for (size_t i = only_new ? context->written : 0; i < context->kept.len; i++) {
        const struct kept_message *message = context->kept.items[i];

        jw_object_begin(w);
        jw_pair_int(w, "role", (int64_t)message->role);
        jw_pair_int(w, "kind", (int64_t)message->kind);
        jw_pair_string(w, "text", message->text);
        jw_object_end(w);
    }
    jw_array_end(w);
    if (context->plan != NULL && !(only_new && context->is_plan_written))
        jw_pair_string(w, "plan", context->plan);
    context->written = context->kept.len;
    context->is_plan_written = true;
}

bool context_read(struct context *context, const json_t *object)
{
    const json_t *message;
    const char *plan = json_get_string(object, "plan", NULL);
    size_t i;

    json_array_foreach(json_object_get(object, "kept"), i, message) {
        int64_t role = json_get_int(message, "role", -1), kind = json_get_int(message, "kind", -1);
        const char *text = json_get_string(message, "text", NULL);

        if (role < MESSAGE_DEVELOPER || role > MESSAGE_ASSISTANT || kind < KEPT_CONTEXT || kind > KEPT_WORD ||
            text == NULL)
            return false;
        add_kept(context, (enum message_role)role, (enum kept_kind)kind, text);
    }
    if (plan != NULL)
        set_plan(context, plan);
    return true;
}

size_t context_result_limit(const struct context *context)
{
    size_t max = (size_t)(context->window / 4) * BYTES_PER_TOKEN;

    return max < RESULT_MIN_BYTES ? RESULT_MIN_BYTES : max;
}

/* The first line of TEXT, bounded. */
static void append_line(struct buf *b, const char *text, size_t max)
{
    size_t n = strcspn(text, "\n");

    buf_append(b, text, utf8_floor(text, n, max));
    if (n > max || text[n] != '\0')
        buf_puts(b, " ...");
}

void context_note_step(struct context *context, const char *name, const char *arguments, const char *output,
                       bool is_error)
{
    struct buf b = BUF_INIT;

    if (strcmp(name, "update_plan") == 0 && !is_error) {
        set_plan(context, arguments);
        return;
    }
    buf_printf(&b, "%s ", name);
    append_line(&b, arguments, STEP_MAX_BYTES);
    if (is_error) {
        buf_puts(&b, " -> failed: ");
        append_line(&b, output, STEP_MAX_BYTES / 2);
    }
    if (context->steps.len >= MAX_STEPS) {
        str_list_remove(&context->steps, 0);
        context->dropped_steps++;
    }
    str_list_take(&context->steps, buf_take(&b));
}

bool context_is_full(const struct context *context, const struct conversation *conversation, size_t pending_bytes)
{
    return conversation_estimate_tokens(conversation) + token_estimate_text(pending_bytes) > context->limit;
}

const char *context_summary_prompt(const char *prompt)
{
    if (!str_is_empty(prompt))
        return prompt;
    return "This conversation is about to exceed your context window. Write the summary that you yourself will go on "
           "from: what is done, which files were changed and how, what was learnt (commands, paths, decisions, dead "
           "ends), and what remains to be done next. The task, the plan and findings are kept word for word; do not "
           "repeat them. Call no tool. Answer with the summary alone.";
}

static int64_t tokens_of(const struct kept_message *message)
{
    return token_estimate_text(strlen(message->text));
}

/* The largest task that can still lose its middle, or NULL. */
static struct kept_message *largest_task(const struct context *context)
{
    struct kept_message *largest = NULL;

    for (size_t i = 0; i < context->kept.len; i++) {
        struct kept_message *message = context->kept.items[i];

        if (message->kind == KEPT_TASK && strlen(message->text) > TASK_MIN_BYTES &&
            (largest == NULL || strlen(message->text) > strlen(largest->text)))
            largest = message;
    }
    return largest;
}

/* What always stays must leave room for work. Returns its tokens. */
static int64_t fit_tasks(struct context *context)
{
    struct kept_message *largest;
    int64_t sum = 0;

    for (size_t i = 0; i < context->kept.len; i++)
        if (((struct kept_message *)context->kept.items[i])->kind != KEPT_WORD)
            sum += tokens_of(context->kept.items[i]);
    while (sum > context->limit / 4 * 3 && (largest = largest_task(context)) != NULL) {
        size_t n = strlen(largest->text);
        char *half = shorten(largest->text, n, n / 2);

        sum -= tokens_of(largest);
        free(largest->text);
        largest->text = half;
        sum += tokens_of(largest);
    }
    return sum;
}

/* Forgets what was said and does not fit any more, the oldest first. */
static void drop_words(struct context *context)
{
    int64_t room = context->limit / 2 - fit_tasks(context);
    struct vec stay = {0};

    for (size_t i = context->kept.len; i-- > 0;) {
        struct kept_message *message = context->kept.items[i];

        if (message->kind != KEPT_WORD) {
            vec_push(&stay, message);
        } else if (tokens_of(message) <= room) {
            room -= tokens_of(message);
            vec_push(&stay, message);
        } else {
            free_message(message);
        }
    }
    vec_finish(&context->kept);
    context->kept = (struct vec){0};
    for (size_t i = stay.len; i-- > 0;)
        vec_push(&context->kept, stay.items[i]);
    vec_finish(&stay);
    context->written = 0;
}

static void append_steps(struct buf *b, const struct context *context)
{
    buf_puts(b, "The conversation before this point was too long to be kept, and no summary of it could be made. Look at "
                "the working directory for its state. The last steps were:\n");
    if (context->dropped_steps > 0)
        buf_printf(b, "(%zu earlier steps)\n", context->dropped_steps);
    for (size_t i = 0; i < context->steps.len; i++)
        buf_printf(b, "- %s\n", context->steps.items[i]);
}

struct conversation *context_rebuild(struct context *context, const struct conversation *old, const char *summary)
{
    struct conversation *fresh = conversation_create(conversation_wire(old), conversation_instructions(old),
                                                     conversation_tools(old), conversation_cache_key(old));
    struct buf b = BUF_INIT;
    size_t max = (size_t)(context->limit / 4) * BYTES_PER_TOKEN;

    drop_words(context);
    for (size_t i = 0; i < context->kept.len; i++) {
        const struct kept_message *message = context->kept.items[i];

        conversation_add_message(fresh, message->role, message->text);
    }
    if (context->plan != NULL)
        buf_printf(&b, "Your plan (update_plan): %s\n\n", context->plan);
    if (summary != NULL) {
        char *shortened = strlen(summary) > max ? shorten(summary, strlen(summary), max) : NULL;

        buf_printf(&b, "The conversation was compacted. Your summary of what happened so far:\n\n%s\n",
                   shortened != NULL ? shortened : summary);
        free(shortened);
    } else {
        append_steps(&b, context);
    }
    buf_puts(&b, "\nGo on with the work.");
    conversation_add_message(fresh, MESSAGE_USER, b.data);
    buf_free(&b);
    return fresh;
}
