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

# --- sessions: their worktrees and refs; what is not merged stays ---------------------------------------------------------
mkdir "$SCRATCH/session" && cd "$SCRATCH/session" && git init -q . && echo one >a.txt && git add -A && git commit -qm start || exit 1
printf '\n[roles.worker]\nisolation = "worktree"\n' >>"$CODEX_HOME/cadre.toml"
script '{rules: [
  rule({role: "default", turn: 0}; [call("spawn_agent"; {agent_type: "worker", message: "write"})]),
  {match: {role: "default", turn: 1}, fault: {delay_ms: 600000}, reply: {message: "over"}},
  rule({role: "worker", turn: 0}; [sh("echo half > a.txt; (setsid sleep 300 &); sleep 60")])]}' "$SCRATCH/session.json"
start_mock "$SCRATCH/session.json"
"$CADRE" exec --json go >"$SCRATCH/session.out" 2>"$SCRATCH/session.err" &
engine=$!
half_session() { for _ in $(seq 200); do grep -qs half "$XDG_STATE_HOME"/cadre/sessions/*/worktrees/*/a.txt && return 0; sleep 0.05; done; return 1; }
ok a_session_has_a_worktree half_session
session=$(jq -r 'select(.type=="thread.started").thread_id' "$SCRATCH/session.out" | head -n 1)
"$CADRE" clean >"$SCRATCH/open" 2>&1
ok an_open_session_is_left_alone has "$SCRATCH/open" "kept session $session"
kill -9 "$engine"
wait "$engine" 2>/dev/null
"$CADRE" clean >"$SCRATCH/closed" 2>&1
ok no_process_of_it_is_left no_process "$session"
ok its_half_done_work_is_kept_and_said grep -qE "kept worktree .*/sessions/$session/worktrees/.*: it has changes" "$SCRATCH/closed"
"$CADRE" clean --sessions 0 >"$SCRATCH/aged" 2>&1
ok a_session_with_work_in_it_is_never_removed test -e "$XDG_STATE_HOME/cadre/sessions/$session"
git -C "$(ls -d "$XDG_STATE_HOME/cadre/sessions/$session/worktrees/"*)" checkout -q a.txt
"$CADRE" clean >"$SCRATCH/closed" 2>&1
ok what_is_safe_of_a_session_is_removed is "$(git worktree list | wc -l) $(git for-each-ref refs/cadre | wc -l)" "1 0"
ok a_session_is_kept_to_be_resumed test -e "$XDG_STATE_HOME/cadre/sessions/$session/session.jsonl"
"$CADRE" clean --sessions 1 >"$SCRATCH/young" 2>&1
ok a_young_session_stays test -e "$XDG_STATE_HOME/cadre/sessions/$session"
touch -d '3 days ago' "$XDG_STATE_HOME/cadre/sessions/$session/session.jsonl"
"$CADRE" clean --sessions 2 --dry-run >"$SCRATCH/old" 2>&1
ok a_dry_run_names_the_old_session has "$SCRATCH/old" "would remove record $XDG_STATE_HOME/cadre/sessions/$session"
"$CADRE" clean --sessions 2 >"$SCRATCH/old" 2>&1
ok an_old_session_goes_when_it_is_asked_for test ! -e "$XDG_STATE_HOME/cadre/sessions/$session"
"$CADRE" clean --sessions x >"$SCRATCH/o" 2>&1
ok a_wrong_age_is_a_usage_error is "$?" 2

# --- the ledger: a run whose folder somebody deleted, from another folder --------------------------------------------------
make_repo "$SCRATCH/deleted"
start_mock "$SCRATCH/killed.json"
cd "$SCRATCH/deleted" || exit 1
CADRE_TEST_KILL_AT=journal-after:14 "$CADRE" run --json "mend both" >"$SCRATCH/deleted.out" 2>&1
gone=$(jq -r 'select(.type=="run.started").run' "$SCRATCH/deleted.out" | head -n 1)
rm -rf "$XDG_STATE_HOME/cadre/runs/$gone"
cd "$SCRATCH/outside" || exit 1
ok it_left_something test "$(git -C "$SCRATCH/deleted" for-each-ref refs/heads/cadre | wc -l)" -gt 0
"$CADRE" clean >"$SCRATCH/listed" 2>&1
ok what_the_ledger_lists_is_removed is "$(git -C "$SCRATCH/deleted" for-each-ref refs/heads/cadre refs/cadre | wc -l) $(git -C "$SCRATCH/deleted" worktree list | wc -l)" "0 1"
"$CADRE" clean >"$SCRATCH/again" 2>&1
ok then_it_is_listed_no_more has_not "$SCRATCH/again" "$gone"
mv "$XDG_STATE_HOME/cadre/ledger.db" "$SCRATCH/ledger.db"
rm -f "$XDG_STATE_HOME/cadre/ledger.db-wal" "$XDG_STATE_HOME/cadre/ledger.db-shm"
echo "this is no ledger at all, and long enough that the header of a database would have been read to its end" >"$XDG_STATE_HOME/cadre/ledger.db"
"$CADRE" clean >"$SCRATCH/damaged" 2>&1
ok a_damaged_ledger_is_said_and_kept has "$SCRATCH/damaged" "kept what is listed in $XDG_STATE_HOME/cadre/ledger.db: "
