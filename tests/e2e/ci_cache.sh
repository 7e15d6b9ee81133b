#!/usr/bin/env bash
# `cadre ci run`: when a result is taken from the cache, and when it never is.
. "$(dirname "$0")/lib.sh"

mkdir -p "$SCRATCH/repo/.github/workflows" "$SCRATCH/repo/.github/actions/own" "$SCRATCH/repo/src"
cd "$SCRATCH/repo" || exit 1
git init -q
head='on: {push: {paths: ["src/**", "!src/*.md"]}}'
printf '%s\njobs:\n  declared:\n    runs-on: ubuntu-latest\n    steps: [{uses: some/linter@v1}, {run: "true"}]\n  local:\n    runs-on: ubuntu-latest\n    steps: [{uses: ./.github/actions/own}]\n' "$head" >.github/workflows/paths.yml
printf 'on: {push: {paths-ignore: ["docs/**"]}}\njobs:\n  ignoring:\n    runs-on: ubuntu-latest\n    steps: [{run: "true"}]\n' >.github/workflows/ignore.yml
printf 'on: push\njobs:\n  whole:\n    runs-on: ubuntu-latest\n    steps: [{run: "true"}]\n' >.github/workflows/whole.yml
printf 'runs:\n  using: composite\n  steps: [{run: "true", shell: sh}]\n' >.github/actions/own/action.yml
mkdir docs
touch src/a.c src/a.md docs/b README
printf '[ci.actions."some/linter"]\nrun = "true"\n' >"$CODEX_HOME/cadre.toml"
# Commits, runs, and names the jobs that were run and not taken from the cache.
fresh() {
    git add -A
    git commit -q --allow-empty -m Change
    "$CADRE" ci run --json "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"
    jq -r 'select(.type=="job" and .cached==false and .state=="passed").id | sub(".*/"; "")' "$SCRATCH/out" | sort | paste -sd' '
}
ok the_first_run_takes_nothing_from_the_cache is "$(fresh)" "declared ignoring local whole"
ok an_unchanged_job_is_not_run_again is "$(fresh)" ""
echo x >>README
ok what_the_paths_of_a_workflow_leave_out_does_not_count_for_its_jobs is "$(fresh)" "ignoring local whole"
echo x >>docs/b
ok what_paths_ignore_names_does_not_count is "$(fresh)" "local whole"
echo x >>src/a.md
ok a_negative_pattern_takes_paths_out is "$(fresh)" "ignoring local whole"
echo x >>src/a.c
ok a_change_within_the_paths_runs_the_job is "$(fresh)" "declared ignoring local whole"
git rm -q src/a.c
ok a_file_that_goes_away_is_a_change is "$(fresh)" "declared ignoring local whole"
echo new >src/new.c
ok so_is_a_new_one is "$(fresh)" "declared ignoring local whole"
chmod +x src/new.c
ok so_is_its_mode is "$(fresh)" "declared ignoring local whole"
ok a_tag_has_no_changed_paths_and_counts_the_whole_tree is "$(echo x >>README; fresh --tag v1 --workflow whole.yml)" "whole"
ok another_mapping_of_an_action_is_another_job is "$(fresh >/dev/null; printf '[ci.actions."some/linter"]\nrun = "true # 2"\n' >"$CODEX_HOME/cadre.toml"; fresh)" "declared"
ok a_pass_with_the_network_is_none_without_it is "$(fresh --network)" "declared ignoring local whole"
mkdir "$SCRATCH/tools"
ok the_same_tools_are_the_same_job is "$(PATH="$SCRATCH/tools:$PATH" fresh >/dev/null; PATH="$SCRATCH/tools:$PATH" fresh)" ""
printf '#!/bin/sh\n' >"$SCRATCH/tools/some-tool"
ok a_tool_that_is_new_on_the_path_runs_everything_again is "$(PATH="$SCRATCH/tools:$PATH" fresh)" "declared ignoring local whole"
echo dirty >untracked
"$CADRE" ci run --json >"$SCRATCH/out" 2>/dev/null
ok a_tree_that_differs_from_its_commit_has_no_cached_results is "$(jq -r 'select(.type=="job" and .cached).id' "$SCRATCH/out")" ""
rm untracked
ok no_cache_runs_everything is "$(fresh >/dev/null; fresh --no-cache)" "declared ignoring local whole"

# --- bounds --------------------------------------------------------------------------------------------------------------
results="$XDG_STATE_HOME/cadre/ci-cache/results"
fresh >/dev/null
touch -d '40 days ago' "$results/0000" "$XDG_STATE_HOME/cadre/ci-cache/trimmed"
mkdir "$results/0000.artifacts"
truncate -s 900M "$results/1111" "$results/2222"
touch -d '2 days ago' "$results/1111"
touch -d '1 day ago' "$results/2222"
echo more >>src/new.c
fresh >/dev/null
ok what_was_not_used_for_a_month_goes test ! -e "$results/0000" -a ! -e "$results/0000.artifacts"
ok over_the_bound_what_was_used_longest_ago_goes_first test ! -e "$results/1111" -a -e "$results/2222"
ok results_in_use_stay is "$(fresh)" ""
