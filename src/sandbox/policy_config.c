/* sandbox/policy_config.c: what the configuration says of a policy: [sandbox_workspace_write] as in Codex, [sandbox] of ours. */
#include "sandbox/policy.h"

#include "config/config.h"

void sandbox_policy_configure_limits(struct sandbox_policy *policy, const struct config *c)
{
    policy->max_processes = config_int(c, "limits.max_processes");
    if (config_is_set(c, "limits.memory_mb")) {
        policy->max_memory_bytes = config_int(c, "limits.memory_mb") << 20;
        policy->has_memory_group = true;
    }
    policy->min_free_disk_bytes = config_int(c, "limits.min_free_disk_mb") << 20;
    policy->max_file_bytes = config_int(c, "limits.file_mb") << 20;
    policy->max_cpu_seconds = config_int(c, "limits.cpu_seconds");
}

void sandbox_policy_configure_common(struct sandbox_policy *policy, const struct config *c)
{
    policy->private_tmp = config_bool(c, "sandbox.private_tmp");
    sandbox_policy_configure_limits(policy, c);
    config_list(c, "sandbox.hidden_paths", &policy->hidden_paths);
    sandbox_policy_hide_secrets(policy);
}

void sandbox_policy_configure(struct sandbox_policy *policy, const struct config *c)
{
    if (policy->mode == SANDBOX_WORKSPACE_WRITE) {
        config_list(c, "sandbox_workspace_write.writable_roots", &policy->writable_roots);
        policy->network_access = config_bool(c, "sandbox_workspace_write.network_access");
        policy->exclude_tmpdir_env_var = config_bool(c, "sandbox_workspace_write.exclude_tmpdir_env_var");
        policy->exclude_slash_tmp = config_bool(c, "sandbox_workspace_write.exclude_slash_tmp");
    }
    sandbox_policy_configure_common(policy, c);
}
