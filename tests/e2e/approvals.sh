#!/usr/bin/env bash
# Approvals: rules, policies, the inbox; answers from another terminal, from this one, by deadline, by policy, after a kill.
. "$(dirname "$0")/lib.sh"
latest() { ls "$XDG_STATE_HOME/cadre/runs" | tail -n 1; }
settings() { # LINES for config.toml (before its tables) and cadre.toml
    printf '%s\n' "$1" | cat - "$CODEX_HOME/config.toml" >"$SCRATCH/c" && mv "$SCRATCH/c" "$CODEX_HOME/config.toml"
    printf '\n%s\n' "$2" >>"$CODEX_HOME/cadre.toml"
}
# T1 asks to write outside of its box, then does its work.
team() { # NAME ARGUMENTS-OF-THE-FIRST-CALL
    make_repo "$SCRATCH/$1"
    script '{rules: (explorer + plan(two_tasks) +
      [rule({role: "implementer", task: "T1", turn: 0}; [call("exec_command"; '"$2"')]),
       rule({role: "implementer", task: "T1", turn: 1}; [sh("echo right > add.txt")])] + work("T1"; "true") + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/$1.json"
    start_mock "$SCRATCH/$1.json"
    cd "$SCRATCH/$1" || exit 1
}
escape='{cmd: "echo out >>'"$SCRATCH"'/home/escaped", sandbox_permissions: "require_escalated", justification: "the cache is there"}'

# --- another terminal says yes -----------------------------------------------------------------------------------------
team yes "$escape"
settings 'approval_policy = "on-request"' $'[approvals]\ndeadline_seconds = 60'
"$CADRE" run --json "mend both" >"$SCRATCH/yes.out" 2>"$SCRATCH/yes.err" &
pid=$!
wait_for "$SCRATCH/yes.out" '"approval.requested"' >/dev/null
"$CADRE" approve --list >"$SCRATCH/list"
ok the_request_names_role_task_command_and_reason is "$(grep -cE 'a1  implementer T1|outside the sandbox: echo out|because: the cache is there' "$SCRATCH/list")" 3
ok other_threads_go_on_meanwhile wait_for "$SCRATCH/yes.out" '"type":"task.committed"'
"$CADRE" approve a9 >"$SCRATCH/o" 2>&1
ok an_unknown_id_is_refused_and_the_waiting_are_named is "$?:$(grep -c 'waiting: a1' "$SCRATCH/o")" "2:1"
ok approve_is_taken "$CADRE" approve a1
wait "$pid"
ok the_run_ends_green is "$?" 0
ok the_command_ran_outside_exactly_once is "$(cat "$HOME/escaped")" out
ok the_answer_is_an_event is "$(jq -r 'select(.type=="approval.resolved") | .decision + " " + .by + " " + .task' "$SCRATCH/yes.out")" "allow terminal T1"

# --- for the rest of the run, and only what begins so -----------------------------------------------------------------------
make_repo "$SCRATCH/forrun"
cp /bin/bash "$SCRATCH/forrun/bash" # what a model could have made: a shell that is none of the system's
(cd "$SCRATCH/forrun" && git add -A && git commit -qm "a program of their own")
script '{rules: (explorer + plan(two_tasks) +
  [rule({role: "implementer", task: "T1", turn: 0}; [call("exec_command"; {cmd: "tee -a '"$HOME"'/kept", sandbox_permissions: "require_escalated", prefix_rule: ["tee", "-a"]})]),
   rule({role: "implementer", task: "T1", turn: 1}; [call("exec_command"; {cmd: "tee -a '"$HOME"'/kept2"})]),
   rule({role: "implementer", task: "T1", turn: 2}; [call("exec_command"; {cmd: "tee -a '"$HOME"'/other", shell: "./bash"})]),
   rule({role: "implementer", task: "T1", turn: 3}; [call("exec_command"; {cmd: "tee '"$HOME"'/third"})]),
   rule({role: "implementer", task: "T1", turn: 4}; [call("exec_command"; {cmd: "echo x", shell: "./bash", sandbox_permissions: "require_escalated"})]),
   rule({role: "implementer", task: "T1", turn: 5}; [sh("echo right > add.txt")])] + work("T1"; "true") + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/forrun.json"
