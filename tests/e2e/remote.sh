#!/usr/bin/env bash
# [remote]: push, pull request, the real CI's verdict, and its failures back into the loop; with stand-ins for gh and glab.
. "$(dirname "$0")/lib.sh"
mkdir -p "$SCRATCH/bin"
export PATH="$SCRATCH/bin:$PATH" SCRATCH

# Checks fail as long as the pushed branch has no file "remote-ok"; the log says what is missing.
cat >"$SCRATCH/bin/gh" <<'EOF'
#!/bin/sh
echo "$*" >>"$SCRATCH/gh.log"
branch=$(git -C "$SCRATCH/origin.git" for-each-ref --format='%(refname)' 'refs/heads/cadre/*' | head -n 1)
case "$1 $2" in
"pr view") [ -f "$SCRATCH/pr" ] || { echo "no pull requests found" >&2; exit 1; }; cat "$SCRATCH/pr" ;;
"pr create") while [ $# -gt 0 ]; do [ "$1" = --body-file ] && cp "$2" "$SCRATCH/pr.body"; shift; done
    echo '{"url":"https://forge.example.invalid/o/r/pull/7"}' >"$SCRATCH/pr"; echo "https://forge.example.invalid/o/r/pull/7" ;;
"pr edit") ;;
"pr checks")
    if [ -f "$SCRATCH/none" ]; then echo "no checks reported" >&2; exit 1; fi
    if [ ! -f "$SCRATCH/looked" ]; then touch "$SCRATCH/looked"; echo '[{"name":"build","bucket":"pending","link":""}]'; exit 8; fi
    rm "$SCRATCH/looked"
    if git -C "$SCRATCH/origin.git" cat-file -e "$branch:remote-ok" 2>/dev/null; then
        echo '[{"name":"build","bucket":"pass","link":"https://x/actions/runs/1/job/11"}]'
    else
        echo '[{"name":"build","bucket":"fail","link":"https://x/actions/runs/1/job/11"},{"name":"docs","bucket":"pass","link":""}]'; exit 1
    fi ;;
"run view") echo "build	step	2026-01-01T00:00:00Z Error: the file remote-ok is missing on the runner" ;;
*) echo "unknown: $*" >&2; exit 2 ;;
esac
EOF
chmod +x "$SCRATCH/bin/gh"
fresh() { # NAME: a repository whose origin is a bare one
    rm -rf "$SCRATCH/origin.git" "$SCRATCH/pr" "$SCRATCH/looked" "$SCRATCH/none" "$SCRATCH/gh.log"
    make_repo "$SCRATCH/$1"
    git clone -q --bare "$SCRATCH/$1" "$SCRATCH/origin.git"
    git -C "$SCRATCH/$1" remote add origin "$SCRATCH/origin.git"
    printf '\n[remote]\nenabled = true\ntool = "%s"\npoll_seconds = 1\n%s\n' "${2:-gh}" "${3:-}" >>"$CODEX_HOME/cadre.toml"
    cd "$SCRATCH/$1" || exit 1
}
amend='[rule({role: "orchestrator", attempt: 2, turn: 0}; [sh("sed -i \"/^## Decisions/i - [ ] **T3** Add what the remote wants\\n  - files: \\`remote-ok\\`\\n  - needs: none\\n  - accept: fine\\n\" plan.md"), done_with("amended")])]'

script '{rules: (explorer + '"$amend"' + plan(two_tasks) + work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + work("T3"; "echo yes > remote-ok") + approve + ending)}' "$SCRATCH/r.json"
start_mock "$SCRATCH/r.json"
fresh one
"$CADRE" run --json "mend both" >"$SCRATCH/one.out" 2>"$SCRATCH/one.err"
ok a_run_ends_when_the_remote_ci_is_green is "$?" 0
ok what_the_remote_found_went_back_into_the_loop is "$(jq -r 'select(.type=="remote.checked").state' "$SCRATCH/one.out" | tr '\n' ' ')" "failed passed "
ok the_new_task_was_planned_and_merged is "$(jq -r 'select(.type=="task.merged").task' "$SCRATCH/one.out" | tr '\n' ' ')" "T1 T2 T3 "
ok one_pull_request_was_opened is "$(grep -c 'pr create' "$SCRATCH/gh.log")" 1
ok it_carries_the_release_notes has "$SCRATCH/pr.body" "# Notes"
ok the_failed_jobs_log_was_asked_for has "$SCRATCH/gh.log" "run view --job 11 --log-failed"
ok the_pushed_branch_is_what_was_verified is "$(git -C "$SCRATCH/origin.git" for-each-ref --format='%(objectname)' 'refs/heads/cadre/*')" "$(jq -r 'select(.type=="run.completed").commit' "$SCRATCH/one.out")"
ok the_users_branch_is_left_to_the_pull_request is "$(cat add.txt)" wrong

