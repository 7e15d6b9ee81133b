#!/usr/bin/env bash
# plan.md as the source of truth while a run goes on: acceptance commands, priority, budget, edits by hand, strictness.
. "$(dirname "$0")/lib.sh"
PRIVATE_TMP=no
export JQ_LIB="$JQ_LIB"'
def task(id; title; fields): "- [ ] **" + id + "** " + title + "\n" + (fields | map("  - " + . + "\n") | join(""));
def head: "# Plan: mend both\n\n## Tasks\n"; def tail: "\n## Decisions\n\n## Log\n";'
go() { # NAME: runs in a fresh repository with the script $SCRATCH/NAME.json
    make_repo "$SCRATCH/$1"
    start_mock "$SCRATCH/$1.json" --log "$SCRATCH/$1.log"
    cd "$SCRATCH/$1" || exit 1
}

# --- the engine runs acceptance commands itself ------------------------------------------------------------------------
script '{rules: (explorer + plan(two_tasks) +
  [rule({role: "implementer", task: "T1", turn: 0}; [sh("echo nearly > add.txt"), done_with("I swear it works")]),
   rule({role: "implementer", task: "T1", last_contains: "acceptance command of the task fails"}; [sh("echo right > add.txt"), done_with("now it does")])] +
  work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/accept.json"
go accept
printf 'check:\n\t@grep -q right add.txt mul.txt\nadd:\n\t@grep -qx right add.txt || { echo add is not right; exit 3; }\nmul:\n\t@grep -qx right mul.txt\n' >Makefile
git commit -qam "A weak check"
"$CADRE" run --json "mend both" >"$SCRATCH/accept.out" 2>"$SCRATCH/accept.err"
ok a_claim_without_acceptance_is_not_taken is "$?:$(jq -r 'select(.type=="task.returned") | .task + " " + .reason' "$SCRATCH/accept.out")" "0:T1 acceptance"
ok the_author_sees_the_commands_output has <(jq -r 'select(.type=="task.returned").detail' "$SCRATCH/accept.out") "add is not right"
ok the_mended_work_is_merged is "$(cat add.txt)" right
ok acceptance_is_checked_on_the_merged_tree is "$(jq -r 'select(.type=="ci.job" and (.job | startswith("accept"))) | .job + " " + .state' "$SCRATCH/accept.out" | sort -u | tr '\n' ';')" "accept T1 passed;accept T2 passed;"

# The acceptance of a merged task stays in force: T2 breaks it, and only T2 goes back.
script '{rules: (explorer + plan(head + task("T1"; "Mend add"; ["files: `add.txt`", "needs: none", "accept: `grep -qx right add.txt`"]) +
    task("T2"; "Mend mul"; ["files: `mul.txt`, `add.txt`", "needs: T1", "accept: `grep -qx right mul.txt`"]) + tail) +
  work("T1"; "echo right > add.txt") +
  [rule({role: "implementer", task: "T2", attempt: 1, turn: 0}; [sh("echo right > mul.txt; echo right again > add.txt")]),
   rule({role: "implementer", task: "T2", attempt: 2, turn: 0}; [sh("echo right > mul.txt; echo right > add.txt")])] +
  work("T2"; "true") + approve + ending)}' "$SCRATCH/force.json"
go force
printf 'check:\n\t@grep -q right add.txt\n' >Makefile
git commit -qam "A weak check"
"$CADRE" run --json "mend both" >"$SCRATCH/force.out" 2>"$SCRATCH/force.err"
ok the_acceptance_of_merged_tasks_stays_in_force is "$?:$(jq -r 'select(.type=="task.returned") | .task + " " + .reason' "$SCRATCH/force.out")" "0:T2 ci"
ok the_job_that_blames_names_the_task is "$(jq -r 'select(.type=="ci.blame").job' "$SCRATCH/force.out")" "accept T1"

# --- priority and a task's own budget ------------------------------------------------------------------------------------
script '{rules: (explorer + plan(head + task("T1"; "Mend add"; ["files: `add.txt`", "needs: none", "accept: fine"]) +
    task("T2"; "Mend mul"; ["files: `mul.txt`", "needs: none", "accept: fine", "priority: 5"]) + tail) +
  work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/prio.json"
go prio
"$CADRE" run --json --batch-size 1 "mend both" >"$SCRATCH/prio.out" 2>"$SCRATCH/prio.err"
ok higher_priority_goes_first is "$?:$(jq -r 'select(.type=="task.merged").task' "$SCRATCH/prio.out" | tr '\n' ' ')" "0:T2 T1 "

