#!/usr/bin/env bash
# A whole run in which every role is carried by the real Codex CLI from npm, against the mock model, in a network namespace
# with loopback alone.
source_dir=${CADRE_SOURCE:-$PWD}
if [ -z "${CADRE_E2E_MODULES:-}" ]; then
    reason=$(mktemp)
    if ! CADRE_E2E_MODULES=$("$source_dir/tests/npm-install" @openai/codex 2>"$reason"); then
        echo "ok 1 - codex_carries_a_run # SKIP $(head -n 1 "$reason")"
    elif ! unshare -n true 2>/dev/null; then
        echo "ok 1 - codex_carries_a_run # SKIP no network namespace can be made here"
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
. "$(dirname "$0")/lib.sh"
export PATH="$CADRE_E2E_MODULES/.bin:$PATH"
codex_roles='explorer orchestrator implementer reviewer security_auditor qa_test_author release_manager'
use_codex() {
    for role in $codex_roles; do printf '[roles.%s]\nrunner = "codex"\n' "$role"; done >>"$CODEX_HOME/cadre.toml"
    printf '[runner.codex]\nenv_vars = ["MOCK_KEY"]\n%s\n' "${1:-}" >>"$CODEX_HOME/cadre.toml"
}
# Codex does not say which role asks: the prompt does.
JQ_CODEX='
def says(t; m): {match: {input_contains: t}, reply: {message: m}};
def does(t; c): {match: {input_contains: t, turn: 0}, reply: {tool_calls: [call("exec_command"; {cmd: c})]}};
def done_json(s): {status: "done", summary: s, notes: null};
def verdict: {verdict: "approve", summary: "fine", findings: []};
def codex_explorer: [says("Map what matters for this goal"; done_json("two files"))];
def codex_plan: [does("Write the plan to"; "cat > plan.md <<'"'"'EOF'"'"'\n" + two_tasks + "\nEOF\n"), says("Write the plan to"; done_json("planned"))];
def codex_work(t; c): [does("# Task " + t + ":"; c), says("# Task " + t + ":"; done_json("did " + t))];
def codex_gates: [says("# Review of commit"; verdict), says("# Security audit of commit"; verdict)];
def codex_ending: [says("# Task QA1:"; done_json("every line has a test")),
  says("Write the release notes"; {status: "done", summary: "notes", notes: "# Notes\n\n- mended by Codex\n"})];
def codex_run: codex_explorer + codex_plan + codex_work("T1"; "echo right > add.txt") + codex_work("T2"; "echo right > mul.txt") + codex_gates + codex_ending;
'
# Without what calls out by itself: in a namespace without network each of its ends costs five seconds.
codex_mock() { # SCRIPT [ARGUMENT...]
    start_mock "$@" && printf '[analytics]\nenabled = false\n[features]\nplugins = false\napps = false\nremote_plugin = false\n' >>"$CODEX_HOME/config.toml"
}
codex_script() { jq -n "$JQ_LIB $JQ_CODEX $1" >"$2"; }
events() { jq -r "$1" "$2"; }

# --- a run from goal to merge, the reviewer asked twice --------------------------------------------------------
make_repo "$SCRATCH/repo"
use_codex
codex_script '{rules: ([{match: {input_contains: "# Review of commit", turn: 0}, reply: {message: "Looks good to me."}}] + codex_run)}' "$SCRATCH/run.json"
codex_mock "$SCRATCH/run.json" --log "$SCRATCH/mock.log"
cp "$CODEX_HOME/config.toml" "$SCRATCH/config.before"
cd "$SCRATCH/repo" || exit 1
"$CADRE" run --json "mend both" >"$SCRATCH/run.out" 2>"$SCRATCH/run.err"
code=$?
out=$SCRATCH/run.out
ok a_run_by_codex_ends_green is "$code" 0
[ "$code" = 0 ] || { tail -n 20 "$SCRATCH/run.err"; tail -n 5 "$out"; } | cut -c1-400 | sed 's/^/# /'
ok its_work_is_merged is "$(cat add.txt mul.txt | tr '\n' ' ')" "right right "
ok every_thread_was_carried_by_codex is "$(events 'select(.type=="thread.started").runner' "$out" | sort -u)" codex
ok the_engine_commits_what_codex_wrote is "$(events 'select(.type=="task.committed").task' "$out" | sort | tr '\n' ' ')" "T1 T2 "
ok both_gates_pass is "$(events 'select(.type=="gate.completed" and .verdict=="approve").gate' "$out" | sort -u | tr '\n' ' ')" "checks review security "
ok a_verdict_in_free_text_is_asked_for_again is "$(events 'select(.type=="turn.started" and .role=="reviewer").type' "$out" | wc -l)" 2
ok commands_become_items test "$(events 'select(.type=="item.completed" and .item.type=="command_execution" and .item.exit_code==0).item.command' "$out" | grep -c 'echo right')" = 2
ok items_carry_thread_role_and_task is "$(events 'select(.type=="item.completed" and .item.type=="command_execution" and .task=="T1") | .role + (if .thread then "" else "?" end)' "$out" | sort -u)" implementer
ok item_ids_are_unique_in_a_thread is "$(events 'select(.type=="item.completed" and .role=="reviewer") | .thread + .item.id' "$out" | sort | uniq -d | wc -l)" 0
# The mock counts a quarter of the bytes; Codex reports the session's sum, which must not be counted twice.
spent=$(events 'select(.type=="thread.closed" and .role=="reviewer").tokens' "$out")
first=$(events 'select(.type=="turn.completed" and .role=="reviewer") | .usage.input_tokens + .usage.output_tokens' "$out" | head -n 1)
ok usage_is_what_codex_reports test "${first:-0}" -gt 1000 -a "${spent:-0}" -gt "${first:-0}" -a "${spent:-0}" -lt $((${first:-0} * 4))
ok the_run_counts_it test "$(events 'select(.type=="run.completed").tokens' "$out")" -ge "${spent:-1}"
ok release_notes_come_from_codex grep -q 'mended by Codex' "$(ls -d "$XDG_STATE_HOME"/cadre/runs/*/ | tail -n 1)/release-notes.md"
ok the_users_codex_home_is_as_it_was is "$(ls -A "$CODEX_HOME" | grep -v history.jsonl | tr '\n' ' '; cmp "$SCRATCH/config.before" "$CODEX_HOME/config.toml")" "cadre.toml config.toml "
ok nothing_is_left_over is "$(find "$XDG_STATE_HOME" -path '*/runners/*' | wc -l)" 0

