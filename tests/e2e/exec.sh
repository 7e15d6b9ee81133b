#!/usr/bin/env bash
# `cadre exec`: one thread, its tools, its events.
. "$(dirname "$0")/lib.sh"
mkdir "$SCRATCH/w" && cd "$SCRATCH/w" && git init -q . || exit 1
cat >"$SCRATCH/s.json" <<'EOF'
{"rules": [
 {"match": {"turn": 0}, "reply": {"tool_calls": [
   {"name": "exec_command", "arguments": {"cmd": "echo out; exit 3"}},
   {"name": "apply_patch", "input": "*** Begin Patch\n*** Add File: made.txt\n+x\n*** End Patch"},
   {"name": "update_plan", "arguments": {"plan": [{"step": "one", "status": "completed"}]}}]}},
 {"match": {"turn": 1}, "reply": {"tool_calls": [
   {"name": "exec_command", "arguments": {"cmd": "apply_patch <<'P'\n*** Begin Patch\n*** Add File: heredoc.txt\n+y\n*** End Patch\nP"}},
   {"name": "shell", "arguments": {"command": ["sh", "-c", "echo shell"]}},
   {"name": "no_such_tool", "arguments": {}},
   {"name": "exec_command", "arguments": "{broken"},
   {"name": "apply_patch", "input": "*** Begin Patch\n*** Add File: ../out.txt\n+x\n*** End Patch"},
   {"name": "exec_command", "arguments": {"cmd": "git commit --allow-empty -m x"}}]}},
 {"match": {"turn": 2}, "reply": {"tool_calls": [
   {"name": "exec_command", "arguments": {"cmd": "read line; echo got $line; sleep 30", "tty": true, "yield_time_ms": 300}}]}},
 {"match": {"turn": 3}, "reply": {"tool_calls": [
   {"name": "write_stdin", "arguments": {"session_id": 1003, "chars": "hello\n", "yield_time_ms": 500}},
   {"name": "exec_command", "arguments": {"cmd": "yes line | head -n 200000", "max_output_tokens": 100}}]}},
 {"match": {}, "reply": {"message": "All done."}}]}
EOF
start_mock "$SCRATCH/s.json"
"$CADRE" exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok exec_ends_well is "$?" 0
item() { jq -r "select(.type==\"item.completed\").item | $1" "$SCRATCH/out"; }
ok events_are_those_of_codex is "$(jq -r .type "$SCRATCH/out" | sort -u | tr '\n' ' ')" "item.completed item.started thread.closed thread.started turn.completed turn.started "
ok a_command_has_output_and_exit_code is "$(item 'select(.command=="echo out; exit 3").exit_code')" 3
ok a_patch_is_applied is "$(cat made.txt)" x
ok a_patch_in_a_shell_command_is_applied is "$(cat heredoc.txt)" y
ok a_file_change_names_its_files is "$(item 'select(.type=="file_change").changes[0].path // empty' | head -n 1)" made.txt
ok a_plan_is_a_todo_list is "$(item 'select(.type=="todo_list").items[0].completed')" true
ok an_unknown_tool_is_answered has "$SCRATCH/out" "there is no tool"
ok broken_arguments_are_answered has "$SCRATCH/out" "not valid JSON"
ok a_patch_that_leads_out_is_refused test ! -e "$SCRATCH/out.txt"
ok git_commit_is_refused_with_advice has "$SCRATCH/out" "the engine commits"
ok a_session_goes_on has "$SCRATCH/out" "got hello"
ok long_output_is_cut_in_the_middle has "$SCRATCH/out" "tokens left out"
ok no_command_survives_the_thread is "$(pgrep -f 'sleep 3[0]' | wc -l)" 0
"$CADRE" exec go >"$SCRATCH/plain" 2>/dev/null
ok plain_output_is_the_last_message is "$(cat "$SCRATCH/plain")" "All done."
ok the_key_is_nowhere is "$(grep -rl test-key "$XDG_STATE_HOME" "$SCRATCH/out" 2>/dev/null | wc -l)" 0
ok a_prompt_goes_into_the_history is "$(jq -r .text "$CODEX_HOME/history.jsonl" | sort -u)" go
ok a_history_entry_names_its_thread is "$(jq -r .session_id "$CODEX_HOME/history.jsonl" | head -n 1)" "$(jq -r 'select(.type=="thread.started").thread_id' "$SCRATCH/out")"
"$CADRE" -c 'history.persistence="none"' exec "not kept" >/dev/null 2>&1
ok no_history_when_persistence_is_none has_not "$CODEX_HOME/history.jsonl" "not kept"
"$CADRE" -c history.max_bytes=200 exec "the newest prompt" >/dev/null 2>&1
ok the_history_keeps_its_bound is "$(($(stat -c %s "$CODEX_HOME/history.jsonl") <= 200)) $(tail -n 1 "$CODEX_HOME/history.jsonl" | jq -r .text)" "1 the newest prompt"
# --oss: another provider than the configuration's, on this machine, for every role.
mkdir -p "$CODEX_HOME/agents"
printf 'name = "far"\ndescription = "d"\ndeveloper_instructions = "i"\nmodel = "gpt-5"\nmodel_provider = "openai"\n' >"$CODEX_HOME/agents/far.toml"
start_mock "$SCRATCH/s.json" --log "$SCRATCH/oss.log" --log-bodies
sed -i 's/^base_url.*/base_url = "http:\/\/127.0.0.1:1\/v1"/' "$CODEX_HOME/config.toml"
export CODEX_OSS_BASE_URL=$MOCK_URL
"$CADRE" exec --oss --local-provider ollama --role far go >"$SCRATCH/oss" 2>"$SCRATCH/oss.err"
ok oss_asks_the_local_provider is "$? $(cat "$SCRATCH/oss")" "0 All done."
ok oss_asks_for_its_model_whatever_the_role_says is "$(jq -r '.body.model' "$SCRATCH/oss.log" | sort -u)" gpt-oss:20b
ok oss_speaks_the_responses_api is "$(jq -r '.path' "$SCRATCH/oss.log" | sort -u)" /v1/responses
printf '[model_providers.lmstudio]\nwire_api = "chat"\n' >"$CODEX_HOME/cadre.toml"
"$CADRE" exec -c 'oss_provider="lmstudio"' --oss -m tiny go >"$SCRATCH/oss" 2>"$SCRATCH/oss.err"
ok a_server_without_responses_speaks_chat is "$? $(tail -n 1 "$SCRATCH/oss.log" | jq -r '.path + " " + .body.model')" "0 /v1/chat/completions tiny"
"$CADRE" exec --oss go >"$SCRATCH/oss" 2>"$SCRATCH/oss.err"
ok oss_without_a_choice_is_a_usage_error is "$?" 2
ok oss_without_a_choice_says_what_to_write has "$SCRATCH/oss.err" "add --local-provider ollama"
unset CODEX_OSS_BASE_URL

