#!/usr/bin/env bash
# Our side of ACP against a stand-in agent that asks for everything it may not have, and misbehaves in every way.
# /tmp is writable to the commands of a role, so the scratch folder is elsewhere.
TMPDIR=/var/tmp
. "$(dirname "$0")/lib.sh"
unset TMPDIR
source_dir=${CADRE_SOURCE:-$PWD}
agent=$source_dir/tests/e2e/acp_agent.py
cp "$agent" "$source_dir/tests/e2e/acp_schema.py" "$SCRATCH/"
export MOCK_KEY=very-secret
python=$(command -v /usr/bin/python3 || command -v python3)
mkdir -p "$SCRATCH/work" && cd "$SCRATCH/work" || exit 1
git init -q && echo a >a.txt && git add -A && git commit -qm start
echo 'model = "m"' >"$CODEX_HOME/config.toml"
use_agent() { # MODE [LINES FOR [runner.fake]]
    printf '[roles.default]\nrunner = "fake"\n[runner.fake]\ncommand = ["%s", "%s/acp_agent.py", "%s", "agent.log"]\n%s\n' \
        "$python" "$SCRATCH" "$1" "${2:-}" >"$CODEX_HOME/cadre.toml"
}
run() { # MODE [LINES] [OPTIONS...]
    local mode=$1 lines=${2:-}
    shift $(($# > 1 ? 2 : 1))
    use_agent "$mode" "$lines"
    timeout 60 "$CADRE" exec --json "$@" "do it" >"$SCRATCH/$mode.out" 2>"$SCRATCH/$mode.err"
}
answer() { jq -r "select(.type==\"item.completed\" and .item.type==\"agent_message\") | .item.text | fromjson? | objects | $1" "$SCRATCH/ask.out"; }
items() { jq -rc "select(.type|startswith(\"item.\")) | $1" "$SCRATCH/ask.out"; }
is_answer() { is "$(answer "$1")" "$2"; }

# --- everything an agent can ask ----------------------------------------------------------------------------------
run ask
ok an_agent_that_asks_for_everything_ends is "$?" 0
[ -s "$SCRATCH/ask.err" ] && head -n 5 "$SCRATCH/ask.err" | sed 's/^/# /'
ok an_edit_inside_is_allowed_once is_answer .permission_inside yes
ok an_edit_outside_is_rejected is_answer .permission_outside no
ok a_path_with_dots_is_rejected is_answer .permission_dotdot no
ok a_command_in_the_box_is_allowed is_answer .permission_execute yes
ok reading_is_allowed is_answer .permission_read yes
ok fetching_is_rejected is_answer .permission_fetch no
ok a_strange_kind_is_rejected is_answer .permission_strange no
ok no_way_to_reject_is_cancelled_not_allowed is_answer .permission_no_reject cancelled
ok no_options_are_cancelled is_answer .permission_no_options cancelled
ok permissions_are_recorded is "$(jq -r 'select(.type=="approval.resolved") | .decision + " " + .by' "$SCRATCH/ask.out" | sort | uniq -c | tr -s ' ' | tr '\n' ';')" " 4 allow policy; 5 deny policy;"
ok a_file_is_written is "$(cat sub/new.txt | tr '\n' ' ')" "one two three "
ok a_file_is_read is "$(answer .read | tr '\n' ' ')" "one two three  "
ok lines_are_cut is_answer .read_part two
ok lines_beyond_the_end_are_empty is_answer .read_beyond ""
for what in read_passwd read_dotdot read_relative read_link read_missing read_folder write_outside write_git wrong_session unknown_terminal terminal_outside; do
    ok "${what}_is_refused" is_answer ".$what" "error -32602"
done
ok a_link_is_not_written_through is "$(answer .write_link | grep -c .)$(grep -c '^x$' /etc/passwd)" 10
ok an_unknown_method_is_answered_with_32601 is_answer .unknown_method "error -32601"
ok an_unknown_terminal_method_too is_answer .unknown_terminal_method "error -32601"
ok a_terminal_runs_a_program_without_a_shell is_answer .terminal.output 'a b $HOME'
ok a_command_without_arguments_is_for_the_shell is_answer '.terminal_shell | .output + (.exit.exitCode | tostring)' '42 y
3'
ok a_terminal_writes_nothing_outside is "$(ls /var/tmp/cadre-acp-escape "$HOME/cadre-acp-escape" .git/escape 2>/dev/null | wc -l)" 0
ok a_terminal_has_no_network grep -qE 'not permitted|not supported|refused' <<<"$(answer .terminal_network.output)"
ok terminal_output_is_cut_from_its_beginning is "$(answer '.terminal_limit | (.output | utf8bytelength < 102) , .truncated' | tr '\n' ' ')" "true true "
ok a_terminal_does_not_see_keys is_answer .terminal_environment.output "key=."
ok a_running_terminal_has_no_exit_status is_answer .terminal_running false
ok a_killed_terminal_says_so is_answer .terminal_killed.signal TERM
ok a_released_terminal_is_gone is_answer .terminal_released "error -32602"
ok terminals_are_bounded is_answer .terminals_open 16
ok nothing_of_them_runs_on is "$(pgrep -f "sleep 98765" | wc -l)" 0

# --- what the role does not rule out is a person's to say ---------------------------------------------------------------
cp "$CODEX_HOME/config.toml" "$SCRATCH/config.plain"
cp "$SCRATCH/ask.out" "$SCRATCH/ask.first"
echo 'approval_policy = "on-request"' >>"$CODEX_HOME/config.toml"
run ask $'[approvals]\ndeadline_seconds = 1\ndefault = "allow"'
ok what_the_inbox_allows_is_allowed is_answer .permission_fetch yes
ok what_leads_outside_is_not_even_asked is_answer .permission_outside no
ok the_inbox_recorded_it is "$(jq -r 'select(.type=="approval.resolved" and .by=="deadline").decision' "$SCRATCH/ask.out" | sort -u)" allow
cp "$SCRATCH/config.plain" "$CODEX_HOME/config.toml"
cp "$SCRATCH/ask.first" "$SCRATCH/ask.out"

# --- its updates as our items --------------------------------------------------------------------------------------
ok thoughts_become_reasoning is "$(items 'select(.item.type=="reasoning").item.text')" "Thinking hard."
ok chunks_become_messages is "$(items 'select(.item.type=="agent_message").item.text' | head -n 2 | tr '\n' '|')" "First message.|Second message.|"
ok a_command_becomes_an_item is "$(items 'select(.item.type=="command_execution" and .type=="item.completed").item | [.command, .aggregated_output, .exit_code, .status]')" '["ls -l","a.txt",0,"completed"]'
ok an_edit_becomes_a_file_change is "$(items 'select(.item.type=="file_change" and .type=="item.completed").item | [.changes[0].path, .status]' | head -n 1 | sed "s|$PWD/||")" '["a.txt","failed"]'
ok what_never_ends_is_completed_as_failed is "$(items 'select(.item.type=="tool_call" and .type=="item.completed").item.status')" failed
ok a_plan_becomes_a_todo_list is "$(items 'select(.item.type=="todo_list") | .type' | tr '\n' ' ')" "item.started item.updated item.completed "
ok another_sessions_words_are_not_ours is "$(grep -c 'of another session' "$SCRATCH/ask.out")" 0
ok usage_is_what_the_agent_reports is "$(jq -c 'select(.type=="turn.completed").usage | [.input_tokens, .cached_input_tokens, .output_tokens]' "$SCRATCH/ask.out")" "[100,40,10]"

# --- the schema -----------------------------------------------------------------------------------------------------
run auth $'auth_method = "key"\nsession_mode = "quick"\nmodel = "b"'
ok an_agent_that_wants_a_sign_in_gets_it is "$?" 0
servers() { jq -c 'select(.message.method=="session/new").message.params.mcpServers' agent.log | tail -n 1; }
cat >>"$CODEX_HOME/config.toml" <<'EOF'
[mcp_servers.docs]
command = "docs-server"
args = ["--stdio"]
env = { A = "b" }
[mcp_servers.web]
url = "http://127.0.0.1:1/mcp"
bearer_token_env_var = "MOCK_KEY"
EOF
run auth 'auth_method = "key"'
ok mcp_servers_are_handed_over is "$(servers)" '[{"name":"docs","command":"docs-server","args":["--stdio"],"env":[{"name":"A","value":"b"}]},{"type":"http","name":"web","url":"http://127.0.0.1:1/mcp","headers":[{"name":"Authorization","value":"Bearer very-secret"}]}]'
run refuse
ok an_agent_without_http_gets_no_http_server is "$(servers | jq length)" 1
schema=${CADRE_TESTDATA:-$source_dir/../shared/testdata}/acp/schema-v1.json
if [ ! -f "$schema" ]; then
    skip messages_are_valid "there is no $schema"
else
    "$python" "$SCRATCH/acp_schema.py" "$schema" agent.log >"$SCRATCH/schema.out" 2>&1
    code=$?
    if [ "$code" = 77 ]; then
        skip messages_are_valid "$(tail -n 1 "$SCRATCH/schema.out")"
    else
        ok every_message_that_we_send_is_valid is "$code$(grep -m 3 -E 'WRONG|Error:' "$SCRATCH/schema.out")" 0
        for name in InitializeRequest AuthenticateRequest NewSessionRequest PromptRequest SetSessionModeRequest \
            SetSessionConfigOptionRequest RequestPermissionResponse ReadTextFileResponse WriteTextFileResponse \
            CreateTerminalResponse TerminalOutputResponse WaitForTerminalExitResponse KillTerminalResponse ReleaseTerminalResponse; do
            ok "${name}_was_checked" grep -q "^$name " "$SCRATCH/schema.out"
        done
    fi
fi

# --- an agent that misbehaves -----------------------------------------------------------------------------------------
fails_with() { # MODE EXIT-CODE TEXT [LINES]
    run "$1" "${4:-}"
    is "$?" "$2" && grep -qF -- "$3" "$SCRATCH/$1.err" || { head -n 4 "$SCRATCH/$1.err"; return 1; }
}
ok a_hanging_agent_is_stopped fails_with hang 1 "no progress for 1 s" "idle_timeout_seconds = 1"
ok a_dying_agent_fails_the_turn fails_with die 1 "killed by signal 9"
ok an_agent_that_ends_says_why fails_with fail 1 "out of cheese"
ok one_that_does_not_start_is_a_configuration_error fails_with die_early 2 "no configuration"
ok another_version_is_refused fails_with wrong_version 2 "version 7"
ok no_session_is_an_error fails_with no_session 1 "sessionId"
ok a_refused_sign_in_is_an_authentication_failure fails_with auth_refused 4 "it offers: login, key"
ok a_refusal_is_an_error fails_with refuse 1 "refuses"
ok a_strange_stop_reason_is_an_error fails_with strange_stop 1 "tired"
ok an_endless_line_is_cut_off fails_with endless_line 1 "a line exceeds"
ok garbage_is_cut_off fails_with garbage 1 "more than a turn may hold"
run flood
ok a_flood_of_updates_is_survived is "$?" 0
ok and_cut test "$(wc -l <"$SCRATCH/flood.out")" -lt 20100
run wrong_ids
ok answers_nobody_asked_for_are_ignored is "$?" 0
use_agent ask
sed -i 's/command = .*/command = ["no-such-agent"]/' "$CODEX_HOME/cadre.toml"
"$CADRE" exec --json "do it" >"$SCRATCH/none.out" 2>"$SCRATCH/none.err"
ok a_missing_program_is_said has "$SCRATCH/none.err" "no-such-agent: command not found"
echo '[roles.default]
runner = "nobody"' >"$CODEX_HOME/cadre.toml"
"$CADRE" exec --json "do it" >"$SCRATCH/none.out" 2>"$SCRATCH/none.err"
ok a_runner_without_a_table_is_a_configuration_error is "$?" 2
ok private_folders_are_removed is "$(ls -d "${TMPDIR:-/tmp}"/cadre-runner* 2>/dev/null | wc -l)" 0
