#!/usr/bin/env bash
# A short run of bench/converge: simulated teams that go wrong in every way, judged by hidden tests.
. "$(dirname "$0")/lib.sh"
converge=$(readlink -f "$1")
cd "$SCRATCH" || exit 1

"$converge" --cadre "$CADRE" --runs 3 --mix everything >"$SCRATCH/out" 2>&1
ok a_team_that_errs_in_every_way_merges_nothing_bad is "$?" 0
ok every_run_ends_green_or_with_a_reason is "$(awk '$1 == "everything" {print $7, $8}' "$SCRATCH/out")" "0 0"
"$converge" --cadre "$CADRE" --runs 2 --mix weaken --p 0.6 >"$SCRATCH/out" 2>&1
ok a_weakened_test_is_never_merged is "$?" 0
"$converge" --cadre "$CADRE" --runs 2 --mix secret --p 0.6 >"$SCRATCH/out" 2>&1
ok a_planted_credential_is_never_merged is "$?" 0
"$converge" --runs x >"$SCRATCH/out" 2>&1
ok wrong_arguments_are_a_usage_error is "$?" 2
