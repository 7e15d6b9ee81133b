#!/usr/bin/env bash
# A thread that outgrows its model's window: summary, compacted conversation, nothing of the task lost.
. "$(dirname "$0")/lib.sh"

mkdir -p "$SCRATCH/repo"; cd "$SCRATCH/repo" || exit 1
git init -q; echo x >x; git add x; git commit -qm Start

settings() { printf 'model_context_window = %s\n%s\n' "$1" "${2:-}" | cat - "$CODEX_HOME/config.toml" >"$SCRATCH/c"; mv "$SCRATCH/c" "$CODEX_HOME/config.toml"; }

# Six answers of 6 KB each, in a window of 8,000 tokens.
script '{rules: [
  {match: {last_contains: "about to exceed your context window"}, reply: {message: "SUMMARY-ONE: six files were read"}},
  {match: {input_contains: "SUMMARY-ONE"}, reply: {message: "finished after the summary"}},
  {match: {turn: 0}, reply: {tool_calls: [call("update_plan"; {plan: [{step: "PLAN-STEP read all", status: "in_progress"}]})]}},
  {match: {}, reply: {tool_calls: [sh("head -c 6000 /dev/zero | tr \"\\\\0\" {{turn}}")]}}]}' "$SCRATCH/c.json"
start_mock "$SCRATCH/c.json" --log "$SCRATCH/log"
settings 8000
"$CADRE" exec --json "TASK-TEXT: read everything" >"$SCRATCH/exec.out" 2>"$SCRATCH/exec.err"
ok a_long_thread_ends_well is "$?" 0
ok the_answer_comes_after_the_compaction is "$(jq -r 'select(.item.type=="agent_message").item.text' "$SCRATCH/exec.out" | tail -n 1)" "finished after the summary"
ok the_requests_stay_below_the_window is "$(jq -s 'map(.bytes) | max < 60000' "$SCRATCH/log")" true

# What must be kept word for word: the mock answers only where it finds it.
script '{rules: [
  {match: {last_contains: "about to exceed your context window"}, reply: {message: "SUMMARY-TWO"}},
  {match: {input_contains: "TASK-TEXT: read everything, word for word"}, reply: {tool_calls: [sh("head -c 9000 /dev/zero | tr \"\\\\0\" {{turn}}")]}}]
  | (.[1:1] = [{match: {input_contains: "SUMMARY-TWO", last_contains: "PLAN-STEP"}, reply: {message: "plan kept"}}])
  | (.[1:1] = [{match: {turn: 0, last_contains: "word for word"}, reply: {tool_calls: [call("update_plan"; {plan: [{step: "PLAN-STEP", status: "in_progress"}]})]}}] | .)
  | [.[0], .[2], .[1], .[3]]}' "$SCRATCH/keep.json"
start_mock "$SCRATCH/keep.json"
settings 8000
"$CADRE" exec --json "TASK-TEXT: read everything, word for word" >"$SCRATCH/keep.out" 2>"$SCRATCH/keep.err"
ok the_task_and_the_plan_are_kept is "$(jq -r 'select(.item.type=="agent_message").item.text' "$SCRATCH/keep.out" | tail -n 1)" "plan kept"

# The service says that it does not fit: no summary can be had, the thread goes on all the same.
script '{rules: [
  {match: {input_contains: "too long to be kept"}, reply: {message: "went on without a summary"}},
  {match: {turn: 0}, reply: {tool_calls: [sh("echo one")]}},
  {match: {}, fault: {status: 400, times: -1, body: {error: {code: "context_length_exceeded", message: "too long"}}}}]}' "$SCRATCH/over.json"
start_mock "$SCRATCH/over.json"
"$CADRE" exec --json "go" >"$SCRATCH/over.out" 2>"$SCRATCH/over.err"
ok a_refused_conversation_is_compacted is "$(jq -r 'select(.item.type=="agent_message").item.text' "$SCRATCH/over.out" | tail -n 1)" "went on without a summary"

# One message larger than the window.
script '{rules: [{match: {input_contains: "bytes left out"}, reply: {message: "shortened"}}, {match: {}, reply: {message: "whole"}}]}' "$SCRATCH/huge.json"
start_mock "$SCRATCH/huge.json" --log "$SCRATCH/huge.log"
settings 8000
"$CADRE" exec --json "$(head -c 100000 /dev/zero | tr '\0' x)" >"$SCRATCH/huge.out" 2>"$SCRATCH/huge.err"
ok an_item_larger_than_the_window_is_shortened is "$(jq -r 'select(.item.type=="agent_message").item.text' "$SCRATCH/huge.out" | tail -n 1)" "shortened"

# In a run: the rollout shows it.
make_repo "$SCRATCH/run"
script '{rules: ([{match: {last_contains: "about to exceed your context window"}, reply: {message: "SUMMARY-THREE"}},
  {match: {role: "implementer", task: "T1", input_contains: "SUMMARY-THREE"}, reply: {tool_calls: [sh("echo right > add.txt"), done_with("did T1")]}},
  {match: {role: "implementer", task: "T1"}, reply: {tool_calls: [sh("head -c 9000 /dev/zero | tr \"\\0\" {{turn}}")]}}] +
  explorer + plan(two_tasks) + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/run.json"
start_mock "$SCRATCH/run.json"
settings 8000
cd "$SCRATCH/run" || exit 1
"$CADRE" run --json "mend both" >"$SCRATCH/run.out" 2>"$SCRATCH/run.err"
ok a_run_with_a_small_window_ends_green is "$?" 0
ok the_compaction_is_an_event is "$(jq -r 'select(.type=="thread.compacted") | .task + " " + .summary' "$SCRATCH/run.out")" "T1 SUMMARY-THREE"
rollout=$(grep -l thread.compacted "$XDG_STATE_HOME"/cadre/runs/*/rollouts/*.jsonl)
ok the_compaction_is_in_the_rollout test -s "$rollout"
ok it_says_what_it_saved is "$(jq -s '[.[] | (.payload // .) | select(.type=="thread.compacted") | .tokens_before > .tokens_after and .tokens_after > 0] == [true]' "$rollout")" true
