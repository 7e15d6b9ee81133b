/* agent/office_approvals.c: who decides whether commands of an office's threads may run: rules files, each session's policy,
 * and the inbox where a person answers. */
#include "agent/office_internal.h"

#include "agent/inbox.h"
#include "base/log.h"
#include "base/path.h"
#include "config/config.h"
#include "config/role.h"
#include "sandbox/command_rules.h"

#include <stdlib.h>

#define ATTENDED_DEADLINE_S 600

static void on_event(void *data, json_t *event)
{
    struct office *office = data;

    if (office->options.on_event != NULL)
        office->options.on_event(office->options.data, event);
}

static void on_save(void *data, const char *id, const json_t *record)
{
    struct office *office = data;

    if (office->options.on_approval != NULL)
        office->options.on_approval(office->options.data, id, record);
}

static void read_rules(struct office *office)
{
    const struct str_list *folders = config_folders(office->options.config);
    struct str_list warnings = {0};

    office->rules = command_rules_create();
    for (size_t i = 0; i < folders->len; i++) {
        char *folder = path_join(folders->items[i], "rules");

        command_rules_read_folder(office->rules, folder, &warnings);
        free(folder);
    }
    for (size_t i = 0; i < warnings.len; i++)
        log_warning("%s", warnings.items[i]);
    str_list_finish(&warnings);
}

void office_open_inbox(struct office *office)
{
    const struct config *c = office->options.config;
    struct inbox_options options = {
        .loop = office->options.loop,
        .default_allows = str_eq(config_string(c, "approvals.default"), "allow"),
        .on_event = on_event,
        .on_save = on_save,
        .data = office,
    };

    if (config_is_set(c, "approvals.deadline_seconds"))
        options.deadline_ms = config_int(c, "approvals.deadline_seconds") * 1000;
    else if (office->options.is_attended)
        options.deadline_ms = (int64_t)ATTENDED_DEADLINE_S * 1000;
    office->inbox = inbox_create(&options);
    read_rules(office);
}

void office_close_inbox(struct office *office)
{
    inbox_destroy(office->inbox);
    command_rules_destroy(office->rules);
}

struct inbox *office_inbox(struct office *office)
{
    return office->inbox;
}

/* What the configuration says. */
static int configured_policy(const struct config *c, struct approval_policy *policy, struct error *err)
{
    bool is_granular = config_is_set(c, "approval_policy.granular.sandbox_approval") ||
                       config_is_set(c, "approval_policy.granular.rules");
    const char *name = is_granular ? "granular" : config_string(c, "approval_policy");

    if (approval_policy_parse(name == NULL ? "on-request" : name, policy, err) < 0)
        return -1;
    if (is_granular) {
        policy->may_ask_sandbox = config_bool(c, "approval_policy.granular.sandbox_approval");
        policy->may_ask_rules = config_bool(c, "approval_policy.granular.rules");
    }
    return 0;
}

int session_make_desk(struct agent_session *s, const struct role *role, struct error *err)
{
    const struct config *c = s->office->options.config;
    struct approval_policy own;

    s->desk = inbox_desk(s->office->inbox);
    s->desk.rules = s->office->rules;
    if (configured_policy(c, &s->desk.policy, err) < 0)
        return -1;
    if (role->approval_policy == NULL)
        return 0;
    if (approval_policy_parse(role->approval_policy, &own, err) < 0)
        return error_wrap(err, "role %s", role->name);
    if (own.kind == APPROVAL_GRANULAR && role->approval_granular != NULL) {
        own.may_ask_sandbox = toml_boolean(role->approval_granular, "sandbox_approval", false);
        own.may_ask_rules = toml_boolean(role->approval_granular, "rules", false);
    }
    /* The tightest of both holds, unless the user's own layer says more. A configuration that names none leaves the
     * choice to the role. */
    s->desk.policy = role->is_approval_forced || !config_is_set(c, "approval_policy")
                         ? own
                         : approval_policy_tightest(&s->desk.policy, &own);
    return 0;
}
