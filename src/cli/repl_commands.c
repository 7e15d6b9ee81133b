/* cli/repl_commands.c: what can be typed in a session besides texts for the model. One table feeds the parser, /help and
 * completion. */
#include "cli/repl_internal.h"

#include "agent/agent_tree.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/path.h"
#include "cli/command.h"
#include "config/config.h"
#include "io/fiber.h"
#include "model/usage.h"
#include "sandbox/policy.h"
#include "ui/text.h"

#include <stdlib.h>
#include <string.h>

struct repl_word {
    const char *name;
    const char *argument; /* "" or "[NAME]" */
    const char *help;
    bool is_instant; /* also while a turn runs */
    void (*run)(struct repl *repl, const char *argument);
};

static void help(struct repl *r, const char *argument);

static void say_status(struct repl *r, const char *argument)
{
    struct agent_tree *tree = main_session_tree(r->session);
    const struct agent_session *main = agent_tree_main(tree);
    const struct config *c = main_session_config(r->session);
    const struct usage *usage = agent_session_usage(main);
    const char *model = agent_session_model(main);
    const char *provider = config_string(c, "model_provider");
    const char *approvals = config_string(c, "approval_policy");
    char *cwd = path_current_directory();

    (void)argument;
    repl_say(r, PROMPT_PLAIN,
             "session    %s\n"
             "folder     %s\n"
             "model      %s (%s)\n"
             "sandbox    %s, network %s\n"
             "approvals  %s\n"
             "agents     %zu, %zu of them at work\n"
             "tokens     %lld in (%lld cached), %lld out",
             main_session_id(r->session), cwd, model == NULL ? "another program's" : model,
             provider == NULL ? "openai" : provider, sandbox_mode_name(agent_session_policy(main)->mode),
             agent_session_policy(main)->network_access ? "allowed" : "restricted",
             approvals == NULL ? "on-request" : approvals, agent_tree_count(tree) - 1, agent_tree_live_count(tree),
             (long long)usage->input_tokens, (long long)usage->cached_input_tokens, (long long)usage->output_tokens);
    free(cwd);
}

static void say_agents(struct repl *r, const char *argument)
{
    const struct agent_tree *tree = main_session_tree(r->session);
    struct buf b = BUF_INIT;

    (void)argument;
    for (size_t i = 1; i < agent_tree_count(tree); i++) {
        struct agent_view a = agent_tree_at(tree, i);
        struct buf last = BUF_INIT;

        buf_printf(&b, "%s%*s", i > 1 ? "\n" : "", (a.depth - 1) * 2, "");
        text_append_cell(&b, a.nickname, 20);
        text_append_cell(&b, a.role, 16);
        text_append_cell(&b, a.status, 12);
        text_append_harmless(&last, a.message);
        text_append_fitted(&b, buf_cstr(&last), prompt_columns(r->prompt) > 62 ? prompt_columns(r->prompt) - 56 : 20);
        buf_free(&last);
    }
    repl_say(r, PROMPT_PLAIN, "%s", b.len > 0 ? b.data : "no agent was spawned in this session");
    buf_free(&b);
}

static void set_model(struct repl *r, const char *argument)
{
    struct agent_session *main = agent_tree_main(main_session_tree(r->session));
    const char *model = agent_session_model(main);
    struct error err = {0};

    if (argument[0] == '\0')
        repl_say(r, PROMPT_PLAIN, "%s; /model NAME takes another of the same provider",
                 model == NULL ? "another program's model" : model);
    else if (argument[strcspn(argument, " \t\n")] != '\0')
        repl_say(r, PROMPT_BAD, "/model takes one name");
    else if (agent_session_set_model(main, argument, &err) < 0)
        repl_say(r, PROMPT_BAD, "%s", err.text);
    else
        repl_say(r, PROMPT_PLAIN, "%s from the next request on, in this session", argument);
}

