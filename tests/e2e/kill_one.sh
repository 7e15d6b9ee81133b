#!/usr/bin/env bash
# One kill and what comes after: kill_one.sh PLACE:N FOLDER, called by kill_every.sh with its environment. Prints nothing and
# ends with 0 when `cadre resume` came to the reference's end; else it says what is different.
set -u
point=$1 work=$2
export XDG_STATE_HOME=$work/state
here=$(dirname "$0")
rm -rf "$work"
mkdir -p "$XDG_STATE_HOME"
cp -r "$REFERENCE_START" "$work/r"
cd "$work/r" || exit 1

fail() {
    echo "$point: $*"
    tail -n 8 "$work/run.out" "$work/resume.out" 2>/dev/null
    exit 1
}

CADRE_TEST_KILL_AT=$point timeout 120 "$CADRE" run -q "mend all" >"$work/run.out" 2>&1
code=$?
# After the last point: nothing was killed. (Two runs need not pass each place equally often.)
[ $code -eq 0 ] || [ $code -eq 137 ] || fail "the run ended with $code instead of being killed"
snapshot=$(python3 "$here/kill_journal.py" snapshot "$XDG_STATE_HOME") || fail "the journal does not read"
if [ $code -eq 137 ]; then
    timeout 120 "$CADRE" resume -q >"$work/resume.out" 2>&1
    code=$?
    if [ "$snapshot" = none ]; then # there was no run yet
        [ $code -eq 2 ] || fail "without a run, resume ended with $code"
        timeout 120 "$CADRE" run -q "mend all" >"$work/resume.out" 2>&1
        code=$?
    elif [ "$(jq -r .state <<<"$snapshot")" = completed ]; then
        [ $code -eq 2 ] || fail "after the end, resume ended with $code"
        code=0
    fi
    [ $code -eq 0 ] || fail "resume ended with $code"
fi
if [ "$snapshot" != none ]; then
    echo "$snapshot" >"$work/snapshot"
    python3 "$here/kill_journal.py" check "$XDG_STATE_HOME" "$work/snapshot" || fail "see above"
    mark=$(jq -r .id <<<"$snapshot")
    left=$(grep -lsz "^CADRE_RUN_MARK=$mark\$" /proc/[0-9]*/environ 2>/dev/null)
    [ -z "$left" ] || fail "processes are left: $left"
fi
same() { [ "$2" = "$3" ] || fail "$1: \"$2\" instead of \"$3\""; }
same "the tree" "$(git rev-parse 'HEAD^{tree}')" "$REFERENCE_TREE"
same "the branch" "$(git symbolic-ref --short HEAD)" main
same "git status" "$(git status --porcelain --ignored)" ""
same "worktrees" "$(git worktree list | wc -l)" 1
same "refs" "$(git for-each-ref --format='%(refname)')" refs/heads/main
same "merges" "$(git log --format=%s --merges | grep -c '^Merge T')" "$REFERENCE_MERGES"
same "locks" "$(find .git -name '*.lock')" ""
same "folders of worktrees" "$(find "$XDG_STATE_HOME"/cadre/runs/*/worktrees -mindepth 1 -maxdepth 1 2>/dev/null)" ""
git fsck --no-dangling --connectivity-only >"$work/fsck" 2>&1 || fail "git fsck: $(cat "$work/fsck")"
rm -rf "$work"
