#!/usr/bin/env bash
# `cadre` alone: an interactive session, typed at and read in a real terminal (tmux, 80 columns).
. "$(dirname "$0")/lib.sh"
mkdir "$SCRATCH/w" && cd "$SCRATCH/w" && git init -q . && git commit -qm start --allow-empty || exit 1

"$CADRE" </dev/null >"$SCRATCH/o" 2>&1
ok without_a_terminal_it_is_a_usage_error is "$?" 2
ok that_names_exec has "$SCRATCH/o" 'cadre exec PROMPT'
"$CADRE" resume --last </dev/null >"$SCRATCH/o" 2>&1
ok resuming_needs_a_terminal_too is "$?" 2
if ! command -v tmux >/dev/null; then
    skip an_interactive_session "tmux is missing: apt-get install tmux"
    exit
fi

script '{rules: [
  {match: {last_contains: "long"}, reply: {message: "A fairly long answer with many words that has to be wrapped at the right edge of a terminal of eighty columns, \u001b[31mred\u001b[0m and a bell \u0007.\n\n- one\n- two"}},
  {match: {last_contains: "meanwhile"}, reply: {message: "both heard"}},
  rule({last_contains: "run it"}; [sh("sleep 1")]),
  rule({last_contains: "be slow"}; [sh("sleep 33")]),
  rule({last_contains: "escalate one"}; [call("exec_command"; {cmd: "echo one >'"$SCRATCH"'/home/one", sandbox_permissions: "require_escalated", justification: "the reason"})]),
  rule({last_contains: "escalate two"}; [call("exec_command"; {cmd: "echo two >'"$SCRATCH"'/home/two", sandbox_permissions: "require_escalated"})]),
  rule({role: "default", last_contains: "spawn one"}; [call("spawn_agent"; {agent_type: "explorer", message: "look around"})]),
  {match: {role: "default", last_contains: "found the thing"}, reply: {message: "the agent is done"}},
  {match: {role: "explorer"}, reply: {message: "found the thing\nand more"}, fault: {delay_ms: 1000}},
  {match: {last_contains: "summary"}, reply: {message: "SUMMARY-OF-ALL"}},
  {match: {}, reply: {message: "ok then"}}]}' "$SCRATCH/s.json"
start_mock "$SCRATCH/s.json" --log "$SCRATCH/log" --log-bodies || exit 1
# An earlier prompt, for the arrow keys.
echo '{"session_id":"x","ts":1,"text":"from another day"}' >"$CODEX_HOME/history.jsonl"

# Each terminal has a server of its own: one that is told to end still takes calls for a moment, and loses them.
terminals=0
T=(tmux -L "cadre-e2e-$$-0" -f /dev/null)
stop_tmux() { "${T[@]}" kill-server 2>/dev/null; }
trap 'stop_tmux; finish; exit $?' EXIT
# open ARGUMENTS: cadre in a fresh terminal; its exit code stands on the screen when it has left.
open() {
    stop_tmux
    terminals=$((terminals + 1))
    T=(tmux -L "cadre-e2e-$$-$terminals" -f /dev/null)
    "${T[@]}" new-session -d -x 80 -y 24 "$CADRE $*; echo LEFT-WITH-\$?; exec sleep 1000"
    sees 'see /help' >/dev/null
}
keys() { "${T[@]}" send-keys "$@"; }
type_line() { keys -l "$1" && keys Enter; }
screen() { "${T[@]}" capture-pane -p -S -200; }
# sees TEXT: until it is on the screen, 20 s at most.
sees() {
    for _ in $(seq 200); do
        screen | grep -qF -- "$1" && return 0
        sleep 0.1
    done
    echo "never on the screen: $1"
    screen | grep -v '^$' | tail -n 24
    return 1
}
sees_not() { ! screen | grep -qF -- "$1" || { echo "on the screen: $1"; return 1; }; }
asked() { jq -r "select(.role==\"default\") | $1" "$SCRATCH/log"; }
last_input() { asked '[.body.input[] | select(.role=="user") | .content[].text] | last' | jq -Rrs .; }

open
ok it_says_model_and_sandbox sees 'mock-model · workspace-write'
type_line 'a long one'
ok the_answer_is_shown sees '- two'
ok it_is_wrapped_at_words sees 'wrapped at the right edge'
ok nothing_is_wider_than_the_terminal is "$(screen | awk '{ if (length($0) > 79) n++ } END { print n + 0 }')" 0
ok terminal_escapes_are_harmless sees '␛[31mred␛[0m and a bell ␇.'
ok what_was_typed_is_in_the_history has "$CODEX_HOME/history.jsonl" '"text":"a long one"'

type_line 'run it'
sees '$ sleep 1' >/dev/null
ok a_running_turn_says_so sees 'working'
type_line 'meanwhile this'
ok a_line_goes_with_the_turn_that_runs sees 'both heard'
ok it_was_one_turn is "$(jq -r 'select(.type=="turn.started").type' "$XDG_STATE_HOME"/cadre/sessions/*/rollouts/*.jsonl | wc -l)" 2

