/* agent/codex_home.c: see codex_home.h. */
#include "agent/codex_home.h"

#include "agent/carrier.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "config/toml.h"

#include <stdlib.h>
#include <string.h>

static int bring_files(struct program_box *box, const char *home, struct error *err)
{
    char *user = path_codex_home();
    struct str_list names = {0};
    int rc = file_make_directories(home, 0700, err);

    if (rc == 0 && file_is_directory(user))
        rc = file_list_directory(user, &names, err);
    for (size_t i = 0; i < names.len && rc == 0; i++) {
        bool is_sign_in = strcmp(names.items[i], "auth.json") == 0;
        char *from;
        char *to;
        char *real;

        if (!is_sign_in && strcmp(names.items[i], "config.toml") != 0 &&
            strcmp(names.items[i], "agents") != 0 && !str_ends_with(names.items[i], ".config.toml"))
            continue;
        from = path_join(user, names.items[i]);
        to = path_join(home, names.items[i]);
        real = realpath(from, NULL);
        if (real != NULL)
            rc = program_box_bring(box, real, to, is_sign_in, err);
        if (real != NULL && is_sign_in)
            program_box_allow_write(box, real);
        free(real);
        free(to);
        free(from);
    }
    str_list_finish(&names);
    free(user);
    return rc;
}

int codex_home_make(struct carried_thread *thread, struct error *err)
{
    struct program_box *box = carried_box(thread);
    char *home = path_join(box->dir, "codex");
    int rc = bring_files(box, home, err);

    program_box_set_env(box, "CODEX_HOME", home);
    free(home);
    return rc;
}

void codex_home_add_setting(struct str_list *argv, const char *key, const char *value)
{
    struct buf b = BUF_INIT;

    buf_printf(&b, "%s=", key);
    toml_append_quoted(&b, value, strlen(value));
    str_list_add(argv, "-c");
    str_list_take(argv, buf_take(&b));
}

static void add_raw_setting(struct str_list *argv, const char *setting)
{
    str_list_add(argv, "-c");
    str_list_add(argv, setting);
}

/* What the user's keys are called is no business of the commands that the model runs. */
static void hide_variables(struct str_list *argv, const struct str_list *names)
{
    struct buf b = BUF_INIT;

    if (names->len == 0)
        return;
    buf_puts(&b, "shell_environment_policy.exclude=[");
    for (size_t i = 0; i < names->len; i++) {
        buf_puts(&b, i == 0 ? "" : ",");
        toml_append_quoted(&b, names->items[i], strlen(names->items[i]));
    }
    buf_putc(&b, ']');
    add_raw_setting(argv, b.data);
    buf_free(&b);
}

const char *codex_home_sandbox_mode(struct carried_thread *thread)
{
    const struct carried_options *o = carried_options(thread);

    if (carried_box(thread)->kind == RUNNER_BOX_CADRE)
        return sandbox_mode_name(SANDBOX_DANGER_FULL_ACCESS);
    return sandbox_mode_name(o->policy->mode);
}

void codex_home_add_settings(struct carried_thread *thread, struct str_list *argv)
{
    const struct carried_options *o = carried_options(thread);

    if (o->reasoning_effort != NULL)
        codex_home_add_setting(argv, "model_reasoning_effort", o->reasoning_effort);
    if (!str_is_empty(o->instructions))
        codex_home_add_setting(argv, "developer_instructions", o->instructions);
    codex_home_add_setting(argv, "approval_policy", "never");
    add_raw_setting(argv,
                    "project_doc_max_bytes=0"); /* AGENTS.md comes with the prompt, as for every thread */
    add_raw_setting(argv, "sandbox_workspace_write.exclude_slash_tmp=true");
    add_raw_setting(argv, o->policy->network_access ? "sandbox_workspace_write.network_access=true"
                                                    : "sandbox_workspace_write.network_access=false");
    hide_variables(argv, &o->runner->env_vars);
}
