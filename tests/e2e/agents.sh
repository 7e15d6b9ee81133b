#!/usr/bin/env bash
# Agents that models spawn, first form of the tools: queue, waits, input, closing, depth, failures, roles, resuming.
. "$(dirname "$0")/lib.sh"
JQ_AGENTS='
def spawn(r; m): call("spawn_agent"; {agent_type: r, message: m});
def say(m; text): {match: m, reply: {message: text}};
def slow(m; text; ms): say(m; text) + {fault: {delay_ms: ms}};
'
agents() { script "$JQ_AGENTS $1" "$2"; }
n=0
# try JQ-RULES [ARGUMENT...]: a fresh mock and one `exec --json`; its log is $SCRATCH/log.
try() {
    n=$((n + 1))
    agents "{rules: [$1]}" "$SCRATCH/s$n.json"
    shift
    rm -f "$SCRATCH/log"
    cp "$CODEX_HOME/cadre.toml" "$SCRATCH/keep.toml" 2>/dev/null
    start_mock "$SCRATCH/s$n.json" --log "$SCRATCH/log" --log-bodies || exit 1
    printf '%s\n' "${CONFIG:-}" >>"$CODEX_HOME/config.toml"
    "$CADRE" "$@" exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
    code=$?
}
item() { jq -r "select(.type==\"item.completed\").item | $1" "$SCRATCH/out"; }
asked() { jq -r "select(.role==\"$1\") | $2" "$SCRATCH/log"; }
# The texts of what role $1 was sent.
heard() { asked "$1" '[.body.input[] | .content? // .output | if type == "array" then map(.text) | join(" ") else . end] | join("\n")'; }
heard_has() { heard "$1" | grep -qF -- "$2" || { echo "$1 was never told: $2"; heard "$1" | tail -n 20; return 1; }; }
mkdir "$SCRATCH/w" && cd "$SCRATCH/w" && git init -q . && git commit -qm start --allow-empty || exit 1

# --- Three agents, two threads at once; the third waits its turn; results come without being asked for.
try 'rule({role: "default", turn: 0}; [spawn("explorer"; "look one"), spawn("explorer"; "look two"), spawn("explorer"; "look three")]),
  say({role: "default", turn: 1}; "waiting"), say({role: "default", turn: 2}; "all heard"),
  slow({role: "explorer", input_contains: "look one"}; "found one"; 400),
  slow({role: "explorer", input_contains: "look two"}; "found two"; 400),
  say({role: "explorer", input_contains: "look three"}; "found three")' -c agents.max_threads=2
ok three_agents_end_well is "$code" 0
ok the_main_thread_is_asked_once_for_all_results is "$(asked default .turn | tr '\n' ' ')" "0 1 2 "
ok it_hears_each_result is "$(heard default | grep -c 'completed\\\?":\\\?"found')" 3
ok the_third_waits_for_a_thread is "$(asked explorer .ts_ms | jq -s '.[2] - .[0] >= 350')" true
ok spawns_are_collab_tool_calls is "$(item 'select(.tool=="spawn_agent") | .status + " " + .agents_states[.receiver_thread_ids[0]].status' | sort -u)" "completed pending_init"
ok only_the_main_thread_is_printed is "$(jq -r '.role' "$SCRATCH/out" | sort -u)" default
ok each_thread_has_a_rollout is "$(find "$XDG_STATE_HOME/cadre/sessions" -path '*rollouts*' -name '*.jsonl' | wc -l)" 4
ok the_last_message_is_the_answer is "$(item 'select(.type=="agent_message").text' | tail -n 1)" "all heard"
ok roles_are_offered_with_their_descriptions is "$(asked default '.body.tools[] | select(.name=="spawn_agent").parameters.properties.agent_type.description' | grep -c -- '- explorer: Maps code')" 3

