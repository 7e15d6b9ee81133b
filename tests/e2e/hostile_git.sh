#!/usr/bin/env bash
# Git and what a repository, a worktree or the environment says to it: nothing of that runs by the engine's calls (`cadre ci`
# too), and the agent's own git works in its box.
# /tmp is writable for commands, so the scratch folder is elsewhere.
TMPDIR=/var/tmp
. "$(dirname "$0")/lib.sh"
export TMPDIR=/tmp
OUT=$SCRATCH/out
mkdir -p "$OUT"

# --- What `cadre ci` asks git ----------------------------------------------------------------------------------------------
make_repo "$SCRATCH/ci"
cd "$SCRATCH/ci" || exit 1
echo right >add.txt
echo right >mul.txt
mkdir tools
printf '#!/bin/sh\ntouch "%s/planted-git"\nexec /usr/bin/git "$@"\n' "$OUT" >tools/git
chmod +x tools/git
git add -A && git commit -qm "Both mended, and a program named git"
printf '#!/bin/sh\ntouch "%s/$1"\ncat\n' "$OUT" >"$SCRATCH/spy"
chmod +x "$SCRATCH/spy"
printf '[core]\n\tfsmonitor = %s fsmonitor\n\tpager = %s pager\n[diff]\n\texternal = %s external\n[diff "x"]\n\ttextconv = %s textconv\n' \
    "$SCRATCH/spy" "$SCRATCH/spy" "$SCRATCH/spy" "$SCRATCH/spy" >"$SCRATCH/more"
git config include.path "$SCRATCH/more"
/usr/bin/git status >/dev/null 2>&1
ok the_included_program_runs_without_care test -e "$OUT/fsmonitor"
rm -f "$OUT"/*
for how in "tools:$PATH" "./tools:$PATH" "$PWD/tools:$PATH"; do
    PATH=$how "$CADRE" ci list >"$SCRATCH/o" 2>&1
    ok "ci_lists_with_${how%%:*}" has "$SCRATCH/o" commands
    PATH=$how "$CADRE" ci run --base HEAD~1 >"$SCRATCH/o" 2>&1
    ok "ci_runs_with_${how%%:*}" has "$SCRATCH/o" "1 passed"
done
ok nothing_of_the_repository_was_run_by_git is "$(ls "$OUT")" ""
mkdir "$SCRATCH/elsewhere" && git -C "$SCRATCH/elsewhere" init -q
ok variables_of_git_do_not_lead_elsewhere env GIT_DIR="$SCRATCH/elsewhere/.git" GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.fsmonitor GIT_CONFIG_VALUE_0="$SCRATCH/spy variable" \
    "$CADRE" ci run
ok and_run_nothing is "$(ls "$OUT")" ""

# --- A lock that somebody has left ---------------------------------------------------------------------------------------
make_repo "$SCRATCH/locked"
cd "$SCRATCH/locked" || exit 1
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/run.json"
start_mock "$SCRATCH/run.json" || exit 1
touch -d '2 hours ago' .git/index.lock
"$CADRE" run --json "mend both" >"$SCRATCH/o" 2>"$SCRATCH/e"
ok an_old_lock_is_an_error_of_the_repository is "$?:$(git log --format=%s -1)" "5:Start"
ok it_says_what_is_in_the_way has "$SCRATCH/e" "/locked/.git/index.lock is in the way: a lock of git's, made 120 minutes ago"
ok and_what_to_do has "$SCRATCH/e" "rm '$PWD/.git/index.lock'"
rm .git/index.lock
"$CADRE" resume >"$SCRATCH/o" 2>"$SCRATCH/e"
ok then_a_resumed_run_merges is "$?:$(cat add.txt mul.txt | tr '\n' ' ')" "0:right right "

# --- The agent's own git -------------------------------------------------------------------------------------------------
make_repo "$SCRATCH/agent"
cd "$SCRATCH/agent" || exit 1
printf '[filter "f"]\n\tclean = %s clean\n\tsmudge = %s smudge\n[alias]\n\tx = !touch %s/alias\n' "$SCRATCH/spy" "$SCRATCH/spy" "$OUT" >"$SCRATCH/more2"
git config --add include.path "$SCRATCH/more"
git config --add include.path "$SCRATCH/more2"
printf '* filter=f diff=x\n' >.gitattributes
printf '[submodule "s"]\n\tpath = s\n\turl = ext::sh -c touch%% %s\n\tupdate = !touch %s/update\n' "$OUT/url" "$OUT" >.gitmodules
git -c filter.f.clean=cat add -A && git -c filter.f.clean=cat commit -qm "Attributes"
talk() { # COMMAND...: each in a turn
    local rules='[]' n=0
    for c in "$@"; do
        rules=$(jq -c --arg c "$c" --argjson n $n '. + [{match: {turn: $n}, reply: {tool_calls: [{name: "exec_command", arguments: {cmd: $c}}]}}]' <<<"$rules")
        n=$((n + 1))
    done
    jq -n --argjson r "$rules" '{rules: ($r + [{match: {}, reply: {message: "Done."}}])}' >"$SCRATCH/talk.json"
    start_mock "$SCRATCH/talk.json"
    "$CADRE" exec --json go >"$SCRATCH/o" 2>"$SCRATCH/e"
    jq -r 'select(.type=="item.completed" and .item.type=="command_execution") | .item.aggregated_output' "$SCRATCH/o" >"$SCRATCH/text"
}
rm -f "$OUT"/*
talk 'echo more >>add.txt; git status --short && git diff --no-ext-diff --no-textconv | tail -n 1 && git log --oneline -1' 'git commit -qam mine' \
    'git submodule update --init; git x; git config core.pager "touch x"'
ok status_diff_and_log_work is "$(sed -n '/^Output/,/Attributes/p' "$SCRATCH/text" | grep -xc ' M add.txt\|+more\|[0-9a-f]* Attributes')" 3
ok commit_says_what_to_do_instead has "$SCRATCH/text" "Note: .git is read-only here; the engine commits your working directory for you."
ok nothing_is_run_outside is "$(ls "$OUT")" ""
ok the_repository_is_as_it_was is "$(git log --format=%s -1):$(git config core.pager)" "Attributes:$SCRATCH/spy pager"
