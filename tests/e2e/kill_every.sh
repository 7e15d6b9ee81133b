#!/usr/bin/env bash
# The engine is killed (SIGKILL) before and after every commit to its journal and every git call of a run, and each time
# `cadre resume` comes to the tree of the run that nobody killed: nothing is done or merged twice, no process, worktree, ref or
# lock is left, the user's checkout is as it should be (kill_one.sh). A run has some 400 such points; without
# CADRE_KILL_ALL=1 (`make kill`) a sample of them is taken, every CADRE_KILL_STEP-th, another one at each version of the code.
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)

script '{rules: (explorer + plan(two_tasks | sub("\n\n## Decisions"; "\n- [ ] **T3** Mend sub\n  - files: `sub.txt`\n  - needs: T1\n  - accept: `make sub`\n  - role: implementer\n\n## Decisions")) +
  work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + work("T3"; "echo right > sub.txt") + approve + ending)}' "$SCRATCH/happy.json"
start_mock "$SCRATCH/happy.json"
make_repo "$SCRATCH/start"
(
    cd "$SCRATCH/start" || exit 1
    printf 'check: sub\nsub:\n\t@test "$$(cat sub.txt)" = right || { echo "not ok sub"; exit 1; }\n.PHONY: sub\n' >>Makefile
    echo wrong >sub.txt
    git add -A
    git commit -qm "One more"
)
cp -r "$SCRATCH/start" "$SCRATCH/reference"
cd "$SCRATCH/reference" || exit 1
CADRE_TEST_POINTS=$SCRATCH/points "$CADRE" run -q "mend all" >"$SCRATCH/reference.out" 2>&1
ok a_run_that_nobody_kills_ends_well is "$? $(cat add.txt mul.txt sub.txt | tr '\n' ' ')" "0 right right right "
if [ ! -s "$SCRATCH/points" ]; then
    skip the_run_is_killed_at_every_point "this build has no kill points (configure with -Dtests=true)"
    exit
fi
REFERENCE_START=$SCRATCH/start
REFERENCE_TREE=$(git rev-parse 'HEAD^{tree}')
REFERENCE_MERGES=$(git log --format=%s --merges | grep -c '^Merge T')
export CADRE REFERENCE_START REFERENCE_TREE REFERENCE_MERGES
ok it_merges_each_task is "$REFERENCE_MERGES" 3

total=$(awk '{n += $2} END {print n}' "$SCRATCH/points")
step=${CADRE_KILL_STEP:-41}
offset=$(($(printf '%d' "0x$(cksum "$here"/../../src/team/*.c | cksum | cut -c1-6)") % step + 1))
[ -z "${CADRE_KILL_ALL:-}" ] || { step=1 offset=1; }
if [ "$step" -gt 1 ]; then
    echo "# SAMPLE: every ${step}th of $total points, from the ${offset}th on; \`make kill\` goes through all of them"
fi
n=0
while read -r place count; do
    for i in $(seq "$count"); do
        n=$((n + 1))
        [ $(((n - offset) % step)) -ne 0 ] || echo "$place:$i"
    done
done <"$SCRATCH/points" >"$SCRATCH/chosen"
mkdir "$SCRATCH/kills"
xargs -P "${CADRE_KILL_JOBS:-2}" -I POINT sh -c 'bash "$1/kill_one.sh" "$2" "$3/$2" >"$3/$2.out" 2>&1 || echo "$2" >>"$3/failed"; [ -z "${CADRE_KILL_ALL:-}" ] || echo "# $2" >&2' \
    sh "$here" POINT "$SCRATCH/kills" <"$SCRATCH/chosen"
for place in journal-before journal-after git-before git-after; do
    none_failed() { ! grep -s "^$place:" "$SCRATCH/kills/failed" || { for p in $(grep "^$place:" "$SCRATCH/kills/failed"); do cat "$SCRATCH/kills/$p.out"; done; return 1; }; }
    ok "resumed_to_the_same_end_after_a_kill_$place ($(grep -c "^$place:" "$SCRATCH/chosen") of $(awk -v p=$place '$1 == p {print $2}' "$SCRATCH/points") points)" none_failed
done