# --- Waiting, further input, closing.
try 'rule({role: "default", turn: 0}; [spawn("explorer"; "look")]),
  rule({role: "default", turn: 1}; [call("wait_agent"; {targets: ["explorer 1", "nobody"]})]),
  rule({role: "default", turn: 2}; [call("wait_agent"; {targets: ["explorer 1"]})]),
  rule({role: "default", turn: 3}; [call("send_input"; {target: "explorer 1", message: "and more"}), call("wait_agent"; {targets: ["explorer 1"], timeout_ms: 20000})]),
  rule({role: "default", turn: 4}; [call("close_agent"; {target: "explorer 1"})]),
  rule({role: "default", turn: 5}; [call("send_input"; {target: "explorer 1", message: "hello?"})]),
  rule({role: "default", turn: 6}; [call("resume_agent"; {id: "explorer 1"})]),
  rule({role: "default", turn: 7}; [call("send_input"; {target: "explorer 1", message: "awake?"}), call("wait_agent"; {targets: ["explorer 1"]})]),
  say({role: "default"}; "done"),
  slow({role: "explorer", turn: 0}; "first answer"; 300), say({role: "explorer", turn: 1}; "second answer"),
  say({role: "explorer", turn: 2, input_contains: "second answer"}; "third answer")'
ok waits_end_well is "$code" 0

ok an_unknown_agent_is_not_found has "$SCRATCH/log" 'not_found'
ok a_wait_costs_one_request_however_long_it_takes is "$(asked default .turn | tr '\n' ' ')" "0 1 2 3 4 5 6 7 8 "
ok a_wait_brings_the_final_message heard_has default '{"completed":"first answer"}'
ok what_a_wait_brought_does_not_come_again is "$(heard default | grep -c subagent_notification)" 0
ok input_goes_on_with_the_agent heard_has default '{"completed":"second answer"}'
ok closing_tells_the_status_before heard_has default '{"previous_status":{"completed":"second answer"}}'
ok a_closed_agent_takes_no_input heard_has default "is closed: open it with resume_agent first"
ok a_resumed_agent_knows_what_was_said heard_has default '{"completed":"third answer"}'
ok waits_are_called_wait_in_events is "$(item 'select(.tool=="wait").agents_states | to_entries[0].value.status' | tail -n 1)" completed

# --- A child's failure is data for its parent; the others go on.
try 'rule({role: "default", turn: 0}; [spawn("explorer"; "this breaks"), spawn("explorer"; "this works")]),
  say({role: "default", turn: 1}; "waiting"), say({role: "default", turn: 2}; "one of two"),
  {match: {role: "explorer", input_contains: "this breaks"}, fault: {status: 500, times: -1}},
  say({role: "explorer"}; "worked")' -c model_providers.mock.request_max_retries=1 -c model_providers.mock.stream_max_retries=1
ok a_failing_child_leaves_the_exit_code is "$code" 0
ok its_failure_is_told_to_the_parent heard_has default '"errored"'
ok the_other_child_has_worked heard_has default '{"completed":"worked"}'

# --- Depth, totals, names, arguments: refused as data.
try 'rule({role: "default", turn: 0}; [spawn("worker"; "go deeper"), spawn("no_such_role"; "x"), call("spawn_agent"; {message: "  "}), call("send_input"; {target: "ghost", message: "x"}), call("wait_agent"; {targets: []}), call("close_agent"; {})]),
  say({role: "default"}; "over"),
  rule({role: "worker", turn: 0}; [spawn("explorer"; "too deep")]), say({role: "worker"}; "did it myself")'