script '{rules: (explorer + [rule({role: "orchestrator", attempt: 2, turn: 0}; [sh("sed -i \"s/budget: 1k/budget: 900k/\" plan.md; sed -i \"s/Mend add/Mend add with means/\" plan.md")])] +
  plan(head + task("T1"; "Mend add"; ["files: `add.txt`", "needs: none", "accept: fine", "budget: 1k"]) +
    task("T2"; "Mend mul"; ["files: `mul.txt`", "needs: none", "accept: fine"]) + tail) +
  work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/budget.json"
go budget
"$CADRE" run --json "mend both" >"$SCRATCH/budget.out" 2>"$SCRATCH/budget.err"
ok a_used_up_task_budget_blocks_the_task_alone is "$?:$(jq -r 'select(.type=="task.blocked") | .task + " " + .reason' "$SCRATCH/budget.out")" "0:T1 budget"
ok it_says_which_budget has <(jq -r 'select(.type=="task.blocked").detail' "$SCRATCH/budget.out") "budget of task T1"

# --- a person edits while the run goes on ---------------------------------------------------------------------------------
script '{rules: (explorer + plan(head + task("T1"; "Mend add"; ["files: `add.txt`", "needs: none", "accept: fine"]) +
    task("T2"; "Mend mul"; ["files: `mul.txt`", "needs: T1", "accept: fine"]) +
    task("T9"; "Not wanted"; ["files: `junk.txt`", "needs: T1", "accept: fine"]) + tail) +
  [rule({role: "implementer", task: "T1", turn: 0}; [sh("until test -f '"$SCRATCH"'/edited; do sleep 0.05; done; echo right > add.txt")])] +
  work("T1"; "true") + work("T2"; "echo right > mul.txt") + work("T3"; "echo hello > added.txt") + work("T9"; "echo junk > junk.txt") + approve + ending)}' "$SCRATCH/edit.json"
go edit
"$CADRE" run --json "mend both" >"$SCRATCH/edit.out" 2>"$SCRATCH/edit.err" &
pid=$!
wait_for "$SCRATCH/edit.out" 'until test' >/dev/null
plan=$(ls -d "$XDG_STATE_HOME"/cadre/runs/*/worktrees/integration/plan.md | tail -n 1)
cp "$plan" "$SCRATCH/stale.md"
ok plan_add_finds_the_run "$CADRE" plan add "Add a file" --files added.txt --needs T2 --accept '`test -s added.txt`' --allow mode-changed
ok plan_drop_finds_the_run "$CADRE" plan drop T9
EDITOR="sed -i 's/Mend mul/Mend mul by hand/'" "$CADRE" plan edit >"$SCRATCH/o" 2>&1
ok plan_edit_joins_the_edit is "$?:$(grep -c 'by hand' "$plan")" "0:1"
"$CADRE" plan add "Bad" --files /etc/passwd --accept x >"$SCRATCH/o" 2>&1
ok a_bad_addition_is_refused has "$SCRATCH/o" "not relative to the repository"
touch "$SCRATCH/edited"
wait "$pid"
ok edits_are_taken_up_before_the_next_batch is "$?:$(jq -r 'select(.type=="task.merged").task' "$SCRATCH/edit.out" | tr '\n' ' ')" "0:T1 T2 T3 "
ok the_edited_title_is_the_commits is "$(git log --no-merges --format=%s | grep -c 'T2: Mend mul by hand')" 1
ok what_was_dropped_is_not_done is "$(ls junk.txt 2>/dev/null)" ""

# An editor that saves an old text over what the engine wrote: ticks and log lines come back, the person's words stay.
script '{rules: (explorer + plan(head + task("T1"; "Mend add"; ["files: `add.txt`", "needs: none", "accept: fine"]) +
    task("T2"; "Mend mul"; ["files: `mul.txt`", "needs: T1", "accept: fine"]) + task("T3"; "Last"; ["files: `last.txt`", "needs: T2", "accept: fine"]) + tail) +
  work("T1"; "echo right > add.txt") +
  [rule({role: "implementer", task: "T2", turn: 0}; [sh("until test -f '"$SCRATCH"'/saved; do sleep 0.05; done; echo right > mul.txt")])] +
  [rule({role: "implementer", task: "T3", turn: 0}; [sh("until test -f '"$SCRATCH"'/looked; do sleep 0.05; done; echo x > last.txt")])] +
  work("T2"; "true") + work("T3"; "true") + approve + ending)}' "$SCRATCH/stale.json"
go stale
"$CADRE" run --json "mend both" >"$SCRATCH/stale.out" 2>"$SCRATCH/stale.err" &
pid=$!
wait_for "$SCRATCH/stale.out" '"plan.accepted"' >/dev/null
plan=$(ls -d "$XDG_STATE_HOME"/cadre/runs/*/worktrees/integration/plan.md | tail -n 1)
wait_for "$SCRATCH/stale.out" 'saved; do' >/dev/null
sed 's/\[x\] \*\*T1/[ ] **T1/; /T1 merged/d; s/Because\.//; s/## Decisions/## Decisions\n\nA person was here./' "$plan" >"$SCRATCH/saved.md"
cp "$SCRATCH/saved.md" "$plan"
touch "$SCRATCH/saved"
wait_for "$SCRATCH/stale.out" 'looked; do' >/dev/null
cp "$plan" "$SCRATCH/after.md"
touch "$SCRATCH/looked"
wait "$pid"
ok a_run_survives_a_stale_save is "$?" 0
ok the_tick_is_back has "$SCRATCH/after.md" "[x] **T1**"
ok the_log_line_is_back has "$SCRATCH/after.md" "T1 merged"
ok the_persons_words_are_there has "$SCRATCH/after.md" "A person was here."
ok a_merged_task_is_not_done_again is "$(jq -r 'select(.type=="task.started" and .task=="T1").attempt' "$SCRATCH/stale.out")" 1

