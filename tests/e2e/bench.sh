#!/usr/bin/env bash
# The benchmark of threads works: a small run of cadre and the floor, without peers. Figures are not judged here.
. "$(dirname "$0")/lib.sh"
build=$(dirname "$CADRE")
BENCH_PEERS='' BENCH_N="1 2" BENCH_TURNS=2 BENCH_RUNS=1 BENCH_OUT="$SCRATCH/runs" "$(dirname "$0")/../../bench/threads" "$build" >"$SCRATCH/o" 2>"$SCRATCH/e"
ok it_ends_well is "$?:$(cat "$SCRATCH/e")" "0:"
ok every_row_is_there is "$(jq -r '"\(.work) \(.n) \(.program)"' "$SCRATCH/runs" | sort | tr '\n' ',')" \
    "command 1 cadre,command 1 floor,command 2 cadre,command 2 floor,engine 1 cadre,engine 1 floor,engine 2 cadre,engine 2 floor,"
ok as_many_requests_as_turns_and_answers is "$(jq -r 'select(.requests != .n * (.turns + 1))' "$SCRATCH/runs")" ""
ok the_floor_sends_what_cadre_sends is "$(jq -s '[group_by([.work, .n])[] | (map(.bytes) | (max - min) / max) | select(. > 0.02)] | length' "$SCRATCH/runs")" 0
