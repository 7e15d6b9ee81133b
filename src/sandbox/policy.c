/* sandbox/policy.c: see policy.h. */
#include "sandbox/policy.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static const char *const mode_names[] = {"read-only", "workspace-write", "danger-full-access"};

void sandbox_policy_init(struct sandbox_policy *policy, enum sandbox_mode mode, const char *cwd)
{
    *policy = (struct sandbox_policy){.mode = mode, .cwd = xstrdup(cwd)};
    policy->max_file_bytes = (int64_t)8 << 30;
}

void sandbox_policy_copy(struct sandbox_policy *to, const struct sandbox_policy *from)
{
    *to = *from;
    to->cwd = xstrdup(from->cwd);
    to->writable_roots = (struct str_list){0};
    to->hidden_paths = (struct str_list){0};
    str_list_copy(&to->writable_roots, &from->writable_roots);
    str_list_copy(&to->hidden_paths, &from->hidden_paths);
}

void sandbox_policy_finish(struct sandbox_policy *policy)
{
    if (policy == NULL)
        return;
    free(policy->cwd);
    str_list_finish(&policy->writable_roots);
    str_list_finish(&policy->hidden_paths);
    *policy = (struct sandbox_policy){0};
}

void sandbox_policy_tightest(struct sandbox_policy *policy, enum sandbox_mode mode)
{
    if (mode >= policy->mode)
        return;
    policy->mode = mode;
    str_list_finish(&policy->writable_roots);
    policy->writable_roots = (struct str_list){0};
    policy->network_access = false;
    policy->loopback = false;
}

int sandbox_mode_parse(const char *name, enum sandbox_mode *mode, struct error *err)
{
    for (size_t i = 0; i < sizeof mode_names / sizeof mode_names[0]; i++) {
        if (strcmp(mode_names[i], name) == 0) {
            *mode = (enum sandbox_mode)i;
            return 0;
        }
    }
    return error_set(err, ERROR_CONFIG,
                     "unknown sandbox mode \"%.60s\": expected read-only, workspace-write or danger-full-access", name);
}

const char *sandbox_mode_name(enum sandbox_mode mode)
{
    return mode_names[mode];
}
