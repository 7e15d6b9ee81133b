#!/usr/bin/env bash
# A run within a limit on money: it stops before it spends more, says so, and goes on with a higher one.
. "$(dirname "$0")/lib.sh"
# The second implementer waits for the first, so that the money is used up between the two.
script '{rules: (plan("# Plan: mend both\n\n## Tasks\n- [ ] **T1** Mend add\n  - files: `add.txt`\n  - needs: none\n  - accept: `make add`\n  - role: implementer\n- [ ] **T2** Mend mul\n  - files: `mul.txt`\n  - needs: T1\n  - accept: `make mul`\n  - role: implementer\n\n## Decisions\n\n## Log\n") +
  work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/run.json"
start_mock "$SCRATCH/run.json" --log "$SCRATCH/requests" || exit 1
make_repo "$SCRATCH/repo"
printf '[loop]\nexplore = false\n[gates]\nqa = false\n' >>"$CODEX_HOME/cadre.toml"
cd "$SCRATCH/repo" || exit 1

# --- without a price ----------------------------------------------------------------------------------------------------
"$CADRE" run --dry-run --max-cost 1 "mend both" >"$SCRATCH/free.out" 2>"$SCRATCH/free.err"
ok a_free_model_is_named has "$SCRATCH/free.err" "it counts as \$0 and a limit on money does not stop it"
ok that_is_said_once is "$(grep -c 'counts as' "$SCRATCH/free.err")" 1

# --- with one: $10 a million tokens, whatever they are --------------------------------------------------------------------
printf '[models."mock-model"]\ninput_usd_per_million = 10.0\ncached_input_usd_per_million = 10.0\noutput_usd_per_million = 10.0\nmax_output_tokens = 1000\n' \
    >>"$CODEX_HOME/cadre.toml"
: >"$SCRATCH/requests"
"$CADRE" run --json --max-cost 0.01 "mend both" >"$SCRATCH/none.out" 2>"$SCRATCH/none.err"
ok a_limit_below_one_request_is_refused is "$?" 1
ok nothing_was_asked_for_it is "$(wc -l <"$SCRATCH/requests")" 0
ok the_limit_that_would_do_is_named grep -qE 'cadre resume --max-cost [0-9]+\.[0-9]{2}' "$SCRATCH/none.err"

"$CADRE" run --json --no-merge "mend both" >"$SCRATCH/all.out" 2>/dev/null
whole=$(jq -r 'select(.type=="run.completed").cost_microusd' "$SCRATCH/all.out")
ok the_run_costs_what_its_tokens_cost is "$whole" "$(($(jq -r 'select(.type=="run.completed").tokens' "$SCRATCH/all.out") * 10))"
limit=$(awk -v w="$whole" 'BEGIN { printf "%.4f", w * 0.7 / 1e6 }')
"$CADRE" run --json --max-cost "$limit" "mend both" >"$SCRATCH/stop.out" 2>"$SCRATCH/stop.err"
ok it_stops_when_the_money_is_used_up is "$?" 1
run=$(jq -r '.run' "$SCRATCH/stop.out" | head -n 1)
spent=$(jq -r 'select(.type=="budget.updated").cost_microusd' "$SCRATCH/stop.out" | tail -n 1)
ok something_was_spent test "$spent" -gt 0
ok never_more_than_was_given awk -v s="$spent" -v l="$limit" 'BEGIN { exit !(s / 1e6 <= l) }'
ok it_says_which_limit_and_how_much has "$SCRATCH/stop.err" "the money budget of the run is used up"
ok one_task_is_merged is "$(jq -r 'select(.type=="task.merged").task' "$SCRATCH/stop.out")" T1
ok the_checkout_is_as_it_was is "$(cat add.txt mul.txt | tr '\n' ' ')" "wrong wrong "

more=$(grep -oE -- '--max-cost [0-9.]+' "$SCRATCH/stop.err" | head -n 1 | cut -d' ' -f2)
"$CADRE" resume "$run" --json >"$SCRATCH/again.out" 2>"$SCRATCH/again.err"
ok without_a_higher_limit_it_stops_again is "$?" 1
: >"$SCRATCH/requests"
"$CADRE" resume "$run" --json --max-cost "$more" >"$SCRATCH/resumed.out" 2>"$SCRATCH/resumed.err"
ok the_named_limit_goes_on is "$?" 0
ok it_is_merged is "$(cat add.txt mul.txt | tr '\n' ' ')" "right right "
ok what_was_merged_is_not_done_again is "$(jq -r 'select(.type=="task.started").task' "$SCRATCH/resumed.out" | sort -u)" T2
ok what_was_spent_before_counts test "$(jq -r 'select(.type=="run.completed").cost_microusd' "$SCRATCH/resumed.out")" -gt "$spent"
