#!/usr/bin/env bash
# Agents that models spawn: the second form of the tools, forks, worktrees of their own, and resuming a session.
. "$(dirname "$0")/lib.sh"
asked() { jq -r "select(.role==\"$1\") | $2" "$SCRATCH/log"; }
heard() { asked "$1" '[.body.input[] | .content? // .output | if type == "array" then map(.text) | join(" ") else . end] | join("\n")'; }
serve() { rm -f "$SCRATCH/log"; script "$1" "$SCRATCH/s.json"; start_mock "$SCRATCH/s.json" --log "$SCRATCH/log" --log-bodies || exit 1; }
repo() { mkdir -p "$SCRATCH/$1" && cd "$SCRATCH/$1" && git init -q . && echo one >a.txt && git add -A && git commit -qm start || exit 1; }

# --- the second form
repo v2
serve '{rules: [
  rule({role: "default", turn: 0}; [call("spawn_agent"; {task_name: "dig", message: "dig a hole", agent_type: "explorer"})]),
  rule({role: "default", turn: 1}; [call("list_agents"; {})]),
  rule({role: "default", turn: 2}; [call("wait_agent"; {timeout_ms: 20000})]),
  rule({role: "default", turn: 3}; [call("followup_task"; {target: "/root/dig", message: "dig deeper"})]),
  rule({role: "default", turn: 4}; [call("wait_agent"; {timeout_ms: 20000})]),
  {match: {role: "default"}, reply: {message: "over"}},
  {match: {role: "explorer", last_contains: "deeper"}, reply: {message: "a deep hole"}},
  {match: {role: "explorer"}, reply: {message: "a hole"}}]}'
"$CADRE" -c features.multi_agent_v2=true exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok the_second_form_ends_well is "$?" 0
ok its_tools_are_offered is "$(asked default '[.body.tools[].name] | sort | join(" ")' | head -n 1 | grep -oE 'followup_task|interrupt_agent|list_agents|send_message|spawn_agent|wait_agent' | sort -u | wc -l)" 6
ok agents_have_paths has <(heard default) "/root/dig"
ok a_followup_starts_a_turn has <(asked explorer '.body | tostring') "dig deeper"
ok its_results_are_heard has <(heard default) "a deep hole"

# --- a fork of the conversation
repo fork
serve '{rules: [
  rule({role: "default", turn: 0}; [sh("echo FACT-FORTY-TWO")]),
  rule({role: "default", turn: 1}; [call("spawn_agent"; {message: "what did we learn", fork_context: true})]),
  {match: {role: "default", last_contains: "what did we learn"}, reply: {message: "we learnt it"}},
  {match: {role: "default"}, reply: {message: "over"}}]}'
"$CADRE" exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok a_fork_ends_well is "$?" 0
ok a_forked_agent_knows_the_conversation is "$(jq -r 'select(.body.input[-1] | tostring | contains("what did we learn")) | .body | tostring' "$SCRATCH/log" | grep -c 'FACT-FORTY-TWO')" 1

# --- a worktree of its own
repo iso
printf '\n[roles.worker]\nisolation = "worktree"\n' >>"$CODEX_HOME/cadre.toml"
serve '{rules: [
  rule({role: "default", turn: 0}; [call("spawn_agent"; {agent_type: "worker", message: "write two"})]),
  {match: {role: "default", turn: 1}, reply: {message: "waiting"}},
  {match: {role: "default", turn: 2, input_contains: "a.txt"}, reply: {message: "seen"}},
  {match: {role: "default"}, reply: {message: "over"}},
  rule({role: "worker", turn: 0}; [sh("pwd > where.txt; echo two >> a.txt")]),
  {match: {role: "worker"}, reply: {message: "written"}}]}'
"$CADRE" exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok a_worker_in_its_own_worktree_ends_well is "$?" 0
ok the_parents_files_are_untouched is "$(cat a.txt):$(ls where.txt 2>/dev/null)" "one:"
ok its_result_is_offered_as_a_diff has <(heard default) "+two"
ok no_worktree_is_left is "$(git worktree list | wc -l)" 1

repo merge
serve '{rules: [
  rule({role: "default", turn: 0}; [call("spawn_agent"; {agent_type: "worker", message: "write two"})]),
  {match: {role: "default", turn: 1}, reply: {message: "waiting"}},
  {match: {role: "default", last_contains: "merged"}, reply: {message: "over"}},
  {match: {role: "default", turn: 2}, reply: {tool_calls: [{name: "merge_agent", arguments: {target: "{{agent}}"}}]}},
  {match: {role: "default"}, reply: {message: "over"}},
  rule({role: "worker", turn: 0}; [sh("echo two >> a.txt")]),
  {match: {role: "worker"}, reply: {message: "written"}}]}'
