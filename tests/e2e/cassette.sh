#!/usr/bin/env bash
# `cadre run --record` and `--replay`: a team under regression test.
. "$(dirname "$0")/lib.sh"

make_repo "$SCRATCH/one"
git clone -q "$SCRATCH/one" "$SCRATCH/two"
git clone -q "$SCRATCH/one" "$SCRATCH/three"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt; echo key sk-abcdefghijklmnop1234567890") +
  [rule({role: "implementer", task: "T2", attempt: 1, turn: 0}; [sh("true")])] + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/rec.json"
start_mock "$SCRATCH/rec.json"
cd "$SCRATCH/one" || exit 1
"$CADRE" run --json --record "$SCRATCH/team.cassette" "mend both" >"$SCRATCH/rec.out" 2>"$SCRATCH/rec.err"
ok a_recorded_run_ends_green is "$?" 0
ok the_cassette_is_for_the_user_alone is "$(stat -c %a "$SCRATCH/team.cassette")" 600
ok credentials_are_not_in_the_cassette has_not "$SCRATCH/team.cassette" sk-abcdefghijklmnop
recorded=$(git rev-parse main)
for pid in "${MOCK_PIDS[@]}"; do kill "$pid"; wait "$pid" 2>/dev/null; done

cd "$SCRATCH/two" || exit 1
unset MOCK_KEY
sleep 1
"$CADRE" run --json --replay "$SCRATCH/team.cassette" >"$SCRATCH/replay.out" 2>"$SCRATCH/replay.err"
code=$?
ok a_replay_needs_no_model_and_no_key is "$code" 0
ok a_replay_makes_the_same_commits is "$(git rev-parse main)" "$recorded"
ok a_replay_takes_the_recorded_goal is "$(jq -r 'select(.type=="run.started").goal' "$SCRATCH/replay.out")" "mend both"

# Nothing else is asked, whatever the environment says.
python3 -c 'import socket, sys
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True)
s.accept(); print("called", flush=True)' >"$SCRATCH/elsewhere" &
listener=$!
until [ -s "$SCRATCH/elsewhere" ]; do sleep 0.05; done
git reset -q --hard "$(git rev-list --max-parents=0 HEAD)"
OPENAI_API_KEY=k OPENAI_BASE_URL="http://127.0.0.1:$(head -n 1 "$SCRATCH/elsewhere")/v1" \
    "$CADRE" -c model_provider=openai run --json --replay "$SCRATCH/team.cassette" >"$SCRATCH/env.out" 2>"$SCRATCH/env.err"
ok a_replay_asks_nobody_else is "$?:$(grep -c called "$SCRATCH/elsewhere"):$(git rev-parse main)" "0:0:$recorded"
kill $listener

cd "$SCRATCH/three" || exit 1
echo wrong again >mul.txt
git commit -qam "Another base"
"$CADRE" run --json --replay "$SCRATCH/team.cassette" >"$SCRATCH/other.out" 2>"$SCRATCH/other.err"
ok a_replay_at_another_commit_says_so has "$SCRATCH/other.err" "was recorded at commit"

git reset -q --hard HEAD~1
printf 'check: add mul\nadd:\n\t@test "$$(cat add.txt)" = right || { echo "not ok plus"; exit 1; }\nmul:\n\t@test "$$(cat mul.txt)" = right || { echo "not ok mul"; exit 1; }\n' >Makefile
git commit -qam "CI says something else"
"$CADRE" run --json --replay "$SCRATCH/team.cassette" >"$SCRATCH/div.out" 2>"$SCRATCH/div.err"
code=$?
ok a_replay_that_diverges_fails is "$code" 4
ok it_says_which_request_differs has "$SCRATCH/div.err" "role 'orchestrator', task '', attempt 1, turn 0"
ok it_shows_both_texts has "$SCRATCH/div.err" "not ok plus"

"$CADRE" run --replay "$SCRATCH/nothing" >"$SCRATCH/no.out" 2>"$SCRATCH/no.err"
ok a_missing_cassette_is_named has "$SCRATCH/no.err" "$SCRATCH/nothing"
echo '{"x":1}' >"$SCRATCH/bad.cassette"
"$CADRE" run --replay "$SCRATCH/bad.cassette" goal >"$SCRATCH/no.out" 2>"$SCRATCH/no.err"
ok a_file_that_is_no_cassette_gives_exit_code_2 is "$?" 2
ok it_names_file_and_line has "$SCRATCH/no.err" "bad.cassette:1"
"$CADRE" run --record a --replay b goal >"$SCRATCH/no.out" 2>&1
ok record_and_replay_exclude_each_other is "$?" 2

# --- the cassette as a server, for any client ------------------------------------------------------------------------------
git clone -q "$SCRATCH/one" "$SCRATCH/four"
cd "$SCRATCH/four" || exit 1
git reset -q --hard "$(git rev-list --max-parents=0 HEAD)"
"$CADRE" mock --cassette "$SCRATCH/team.cassette" >"$SCRATCH/mock.out" 2>&1 &
echo $! >>"$SCRATCH/mock-pids"
wait_for "$SCRATCH/mock.out" 'listening on' >/dev/null
sed -i "s|^base_url.*|base_url = \"$(sed -n 's/.*listening on \(http[^ ]*\).*/\1/p' "$SCRATCH/mock.out")\"|" "$CODEX_HOME/config.toml"
MOCK_KEY=any "$CADRE" run --json "mend both" >"$SCRATCH/served.out" 2>"$SCRATCH/served.err"
ok a_run_on_a_served_cassette_ends_green is "$?" 0
ok it_makes_the_same_tree is "$(git rev-parse 'main^{tree}')" "$(git -C "$SCRATCH/one" rev-parse 'main^{tree}')"
ok and_merges_the_same_tasks is "$(jq -r 'select(.type=="task.merged").task' "$SCRATCH/served.out" | sort | tr '\n' ' ')" \
    "$(jq -r 'select(.type=="task.merged").task' "$SCRATCH/rec.out" | sort | tr '\n' ' ')"
MOCK_KEY=any "$CADRE" run --json "something else" >"$SCRATCH/elsewhere.out" 2>"$SCRATCH/elsewhere.err"
ok what_was_not_recorded_is_refused is "$?" 4
"$CADRE" mock --cassette "$SCRATCH/nothing" >"$SCRATCH/no.out" 2>&1
ok a_cassette_that_is_not_there_is_named has "$SCRATCH/no.out" "$SCRATCH/nothing"
