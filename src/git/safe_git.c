/* git/safe_git.c: see safe_git.h. */
#include "git/safe_git.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"
#include "base/redact.h"
#include "io/process.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whatever the repository or the user configured, these hold. */
static const char *const fixed_overrides[] = {
    "core.hooksPath=/dev/null", "core.fsmonitor=false",     "core.pager=cat",         "core.editor=false",
    "core.askPass=",            "core.attributesFile=/dev/null", "core.sshCommand=false", "core.gitProxy=",
    "core.protectHFS=true",     "core.protectNTFS=true",    "core.untrackedCache=false", "core.quotePath=false",
    "core.autocrlf=false",      "core.safecrlf=false",      "diff.external=",         "diff.noprefix=false",
    "diff.mnemonicPrefix=false", "interactive.diffFilter=",  "commit.gpgSign=false",   "tag.gpgSign=false",
    "credential.helper=",       "protocol.allow=never",     "submodule.recurse=false", "gc.auto=0",
    "maintenance.auto=false",   "merge.renormalize=false",  "advice.detachedHead=false", "safe.directory=*",
    "log.showSignature=false",  "fetch.recurseSubmodules=false",
};

void git_safe_words(struct str_list *argv)
{
    str_list_add(argv, "git");
    for (size_t i = 0; i < sizeof fixed_overrides / sizeof fixed_overrides[0]; i++) {
        str_list_add(argv, "-c");
        str_list_add(argv, fixed_overrides[i]);
    }
}

static bool is_below(const char *path, const char *folder)
{
    return folder != NULL && strcmp(folder, "/") != 0 && path_is_below(path, folder);
}

static char *safe_path(const char *inside)
{
    const char *path = getenv("PATH");
    char *here = path_current_directory();
    struct str_list parts = {0};
    struct buf kept = BUF_INIT;

    str_split(&parts, path ? path : "", ':');
    buf_puts(&kept, "PATH=");
    for (size_t i = 0; i < parts.len; i++)
        if (parts.items[i][0] == '/' && !is_below(parts.items[i], here) && !is_below(parts.items[i], inside))
            buf_printf(&kept, "%s%s", kept.len > 5 ? ":" : "", parts.items[i]);
    if (kept.len == 5)
        buf_puts(&kept, "/usr/local/bin:/usr/bin:/bin");
    str_list_finish(&parts);
    free(here);
    return buf_take(&kept);
}

void git_safe_env(const char *inside, struct str_list *env)
{
    static const char *const set[] = {"LC_ALL=C",        "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1",
                                      "GIT_EDITOR=false", "GIT_PAGER=cat",         "GIT_ALLOW_PROTOCOL=none"};
    static const char *const replaced[] = {"GIT_", "LC_ALL=", "LANGUAGE=", "PATH="};

    for (char **e = environ; *e != NULL; e++) {
        bool is_kept = !redact_is_secret_name(*e, strcspn(*e, "="));

        for (size_t i = 0; i < sizeof replaced / sizeof replaced[0]; i++)
            is_kept = is_kept && !str_starts_with(*e, replaced[i]);
        if (is_kept)
            str_list_add(env, *e);
    }
    str_list_take(env, safe_path(inside));
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++)
        str_list_add(env, set[i]);
}

int git_ask(struct loop *loop, const struct git_question *question, struct process_result *result, struct error *err)
{
    struct process_run_options options = {.cwd = question->dir, .timeout_ms = question->timeout_ms,
                                          .max_output_bytes = question->max_output_bytes};
    struct str_list argv = {0};
    struct str_list env = {0};
    int rc;

    git_safe_words(&argv);
    for (const char *const *a = question->args; *a != NULL; a++)
        str_list_add(&argv, *a);
    git_safe_env(question->dir, &env);
    options.argv = (const char *const *)argv.items;
    options.env = (const char *const *)env.items;
    rc = process_run(loop, &options, result, err);
    str_list_finish(&argv);
    str_list_finish(&env);
    return rc;
}