# --- sessions -------------------------------------------------------------------------------------------------------------
script '{rules: [
  {match: {turn: 0}, reply: {tool_calls: ([range(16) | call("exec_command"; {cmd: "sleep 0.6; echo ended", yield_time_ms: 250})] +
    [call("exec_command"; {cmd: "echo one too many"})])}},
  {match: {turn: 1}, fault: {delay_ms: 2000}, reply: {tool_calls: [call("exec_command"; {cmd: "echo there is room"}),
    call("exec_command"; {cmd: "sleep 20", yield_time_ms: 250})]}},
  {match: {turn: 2}, reply: {tool_calls: [call("write_stdin"; {session_id: 1017, chars: "hello"})]}},
  {match: {turn: 3}, reply: {tool_calls: [call("exec_command"; {cmd: "head -c 3000000 /dev/zero | tr \"\\0\" x", max_output_tokens: 100})]}},
  {match: {}, reply: {message: "done"}}]}' "$SCRATCH/sessions.json"
start_mock "$SCRATCH/sessions.json" --log "$SCRATCH/sessions.log" --log-bodies
"$CADRE" exec --json go >"$SCRATCH/sessions.out" 2>"$SCRATCH/sessions.err"
ok commands_of_sessions_end_well is "$?" 0
results() { jq -r '.body.input[]? | select(.type=="function_call_output").output' "$SCRATCH/sessions.log"; }
ok more_than_sixteen_at_once_are_refused has <(results) "16 commands are running already; wait for one"
ok ended_ones_make_room has <(results) "there is room"
ok writing_without_a_terminal_is_an_error has <(results) "session 1017 has no standard input; run the command again with tty = true"
ok what_was_dropped_counts has <(results) "Original token count: 750000"

# --- a thread that never ends -------------------------------------------------------------------------------------------
script '{rules: [{match: {}, reply: {tool_calls: [call("update_plan"; {plan: [{step: "again {{turn}}", status: "pending"}]})]}}]}' "$SCRATCH/endless.json"
start_mock "$SCRATCH/endless.json" --log "$SCRATCH/endless.log"
printf '[loop]\nmax_turn_steps = 7\n' >>"$CODEX_HOME/cadre.toml"
"$CADRE" exec go >"$SCRATCH/endless.out" 2>&1
ok a_turn_without_end_is_ended_by_its_limit is "$? $(wc -l <"$SCRATCH/endless.log")" "1 7"
ok it_says_which_limit has "$SCRATCH/endless.out" "loop.max_turn_steps of cadre.toml"