# Still red after max_rounds.
script '{rules: (explorer + [rule({role: "orchestrator", attempt: 2, turn: 0}; [sh("sed -i \"/^## Decisions/i - [ ] **T3** Try\\n  - files: \\`try\\`\\n  - needs: none\\n  - accept: fine\\n\" plan.md"), done_with("amended")])] +
  plan(two_tasks) + work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + work("T3"; "echo yes > try") + approve + ending)}' "$SCRATCH/red.json"
start_mock "$SCRATCH/red.json"
fresh two gh "max_rounds = 1"
"$CADRE" run "mend both" >"$SCRATCH/two.out" 2>"$SCRATCH/two.err"
ok a_remote_ci_that_stays_red_gives_exit_code_1 is "$?" 1
ok the_error_names_rounds_and_job has "$SCRATCH/two.err" "still red after 1 rounds ([remote] max_rounds): job build"
ok the_pull_request_is_named has "$SCRATCH/two.err" "https://forge.example.invalid/o/r/pull/7"
touch "$SCRATCH/none"
"$CADRE" resume >"$SCRATCH/two2.out" 2>"$SCRATCH/two2.err"
ok a_pull_request_without_checks_is_not_called_green is "$?:$(grep -c 'has no checks' "$SCRATCH/two2.err")" "0:1"
ok resume_opens_no_second_pull_request is "$(grep -c 'pr create' "$SCRATCH/gh.log")" 1

# Nothing to speak to.
fresh three gh
mv "$SCRATCH/bin/gh" "$SCRATCH/gh.away"
PATH=$(printf '%s' "$PATH" | tr : '\n' | while read -r p; do [ -x "$p/gh" ] || printf '%s:' "$p"; done) "$CADRE" run "mend both" >"$SCRATCH/three.out" 2>"$SCRATCH/three.err"
ok a_missing_gh_is_a_configuration_error is "$?" 2
ok it_says_what_to_do has "$SCRATCH/three.err" "gh auth login"
git remote remove origin
mv "$SCRATCH/gh.away" "$SCRATCH/bin/gh"
"$CADRE" resume >"$SCRATCH/three.out" 2>"$SCRATCH/three.err"
ok a_missing_remote_is_named is "$?:$(grep -c 'git remote -v' "$SCRATCH/three.err")" "5:1"

# GitLab.
cat >"$SCRATCH/bin/glab" <<'EOF'
#!/bin/sh
echo "$*" >>"$SCRATCH/glab.log"
branch=$(git -C "$SCRATCH/origin.git" for-each-ref --format='%(refname)' 'refs/heads/cadre/*' | head -n 1)
case "$1 $2" in
"mr view") [ -f "$SCRATCH/pr" ] || exit 1; cat "$SCRATCH/pr" ;;
"mr create") echo x >"$SCRATCH/pr"; echo "https://gitlab.example.invalid/o/r/-/merge_requests/3" ;;
"ci get")
    if git -C "$SCRATCH/origin.git" cat-file -e "$branch:remote-ok" 2>/dev/null; then
        echo '{"status":"success","jobs":[{"id":5,"name":"unit","status":"success"}]}'
    else
        echo '{"status":"failed","jobs":[{"id":5,"name":"unit","status":"failed"},{"id":6,"name":"lint","status":"failed","allow_failure":true}]}'
    fi ;;
"ci trace") echo "ERROR: remote-ok is missing" ;;
*) exit 2 ;;
esac
EOF
chmod +x "$SCRATCH/bin/glab"
script '{rules: (explorer + '"$amend"' + plan(two_tasks) + work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + work("T3"; "echo yes > remote-ok") + approve + ending)}' "$SCRATCH/gl.json"
start_mock "$SCRATCH/gl.json"
fresh four glab
"$CADRE" run --json "mend both" >"$SCRATCH/four.out" 2>"$SCRATCH/four.err"
ok gitlab_goes_the_same_way is "$?:$(jq -r 'select(.type=="remote.checked").state' "$SCRATCH/four.out" | tr '\n' ' ')" "0:failed passed "
ok the_merge_request_is_named is "$(jq -r 'select(.type=="remote.opened").url' "$SCRATCH/four.out")" "https://gitlab.example.invalid/o/r/-/merge_requests/3"
ok a_job_that_may_fail_is_no_failure is "$(grep -c 'ci trace 6' "$SCRATCH/glab.log")" 0