# A person and the orchestrator change the same task.
script '{rules: (explorer +
  [rule({role: "orchestrator", attempt: 2, turn: 0}; [sh("touch '"$SCRATCH"'/amending; until test -f '"$SCRATCH"'/typed; do sleep 0.05; done; sed -i \"s/Mend mul/Mend mul as the orchestrator says/\" plan.md")])] +
  plan(head + task("T1"; "Mend add"; ["files: `add.txt`", "needs: none", "accept: fine"]) +
    task("T2"; "Mend mul"; ["files: `mul.txt`", "needs: none", "accept: fine"]) + tail) +
  work("T1"; "echo right > add.txt") +
  [rule({role: "implementer", task: "T2", input_contains: "as a person says"}; [sh("echo right > mul.txt"), done_with("did T2")]),
   rule({role: "implementer", task: "T2"}; [call("submit_result"; {status: "blocked", summary: "cannot"})])] + approve + ending)}' "$SCRATCH/both.json"
go both
"$CADRE" run --json "mend both" >"$SCRATCH/both.out" 2>"$SCRATCH/both.err" &
pid=$!
for _ in $(seq 400); do [ -f "$SCRATCH/amending" ] && break; sleep 0.05; done
plan=$(ls -d "$XDG_STATE_HOME"/cadre/runs/*/worktrees/integration/plan.md | tail -n 1)
sed -i 's/Mend mul/Mend mul as a person says/' "$plan"
touch "$SCRATCH/typed"
wait "$pid"
ok a_conflict_is_settled_for_the_person is "$?:$(git log --no-merges --format=%s | grep -c 'as a person says')" "0:1"
ok the_conflict_is_shown is "$(jq -r 'select(.type=="plan.conflict").message' "$SCRATCH/both.out" | grep -c T2)" 1

# --- drift makes the template stricter, messes make batches smaller -----------------------------------------------------------
script '{rules: (explorer + [rule({role: "orchestrator", attempt: 2, turn: 0}; [sh("true")])] +
  plan(head + task("T1"; "Mend add"; ["files: `add.txt`", "needs: none", "accept: fine"]) +
    task("T2"; "Mend mul"; ["files: `*.txt`", "needs: T1", "accept: fine"]) + tail) +
  [rule({role: "implementer", task: "T1"}; [sh("echo x > other-{{turn}}{{attempt}}; echo right > add.txt"), done_with("done")])] + approve + ending)}' "$SCRATCH/drift.json"
go drift
"$CADRE" run --json "mend both" >"$SCRATCH/drift.out" 2>"$SCRATCH/drift.err"
ok a_task_that_always_drifts_does_not_converge is "$?" 1
ok strictness_rises_in_steps is "$(jq -r 'select(.type=="tuning.changed" and .setting=="plan_strictness") | "\(.from)>\(.to)"' "$SCRATCH/drift.out" | head -n 3 | tr '\n' ' ')" "0>1 1>2 2>3 "
ok patterns_are_then_refused has "$SCRATCH/drift.err" "name the files one by one"
ok one_task_at_a_time_then is "$(jq -r 'select(.type=="tuning.changed" and .setting=="batch_size").to' "$SCRATCH/drift.out" | tail -n 1)" 1
