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
ok a_full_disk_stops_the_run_and_resume_goes_on is "$(head -n 2 "$SCRATCH/full.code" | tr '\n' ' ')$(cat add.txt mul.txt | tr '\n' ' ')" "1 0 right right "
ok a_full_disk_is_named grep -qiE "no space left|disk is full|database or disk is full" "$SCRATCH/full.out"
ok a_read_only_state_folder_is_refused is "$(sed -n 3p "$SCRATCH/full.code")" 1
ok it_is_said has "$SCRATCH/ro.out" "Read-only file system"
