#!/usr/bin/env bash
# `cadre run` from a goal to a merged branch, and what happens when things go wrong on the way.
. "$(dirname "$0")/lib.sh"

# --- happy path -------------------------------------------------------------------------------------------
make_repo "$SCRATCH/happy"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/happy.json"
start_mock "$SCRATCH/happy.json"
cd "$SCRATCH/happy" || exit 1
"$CADRE" run --json "mend both" >"$SCRATCH/happy.out" 2>"$SCRATCH/happy.err"
code=$?
ok run_ends_green_with_exit_code_0 is "$code" 0
ok run_merges_into_the_users_branch is "$(cat add.txt mul.txt | tr '\n' ' ')" "right right "
ok users_branch_has_the_result is "$(git status --porcelain)" ""
ok every_task_is_merged is "$(jq -r 'select(.type=="task.merged").task' "$SCRATCH/happy.out" | sort | tr '\n' ' ')" "T1 T2 "
ok both_gates_and_the_checks_pass is "$(jq -r 'select(.type=="gate.completed" and .verdict=="approve").gate' "$SCRATCH/happy.out" | sort -u | tr '\n' ' ')" "checks review security "
ok verdicts_are_bound_to_the_merged_commit is "$(jq -r 'select(.type=="gate.completed").commit' "$SCRATCH/happy.out" | sort -u | wc -l)" 1
ok nothing_is_left_in_the_repository is "$(git branch --list 'cadre/*'; git for-each-ref refs/cadre; git worktree list | wc -l)" 1
ok release_notes_are_written test -s "$(ls -d "$XDG_STATE_HOME"/cadre/runs/*/ | tail -n 1)/release-notes.md"
ok events_have_type_time_and_run test "$(jq -r 'select(.type==null or .ts==null or .run==null) | .type' "$SCRATCH/happy.out" | wc -l)" = 0
ok plan_md_is_not_committed is "$(git ls-files plan.md)" ""

# --- CI red: the culprit alone goes back ---------------------------------------------------------------------
make_repo "$SCRATCH/red"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt") +
  [rule({role: "implementer", task: "T2", attempt: 1, turn: 0}; [sh("echo worse > mul.txt")])] + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/red.json"
sed -i 's/accept: `make [a-z]*`/accept: done/g' "$SCRATCH/red.json" # for CI to find
start_mock "$SCRATCH/red.json"
cd "$SCRATCH/red" || exit 1
# add is right from the start here, so that T2 can break nothing but its own half
printf 'check:\n\t@test "$$(cat mul.txt)" != worse || { echo "not ok mul"; exit 1; }\n' >Makefile
git commit -qam "Green at the base"
"$CADRE" run --json "mend both" >"$SCRATCH/red.out" 2>"$SCRATCH/red.err"
code=$?
ok run_with_a_red_batch_still_ends_green is "$code" 0
ok only_the_culprit_is_returned is "$(jq -r 'select(.type=="task.returned") | .task + ":" + .reason' "$SCRATCH/red.out")" "T2:ci"
ok blame_names_the_culprit is "$(jq -r 'select(.type=="ci.blame").tasks | join(",")' "$SCRATCH/red.out")" "T2"
ok the_innocent_task_is_merged_in_the_same_batch is "$(jq -r 'select(.type=="task.merged" and .task=="T1").attempt' "$SCRATCH/red.out")" 1
ok the_culprit_is_merged_at_its_second_attempt is "$(jq -r 'select(.type=="task.merged" and .task=="T2").attempt' "$SCRATCH/red.out")" 2

# --- conflict ---------------------------------------------------------------------------------------------------
make_repo "$SCRATCH/conflict"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt; echo T1 >> CHANGELOG.md") +
  work("T2"; "echo right > mul.txt; grep -q T2 CHANGELOG.md || echo T2 >> CHANGELOG.md") + approve + ending)}' "$SCRATCH/conflict.json"
start_mock "$SCRATCH/conflict.json"
cd "$SCRATCH/conflict" || exit 1
"$CADRE" run --json "mend both" >"$SCRATCH/conflict.out" 2>"$SCRATCH/conflict.err"
code=$?
ok run_with_a_conflict_ends_green is "$code" 0
ok the_conflict_goes_back_to_its_author is "$(jq -r 'select(.type=="task.returned") | .task + ":" + .reason' "$SCRATCH/conflict.out")" "T2:conflict"
ok both_sides_of_the_conflict_survive is "$(tail -n 2 CHANGELOG.md | tr '\n' ' ')" "T1 T2 "