start_mock "$SCRATCH/forrun.json"
cd "$SCRATCH/forrun" || exit 1
settings 'approval_policy = "on-request"' $'[approvals]\ndeadline_seconds = 60'
"$CADRE" run --json "mend both" >"$SCRATCH/forrun.out" 2>"$SCRATCH/forrun.err" &
pid=$!
wait_for "$SCRATCH/forrun.out" '"approval.requested"' >/dev/null
ok what_would_be_allowed_is_shown has <("$CADRE" approve --list) "--for-run would allow: tee -a"
ok approve_for_the_run_is_taken "$CADRE" approve --for-run a1
wait_for "$SCRATCH/forrun.out" '"approval":"a2"' >/dev/null
ok the_person_sees_which_shell_gets_the_script has <("$CADRE" approve --list) "outside the sandbox: ./bash -c echo x"
"$CADRE" approve --for-run a2 >"$SCRATCH/o" 2>&1
ok without_a_prefix_it_holds_for_one_command_only has "$SCRATCH/o" "names no beginning of the command"
"$CADRE" deny a2 >"$SCRATCH/o" 2>&1
wait "$pid"
ok what_begins_so_ran_without_another_question is "$?:$(grep -c approval.requested "$SCRATCH/forrun.out"):$(ls "$HOME/kept" "$HOME/kept2" | wc -l)" "0:2:2"
ok another_command_stayed_in_the_box test ! -e "$HOME/third"
ok a_shell_of_the_worktree_stayed_in_the_box test ! -e "$HOME/other"
rm -f "$HOME/kept" "$HOME/kept2"

# --- and no ------------------------------------------------------------------------------------------------------------
rm -f "$HOME/escaped"
team no "$escape"
settings 'approval_policy = "on-request"' $'[approvals]\ndeadline_seconds = 60'
"$CADRE" run --json "mend both" >"$SCRATCH/no.out" 2>"$SCRATCH/no.err" &
pid=$!
wait_for "$SCRATCH/no.out" '"approval.requested"' >/dev/null
ok deny_is_taken "$CADRE" deny a1 --reason "no caches here"
wait "$pid"
ok a_denied_agent_goes_on_without is "$?:$(ls "$HOME/escaped" 2>/dev/null)" "0:"
ok the_agent_is_told_the_reason has "$(ls "$XDG_STATE_HOME"/cadre/runs/"$(latest)"/rollouts/*.jsonl | xargs grep -l 'no caches here' | head -n 1)" "no caches here"

# --- nobody there: the policy answers at once, and it is recorded -----------------------------------------------------------
team headless "$escape"
settings 'approval_policy = "on-request"' ''
"$CADRE" run --json "mend both" >"$SCRATCH/headless.out" 2>"$SCRATCH/headless.err"
ok a_headless_run_never_hangs is "$?" 0
ok the_policys_answer_is_recorded is "$(jq -r 'select(.type=="approval.resolved") | .decision + " " + .by' "$SCRATCH/headless.out")" "deny policy"
team deadline "$escape"
settings 'approval_policy = "on-request"' $'[approvals]\ndeadline_seconds = 1\ndefault = "allow"'
"$CADRE" run --json "mend both" >"$SCRATCH/deadline.out" 2>"$SCRATCH/deadline.err"
ok after_the_deadline_the_default_answers is "$?:$(jq -r 'select(.type=="approval.resolved") | .decision + " " + .by' "$SCRATCH/deadline.out"):$(cat "$HOME/escaped")" "0:allow deadline:out"
rm -f "$HOME/escaped"

# --- policies and roles -----------------------------------------------------------------------------------------------------
team never "$escape"
settings 'approval_policy = "never"' $'[approvals]\ndeadline_seconds = 60'
"$CADRE" run --json "mend both" >"$SCRATCH/never.out" 2>"$SCRATCH/never.err"
ok never_asks_nobody_and_lets_nobody_out is "$?:$(grep -c approval.requested "$SCRATCH/never.out"):$(ls "$HOME/escaped" 2>/dev/null)" "0:0:"
team untrusted '{cmd: "ls && cat add.txt"}'
settings 'approval_policy = "untrusted"' ''
"$CADRE" run --json "mend both" >"$SCRATCH/untrusted.out" 2>"$SCRATCH/untrusted.err"
ok untrusted_runs_what_is_known_to_be_safe is "$(jq -r 'select(.type=="approval.requested").command' "$SCRATCH/untrusted.out" | grep -c '^ls')" 0
ok untrusted_asks_for_the_rest is "$(jq -r 'select(.type=="approval.requested").command' "$SCRATCH/untrusted.out" | grep -c 'cat > plan.md' | sed 's/[1-9][0-9]*/some/')" some
team role "$escape"
mkdir -p "$CODEX_HOME/agents"
printf 'name = "implementer"\ndescription = "Works"\ndeveloper_instructions = "Work."\napproval_policy = "never"\n' >"$CODEX_HOME/agents/implementer.toml"
settings 'approval_policy = "on-request"' $'[approvals]\ndeadline_seconds = 60'
"$CADRE" run --json "mend both" >"$SCRATCH/role.out" 2>"$SCRATCH/role.err"
ok the_tightest_of_configuration_and_role_wins is "$?:$(grep -c approval.requested "$SCRATCH/role.out")" "0:0"
rm -r "$CODEX_HOME/agents"

