#!/usr/bin/env bash
# Bad input: one clear error, a documented exit code, no change.
. "$(dirname "$0")/lib.sh"

# expect CODE TEXT COMMAND...: exit code and a part of the message.
expect() {
    local code=$1 text=$2 got
    shift 2
    "$@" >"$SCRATCH/out" 2>"$SCRATCH/err" </dev/null
    got=$?
    is "$got" "$code" && has "$SCRATCH/err" "$text"
    local rc=$?
    [ $rc -eq 0 ] || cat "$SCRATCH/err"
    return $rc
}

make_repo "$SCRATCH/repo"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/ok.json"
start_mock "$SCRATCH/ok.json"
cp "$CODEX_HOME/config.toml" "$SCRATCH/good.toml"

mkdir "$SCRATCH/plain"
cd "$SCRATCH/plain" || exit 1
ok not_a_repository expect 5 "not a git repository" "$CADRE" run goal
git init -q "$SCRATCH/empty"
cd "$SCRATCH/empty" || exit 1
ok a_repository_without_commits expect 5 "commit" "$CADRE" run goal

cd "$SCRATCH/repo" || exit 1
ok an_empty_goal expect 2 "goal" "$CADRE" run ""
ok an_unknown_option_names_the_nearest expect 2 "--max-batches" "$CADRE" run --max-batchs 3 x
ok an_unknown_command_names_the_nearest expect 2 "cadre run" "$CADRE" rnu
ok a_limit_that_is_no_number expect 2 "--max-tokens" "$CADRE" run --max-tokens lots x
ok a_missing_key env -u MOCK_KEY bash -c 'cd "$1" && "$2" run goal >/dev/null 2>"$3"; [ $? -eq 4 ] && grep -q MOCK_KEY "$3"' _ "$SCRATCH/repo" "$CADRE" "$SCRATCH/err"

sed 's|^base_url.*|base_url = "http://127.0.0.1:9/v1"|' "$SCRATCH/good.toml" >"$CODEX_HOME/config.toml"
ok an_unreachable_endpoint expect 4 "127.0.0.1:9" "$CADRE" run -c model_providers.mock.request_max_retries=0 -c model_providers.mock.stream_max_retries=0 goal
printf 'model = "x"\nmodel = = 3\n' >"$CODEX_HOME/config.toml"
ok bad_toml_names_file_line_and_column expect 2 "config.toml:2:" "$CADRE" run goal
cp "$SCRATCH/good.toml" "$CODEX_HOME/config.toml"
ok an_unknown_role expect 2 "nobody" "$CADRE" exec --role nobody hello
printf '\n[agents.explorer]\ndescription = "x"\nconfig_file = "agents/none.toml"\n' >>"$CODEX_HOME/config.toml"
ok a_role_file_that_does_not_exist expect 2 "none.toml" "$CADRE" run goal
cp "$SCRATCH/good.toml" "$CODEX_HOME/config.toml"

mkdir -p "$SCRATCH/outside"
ln -s "$SCRATCH/outside" "$SCRATCH/repo/link"
printf '*** Begin Patch\n*** Add File: ../evil.txt\n+x\n*** End Patch\n' >"$SCRATCH/dots.patch"
printf '*** Begin Patch\n*** Add File: link/evil.txt\n+x\n*** End Patch\n' >"$SCRATCH/link.patch"
ok a_patch_with_dots_is_refused expect 1 "" "$CADRE" apply-patch "$SCRATCH/dots.patch"
ok a_patch_through_a_symlink_is_refused expect 1 "" "$CADRE" apply-patch "$SCRATCH/link.patch"
ok no_file_was_written_outside is "$(ls "$SCRATCH/outside" "$SCRATCH/evil.txt" 2>/dev/null | grep -c evil)" 0
rm "$SCRATCH/repo/link"

plan_of() { printf '# Plan: x\n\n## Tasks\n%b' "$1" >"$SCRATCH/plan.md"; }
plan_of '- [ ] **T1** a\n  - files: `a`\n  - needs: T2\n  - accept: x\n- [ ] **T2** b\n  - files: `b`\n  - needs: T1\n  - accept: x\n'
ok a_plan_with_a_cycle expect 2 "T1 -> T2 -> T1" "$CADRE" plan check "$SCRATCH/plan.md"
plan_of '- [ ] **T1** a\n  - files: `a`\n  - needs: none\n  - accept: x\n- [ ] **T1** b\n  - files: `b`\n  - needs: none\n  - accept: x\n'
ok a_plan_with_a_duplicate_id expect 2 "T1" "$CADRE" plan check "$SCRATCH/plan.md"

ok nothing_changed_in_the_repository is "$(git status --porcelain; git branch --list 'cadre/*'; git worktree list | wc -l)" 1

# A dirty checkout: the work is done, the merge back is not.
echo local >>CHANGELOG.md
"$CADRE" run --json "mend both" >"$SCRATCH/out" 2>"$SCRATCH/err" </dev/null
code=$?
ok a_dirty_checkout_at_merge_back_gives_exit_code_5 is "$code" 5
ok the_users_change_is_still_there has CHANGELOG.md local
ok the_result_is_kept_on_its_branch test -n "$(git branch --list 'cadre/*')"
git checkout -q CHANGELOG.md
"$CADRE" resume >"$SCRATCH/out" 2>"$SCRATCH/err" </dev/null

ok resume_merges_once_it_is_clean is "$? $(cat add.txt)" "0 right"

# A git that cannot merge without a checkout is told at once, with what to do.
mkdir -p "$SCRATCH/oldgit" && printf '#!/bin/sh\ncase " $* " in *" --version "*) echo "git version 2.30.2"; exit 0 ;; esac\nexec /usr/bin/git "$@"\n' >"$SCRATCH/oldgit/git"
chmod +x "$SCRATCH/oldgit/git"
make_repo "$SCRATCH/oldgit-repo"
cd "$SCRATCH/oldgit-repo" || exit 1
runs_before=$(ls "$XDG_STATE_HOME/cadre/runs" 2>/dev/null | wc -l)
PATH="$SCRATCH/oldgit:$PATH" "$CADRE" run "mend" >"$SCRATCH/o" 2>"$SCRATCH/e"
ok an_old_git_is_refused is "$?" 5
ok it_says_which_git_is_needed has "$SCRATCH/e" "git 2.30 is too old: install git 2.38 or newer"
ok nothing_was_begun is "$(ls "$XDG_STATE_HOME/cadre/runs" 2>/dev/null | wc -l)" "$runs_before"
PATH="$SCRATCH/oldgit:$PATH" "$CADRE" doctor >"$SCRATCH/o" 2>&1
ok doctor_says_it_too has "$SCRATCH/o" "git 2.30 is too old"