# --- gate refuses until rounds are used up --------------------------------------------------------------------
make_repo "$SCRATCH/gate"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") +
  [rule({role: "reviewer"}; [call("submit_review"; {verdict: "request_changes", summary: "no", findings: [{severity: "blocker", file: "add.txt", line: 1, title: "wrong", detail: "still wrong", fix: "do it right"}]})])] + approve + ending)}' "$SCRATCH/gate.json"
start_mock "$SCRATCH/gate.json"
cd "$SCRATCH/gate" || exit 1
"$CADRE" run --json "mend both" >"$SCRATCH/gate.out" 2>"$SCRATCH/gate.err"
code=$?
ok a_gate_that_keeps_refusing_gives_exit_code_3 is "$code" 3
ok nothing_is_merged_back_without_the_gate is "$(cat add.txt)" "wrong"
ok the_error_says_what_to_do has "$SCRATCH/gate.err" "converge"

# --- faults of the service ------------------------------------------------------------------------------------
make_repo "$SCRATCH/faults"
script '{rules: ((explorer | map(. + {fault: {status: 429, retry_after: 0}})) + plan(two_tasks) + work("T1"; "echo right > add.txt") +
  work("T2"; "echo right > mul.txt") + (approve | map(. + {fault: {cut_after_events: 1}})) + ending)}' "$SCRATCH/faults.json"
start_mock "$SCRATCH/faults.json"
cd "$SCRATCH/faults" || exit 1
"$CADRE" run --json "mend both" >"$SCRATCH/faults.out" 2>"$SCRATCH/faults.err"
code=$?
ok a_429_and_a_cut_stream_are_survived is "$code" 0
ok fewer_threads_are_proposed_where_the_provider_said_enough is "$(jq -r 'select(.type=="tuning.proposed") | .setting + " " + (.proposed < .configured | tostring)' "$SCRATCH/faults.out")" "max_threads true"
ok retries_are_reported test "$(jq -r 'select(.type=="error").message' "$SCRATCH/faults.out" | wc -l)" -ge 2

# --- Ctrl-C and resume --------------------------------------------------------------------------------------------
make_repo "$SCRATCH/stop"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt") +
  [rule({role: "implementer", task: "T2", turn: 0}; [sh("test -f '"$HOME"'/go || sleep 30; echo right > mul.txt")])] + work("T2"; "true") + approve + ending)}' "$SCRATCH/stop.json"
start_mock "$SCRATCH/stop.json"
cd "$SCRATCH/stop" || exit 1
"$CADRE" run --json "mend both" >"$SCRATCH/stop.out" 2>"$SCRATCH/stop.err" &
pid=$!
wait_for "$SCRATCH/stop.out" '"type":"task.committed"' >/dev/null
kill -INT "$pid"
wait "$pid"
code=$?
ok ctrl_c_gives_exit_code_130 is "$code" 130
ok an_interrupted_run_touches_nothing is "$(cat add.txt mul.txt | tr '\n' ' ')" "wrong wrong "
ok no_process_survives_the_stop is "$(pgrep -f 'sleep 3[0]' | wc -l)" 0
touch "$HOME/go"
"$CADRE" resume --json >"$SCRATCH/resume.out" 2>"$SCRATCH/resume.err"
code=$?
ok resume_ends_green is "$code" 0
ok a_committed_attempt_is_not_done_again is "$(jq -r 'select(.type=="task.started" and .task=="T1").task' "$SCRATCH/resume.out")" ""
ok the_resumed_run_is_merged is "$(cat add.txt mul.txt | tr '\n' ' ')" "right right "
"$CADRE" resume >"$SCRATCH/again.out" 2>&1
ok a_finished_run_is_not_resumed is "$?" 2

# --- limits -----------------------------------------------------------------------------------------------------------
make_repo "$SCRATCH/limit"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt") +
  [rule({role: "implementer", task: "T2", turn: 0}; [sh("echo $RANDOM > mul.txt")])] + work("T2"; "true") + approve + ending)}' "$SCRATCH/limit.json"
start_mock "$SCRATCH/limit.json"
cd "$SCRATCH/limit" || exit 1
"$CADRE" run --json --max-batches 1 --batch-size 1 "mend both" >"$SCRATCH/limit.out" 2>"$SCRATCH/limit.err"
code=$?
ok a_used_up_limit_gives_exit_code_1 is "$code" 1
limit_plan=$(ls -d "$XDG_STATE_HOME"/cadre/runs/*/worktrees/integration/plan.md | tail -n 1)
ok the_plan_ticks_what_is_merged is "$(grep -o '^- \[.\] \*\*T[12]' "$limit_plan" | tr '\n' ' ')" "- [x] **T1 - [ ] **T2 "
ok it_names_the_limit_and_the_next_step has "$SCRATCH/limit.err" "cadre resume --max-batches"
