#!/usr/bin/env bash
# `cadre apply-patch` on cases that no one here wrote, compared tree by tree.
. "$(dirname "$0")/lib.sh"
data=${CADRE_TESTDATA:-../shared/testdata}/apply_patch
if [ ! -d "$data" ]; then
    skip apply_patch_scenarios "no test data (CADRE_TESTDATA)"
    exit 0
fi
data=$(readlink -f "$data")

scenario() { # DIR
    local work="$SCRATCH/work" code
    rm -rf "$work"
    mkdir "$work"
    [ -d "$1/input" ] && cp -r "$1/input/." "$work/"
    (cd "$work" && "$CADRE" apply-patch "$1/patch.txt" >"$SCRATCH/out" 2>"$SCRATCH/err")
    code=$?
    case $(basename "$1") in
    005_* | 007_* | 009_* | 013_* | 015_*) [ $code -eq 1 ] || { echo "exit code $code, expected 1"; return 1; }
        [ ! -s "$SCRATCH/out" ] || { echo "standard output is not empty"; return 1; } ;;
    *) [ $code -eq 0 ] || { cat "$SCRATCH/err"; return 1; } ;;
    esac
    diff -r "$1/expected" "$work"
}
for dir in "$data"/*/; do
    ok "scenario_$(basename "$dir")" scenario "${dir%/}"
done

cd "$SCRATCH" && mkdir -p box/.git outside && cd box || exit 1
ln -s ../outside link
echo keep >../outside/kept
ln ../outside/kept hard
refused() { # PATCH-BODY: exit code 1 and nothing outside changes
    printf '*** Begin Patch\n%b\n*** End Patch\n' "$1" | "$CADRE" apply-patch - >/dev/null 2>"$SCRATCH/err"
    [ $? -eq 1 ] && [ "$(ls ../outside)" = kept ] && [ "$(cat ../outside/kept)" = keep ] && [ -z "$(ls .git)" ]
}
ok dots_are_refused refused '*** Add File: ../outside/x\n+x'
ok absolute_paths_are_refused refused "*** Add File: $SCRATCH/outside/x\n+x"
ok a_linked_folder_is_refused refused '*** Add File: link/x\n+x'
ok git_is_refused refused '*** Add File: .git/config\n+x'
ok git_in_another_case_is_refused refused '*** Add File: .GIT/config\n+x'
ok deleting_outside_is_refused refused '*** Delete File: link/kept'
ok moving_outside_is_refused refused '*** Update File: hard\n*** Move to: ../outside/x\n@@\n-keep\n+x'
printf '*** Begin Patch\n*** Update File: hard\n@@\n-keep\n+mine\n*** End Patch\n' | "$CADRE" apply-patch - >/dev/null
ok a_hard_link_is_replaced_not_written_through is "$(cat hard ../outside/kept | tr '\n' ' ')" "mine keep "
mkfifo pipe
ok a_fifo_is_refused refused '*** Update File: pipe\n@@\n-x\n+y'
