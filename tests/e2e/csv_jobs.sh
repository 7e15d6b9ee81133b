#!/usr/bin/env bash
# An agent for each row of a CSV file: results, retries, bounds, hostile files, and going on after a kill.
. "$(dirname "$0")/lib.sh"
JQ_JOBS='
def job(a): call("spawn_agents_on_csv"; {csv_path: "in.csv", instruction: "look at {path} in {{braces}}", agent_type: "explorer", output_csv_path: "out.csv"} + a);
def report(r): call("report_agent_job_result"; {result: r});
def says(m; text): {match: m, reply: {message: text}};
'
n=0
# try JQ-RULES [ARGUMENT...]: a fresh mock and one `exec`; what the models were sent is in $SCRATCH/log.
serve() {
    n=$((n + 1))
    script "$JQ_JOBS {rules: [$1]}" "$SCRATCH/s$n.json"
    rm -f "$SCRATCH/log"
    start_mock "$SCRATCH/s$n.json" --log "$SCRATCH/log" --log-bodies || exit 1
}
try() {
    serve "$1"
    shift
    "$CADRE" "$@" exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err"
    code=$?
}
asked() { jq -r "select(.role==\"$1\") | $2" "$SCRATCH/log"; }
heard() { asked "$1" '[.body.input[] | .content? // .output | if type == "array" then map(.text) | join(" ") else . end] | join("\n")'; }
heard_has() { heard "$1" | grep -qF -- "$2" || { echo "$1 was never told: $2"; heard "$1" | tail -n 20; return 1; }; }
# cell ITEM COLUMN: of out.csv
cell() { python3 -c 'import csv,sys; [print(r[sys.argv[2]]) for r in csv.DictReader(open("out.csv", newline="")) if r["item_id"] == sys.argv[1]]' "$1" "$2"; }
mkdir "$SCRATCH/w" && cd "$SCRATCH/w" && git init -q . && git commit -qm start --allow-empty || exit 1

# --- Every row is done once, several at once; the output holds what was there and what came of it.
printf '\xef\xbb\xbfpath,area\r\nsrc/a.c,"core, ""main"""\r\nsrc/b.c,"two\nlines"\r\nsrc/a.c,x\r\n' >in.csv
slow='+ {fault: {delay_ms: 300}}'
try 'rule({role: "default", turn: 0}; [job({id_column: "path", max_concurrency: 2, output_schema: {type: "object", properties: {score: {type: "integer"}}, required: ["score"]}})]),
  says({role: "default"}; "over"),
  (rule({role: "explorer", input_contains: "look at src/b.c"}; [report({score: 7, note: "b, \"quoted\""})]) '"$slow"'),
  (rule({role: "explorer"}; [report({score: 1})]) '"$slow"')'
ok a_job_ends_well is "$code" 0
ok its_counts_are_answered heard_has default '"total_items":3,"completed_items":3,"failed_items":0'
ok every_row_is_asked_once is "$(asked explorer .turn | wc -l)" 3
ok values_stand_in_the_instruction heard_has explorer 'look at src/b.c in {braces}'
ok the_whole_row_is_given_as_data heard_has explorer '{"path":"src/a.c","area":"core, \"main\""}'
ok a_result_is_in_the_output is "$(cell src/b.c result_json) $(cell src/b.c status) $(cell src/b.c attempt_count)" '{"score":7,"note":"b, \"quoted\""} completed 1'
ok a_second_row_of_one_name_gets_its_own is "$(cell src/a.c-2 area) $(cell src/a.c-2 source_id)" "x src/a.c"
ok what_was_there_is_kept is "$(cell src/b.c area)" "two
lines"
ok two_rows_at_once is "$(asked explorer .ts_ms | jq -s '.[2] - .[0] >= 250')" true
ok row_agents_have_the_report_tool_only is "$(asked explorer '[.body.tools[].name | select(test("agent"))] | join(" ")' | sort -u)" report_agent_job_result
ok the_result_has_the_schema is "$(asked explorer '.body.tools[] | select(.name=="report_agent_job_result").parameters.properties.result.required[0]' | sort -u)" score
ok the_call_is_an_event is "$(jq -r 'select(.type=="item.completed" and .item.type=="collab_tool_call").item | .tool + " " + .status' "$SCRATCH/out")" "spawn_agents_on_csv completed"