# --- by the app-server; what the box holds ---------------------------------------------------------------------------------------------
make_repo "$SCRATCH/box"
printf '[loop]\nexplore = false\n[gates]\nqa = false\nsecurity = false\n' >>"$CODEX_HOME/cadre.toml"
use_codex 'protocol = "codex-app-server"'
codex_script '{rules: ([{match: {input_contains: "# Review of commit", turn: 0}, reply: {message: "Looks good to me."}}] + codex_plan + codex_work("T1"; "echo right > add.txt; echo x > $HOME/escape; echo x > '"$SCRATCH"'/escape; echo x > .git/escape; echo key=$MOCK_KEY.; exec 3<>/dev/tcp/127.0.0.1/1; true") + codex_run)}' "$SCRATCH/box.json"
codex_mock "$SCRATCH/box.json"
cd "$SCRATCH/box" || exit 1
"$CADRE" run --json "mend both" >"$SCRATCH/box.out" 2>"$SCRATCH/box.err"
code=$?
ok a_run_by_the_app_server_that_tries_to_get_out_ends_green is "$code" 0
[ "$code" = 0 ] || { tail -n 20 "$SCRATCH/box.err"; tail -n 5 "$SCRATCH/box.out"; } | cut -c1-400 | sed 's/^/# /'
ok what_it_wrote_is_merged is "$(cat add.txt mul.txt | tr '\n' ' ')" "right right "
ok the_same_thread_is_asked_again is "$(events 'select(.type=="turn.completed" and .role=="reviewer").thread' "$SCRATCH/box.out" | sort | uniq -c | tr -s ' ' | cut -d' ' -f2)" 2
first=$(events 'select(.type=="turn.completed" and .role=="reviewer") | .usage.input_tokens' "$SCRATCH/box.out" | head -n 1)
both=$(events 'select(.type=="turn.completed" and .role=="reviewer") | .usage.input_tokens' "$SCRATCH/box.out" | tail -n 1)
ok usage_of_the_app_server_is_counted_once test "${first:-0}" -gt 1000 -a "${both:-0}" -gt "${first:-0}" -a "${both:-0}" -lt $((${first:-0} * 3))
output=$(events 'select(.type=="item.completed" and .item.type=="command_execution" and .task=="T1").item.aggregated_output' "$SCRATCH/box.out")
ok nothing_is_written_outside is "$(find "$SCRATCH" -name escape | wc -l)" 0
ok the_users_key_is_not_in_commands is "$(grep -o 'key=.*' <<<"$output")" "key=."
if "$CADRE" sandbox --nestable -- unshare -Urm true 2>/dev/null; then
    ok commands_have_no_network grep -q 'Operation not permitted' <<<"$(grep -E 'socket|tcp' <<<"$output")"
else
    skip commands_have_no_network "Codex's own sandbox cannot be nested here"
fi

# --- ours alone: box = "cadre" -------------------------------------------------------------------------------------
make_repo "$SCRATCH/ours"
printf '[loop]\nexplore = false\n[gates]\nqa = false\nreview = false\nsecurity = false\n' >>"$CODEX_HOME/cadre.toml"
use_codex 'box = "cadre"'
codex_script '{rules: (codex_plan + codex_work("T1"; "echo right > add.txt; echo x > $HOME/escape; echo x > '"$SCRATCH"'/escape; echo x > .git/escape; true") + codex_run)}' "$SCRATCH/ours.json"
codex_mock "$SCRATCH/ours.json"
cd "$SCRATCH/ours" || exit 1
"$CADRE" run --json "mend both" >"$SCRATCH/ours.out" 2>"$SCRATCH/ours.err"
ok a_run_in_our_box_alone_ends_green is "$?" 0
ok nothing_is_written_outside_of_it is "$(find "$SCRATCH" -name escape | wc -l)" 0

# --- no key --------------------------------------------------------------------------------------------------------
sed -i '/env_vars/d' "$CODEX_HOME/cadre.toml"
"$CADRE" run --json "mend both" >"$SCRATCH/key.out" 2>"$SCRATCH/key.err"
ok without_its_key_the_run_stops_with_exit_code_4 is "$?" 4
ok and_says_what_is_missing has "$SCRATCH/key.err" "MOCK_KEY"