ok refusals_end_well is "$code" 0
ok too_deep_is_refused heard_has worker "agent depth limit reached: this agent is at depth 1 and agents.max_depth is 1"
ok the_deepest_agents_are_not_offered_the_tool is "$(asked worker '.body.tools[].name' | grep -c spawn_agent)" 0
ok an_unknown_role_is_refused heard_has default 'there is no role "no_such_role"'
ok an_empty_message_is_refused heard_has default '`message` is missing or empty'
ok an_unknown_target_is_refused heard_has default 'there is no agent "ghost"'
ok a_wait_for_nobody_is_refused heard_has default '`targets` has to be a list'
ok a_missing_target_is_refused heard_has default '`target` is missing'
try 'rule({role: "default", turn: 0}; [spawn("worker"; "go deeper"), spawn("worker"; "a second")]), say({role: "default"}; "over"),
  rule({role: "worker", turn: 0}; [spawn("explorer"; "deep")]), say({role: "worker", turn: 1}; "waiting for it"),
  say({role: "worker", last_contains: "deep answer"}; "heard of it"), slow({role: "explorer"}; "deep answer"; 200)' \
    -c agents.max_depth=2 -c agents.max_threads=1 -c limits.max_agents=3
ok a_grandchild_is_allowed_by_max_depth heard_has worker '{"completed":"deep answer"}'
ok a_parent_is_final_when_its_children_are heard_has default '{"completed":"heard of it"}'
ok totals_are_enforced is "$(heard worker | grep -c 'as many as limits.max_agents allows') $(asked explorer .turn | wc -l)" "1 1"

# --- One thread, an agent that waits for its own child: the wait gives the thread back.
try 'rule({role: "default", turn: 0}; [spawn("worker"; "ask below")]), say({role: "default"}; "over"),
  rule({role: "worker", turn: 0}; [spawn("explorer"; "deep"), call("wait_agent"; {targets: ["explorer 1"]})]),
  say({role: "worker", last_contains: "deep answer"}; "heard below"), say({role: "explorer"}; "deep answer")' \
    -c agents.max_depth=2 -c agents.max_threads=1
ok a_chain_of_waits_does_not_block_itself heard_has default '{"completed":"heard below"}'

# --- A child that runs too long, and one that is interrupted with new input.
try 'rule({role: "default", turn: 0}; [spawn("explorer"; "endless")]), rule({role: "default", turn: 1}; [call("wait_agent"; {targets: ["explorer 1"]})]),
  say({role: "default"}; "over"), slow({role: "explorer"}; "never"; 20000)' -c agents.job_max_runtime_seconds=1
ok a_life_is_bounded heard_has default "the turn took longer than 1 s"
try 'rule({role: "default", turn: 0}; [spawn("explorer"; "endless")]),
  rule({role: "default", turn: 1}; [sh("sleep 0.5")]),
  rule({role: "default", turn: 2}; [call("send_input"; {target: "explorer 1", message: "do this instead", interrupt: true}), call("wait_agent"; {targets: ["explorer 1"]})]),
  say({role: "default"}; "over"), say({role: "explorer", input_contains: "do this instead"}; "did it"), rule({role: "explorer"}; [sh("sleep 30.'$$'")])'
ok input_can_interrupt heard_has default '{"completed":"did it"}'
ok an_interrupted_agent_is_told heard_has explorer "<turn_aborted>"
ok no_call_stays_without_an_answer heard_has explorer "aborted: the turn was interrupted"
ok no_command_survives_an_interrupt is "$(pgrep -f "sleep 3[0].$$" | wc -l)" 0

# --- Closing a parent closes its children.
try 'rule({role: "default", turn: 0}; [spawn("worker"; "work")]),
  rule({role: "default", turn: 1}; [sh("sleep 0.5")]), rule({role: "default", turn: 2}; [call("close_agent"; {target: "worker 1"})]),
  say({role: "default"}; "over"), rule({role: "worker", turn: 0}; [spawn("explorer"; "deep")]),
  rule({role: "worker"}; [call("wait_agent"; {targets: ["explorer 1"]})]), rule({role: "explorer"}; [sh("sleep 31.'$$'")])' -c agents.max_depth=2
ok closing_a_running_parent_ends_well is "$code" 0
ok its_children_are_closed_too is "$(pgrep -f "sleep 3[1].$$" | wc -l) $(asked explorer .turn | wc -l)" "0 1"

# --- Switched off.
try 'say({}; "alone")' -c agents.enabled=false
ok no_agent_tools_when_switched_off is "$(asked default '.body.tools[].name' | grep -c agent)" 0
