#!/usr/bin/env bash
# Three real ACP agents from npm, one task each of one run, against the mock model, in a network namespace with loopback
# alone. The other roles are our own threads.
source_dir=${CADRE_SOURCE:-$PWD}
if [ -z "${CADRE_E2E_MODULES:-}" ]; then
    reason=$(mktemp)
    if ! CADRE_E2E_MODULES=$("$source_dir/tests/npm-install" @zed-industries/codex-acp opencode-ai @qwen-code/qwen-code 2>"$reason"); then
        echo "ok 1 - acp_agents_carry_tasks # SKIP $(head -n 1 "$reason")"
    elif ! unshare -n true 2>/dev/null; then
        echo "ok 1 - acp_agents_carry_tasks # SKIP no network namespace can be made here"
    else
        rm -f "$reason"
        export CADRE_E2E_MODULES
        exec unshare -n bash "$0"
    fi
    rm -f "$reason"
    echo "1..1"
    exit 0
fi
ip link set lo up
# /tmp is writable to the commands of a role, so the scratch folder is elsewhere.
TMPDIR=/var/tmp
. "$(dirname "$0")/lib.sh"
unset TMPDIR
export PATH="$CADRE_E2E_MODULES/.bin:$PATH"

mkdir -p "$SCRATCH/repo" && cd "$SCRATCH/repo" || exit 1
git init -q
printf 'check:\n\t@for f in a b c; do test "$$(cat $$f.txt)" = right || { echo "not ok $$f"; exit 1; }; done\n' >Makefile
for f in a b c; do echo wrong >$f.txt; done
git add -A && git commit -qm Start
JQ_ACP='
def works(t; tool; args; answer): [
  {match: {input_contains: ("# Task " + t + ":"), last_contains: ("# Task " + t + ":")}, reply: {message: "On it.", tool_calls: [{name: tool, arguments: args}]}},
  {match: {input_contains: ("# Task " + t + ":")}, reply: {message: answer, usage: {input_tokens: 1000, output_tokens: 100}}}];
def out_and(f): "echo right > " + f + ".txt; echo x > '"$HOME"'/escape-" + f + "; echo x > .git/escape-" + f + "; echo key=$THE_KEY. > /dev/stderr; true";
def tasks: "# Plan: mend three\n\n## Tasks\n" + (["T1 a by_codex", "T2 b by_opencode", "T3 c by_qwen"] | map(split(" ") | "- [ ] **\(.[0])** Mend \(.[1])\n  - files: `\(.[1]).txt`\n  - needs: none\n  - accept: `grep right \(.[1]).txt`\n  - role: \(.[2])\n") | join("")) + "\n## Decisions\n\n## Log\n";
'
jq -n "$JQ_LIB $JQ_ACP"'{rules: (plan(tasks)
  + works("T1"; "exec_command"; {cmd: out_and("a")}; {status: "done", summary: "did a", notes: null})
  + works("T2"; "bash"; {command: out_and("b"), description: "mend b"}; "Here it is:\n\n```json\n{\"status\": \"done\", \"summary\": \"did b\"}\n```")
  + works("T3"; "run_shell_command"; {command: out_and("c"), description: "mend c", is_background: false}; {status: "done", summary: "did c"})
  + approve + ending
  + [{match: {role: ""}, reply: {message: "A title"}}])}' >"$SCRATCH/acp.json"
start_mock "$SCRATCH/acp.json" --log "$SCRATCH/mock.log"
mkdir -p "$HOME/.config/opencode" "$HOME/.codex/agents"
jq -n --arg url "$MOCK_URL" '{model: "mock/mock-model", small_model: "mock/mock-model", autoupdate: false, share: "disabled",
  provider: {mock: {npm: "@ai-sdk/openai-compatible", name: "Mock", options: {baseURL: $url, apiKey: "{env:THE_KEY}"}, models: {"mock-model": {name: "m"}}}}}' \
    >"$HOME/.config/opencode/opencode.json"
for name in codex opencode qwen; do
    printf 'name = "by_%s"\ndescription = "Works by another program."\ndeveloper_instructions = "Do the task."\n' $name >"$HOME/.codex/agents/by_$name.toml"
    printf '[roles.by_%s]\nrunner = "%s-acp"\n' $name $name
done >"$CODEX_HOME/cadre.toml"
cat >>"$CODEX_HOME/cadre.toml" <<EOF
[ci]
commands = ["make check"]
[loop]
explore = false
[gates]
qa = false

[runner.codex-acp]
command = "codex-acp"
home_files = [".codex/config.toml"]
env_vars = ["MOCK_KEY"]
session_mode = "full-access"

[runner.opencode-acp]
command = ["opencode", "acp"]
home_files = [".config/opencode/opencode.json"]
env_vars = ["THE_KEY"]

[runner.qwen-acp]
command = ["qwen", "--acp"]
env = { OPENAI_BASE_URL = "$MOCK_URL", OPENAI_MODEL = "mock-model", OPENAI_API_KEY = "test-key" }
EOF
export THE_KEY=test-key
"$CADRE" run --json "mend three" >"$SCRATCH/run.out" 2>"$SCRATCH/run.err"
code=$?
out=$SCRATCH/run.out
ok a_run_with_three_acp_agents_ends_green is "$code" 0
[ "$code" = 0 ] || { tail -n 20 "$SCRATCH/run.err"; grep -E 'returned|failed' "$out" | tail -n 8; } | cut -c1-600 | sed 's/^/# /'
ok their_work_is_merged is "$(cat a.txt b.txt c.txt | tr '\n' ' ')" "right right right "
number=0
for name in codex opencode qwen; do
    number=$((number + 1))
    ok "${name}_carried_its_task" is "$(jq -r "select(.type==\"thread.started\" and .role==\"by_$name\") | .runner + \" \" + .task" "$out")" "$name-acp T$number"
    ok "${name}_did_it_at_its_first_attempt" is "$(jq -r "select(.type==\"task.merged\" and .task==\"T$number\").attempt" "$out")" 1
    ok "commands_of_${name}_become_items" test "$(jq -r "select(.type==\"item.completed\" and .role==\"by_$name\" and .item.type==\"command_execution\").item.command" "$out" | grep -c 'echo right')" -ge 1
    ok "usage_of_${name}_is_counted" test "$(jq -r "select(.type==\"thread.closed\" and .role==\"by_$name\").tokens" "$out")" -ge 1100
done
ok qwen_asked_for_leave_and_the_policy_answered is "$(jq -r 'select(.type=="approval.resolved" and .role=="by_qwen") | .decision' "$out" | sort -u)" allow
ok nothing_is_written_outside is "$(find "$SCRATCH" -name 'escape-*' | wc -l)" 0
ok agents_leave_nothing_behind is "$(find "$XDG_STATE_HOME" -path '*/runners/*' | wc -l)" 0
ok nothing_of_them_runs_on is "$(pgrep -f "$CADRE_E2E_MODULES/.bin/(codex-acp|opencode|qwen)" | wc -l)" 0
