#!/usr/bin/env bash
# `cadre ci run`: how jobs are carried out, and how the loop uses that to find whose fault a red batch is.
. "$(dirname "$0")/lib.sh"

# --- blame: a pair that only breaks together, and an innocent third task ----------------------------------------
mkdir -p "$SCRATCH/pair"
(
    cd "$SCRATCH/pair" || exit 1
    git init -q
    printf 'check:\n\t@sh check.sh\n' >Makefile
    printf 'if [ -s a.txt ] && [ -s b.txt ]; then echo "not ok 1 - a and b do not go together"; exit 1; fi\n' >check.sh
    touch a.txt b.txt c.txt
    git add -A
    git commit -qm "Start"
)
printf '[ci]\ncommands = ["make check"]\n' >"$CODEX_HOME/cadre.toml"
script '{rules: (explorer + plan("# Plan: fill three\n\n## Tasks\n- [ ] **T1** Fill a\n  - files: `a.txt`\n  - needs: none\n  - accept: `make check`\n  - role: implementer\n- [ ] **T2** Fill b\n  - files: `b.txt`\n  - needs: none\n  - accept: `make check`\n  - role: implementer\n- [ ] **T3** Fill c\n  - files: `c.txt`\n  - needs: none\n  - accept: `make check`\n  - role: implementer\n\n## Decisions\n\n## Log\n") +
  work("T1"; "echo x > a.txt") + work("T2"; "echo x > b.txt") + work("T3"; "echo x > c.txt") + approve + ending)}' "$SCRATCH/pair.json"
start_mock "$SCRATCH/pair.json"
cd "$SCRATCH/pair" || exit 1
"$CADRE" run --json --max-batches 1 "fill three" >"$SCRATCH/pair.out" 2>"$SCRATCH/pair.err"
ok a_pair_that_only_breaks_together_is_blamed_as_a_pair is "$(jq -r 'select(.type=="ci.blame").tasks | join(",")' "$SCRATCH/pair.out" | head -n 1)" "T1,T2"
ok the_innocent_third_task_is_merged is "$(jq -r 'select(.type=="task.merged").task' "$SCRATCH/pair.out")" "T3"
ok results_are_kept_in_the_users_cache test -n "$(ls "$XDG_STATE_HOME/cadre/ci-cache/results")"
ok each_check_has_its_own_folder_of_logs test "$(ls -d "$XDG_STATE_HOME"/cadre/runs/*/ci/*-* | wc -l)" -ge 4

# --- flaky: passes when it is run again --------------------------------------------------------------------------
mkdir -p "$SCRATCH/flaky"
(
    cd "$SCRATCH/flaky" || exit 1
    git init -q
    printf 'check:\n\t@test ! -e flaky.txt || { mkdir %s/once 2>/dev/null && { echo "not ok 1 - sometimes"; exit 1; }; true; }\n' "$SCRATCH/flaky-state" >Makefile
    echo wrong >add.txt
    git add -A
    git commit -qm "Start"
)
mkdir "$SCRATCH/flaky-state"
script '{rules: (explorer + plan("# Plan: one\n\n## Tasks\n- [ ] **T1** One\n  - files: `flaky.txt`\n  - needs: none\n  - accept: `make check`\n  - role: implementer\n\n## Decisions\n\n## Log\n") +
  work("T1"; "echo x > flaky.txt") + approve + ending)}' "$SCRATCH/flaky.json"
start_mock "$SCRATCH/flaky.json"
cd "$SCRATCH/flaky" || exit 1
printf '[ci]\ncommands = ["make check"]\nretries = 2\n' >"$CODEX_HOME/cadre.toml"
"$CADRE" run --json "one" >"$SCRATCH/flaky.out" 2>"$SCRATCH/flaky.err"
ok a_run_over_a_flaky_job_ends_green is "$?" 0
ok the_flaky_job_is_reported_with_its_rate is "$(jq -r 'select(.type=="ci.flaky") | "\(.job) \(.passed) \(.failed)"' "$SCRATCH/flaky.out")" "commands 1 1"
ok nobody_is_blamed_for_it is "$(jq -r 'select(.type=="ci.blame" or .type=="task.returned").type' "$SCRATCH/flaky.out")" ""
