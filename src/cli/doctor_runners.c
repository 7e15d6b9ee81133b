/* cli/doctor_runners.c: what `cadre doctor` says of the programs that carry roles. Each is asked for its version and for
 * nothing else: no session, no sign-in, no request. */
#include "cli/doctor.h"

#include "agent/program_box.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "config/role.h"
#include "config/runner_config.h"
#include "io/process.h"
#include "sandbox/exec_helper.h"

#include <stdlib.h>
#include <string.h>

#define VERSION_TIMEOUT_MS 15000
#define VERSION_MAX_BYTES  80

/* The first line of `PROGRAM --version`, or "". Caller frees. */
static char *version_of(struct loop *loop, const char *program)
{
    const char *argv[] = {program, "--version", NULL};
    struct process_run_options options = {
        .argv = argv, .timeout_ms = VERSION_TIMEOUT_MS, .max_output_bytes = 65536};
    struct process_result result = {0};
    struct buf line = BUF_INIT;

    if (process_run(loop, &options, &result, NULL) == 0 && result.exit.exit_code == 0) {
        struct buf *said = result.out.len > 0 ? &result.out : &result.err;

        if (said->len > 0) {
            char *text = str_trim(said->data);

            utf8_append_printable(&line, text, utf8_floor(text, strcspn(text, "\n"), VERSION_MAX_BYTES), false);
        }
    }
    process_result_finish(&result);
    return buf_take(&line);
}

static void check_box(struct doctor *d, const struct runner_config *rc, bool can_nest)
{
    const char *why = "";
    enum runner_box kind = program_box_choose(rc, can_nest, &why);

    if (kind == RUNNER_BOX_BOTH && !can_nest)
        doctor_fail(d, 2, "set box = \"cadre\", or allow unprivileged user namespaces (and Linux 6.12)",
                    "runner %s: box \"both\" cannot be had here", rc->name);
    else if (kind == RUNNER_BOX_OWN)
        doctor_warn(d, "set box = \"auto\"", "runner %s: box \"own\": the program itself is not shut in",
                    rc->name);
    else
        doctor_ok("runner %s: box \"%s\": %s", rc->name, runner_box_name(kind), why);
}

static void check_variables(struct doctor *d, const struct runner_config *rc)
{
    for (size_t i = 0; i < rc->env_vars.len; i++)
        if (getenv(rc->env_vars.items[i]) == NULL)
            doctor_warn(d, "export it before cadre starts", "runner %s: %s is not set", rc->name,
                        rc->env_vars.items[i]);
}

static void check_runner(struct doctor *d, struct loop *loop, const char *name, bool can_nest)
{
    struct runner_config rc;
    struct error err = {0};
    const char *program;
    char *version;

    if (runner_config_init(&rc, d->config, name, &err) < 0) {
        doctor_fail(d, 2, NULL, "%s", err.text);
        return;
    }
    program = rc.argv.items[0];
    if (!doctor_has_program(program)) {
        doctor_fail(d, 2, "install it, or set [runner] command in cadre.toml",
                    "runner %s: there is no program \"%s\"", name, program);
    } else {
        version = version_of(loop, program);
        doctor_ok("runner %s: %s by %s, version: %s", name, program, runner_protocol_name(rc.protocol),
                  version[0] == '\0' ? "not said" : version);
        free(version);
        check_box(d, &rc, can_nest);
        check_variables(d, &rc);
    }
    runner_config_finish(&rc);
}

void doctor_check_runners(struct doctor *d, struct loop *loop)
{
    struct str_list seen = {0};
    bool can_nest = false;

    for (size_t i = 0; i < role_registry_count(d->roles); i++) {
        const struct role *role = role_registry_get(d->roles, role_registry_at(d->roles, i).name, NULL);

        if (role == NULL || strcmp(role->runner, "native") == 0 || str_list_has(&seen, role->runner))
            continue;
        if (seen.len == 0)
            can_nest = sandbox_can_nest();
        str_list_add(&seen, role->runner);
        check_runner(d, loop, role->runner, can_nest);
    }
    if (seen.len == 0)
        doctor_ok("every role runs in cadre itself");
    str_list_finish(&seen);
}