static void run_compact(void *arg)
{
    struct repl *r = arg;
    struct error err = {0};

    if (agent_session_compact(agent_tree_main(main_session_tree(r->session)), &err) < 0)
        repl_say(r, PROMPT_BAD, "not compacted: %s", err.text);
    r->turn = NULL;
    r->is_stopping = false;
    repl_wake(r);
}

/* As a turn, so that it can be stopped. */
static void compact(struct repl *r, const char *argument)
{
    (void)argument;
    r->turn_began_ms = clock_monotonic_ms();
    r->turn = fiber_start(r->ctx->loop, run_compact, r);
}

static void begin_new(struct repl *r, const char *argument)
{
    (void)argument;
    r->wants_new = true;
}

static void quit(struct repl *r, const char *argument)
{
    (void)argument;
    repl_leave(r, EXIT_DONE);
}

static const struct repl_word words[] = {
    {"/help", "", "this list", true, help},
    {"/status", "", "session, model, sandbox, tokens", true, say_status},
    {"/agents", "", "the agents of this session and what they do", true, say_agents},
    {"/model", "[NAME]", "shows the model, or takes another from the next request on", false, set_model},
    {"/compact", "", "has the model write a summary that takes its place", false, compact},
    {"/new", "", "ends this session and begins another", false, begin_new},
    {"/quit", "", "leaves (also /exit, Ctrl-D, Ctrl-C twice)", true, quit},
    {"/exit", "", NULL, true, quit},
};
#define WORD_COUNT (sizeof words / sizeof words[0])

static void help(struct repl *r, const char *argument)
{
    struct buf b = BUF_INIT;

    (void)argument;
    for (size_t i = 0; i < WORD_COUNT; i++)
        if (words[i].help != NULL)
            buf_printf(&b, "%-8s %-7s %s\n", words[i].name, words[i].argument, words[i].help);
    buf_puts(&b, "\nEnter         sends; while a turn runs, what is sent goes with its next request\n"
                 "Alt-Enter     a new line in the text (also Ctrl-J); a paste keeps its lines\n"
                 "Ctrl-C, Esc   stop the turn and its agents\n"
                 "Up, Down      earlier texts\n"
                 "Ctrl-A E K U W Y, Alt-B F   move, cut, and bring back");
    repl_say(r, PROMPT_PLAIN, "%s", b.data);
    buf_free(&b);
}

static size_t word_length(const char *line)
{
    return strcspn(line, " \t\n");
}

static const struct repl_word *find(const char *line)
{
    size_t n = word_length(line);

    for (size_t i = 0; i < WORD_COUNT; i++)
        if (strlen(words[i].name) == n && memcmp(words[i].name, line, n) == 0)
            return &words[i];
    return NULL;
}

bool repl_is_command(const char *line)
{
    size_t n = word_length(line);

    return line[0] == '/' && n > 1 && memchr(line + 1, '/', n - 1) == NULL && memchr(line, '.', n) == NULL;
}

bool repl_command_is_instant(const char *line)
{
    const struct repl_word *word = find(line);

    return word == NULL || word->is_instant;
}

void repl_command(struct repl *r, const char *line)
{
    const struct repl_word *word = find(line);
    const char *names[WORD_COUNT + 1] = {0};
    char *typed;
    const char *nearest;

    if (word != NULL) {
        line += word_length(line);
        word->run(r, line + strspn(line, " \t\n"));
        return;
    }
    for (size_t i = 0; i < WORD_COUNT; i++)
        names[i] = words[i].name;
    typed = xstrndup(line, word_length(line));
    nearest = str_nearest(typed, names);
    repl_say(r, PROMPT_BAD, "there is no command %s%s%s; /help lists them", typed, nearest == NULL ? "" : ", is it ",
             nearest == NULL ? "" : nearest);
    free(typed);
}

void repl_complete(void *data, const char *text, struct str_list *choices)
{
    (void)data;
    for (size_t i = 0; i < WORD_COUNT; i++)
        if (text[0] == '/' && str_starts_with(words[i].name, text))
            str_list_take(choices, xasprintf("%s%s", words[i].name, words[i].argument[0] != '\0' ? " " : ""));
}