# --- rules files -------------------------------------------------------------------------------------------------------------
mkdir -p "$CODEX_HOME/rules"
cat >"$CODEX_HOME/rules/team.rules" <<EOF
prefix_rule(pattern = ["touch", "$HOME/allowed"], decision = "allow")
prefix_rule(pattern = ["rm"], decision = "forbidden", justification = "use git clean -n")
EOF
team rules '{cmd: "touch '"$HOME"'/allowed"}'
settings 'approval_policy = "never"' ''
"$CADRE" run --json "mend both" >"$SCRATCH/rules.out" 2>"$SCRATCH/rules.err"
ok a_rule_that_allows_runs_without_a_question is "$?:$(ls "$HOME/allowed")" "0:$HOME/allowed"
team forbid '{cmd: "ls; rm add.txt"}'
"$CADRE" run --json "mend both" >"$SCRATCH/forbid.out" 2>"$SCRATCH/forbid.err"
ok a_rule_that_forbids_refuses_the_whole_script is "$(cat "$XDG_STATE_HOME"/cadre/runs/"$(latest)"/rollouts/*.jsonl | grep -c 'use git clean -n' | sed 's/[1-9][0-9]*/some/')" some
echo 'prefix_rule(pattern = [' >"$CODEX_HOME/rules/bad.rules"
"$CADRE" run --json --dry-run "mend both" >/dev/null 2>"$SCRATCH/bad.err"
ok a_bad_rules_file_is_named_with_line_and_column has "$SCRATCH/bad.err" "bad.rules:2:1"
rm -r "$CODEX_HOME/rules"

# --- a pending approval survives a kill ---------------------------------------------------------------------------------------
rm -f "$HOME/escaped"
team kill "$escape"
settings 'approval_policy = "on-request"' $'[approvals]\ndeadline_seconds = 60'
"$CADRE" run --json "mend both" >"$SCRATCH/kill.out" 2>"$SCRATCH/kill.err" &
pid=$!
wait_for "$SCRATCH/kill.out" '"approval.requested"' >/dev/null
kill -9 "$pid"
wait "$pid" 2>/dev/null
run=$(latest)
ok it_is_still_listed has <("$CADRE" approve --run "$run" --list) "a1  implementer T1"
ok it_can_be_answered_while_nobody_runs "$CADRE" approve --run "$run" a1
"$CADRE" deny --run "$run" a1 >"$SCRATCH/o" 2>&1
ok it_is_answered_once has "$SCRATCH/o" "answered already"
"$CADRE" resume --json >"$SCRATCH/kill2.out" 2>"$SCRATCH/kill2.err"
ok resume_finds_the_answer is "$?:$(cat "$HOME/escaped"):$(jq -r 'select(.type=="approval.resolved") | .approval + " " + .decision' "$SCRATCH/kill2.out")" "0:out:a1 allow"

# --- in the terminal ------------------------------------------------------------------------------------------------------------
if command -v tmux >/dev/null; then
    rm -f "$HOME/escaped"
    team term "$escape"
    settings 'approval_policy = "on-request"' ''
    tmux -L "cadre$$" -f /dev/null new-session -d -x 120 -y 40 "cd $SCRATCH/term; XDG_STATE_HOME=$XDG_STATE_HOME CODEX_HOME=$CODEX_HOME HOME=$HOME MOCK_KEY=$MOCK_KEY '$CADRE' run 'mend both'; echo left \$?; sleep 20"
    for _ in $(seq 400); do tmux -L "cadre$$" capture-pane -p -S -200 | grep -q 'OUTSIDE THE SANDBOX' && break; sleep 0.05; done
    tmux -L "cadre$$" capture-pane -p -S -200 >"$SCRATCH/pane"
    ok the_terminal_asks has "$SCRATCH/pane" "approval a1: implementer T1 wants to run OUTSIDE THE SANDBOX"
    tmux -L "cadre$$" send-keys y Enter
    for _ in $(seq 600); do tmux -L "cadre$$" capture-pane -p -S -200 | grep -q '^left' && break; sleep 0.05; done
    tmux -L "cadre$$" capture-pane -p -S -200 >"$SCRATCH/pane"
    tmux -L "cadre$$" kill-server
    ok y_lets_it_run is "$(grep -c 'left 0' "$SCRATCH/pane"):$(cat "$HOME/escaped")" "1:out"
else
    skip the_terminal_asks "tmux is not installed"
fi
