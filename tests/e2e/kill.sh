#!/usr/bin/env bash
# A run that is killed, right after a write to the journal or right before a git call, is resumed to the same end, and
# nothing is left over. (The counters in the environment stop the process as kill -9 would.)
. "$(dirname "$0")/lib.sh"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/happy.json"
start_mock "$SCRATCH/happy.json"

killed_and_resumed() { # VARIABLE N
    rm -rf "$SCRATCH/r" "$XDG_STATE_HOME"
    mkdir -p "$XDG_STATE_HOME"
    make_repo "$SCRATCH/r"
    cd "$SCRATCH/r" || return 1
    env "$1=$2" "$CADRE" run -q "mend both" >"$SCRATCH/out" 2>&1
    code=$?
    if [ $code -ne 0 ]; then
        [ $code -eq 137 ] || { cat "$SCRATCH/out"; return 1; }
        "$CADRE" resume -q >"$SCRATCH/out" 2>&1
        code=$?
        # killed before there was a run to resume
        [ $code -ne 2 ] || { "$CADRE" run -q "mend both" >"$SCRATCH/out" 2>&1; code=$?; }
    fi
    is "$code $(cat add.txt mul.txt | tr '\n' ' ')" "0 right right " || { cat "$SCRATCH/out"; return 1; }
    is "$(git status --porcelain)" "" && is "$(git worktree list | wc -l)" 1 && is "$(git branch --list 'cadre/*')" "" &&
        is "$(git log --oneline --merges --grep '^Merge T1' | wc -l)" 1 && is "$(git log --oneline --merges --grep '^Merge T2' | wc -l)" 1
}
for n in 2 5 8 17 38 47 57 68; do ok "killed_after_journal_write_$n" killed_and_resumed CADRE_CRASH_AFTER_WRITES "$n"; done
for n in 3 10 21 36 45 55 66 78 90; do ok "killed_before_git_call_$n" killed_and_resumed CADRE_CRASH_AFTER_GIT "$n"; done
