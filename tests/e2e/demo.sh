#!/usr/bin/env bash
# `cadre demo` does what it promises, with real HTTP, git, sandbox and CI, and leaves nothing behind.
. "$(dirname "$0")/lib.sh"
export TMPDIR="$SCRATCH/tmp"
mkdir -p "$TMPDIR"
out="$SCRATCH/demo.out"
timeout 300 "$CADRE" demo --json >"$out" 2>"$SCRATCH/demo.err"
code=$?
events() { jq -r "$1" "$out"; }

ok demo_ends_green is "$code" 0
ok demo_plans_at_least_three_tasks test "$(events 'select(.type=="plan.accepted").tasks | length' | head -n 1)" -ge 3
ok demo_works_on_several_tasks_at_once test "$(events 'select(.type=="batch.started") | .tasks | length' | head -n 1)" -ge 2
ok demo_singles_out_the_task_that_breaks_ci is "$(events 'select(.type=="task.returned" and .reason=="ci").task')" T2
ok demo_keeps_the_innocent_task_of_that_batch is "$(events 'select(.type=="task.merged") | "\(.task) \(.attempt)"' | head -n 1)" "T1 1"
ok demo_has_a_review_finding_that_is_mended is "$(events 'select(.type=="task.returned" and .reason=="review").task')" T5
ok demo_stops_a_planted_credential is "$(events 'select(.type=="gate.completed").findings[]? | select(.check=="credential").file')" src/slug.c
ok demo_has_a_merge_conflict is "$(events 'select(.type=="merge.conflict").files[]')" CHANGELOG.md
ok demo_survives_a_429 test "$(events 'select(.type=="error").message' | grep -c 429)" -ge 1
ok demo_merges_every_task is "$(events 'select(.type=="task.merged").task' | sort -u | tr '\n' ' ')" "QA1 T1 T2 T3 T4 T5 "
ok demo_runs_no_command_twice_on_a_tree test "$(events 'select(.type=="ci.job" and .job=="accept T5" and .cached).state' | head -n 1)" = passed
ok demo_is_merged_back is "$(events 'select(.type=="run.completed").merged')" true
ok demo_leaves_no_file is "$(ls -A "$TMPDIR")" ""
ok demo_leaves_no_process is "$(pgrep -f "$TMPDIR" | wc -l)" 0
"$CADRE" demo --keep "$SCRATCH" >"$SCRATCH/keep.out" 2>&1
ok keep_refuses_a_folder_that_exists is "$?" 2

timeout 300 "$CADRE" demo --keep "$SCRATCH/kept" >"$SCRATCH/plain.out" 2>"$SCRATCH/plain.err" &
pid=$!
wait_for "$SCRATCH/plain.err" "plan accepted" >/dev/null
kill -INT "$pid"
wait "$pid"
ok ctrl_c_ends_the_demo_with_130 is "$?" 130
ok keep_keeps_the_repository test -d "$SCRATCH/kept/repo/.git"
ok demo_says_that_the_model_is_scripted has "$SCRATCH/plain.out" "The model is scripted"