# --- A result that does not follow the schema goes back; an agent that only talks is reminded; one that never reports fails.
printf 'path\ngood\nwrong\nsilent\nlate\n' >in.csv
try 'rule({role: "default", turn: 0}; [job({id_column: "path", max_concurrency: 1, output_schema: {properties: {score: {type: "integer"}}, required: ["score"]}})]),
  says({role: "default"}; "over"),
  rule({role: "explorer", input_contains: "look at wrong", turn: 0}; [report({score: "high"})]),
  rule({role: "explorer", input_contains: "look at wrong"}; [report({score: 2})]),
  says({role: "explorer", input_contains: "look at silent"}; "I will not"),
  rule({role: "explorer", input_contains: "An earlier attempt at this row"}; [report({score: 3})]),
  {match: {role: "explorer", input_contains: "look at late"}, fault: {status: 400, times: 1}},
  rule({role: "explorer"}; [report({score: 1}), report({score: 9})])'
ok failing_rows_leave_the_exit_code is "$code" 0
ok a_wrong_result_is_sent_back heard_has explorer 'the result does not follow output_schema: /score: expected is integer'
ok it_is_taken_when_mended is "$(cell wrong result_json) $(cell wrong attempt_count)" '{"score":2} 1'
ok an_agent_that_never_reports_is_tried_three_times is "$(cell silent status) $(cell silent attempt_count) $(cell silent last_error)" "failed 3 its agent ended without calling report_agent_job_result"
ok each_time_it_is_reminded is "$(asked explorer 'select(.body.input | tostring | contains("look at silent")) | .turn' | wc -l)" 9
ok a_row_whose_agent_failed_is_tried_again is "$(cell late status) $(cell late attempt_count)" "completed 2"
ok only_the_first_report_counts is "$(cell good result_json)" '{"score":1}'
ok failures_are_told heard_has default '"failed_item_errors":[{"item_id":"silent"'

# --- A row takes too long; a worker stops the job; the same failure again and again stops it too.
printf 'path\nslow\nfast\n' >in.csv
try 'rule({role: "default", turn: 0}; [job({id_column: "path", max_runtime_seconds: 1})]), says({role: "default"}; "over"),
  (rule({role: "explorer", input_contains: "look at slow"}; [report({})]) + {fault: {delay_ms: 20000}}), rule({role: "explorer"}; [report({})])'
ok a_row_has_a_time_limit is "$(cell slow last_error) $(cell fast status)" "the turn took longer than 1 s completed"
printf 'path\none\ntwo\nthree\n' >in.csv
try 'rule({role: "default", turn: 0}; [job({max_concurrency: 1})]), says({role: "default"}; "over"),
  rule({role: "explorer"}; [call("report_agent_job_result"; {result: {}, stop: true})])'
ok an_agent_can_stop_the_job is "$(cell row-1 status) $(cell row-2 status) $(asked explorer .turn | wc -l)" "completed pending 1"
ok that_is_told heard_has default '"status":"cancelled"'
{ echo path; seq 20; } >in.csv
try 'rule({role: "default", turn: 0}; [job({max_concurrency: 1})]), says({role: "default"}; "over"),
  {match: {role: "explorer"}, fault: {status: 400, times: -1}}'
ok the_same_failure_again_and_again_ends_the_job heard_has default '"job_error":"5 rows one after another failed alike'
ok the_other_rows_were_not_tried is "$(asked explorer .turn | wc -l)" 15

# --- Refused before an agent is spawned: bad files, bad arguments, paths, totals.
refused() { # TEST-NAME FILE-CONTENT ARGUMENTS EXPECTED
    # shellcheck disable=SC2059
    printf "$2" >in.csv
    try "rule({role: \"default\", turn: 0}; [job($3)]), says({role: \"default\"}; \"over\")" "${@:5}"
    ok "$1" heard_has default "$4"
    spawned=$((spawned + $(asked explorer .turn | wc -l)))
}
spawned=0
refused a_row_of_another_length_is_refused 'a,b\n1\n' '{}' 'in.csv:2: the row has 1 fields, the header has 2'
refused a_column_twice_is_refused 'a,a\n1,2\n' '{}' 'in.csv:1: the column "a" stands there twice'
refused an_open_quote_is_refused 'a\n"x\n' '{}' 'in.csv:2: the quote that opens here is never closed'
refused a_missing_id_column_is_refused 'path\nx\n' '{id_column: "id"}' 'there is no column "id" (id_column); the columns are path'
refused a_file_without_rows_is_refused 'path\n' '{}' 'there is no row below the names'
refused a_path_outside_is_refused 'path\nx\n' '{csv_path: "../in.csv"}' 'is outside of the working directory'
refused an_output_outside_is_refused 'path\nx\n' '{output_csv_path: "/etc/out.csv"}' '/etc/out.csv is outside of the working directory'
refused the_input_is_not_overwritten 'path\nx\n' '{output_csv_path: "./in.csv"}' 'is the input itself'
refused a_guarded_output_is_refused 'path\nx\n' '{output_csv_path: ".git/out.csv"}' 'belongs to the engine and the user'
refused a_schema_that_cannot_be_checked_is_refused 'path\nx\n' '{output_schema: {properties: {a: {pattern: "x"}}}}' 'this keyword is not checked here'
refused a_wrong_type_is_refused 'path\nx\n' '{max_concurrency: "many"}' '`max_concurrency` has to be a whole number from 1'
refused an_empty_instruction_is_refused 'path\nx\n' '{instruction: " "}' '`instruction` is missing or empty'
refused an_unknown_job_is_refused 'path\nx\n' '{resume_job_id: "../../x"}' 'no job "../../x" was kept'
refused totals_hold_for_rows_too 'path\nx\ny\nz\n' '{}' '3 rows are to be done, and limits.max_agents leaves 2' -c limits.max_agents=2
ln -s /etc link && refused a_link_is_not_followed 'path\nx\n' '{csv_path: "link/passwd"}' 'link/passwd'
ok nothing_was_spawned_for_them is "$spawned" 0

