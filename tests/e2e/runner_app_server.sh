#!/usr/bin/env bash
# `protocol = "codex-app-server"` against a stand-in; the real one is in runner_codex.sh.
. "$(dirname "$0")/lib.sh"
source_dir=${CADRE_SOURCE:-$PWD}
cp "$source_dir/tests/e2e/app_server.py" "$SCRATCH/"
python=$(command -v /usr/bin/python3 || command -v python3)
mkdir -p "$SCRATCH/work" && cd "$SCRATCH/work" || exit 1
git init -q && echo a >a.txt && git add -A && git commit -qm start
echo 'model = "m"' >"$CODEX_HOME/config.toml"
table() { # MODE [LINES]
    printf 'protocol = "codex-app-server"\nbox = "cadre"\ncommand = ["%s", "%s/app_server.py", "%s", "app.log"]\n%s\n' \
        "$python" "$SCRATCH" "$1" "${2:-}"
}
run() { # MODE [LINES]
    { printf '[roles.default]\nrunner = "fake"\n[runner.fake]\n'; table "$@"; } >"$CODEX_HOME/cadre.toml"
    timeout 60 "$CADRE" exec --json "do it" >"$SCRATCH/$1.out" 2>"$SCRATCH/$1.err"
}
items() { jq -rc "select(.type|startswith(\"item.\")) | $1" "$SCRATCH/all.out"; }
sent() { jq -c "$1" app.log; }
fails_with() { # MODE EXIT-CODE TEXT [LINES]
    run "$1" "${4:-}"
    is "$?" "$2" && grep -qF -- "$3" "$SCRATCH/$1.err" || { head -n 4 "$SCRATCH/$1.err"; return 1; }
}

run all 'model = "m-2"'
ok a_turn_of_the_app_server_ends is "$?" 0
[ -s "$SCRATCH/all.err" ] && head -n 5 "$SCRATCH/all.err" | sed 's/^/# /'
ok items_are_named_as_codex_exec_names_them is "$(items 'select(.type=="item.completed").item.type' | tr '\n' ' ')" "reasoning command_execution file_change mcp_tool_call web_search agent_message todo_list "
ok a_command_has_its_output is "$(items 'select(.type=="item.completed" and .item.type=="command_execution").item | [.command, .aggregated_output, .exit_code, .status]')" '["ls","a\n",0,"completed"]'
ok an_item_keeps_its_id is "$(items 'select(.item.type=="command_execution").item.id' | sort -u | wc -l)" 1
ok a_declined_change_failed is "$(items 'select(.item.type=="file_change").item | [.changes[0].kind, .status]')" '["add","failed"]'
ok the_plan_is_a_todo_list is "$(items 'select(.item.type=="todo_list") | [.type, (.item.items | length)]' | tr '\n' ' ')" '["item.started",1] ["item.updated",2] ["item.completed",2] '
ok another_threads_words_are_not_ours is "$(grep -c 'another thread' "$SCRATCH/all.out")" 0
ok usage_is_its_last_sum is "$(jq -c 'select(.type=="turn.completed").usage | [.input_tokens, .output_tokens, .cached_input_tokens]' "$SCRATCH/all.out")" "[300,10,5]"
ok an_approval_is_declined_and_recorded is "$(sent 'select(.id==7).result.decision')$(jq -r 'select(.type=="approval.resolved").decision' "$SCRATCH/all.out")" '"decline"deny'
ok an_unknown_call_is_answered_with_32601 is "$(sent 'select(.id==8).error.code')" -32601
ok the_thread_starts_with_our_settings is "$(sent 'select(.method=="thread/start").params | [.approvalPolicy, .sandbox, .model, (.cwd | length > 1)]')" '["never","danger-full-access","m-2",true]'
rm -f app.log
ok waiting_for_the_network_is_no_progress fails_with waiting 1 "no progress for 1 s" "idle_timeout_seconds = 1"
ok a_stopped_turn_is_interrupted is "$(sent 'select(.method=="turn/interrupt").params')" '{"threadId":"t-1","turnId":"u-1"}'
ok its_death_fails_the_turn fails_with die 1 "killed by signal 9"
ok one_that_does_not_start_is_a_configuration_error fails_with die_early 2 "bad config"
ok no_thread_is_an_error fails_with no_thread 1 "thread/start"
ok a_refused_key_is_an_authentication_failure fails_with fail 4 "401"

# --- the budget holds within a turn ------------------------------------------------------------------------------------
script '{rules: (plan(two_tasks) + approve + ending)}' "$SCRATCH/run.json"
start_mock "$SCRATCH/run.json"
make_repo "$SCRATCH/repo"
{ printf '[loop]\nexplore = false\n[gates]\nqa = false\n[roles.implementer]\nrunner = "fake"\n[runner.fake]\n'; table spend; } >>"$CODEX_HOME/cadre.toml"
cd "$SCRATCH/repo" || exit 1
"$CADRE" run --json --max-tokens 200000 "mend both" >"$SCRATCH/spend.out" 2>"$SCRATCH/spend.err"
ok a_turn_that_overspends_is_stopped is "$?" 1
ok because_of_the_budget has "$SCRATCH/spend.err" "budget"
