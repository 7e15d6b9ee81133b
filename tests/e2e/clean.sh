#!/usr/bin/env bash
# `cadre clean`: what a killed run leaves is removed when nothing is lost by it, and kept with a reason otherwise.
. "$(dirname "$0")/lib.sh"

marked() { grep -lsz "^CADRE_RUN_MARK=$1\$" /proc/[0-9]*/environ 2>/dev/null; }
no_process() { [ -z "$(marked "$1")" ] || { echo "still there: $(marked "$1")"; return 1; }; }

cd "$SCRATCH" && mkdir outside && cd outside || exit 1
"$CADRE" clean >"$SCRATCH/none" 2>&1
ok nothing_left_over_is_said has "$SCRATCH/none" "nothing is left over"
"$CADRE" clean --abandon >"$SCRATCH/usage" 2>&1
ok giving_up_needs_a_name is $? 2

# --- a run killed in the middle ------------------------------------------------------------------------------
make_repo "$SCRATCH/killed"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt") +
  [rule({role: "implementer", task: "T2", turn: 0}; [sh("echo half > mul.txt; sleep 60")])] + approve + ending)}' "$SCRATCH/killed.json"
start_mock "$SCRATCH/killed.json"
cd "$SCRATCH/killed" || exit 1
"$CADRE" run --json "mend both" >"$SCRATCH/killed.out" 2>"$SCRATCH/killed.err" &
engine=$!
wait_for "$SCRATCH/killed.out" '"task.committed"' >/dev/null
half() { for _ in $(seq 200); do grep -qs half "$XDG_STATE_HOME"/cadre/runs/*/worktrees/T2/mul.txt && return 0; sleep 0.05; done; return 1; }
half
"$CADRE" clean >"$SCRATCH/working" 2>&1
ok a_run_that_works_is_left_alone has "$SCRATCH/working" "it is working"
kill -9 "$engine"
wait "$engine" 2>/dev/null
run=$(jq -r 'select(.type=="run.started").run' "$SCRATCH/killed.out" | head -n 1)
trees=$XDG_STATE_HOME/cadre/runs/$run/worktrees
before=$(git for-each-ref; git worktree list)

"$CADRE" clean >"$SCRATCH/resumable" 2>&1
ok a_run_that_can_be_resumed_is_kept has "$SCRATCH/resumable" "it can be resumed"
ok its_worktrees_and_refs_are_untouched is "$(git for-each-ref; git worktree list)" "$before"
ok its_processes_are_ended no_process "$run"

"$CADRE" clean --abandon --dry-run "$run" >"$SCRATCH/dry" 2>&1
ok a_dry_run_says_what_it_would_remove has "$SCRATCH/dry" "would remove worktree $trees/integration"
ok a_dry_run_changes_nothing is "$(git for-each-ref; git worktree list)" "$before"

"$CADRE" clean --abandon "$run" >"$SCRATCH/abandon" 2>&1
ok a_worktree_with_changes_is_kept_and_said has "$SCRATCH/abandon" "kept worktree $trees/T2: it has changes"
ok its_file_is_still_there is "$(cat "$trees/T2/mul.txt")" half
ok a_commit_that_is_not_merged_is_kept has "$SCRATCH/abandon" "kept ref refs/cadre/$run/T1/1: it is not merged"
ok a_worktree_without_changes_is_removed test ! -e "$trees/integration"
git -C "$trees/T2" checkout -q mul.txt
git branch keep "refs/cadre/$run/T1/1"
"$CADRE" clean --abandon --records "$run" >"$SCRATCH/rest" 2>&1
ok what_is_safe_now_is_removed is "$(git for-each-ref refs/cadre 'refs/heads/cadre'; git worktree list | wc -l)" 1
ok the_record_goes_when_it_is_asked_for test ! -e "$XDG_STATE_HOME/cadre/runs/$run"
ok the_users_checkout_is_untouched is "$(git status --porcelain; cat add.txt mul.txt | tr '\n' ' ')" "wrong wrong "

# --- refs whose run nobody knows --------------------------------------------------------------------------------
git worktree add -q --detach "$SCRATCH/users"
git update-ref refs/cadre/20200101-000000-abcd/T1/1 HEAD
git branch cadre/mine
"$CADRE" clean >"$SCRATCH/strays" 2>&1
ok refs_of_unknown_runs_are_removed is "$(git for-each-ref refs/cadre)" ""
ok branches_and_worktrees_of_the_user_stay is "$(git branch --list cadre/mine | wc -l) $(git worktree list | wc -l)" "1 2"
