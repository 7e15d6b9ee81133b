#!/usr/bin/env bash
# Every setting of a role's file, as it reaches the service: looked at in the requests of a spawned agent.
. "$(dirname "$0")/lib.sh"
asked() { jq -r "select(.role==\"$1\") | $2" "$SCRATCH/log"; }
heard() { asked "$1" '[.body.input[] | .content? // .output | if type == "array" then map(.text) | join(" ") else . end] | join("\n")'; }
mkdir -p "$SCRATCH/w/sub" "$CODEX_HOME/agents" "$CODEX_HOME/skills/knots" "$CODEX_HOME/skills/anchors"
cd "$SCRATCH/w" && git init -q . && git commit -qm start --allow-empty || exit 1
printf -- '---\nname: knots\ndescription: How to tie knots\n---\nBODY-OF-KNOTS\n' >"$CODEX_HOME/skills/knots/SKILL.md"
printf -- '---\nname: anchors\ndescription: How to drop anchors\n---\nBODY-OF-ANCHORS\n' >"$CODEX_HOME/skills/anchors/SKILL.md"
cat >"$CODEX_HOME/agents/sailor.toml" <<EOF
name = "sailor"
description = "Sails"
developer_instructions = "SAIL-ALWAYS"
model = "sailor-model"
model_reasoning_effort = "high"
sandbox_mode = "read-only"
nickname_candidates = ["Popeye", "Bluto"]

[[skills.config]]
path = "$CODEX_HOME/skills/anchors/SKILL.md"
enabled = false
EOF
script '{rules: [
  rule({role: "default", turn: 0}; [call("spawn_agent"; {agent_type: "sailor", message: "one"}), call("spawn_agent"; {agent_type: "sailor", message: "two"})]),
  {match: {role: "default", turn: 1}, reply: {message: "waiting"}},
  {match: {role: "default", turn: 2}, reply: {message: "over"}},
  rule({role: "sailor", turn: 0, input_contains: "one"}; [sh("cat '"$CODEX_HOME"'/skills/knots/SKILL.md; touch made && echo could write")]),
  {match: {role: "sailor"}, reply: {message: "sailed"}}]}' "$SCRATCH/s.json"
start_mock "$SCRATCH/s.json" --log "$SCRATCH/log" --log-bodies || exit 1
"$CADRE" exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok two_sailors_end_well is "$?" 0
ok the_roles_model_is_asked is "$(asked sailor .model | sort -u)" sailor-model
ok the_roles_effort_is_sent is "$(asked sailor .body.reasoning.effort | sort -u)" high
ok the_roles_instructions_are_the_fixed_prompt is "$(asked sailor '.body.instructions // (.body.input[0].content[0].text)' | grep -c SAIL-ALWAYS)" "$(asked sailor .turn | wc -l)"
ok a_read_only_role_has_no_apply_patch is "$(asked sailor '[.body.tools[].name] | index("apply_patch")' | sort -u)" null
ok its_commands_cannot_write is "$(ls made 2>/dev/null)$(heard sailor | grep -c 'could write$')" 0
ok skills_are_named_and_described has <(heard sailor) "How to tie knots"
ok a_skill_that_the_role_switches_off_is_not has_not <(heard sailor) "How to drop anchors"
ok a_skills_body_is_read_on_use is "$(asked sailor 'select(.turn == 0)' | grep -c BODY-OF-KNOTS):$(asked sailor 'select(.turn == 1) | .body | tostring' | grep -c BODY-OF-KNOTS)" "0:1"
ok nicknames_are_the_roles_and_differ is "$(heard default | grep -oE 'Popeye|Bluto' | sort -u | tr '\n' ' ')" "Bluto Popeye "

# Its file is read again when it changed between spawns.
script '{rules: [
  rule({role: "default", turn: 0}; [call("spawn_agent"; {agent_type: "sailor", message: "first"})]),
  {match: {role: "default", turn: 1}, reply: {message: "waiting"}},
  rule({role: "default", turn: 2}; [sh("sed -i s/sailor-model/other-model/ '"$CODEX_HOME"'/agents/sailor.toml; true")]),
  rule({role: "default", turn: 3}; [call("spawn_agent"; {agent_type: "sailor", message: "second"})]),
  {match: {role: "default", turn: 4}, reply: {message: "waiting"}},
  {match: {role: "default"}, reply: {message: "over"}},
  {match: {role: "sailor"}, reply: {message: "sailed"}}]}' "$SCRATCH/again.json"
rm -f "$SCRATCH/log"
start_mock "$SCRATCH/again.json" --log "$SCRATCH/log" --log-bodies || exit 1
"$CADRE" -c sandbox_mode='"danger-full-access"' exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok a_changed_role_file_is_read_again is "$(asked sailor .model | tr '\n' ' ')" "sailor-model other-model "

# Default model and effort of agents whose role names none; a role chosen by its description.
printf 'developer_instructions = "Plumb."\n' >"$CODEX_HOME/plumber.toml"
script '{rules: [
  rule({role: "default", turn: 0}; [call("spawn_agent"; {message: "a water tap is leaking, repair the pipes"})]),
  {match: {role: "default", turn: 1}, reply: {message: "waiting"}},
  {match: {role: "default"}, reply: {message: "over"}},
  {match: {}, reply: {message: "done"}}]}' "$SCRATCH/plumb.json"
rm -f "$SCRATCH/log"
start_mock "$SCRATCH/plumb.json" --log "$SCRATCH/log" --log-bodies || exit 1
printf '\n[agents.plumber]\ndescription = "Repairs leaking pipes and water taps"\nconfig_file = "plumber.toml"\n' >>"$CODEX_HOME/config.toml"
"$CADRE" -c agents.default_subagent_model='"sub-model"' -c agents.default_subagent_reasoning_effort='"low"' exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok a_role_is_chosen_by_its_description is "$(asked plumber .role | sort -u)" plumber
ok the_default_model_and_effort_of_agents_hold is "$(asked plumber '.model + " " + .body.reasoning.effort' | sort -u)" "sub-model low"