# --- typing
keys -l 'one worm'
keys C-w
keys -l 'two'
keys C-a
keys -l 'zero '
keys End
keys M-Enter
keys -l 'next line'
keys Enter
sees 'ok then' >/dev/null
ok editing_works is "$(asked '[.body.input[] | select(.role=="user") | .content[].text] | last' | tail -n 2)" 'zero one two
next line'
"${T[@]}" set-buffer $'pasted one\npasted two\n/quit\n'
"${T[@]}" paste-buffer -p
ok a_paste_of_several_lines_is_one_text sees 'pasted two'
keys Enter
wait_for "$SCRATCH/log" 'pasted one' >/dev/null
ok no_line_of_it_is_a_command sees_not LEFT-WITH
keys Up Up Up Up Up Up Up Up Up Up Up Up
ok the_arrows_go_back_to_earlier_days sees '› from another day'
keys C-c
ok ctrl_c_takes_away_what_was_typed sees '›'
type_line '/stauts'
ok a_misspelt_command_is_not_sent sees 'there is no command /stauts, is it /status'
keys -l '/stat'
keys Tab Enter
ok commands_are_completed sees 'network restricted'

# --- approvals
keys -l 'half a thou'
"${T[@]}" send-keys C-u
type_line 'escalate one'
ok a_command_outside_of_the_sandbox_is_asked_for sees 'OUTSIDE THE SANDBOX'
ok with_its_reason sees 'because: the reason'
ok nothing_runs_before_the_answer is "$(ls "$HOME/one" 2>/dev/null)" ""
type_line 'what?'
ok another_word_is_no_answer sees 'answer y (yes), n (no)'
type_line y
sees '  allowed' >/dev/null
ok yes_runs_it wait_for "$HOME/one" one
sleep 0.3
type_line 'escalate two'
sees 'home/two' >/dev/null
sees 'allow it?' >/dev/null
type_line n
sees '  denied' >/dev/null
ok no_does_not is "$(ls "$HOME/two" 2>/dev/null)" ""

# --- agents
type_line 'spawn one'
ok an_agent_is_shown sees '> spawn_agent explorer 1'
type_line '/agents'
ok agents_are_listed sees 'look around'
ok its_result_is_shown sees '[explorer 1] found the thing …'
ok the_main_thread_hears_of_it sees 'the agent is done'

# --- stopping, compacting, another model
type_line 'be slow'
sees '$ sleep 33' >/dev/null
keys C-c
ok ctrl_c_stops_the_turn sees 'stopped'
ok its_command_is_gone is "$(pgrep -f 'sleep 3[3]' | wc -l)" 0
ok one_ctrl_c_does_not_leave sees_not LEFT-WITH
type_line 'after the stop'
wait_for "$SCRATCH/log" 'after the stop' >/dev/null
ok the_model_is_told_of_the_stop has "$SCRATCH/log" 'turn_aborted'
sleep 0.3
type_line '/compact'
ok the_conversation_is_compacted sees 'the conversation was compacted'
type_line '/model other-model'
sees 'other-model from the next request on' >/dev/null
type_line 'with the other'
wait_for "$SCRATCH/log" 'with the other' >/dev/null
ok another_model_is_asked is "$(asked .body.model | tail -n 1)" other-model
ok with_the_summary has <(asked '.body.input | tostring' | tail -n 1) SUMMARY-OF-ALL
sleep 0.3
keys C-d
ok ctrl_d_leaves sees 'LEFT-WITH-0'
ok it_says_how_to_go_on sees 'go on with: cadre resume'
id=$(screen | sed -n 's/.*go on with: cadre resume //p')

# --- going on
open resume --last
ok a_session_goes_on sees "session goes on: $id"
ok its_last_exchange_is_shown sees '› with the other'
type_line 'and now'
wait_for "$SCRATCH/log" 'and now' >/dev/null
ok the_model_knows_what_was_said has <(asked '.body.input | tostring' | tail -n 1) 'with the other'
keys C-c
sleep 0.2
keys C-c
ok ctrl_c_twice_leaves sees 'LEFT-WITH-130'
open resume "$id"
ok a_session_goes_on_by_its_id sees "session goes on: $id"
type_line /new
ok another_session_can_be_begun sees 'session goes on'
type_line /quit
ok quit_leaves sees 'LEFT-WITH-0'
ok the_terminal_is_given_back is "$("${T[@]}" display-message -p '#{pane_dead}')" 0
"${T[@]}" respawn-pane -k 'TERM=dumb '"$CADRE"'; echo LEFT-WITH-$?; exec sleep 100'
ok a_terminal_without_a_cursor_is_refused sees 'needs a terminal that can move its cursor'
