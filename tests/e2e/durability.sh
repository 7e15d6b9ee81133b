#!/usr/bin/env bash
# What is wrong around a run that goes on: a second engine, a journal of another version or damaged, plan.md emptied, the
# worktree deleted, the branch moved, a full disk, a state folder that cannot be written. Each has one clear outcome.
. "$(dirname "$0")/lib.sh"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/happy.json"
start_mock "$SCRATCH/happy.json"

interrupted() { # a run killed in its first batch; sets RUN and JOURNAL
    cd "$SCRATCH" || return 1
    rm -rf "$SCRATCH/r" "$XDG_STATE_HOME"
    mkdir -p "$XDG_STATE_HOME"
    make_repo "$SCRATCH/r"
    cd "$SCRATCH/r" || return 1
    CADRE_TEST_KILL_AT=journal-after:${1:-62} "$CADRE" run -q "mend both" >"$SCRATCH/out" 2>&1
    is $? 137 || { cat "$SCRATCH/out"; return 1; }
    JOURNAL=$(echo "$XDG_STATE_HOME"/cadre/runs/*/journal.db)
    RUN=$(basename "$(dirname "$JOURNAL")")
}
resumed() { # to the end
    "$CADRE" resume -q >"$SCRATCH/out" 2>&1
    is "$? $(cat add.txt mul.txt | tr '\n' ' ')" "0 right right " && is "$(git status --porcelain)" "" &&
        is "$(git worktree list | wc -l)" 1 || { cat "$SCRATCH/out"; return 1; }
}
sql() { python3 -c 'import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); db.commit()' "$JOURNAL" "$1"; }

interrupted || exit 1
python3 -c '
import fcntl, struct, sys, time
f = open(sys.argv[1], "r+")
fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
print("held", flush=True)
time.sleep(600)' "$JOURNAL.lock" >"$SCRATCH/held" &
holder=$!
wait_for "$SCRATCH/held" held
pid=$(sed -n 's/^pid \([0-9]*\).*/\1/p' "$JOURNAL.lock")
"$CADRE" resume >"$SCRATCH/second" 2>&1
ok a_second_engine_is_refused is $? 1
ok it_says_who_holds_the_run_where_and_since_when grep -qE "in use by process $pid on $(hostname) since 20[0-9]{2}-" "$SCRATCH/second"
kill $holder
wait $holder 2>/dev/null

sql "PRAGMA user_version = 99"
cp "$JOURNAL" "$SCRATCH/newer"
"$CADRE" resume >"$SCRATCH/newer.out" 2>&1
"$CADRE" resume "$RUN" >>"$SCRATCH/newer.out" 2>&1
ok a_journal_of_a_newer_version_is_refused is $? 2
ok the_refusal_says_so has "$SCRATCH/newer.out" "written by a newer version of cadre (its format is 99"
ok a_refused_journal_is_not_touched cmp "$JOURNAL" "$SCRATCH/newer"
sql "PRAGMA user_version = 1"

: >"$XDG_STATE_HOME/cadre/runs/$RUN/worktrees/integration/plan.md"
git commit -q --allow-empty -m "By hand"
by_hand=$(git rev-parse HEAD)
git reset -q --hard HEAD^
git branch -f "cadre/$RUN" "$by_hand"
ok an_emptied_plan_and_a_moved_branch_do_not_stop_it resumed
ok what_was_committed_on_the_branch_by_hand_is_kept is "$(git rev-parse -q --verify "refs/heads/cadre/$RUN-by-hand")" "$by_hand"

jumped() { # SECONDS-BEFORE-THE-KILL SECONDS-OF-THE-RESUME: the wall clock jumps in the midst of both
    export CADRE_TEST_CLOCK_JUMP=$1:60
    interrupted || return 1
    CADRE_TEST_CLOCK_JUMP=$2:20 resumed || return 1
    unset CADRE_TEST_CLOCK_JUMP
    # Every event once, in its order, and the run's time is not what the clock says.
    "$CADRE" logs --json "$RUN" >"$SCRATCH/events" 2>&1
    is "$(jq -r 'select(.seq != null).seq' "$SCRATCH/events" | sort -n | uniq -d | wc -l)" 0 &&
        is "$(jq -r 'select(.type=="run.completed").duration_ms < 600000' "$SCRATCH/events")" true
}
ok a_clock_that_jumps_a_day_on_changes_nothing jumped 86400 172800
ok a_clock_that_jumps_a_day_back_changes_nothing jumped -86400 -172800
ok a_clock_that_jumps_both_ways_changes_nothing jumped 31536000 -31536000
unset CADRE_TEST_CLOCK_JUMP

worktree_deleted() { interrupted && rm -rf "$XDG_STATE_HOME/cadre/runs/$RUN/worktrees/integration" && resumed; }
ok a_deleted_worktree_is_made_again worktree_deleted

damaged() {
    interrupted || return 1
    sql "PRAGMA wal_checkpoint(TRUNCATE)" 2>/dev/null
    rm -f "$JOURNAL-wal" "$JOURNAL-shm"
    truncate -s 6000 "$JOURNAL"
    cp "$JOURNAL" "$SCRATCH/damaged"
    "$CADRE" resume "$RUN" >"$SCRATCH/out" 2>&1
    code=$?
    has "$SCRATCH/out" "$JOURNAL" && is "$code" 1 && cmp "$JOURNAL" "$SCRATCH/damaged" && is "$(cat add.txt)" wrong &&
        { "$CADRE" clean >"$SCRATCH/out" 2>&1; has "$SCRATCH/out" "kept run $RUN"; } || { cat "$SCRATCH/out"; return 1; }
}
ok a_truncated_journal_is_reported_and_left_alone damaged

# --- a state folder of its own ------------------------------------------------------------------------------------------
if ! unshare -rm sh -c 'mount -t tmpfs -o size=64k none /mnt' 2>/dev/null; then
    skip a_full_disk_stops_the_run_and_resume_goes_on "no mount namespace here"
    skip a_read_only_state_folder_is_said "no mount namespace here"
    exit
fi
cat >"$SCRATCH/full.sh" <<EOF
mount -t tmpfs -o size=300k none "$XDG_STATE_HOME"
"$CADRE" run -q "mend both" >"$SCRATCH/full.out" 2>&1
echo \$? >"$SCRATCH/full.code"
mount -o remount,size=100m "$XDG_STATE_HOME"
"$CADRE" resume -q >"$SCRATCH/after.out" 2>&1
echo \$? >>"$SCRATCH/full.code"
mount -o remount,ro "$XDG_STATE_HOME"
"$CADRE" run -q "once more" >"$SCRATCH/ro.out" 2>&1
echo \$? >>"$SCRATCH/full.code"
EOF
rm -rf "$SCRATCH/r" "$XDG_STATE_HOME"
mkdir "$XDG_STATE_HOME"
make_repo "$SCRATCH/r"
cd "$SCRATCH/r" || exit 1
unshare -rm sh "$SCRATCH/full.sh"
ok a_full_disk_stops_the_run_and_resume_goes_on is "$(head -n 2 "$SCRATCH/full.code" | sed 's/^5/1/' | tr '\n' ' ')$(cat add.txt mul.txt | tr '\n' ' ')" "1 0 right right " # 5: git met it first
ok a_full_disk_is_named grep -qiE "no space left|out of diskspace|disk is full|database or disk is full" "$SCRATCH/full.out"
ok a_read_only_state_folder_is_refused is "$(sed -n 3p "$SCRATCH/full.code")" 1
ok it_is_said has "$SCRATCH/ro.out" "Read-only file system"