"$CADRE" exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok merging_an_unknown_agent_is_refused_as_data is "$?:$(cat a.txt)" "0:one"

# The agent's work comes into the parent's files, also beside what the parent changed meanwhile; a conflict changes nothing.
merging() { # NAME WORKER-COMMAND PARENT-COMMAND
    repo "$1"
    seq 1 30 >a.txt && git commit -qam thirty
    serve '{rules: [
      rule({role: "default", turn: 0}; [call("spawn_agent"; {task_name: "two", agent_type: "worker", message: "write two"})]),
      rule({role: "default", turn: 1}; [call("wait_agent"; {timeout_ms: 20000})]),
      rule({role: "default", turn: 2}; [sh("'"$3"'")]),
      rule({role: "default", turn: 3}; [call("merge_agent"; {target: "/root/two"})]),
      rule({role: "default", turn: 4}; [call("merge_agent"; {target: "/root/two"})]),
      {match: {role: "default"}, reply: {message: "over"}},
      rule({role: "worker", turn: 0}; [sh("'"$2"'")]),
      {match: {role: "worker"}, reply: {message: "written"}}]}'
    "$CADRE" -c features.multi_agent_v2=true exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
}
merging merges "sed -i s/^2\$/two/ a.txt; echo new > b.txt; mkdir sub; echo deep > sub/c.txt" "sed -i s/^29\$/NINE/ a.txt"
ok a_merge_ends_well is "$?" 0
ok the_parent_has_both_changes is "$(sed -n '2p;29p' a.txt | tr '\n' ' ')$(cat b.txt sub/c.txt | tr '\n' ' ')" "two NINE new deep "
ok the_files_are_named has <(heard default) '"status":"merged"'
ok index_and_branch_are_untouched is "$(git diff --cached | wc -l):$(git log --oneline | wc -l):$(git for-each-ref refs/heads | wc -l)" "0:2:1"
ok its_worktree_is_gone is "$(git worktree list | wc -l)" 1
merging conflicts "sed -i s/^2\$/two/ a.txt; echo new > b.txt" "sed -i s/^2\$/ZWEI/ a.txt"
ok a_conflict_is_data_for_the_parent is "$?" 0
ok it_changes_nothing is "$(sed -n 2p a.txt):$(ls b.txt 2>/dev/null)" "ZWEI:"
ok it_names_the_file has <(heard default) "a.txt"

# --- a session goes on
repo resume
serve '{rules: [
  {match: {role: "default", turn: 0}, reply: {message: "noted WORD-SEVEN"}},
  {match: {role: "default", turn: 1, input_contains: "noted WORD-SEVEN"}, reply: {message: "it was WORD-SEVEN"}},
  {match: {}, reply: {message: "forgot"}}]}'
"$CADRE" exec --json "remember WORD-SEVEN" >"$SCRATCH/out" 2>"$SCRATCH/err"
id=$(jq -r 'select(.type=="thread.started").thread_id' "$SCRATCH/out")
"$CADRE" exec --json resume "$id" "what was it?" >"$SCRATCH/out2" 2>"$SCRATCH/err2"
ok a_session_is_resumed_by_its_id is "$?:$(jq -r 'select(.item.type=="agent_message").item.text' "$SCRATCH/out2")" "0:it was WORD-SEVEN"
ok it_keeps_its_id is "$(jq -r 'select(.type=="thread.started").thread_id' "$SCRATCH/out2")" "$id"
"$CADRE" exec --json resume --last "and again?" >"$SCRATCH/out3" 2>"$SCRATCH/err3"
ok the_last_session_is_resumed is "$?:$(jq -r 'select(.type=="thread.started").thread_id' "$SCRATCH/out3")" "0:$id"
"$CADRE" exec resume nothing-like-that x >"$SCRATCH/o" 2>&1
ok an_unknown_session_is_a_usage_error is "$?" 2
"$CADRE" exec --ephemeral --json hi >"$SCRATCH/out4" 2>&1
eid=$(jq -r 'select(.type=="thread.started").thread_id' "$SCRATCH/out4")
"$CADRE" exec resume "$eid" x >"$SCRATCH/o" 2>&1
ok an_ephemeral_session_keeps_nothing is "$?" 2