# --- A kill: the resumed session hears of the job and goes on with it; what was done is not done again.
{ echo path; seq 6 | sed 's/^/f/'; } >in.csv
serve 'rule({role: "default", turn: 0}; [job({id_column: "path", max_concurrency: 1})]),
  (rule({role: "explorer", input_contains: "look at f3"}; [report({n: 3})]) + {fault: {delay_ms: 60000}}),
  rule({role: "explorer"}; [report({done: "first"})])'
"$CADRE" exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err" &
pid=$!
wait_for "$SCRATCH/log" 'look at f3'
kill -9 "$pid"
wait "$pid" 2>/dev/null
id=$(jq -r 'select(.type=="thread.started").thread_id' "$SCRATCH/out" | head -n 1)
jobs=$(ls "$XDG_STATE_HOME/cadre/sessions/$id/jobs"/*.jsonl)
cp "$jobs" "$SCRATCH/job.jsonl"
serve 'rule({role: "default", input_contains: "resume_job_id goes on with it", turn: 0}; [job({resume_job_id: "'"$(basename "$jobs" .jsonl)"'"})]),
  says({role: "default"}; "over"), rule({role: "explorer"}; [report({done: "second"})])'
echo 'path,changed' >in.csv
"$CADRE" exec --json resume "$id" "go on" >"$SCRATCH/out2" 2>"$SCRATCH/err2"
ok a_killed_job_is_gone_on_with is "$?" 0
ok the_resumed_session_hears_of_it heard_has default '"status":"interrupted"'
ok finished_rows_are_not_done_again is "$(asked explorer .turn | wc -l)" 4
ok both_halves_are_in_the_output is "$(for i in 1 2 3 6; do cell f$i result_json; done | tr -d '\n')" '{"done":"first"}{"done":"first"}{"done":"second"}{"done":"second"}'
ok the_job_keeps_its_id is "$(cell f1 job_id)" "$(basename "$jobs" .jsonl)"

# --- The same again by calling with the same arguments, after an interrupt.
{ echo path; seq 3 | sed 's/^/g/'; } >in.csv
serve 'rule({role: "default", turn: 0}; [job({id_column: "path", max_concurrency: 1})]),
  (rule({role: "explorer", input_contains: "look at g2"}; [report({n: 3})]) + {fault: {delay_ms: 60000}}),
  rule({role: "explorer"}; [report({done: "first"})])'
"$CADRE" exec --json go >"$SCRATCH/out" 2>"$SCRATCH/err" &
pid=$!
wait_for "$SCRATCH/log" 'look at g2'
kill -TERM "$pid"
wait "$pid"
ok an_interrupt_ends_with_its_code is "$?" 130
ok the_output_shows_how_far_it_came is "$(cell g1 status) $(cell g2 status) $(cell g2 attempt_count)" "completed pending 0"
serve 'rule({role: "default", last_contains: "go on"}; [job({id_column: "path", max_concurrency: 1})]),
  says({role: "default"}; "over"), rule({role: "explorer"}; [report({done: "second"})])'
"$CADRE" exec --json resume --last "go on" >"$SCRATCH/out2" 2>"$SCRATCH/err2"
ok the_same_call_goes_on is "$? $(asked explorer .turn | wc -l) $(cell g1 result_json)$(cell g3 result_json)" '0 2 {"done":"first"}{"done":"second"}'
