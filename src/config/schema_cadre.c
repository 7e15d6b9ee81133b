/* config/schema_cadre.c: the keys of cadre.toml, which Codex does not know. The rows are the documentation. */
#include "config/schema.h"

#define S    SCHEMA_STRING
#define I    SCHEMA_INTEGER
#define F    SCHEMA_FLOAT
#define B    SCHEMA_BOOLEAN
#define L    SCHEMA_LIST
#define T    SCHEMA_TABLE
#define C    SCHEMA_CADRE
#define USER (SCHEMA_CADRE | SCHEMA_USER_ONLY)

static const struct schema_key keys[] = {
    {"loop.batch_size", I, C, "3", NULL, "Tasks that one batch works on at once.", NULL},
    {"loop.max_batches", I, C, "20", NULL, "A run ends after so many batches.", NULL},
    {"loop.max_attempts", I, C, "3", NULL, "Attempts of a task before it is blocked.", NULL},
    {"loop.max_diff_lines", I, C, "800", NULL, "A larger diff of a task is messy and sent back.", NULL},
    {"loop.max_task_files", I, C, "20", NULL, "A task that names more files is too large.", NULL},
    {"loop.max_review_rounds", I, C, "3", NULL, "Rounds of findings before a task is blocked.", NULL},
    {"loop.max_plan_attempts", I, C, "3", NULL, "Tries of the orchestrator to write a valid plan.", NULL},
    {"loop.max_minutes", I, C, "0", NULL, "Wall clock of a run; 0 is no limit.", NULL},
    {"loop.max_tokens", I, C, "0", NULL, "Tokens of a run, all threads; 0 is no limit.", NULL},
    {"loop.max_cost_usd", F, C, "0", NULL, "Money of a run, by the prices of `[models]`; 0 is no limit.",
     NULL},
    {"loop.max_requests", I, C, "0", NULL, "Requests of a run; 0 is no limit.", NULL},
    {"loop.task_minutes", I, C, "0", NULL, "Wall clock of one attempt; 0 is no limit.", NULL},
    {"loop.max_turn_steps", I, C, "200", NULL, "Model requests of one turn of a thread before it is ended.", NULL},
    {"loop.explore", B, C, "true", NULL, "Start with the explorer.", NULL},
    {"loop.tuning", B, C, "true", NULL, "Adapt threads, batch size and plan template to what happens.", NULL},

    {"gates.review", B, C, "true", NULL, "The reviewer must approve each batch.", NULL},
    {"gates.security", B, C, "true", NULL, "The security auditor must approve each batch.", NULL},
    {"gates.qa", B, C, "true", NULL, "The QA role adds tests for changed lines without.", NULL},
    {"gates.allow", L, C, NULL, NULL,
     "`[[gates.allow]]` entries `{check, reason, paths}` switch a built-in check off, with a reason.", NULL},

    {"ci.commands", L, C, NULL, NULL, "Commands that are the CI; they replace workflows and detection.",
     NULL},
    {"ci.workflows", L, C, NULL, NULL, "Workflow files to mirror; empty: all that match the event.", NULL},
    {"ci.event", S, C, "\"push\"", NULL, "The event that is mirrored.", NULL},
    {"ci.timeout_seconds", I, C, "3600", NULL, "Time of a job that states none.", NULL},
    {"ci.retries", I, C, "1", NULL, "Re-runs of a red step, to tell flaky from broken.", NULL},
    {"ci.network", B, C, "false", NULL, "Network for test steps.", NULL},
    {"ci.jobs", I, C, "0", NULL, "Jobs at once; 0 is one a processor.", NULL},
    {"ci.actions.*.run", S, C, NULL, NULL,
     "`[ci.actions.\"owner/name\"]`: the shell command that stands for the action; inputs are `INPUT_NAME`.", NULL},
    {"ci.actions.*.uses", S, C, NULL, NULL, "The action whose local equivalent stands for it.", NULL},
    {"ci.actions.*.satisfied", S, C, NULL, NULL, "Why nothing has to be done for it here.", NULL},
    {"ci.actions.*.skip", S, C, NULL, NULL, "Why it is skipped.", NULL},
    {"ci.container_engine", S, USER, "\"auto\"", NULL,
     "What runs containers and services for `cadre ci`: `auto` (docker, when its socket answers), `none`, or a program that "
     "takes the words of `docker`.", NULL},
    {"ci.secrets.*", S, USER, NULL, NULL, "`secrets` of the workflows: the variable to read.", NULL},
    {"ci.vars.*", S, C, NULL, NULL, "`vars` of the workflows.", NULL},

    {"merge.strategy", S, C, "\"ff\"", "ff|merge|squash", "How the integration branch is merged back.", NULL},
    {"merge.target", S, C, NULL, NULL, "The branch merged into; unset: the one that is checked out.", NULL},

    {"merge.shared_files", L, C, NULL, NULL,
     "Globs of files that every task may add to, such as a change log.", NULL},

    {"worktree.setup", S, C, NULL, NULL, "Shell command that makes a fresh worktree ready.", NULL},
    {"worktree.setup_timeout_seconds", I, C, "600", NULL, "Its time limit.", NULL},
    {"worktree.port_base", I, C, "20000", NULL, "`CADRE_PORT_BASE` of the first worktree.", NULL},
    {"worktree.port_step", I, C, "20", NULL, "Distance to the next worktree's.", NULL},

    {"hooks.after_worktree", S, USER, NULL, NULL, "Shell command after a worktree is made.", NULL},
    {"hooks.before_task", S, USER, NULL, NULL, "Before an attempt starts.", NULL},
    {"hooks.after_task", S, USER, NULL, NULL, "After an attempt ended.", NULL},
    {"hooks.before_merge", S, USER, NULL, NULL, "Before merge back; a failure stops it.", NULL},
    {"hooks.after_run", S, USER, NULL, NULL, "After a run.", NULL},
    {"hooks.timeout_seconds", I, USER, "60", NULL, "Time limit of each.", NULL},

    {"notifications.bell", B, USER, "true", NULL, "Ring the terminal's bell when a run ends or waits for an answer.",
     NULL},
    {"notifications.command", S, USER, NULL, NULL, "Shell command then; the event is in `$CADRE_EVENT` as JSON.", NULL},

    {"remote.enabled", B, C, "false", NULL, "Push the integration branch and open a pull request.", NULL},
    {"remote.max_rounds", I, C, "5", NULL, "Times that a red remote CI goes back into the loop.", NULL},

    {"remote.tool", S, C, "\"auto\"", "auto|gh|glab", "What speaks to the forge; auto looks at the remote's address.", NULL},
    {"remote.name", S, C, "\"origin\"", NULL, "The git remote that is pushed to.", NULL},
    {"remote.poll_seconds", I, C, "15", NULL, "How often its checks are looked at.", NULL},
    {"remote.timeout_minutes", I, C, "60", NULL, "How long they may take.", NULL},

    {"runner.*.protocol", S, USER, NULL, "native|codex|codex-app-server|acp", "How the program is spoken to.", NULL},
    {"runner.*.command", S | L, USER, NULL, NULL, "The program, or the program with its arguments.", NULL},
    {"runner.*.args", L, USER, NULL, NULL, "Its arguments.", NULL},
    {"runner.*.env.*", S, USER, NULL, NULL, "Variables set for it.", NULL},
    {"runner.*.env_vars", L, USER, NULL, NULL, "Names passed through to it.", NULL},
    {"runner.*.model", S, USER, NULL, NULL, "Model it is told to use.", NULL},
    {"runner.*.box", S, USER, "\"auto\"", "auto|both|cadre|own",
     "Its sandbox: its own nested in ours, ours alone, or its own alone; `auto` takes the tightest that holds.", NULL},
    {"runner.*.home_files", L, USER, NULL, NULL,
     "Files (copied) and folders (linked) of your home folder that the private one it gets holds.", NULL},
    {"runner.*.writable_roots", L, USER, NULL, NULL, "Further folders it may write to.", NULL},
    {"runner.*.auth_method", S, USER, NULL, NULL, "ACP: the way to authenticate; unset: only where it is asked for.",
     NULL},
    {"runner.*.session_mode", S, USER, NULL, NULL, "ACP: the mode its sessions are set to.", NULL},
    {"runner.*.idle_timeout_seconds", I, USER, "1800", NULL, "A turn without a sign of progress for so long fails.",
     NULL},

    {"roles.*.runner", S, USER, "\"native\"", NULL,
     "What carries the role: `native`, `codex` or a `[runner]`.", NULL},
    {"roles.*.isolation", S, C, NULL, "none|worktree", "Does a spawned agent get its own worktree?", NULL},
    {"roles.*.mcp_servers", L, C, NULL, NULL, "The MCP servers the role has.", NULL},
    {"roles.*.sandbox_mode", S, USER, NULL, "read-only|workspace-write|danger-full-access",
     "The user's word: holds also where it is wider than the parent's.", NULL},
    {"roles.*.approval_policy", S, USER, NULL, "untrusted|on-failure|on-request|never", "The same.", NULL},
    {"roles.*.model", S, C, NULL, NULL, "Replaces the role file's model.", NULL},
    {"roles.*.model_reasoning_effort", S, C, NULL, "none|minimal|low|medium|high|xhigh|max|ultra",
     "Replaces the role file's effort.", NULL},

    {"models.*.context_window", I, C, NULL, NULL, "Tokens of the model's window.", NULL},
    {"models.*.max_output_tokens", I, C, NULL, NULL, "Longest answer.", NULL},
    {"models.*.input_usd_per_million", F, C, NULL, NULL, "Price of a million input tokens.", NULL},
    {"models.*.cached_input_usd_per_million", F, C, NULL, NULL, "The same from the provider's cache.", NULL},
    {"models.*.cache_write_usd_per_million", F, C, NULL, NULL, "The same written to the cache.", NULL},
    {"models.*.output_usd_per_million", F, C, NULL, NULL, "Price of a million output tokens.", NULL},

    {"limits.max_processes", I, C, "2000", NULL, "Processes and threads of one command at once; 0 is no limit.", NULL},
    {"limits.memory_mb", I, C, NULL, NULL,
     "Memory of one command with all its processes; 0 is no limit. Not set: three quarters of the machine's.", NULL},
    {"limits.file_mb", I, C, "8192", NULL, "Largest file that a command may write; 0 is no limit.", NULL},
    {"limits.min_free_disk_mb", I, C, "512", NULL,
     "A command whose writing leaves less free space than this is ended; 0 is no limit.", NULL},
    {"limits.cpu_seconds", I, C, "0", NULL, "Processor time of each process of a command; 0 is no limit.", NULL},
    {"limits.max_agents", I, C, "1000", NULL, "Agents that models may spawn in one session; 0 is no limit.", NULL},
    {"sandbox.private_tmp", B, C, "true", NULL,
     "Where user namespaces are allowed, the commands of a thread share a `/tmp` of their own instead of the machine's.", NULL},
    {"sandbox.hidden_paths", L, USER | SCHEMA_PATH, NULL, NULL,
     "Further paths that commands cannot read, beside `~/.ssh` and the like.", NULL},
    {"approvals.deadline_seconds", I, USER, NULL, NULL, "How long a pending approval waits.", NULL},
    {"approvals.default", S, USER, "\"deny\"", "allow|deny", "Its answer after that.", NULL},
    {"dashboard.port", I, USER, NULL, NULL, "Port of `cadre serve`.", NULL},
};

const struct schema_part schema_keys_cadre = {keys, sizeof keys / sizeof keys[0]};
