#!/usr/bin/env bash
# A run whose implementers are carried by a stand-in ACP agent: killed and resumed, within a budget, and answering badly.
. "$(dirname "$0")/lib.sh"
source_dir=${CADRE_SOURCE:-$PWD}
cp "$source_dir/tests/e2e/acp_agent.py" "$SCRATCH/"
python=$(command -v /usr/bin/python3 || command -v python3)
script '{rules: (plan(two_tasks) + approve + ending)}' "$SCRATCH/run.json"
start_mock "$SCRATCH/run.json"
set_up() { # DIR MODE
    make_repo "$SCRATCH/$1"
    printf '[loop]\nexplore = false\n[gates]\nqa = false\n[roles.implementer]\nrunner = "fake"\n[runner.fake]\ncommand = ["%s", "%s/acp_agent.py", "%s"]\n' \
        "$python" "$SCRATCH" "$2" >>"$CODEX_HOME/cadre.toml"
    cd "$SCRATCH/$1" || exit 1
}
left_over() { # processes and private folders
    pgrep -f "$SCRATCH/acp_agent.py" | wc -l
    find "$XDG_STATE_HOME" -path '*/runners/*' | wc -l
}

# --- to the end ------------------------------------------------------------------------------------------------------
set_up plain work
"$CADRE" run --json "mend both" >"$SCRATCH/plain.out" 2>"$SCRATCH/plain.err"
ok a_run_by_an_acp_agent_ends_green is "$?" 0
ok its_work_is_merged is "$(cat add.txt mul.txt | tr '\n' ' ')" "right right "
ok its_tokens_count test "$(jq -r 'select(.type=="run.completed").tokens' "$SCRATCH/plain.out")" -ge 2200
ok nothing_is_left_over is "$(left_over | tr '\n' ' ')" "0 0 "

# --- killed while the agent works ---------------------------------------------------------------------------------------
set_up killed hang
"$CADRE" run --json "mend both" >"$SCRATCH/killed.out" 2>"$SCRATCH/killed.err" &
engine=$!
wait_for "$SCRATCH/killed.out" '"type":"task.started","task":"T2"'
for _ in $(seq 100); do [ "$(pgrep -f "$SCRATCH/acp_agent.py" | wc -l)" -ge 2 ] && break; sleep 0.1; done
ok agents_are_at_work test "$(pgrep -f "$SCRATCH/acp_agent.py" | wc -l)" -ge 2
"$CADRE" say T1 "hello" >"$SCRATCH/say.out" 2>"$SCRATCH/say.err"
ok a_carried_thread_takes_no_word has "$SCRATCH/say.err" "carried by another program"
kill -9 "$engine"
wait "$engine" 2>/dev/null
sed -i 's/"hang"/"work"/' "$CODEX_HOME/cadre.toml"
"$CADRE" resume --json >"$SCRATCH/resumed.out" 2>"$SCRATCH/resumed.err"
ok a_killed_run_is_resumed_to_the_end is "$?" 0
ok the_work_is_merged_once is "$(cat add.txt mul.txt | tr '\n' ' ')$(jq -r 'select(.type=="task.merged").task' "$SCRATCH/killed.out" "$SCRATCH/resumed.out" | sort | tr '\n' ' ')" "right right T1 T2 "
ok the_attempt_that_was_cut_off_does_not_count is "$(jq -r 'select(.type=="task.merged").attempt' "$SCRATCH/resumed.out" | sort -u)" 1
ok no_agent_survives is "$(left_over | tr '\n' ' ')" "0 0 "

# --- an answer that is none, twice, at every attempt --------------------------------------------------------------------------
set_up chatter chatter
"$CADRE" run --json "mend both" >"$SCRATCH/chatter.out" 2>"$SCRATCH/chatter.err"
code=$?
ok answers_that_are_none_do_not_converge test "$code" -eq 1 -o "$code" -eq 3
ok they_are_failed_attempts is "$(jq -r 'select(.type=="task.returned" and .task=="T1").reason' "$SCRATCH/chatter.out" | sort -u)" error
ok each_is_asked_for_again_once is "$(jq -r 'select(.type=="turn.started" and .task=="T1" and .attempt==1).type' "$SCRATCH/chatter.out" | wc -l)" 2

# --- the budget ----------------------------------------------------------------------------------------------------------
set_up budget spend
printf '[roles.reviewer]\nrunner = "fake"\n' >>"$CODEX_HOME/cadre.toml"
"$CADRE" run --json --max-tokens 60000 "mend both" >"$SCRATCH/budget.out" 2>"$SCRATCH/budget.err"
ok what_an_agent_used_up_stops_the_run is "$?" 1
ok its_turn_was_counted test "$(jq -r 'select(.type=="turn.completed" and .role=="implementer").usage.input_tokens' "$SCRATCH/budget.out" | head -n 1)" -eq 100000
ok no_turn_begins_without_budget is "$(jq -r 'select(.type=="turn.started" and .role=="reviewer").type' "$SCRATCH/budget.out")" ""
ok the_budget_is_named grep -qi 'token' "$SCRATCH/budget.err"
ok the_user_has_what_he_had is "$(cat add.txt mul.txt | tr '\n' ' ')" "wrong wrong "


# --- a sign-in that is missing ---------------------------------------------------------------------------------------------
set_up auth auth_refused
"$CADRE" run --json "mend both" >"$SCRATCH/auth.out" 2>"$SCRATCH/auth.err"
ok without_a_sign_in_the_run_stops_with_exit_code_4 is "$?" 4
ok no_attempt_is_counted_for_it is "$(jq -r 'select(.type=="task.returned").task' "$SCRATCH/auth.out")" ""
