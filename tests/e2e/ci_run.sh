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
script '{rules: (explorer + plan("# Plan: one\n\n## Tasks\n- [ ] **T1** One\n  - files: `flaky.txt`\n  - needs: none\n  - accept: `test -e flaky.txt`\n  - role: implementer\n\n## Decisions\n\n## Log\n") +
  work("T1"; "echo x > flaky.txt") + approve + ending)}' "$SCRATCH/flaky.json"
start_mock "$SCRATCH/flaky.json"
cd "$SCRATCH/flaky" || exit 1
printf '[ci]\ncommands = ["make check"]\nretries = 2\n[sandbox]\nprivate_tmp = false\n' >"$CODEX_HOME/cadre.toml"
"$CADRE" run --json "one" >"$SCRATCH/flaky.out" 2>"$SCRATCH/flaky.err"
ok a_run_over_a_flaky_job_ends_green is "$?" 0
ok the_flaky_job_is_reported_with_its_rate is "$(jq -r 'select(.type=="ci.flaky") | "\(.job) \(.passed) \(.failed)"' "$SCRATCH/flaky.out")" "commands 1 1"
ok nobody_is_blamed_for_it is "$(jq -r 'select(.type=="ci.blame" or .type=="task.returned").type' "$SCRATCH/flaky.out")" ""

# --- a job that this machine cannot judge, at the base neither: said, not in the way, and not passed --------------------------
mkdir -p "$SCRATCH/tool/.github/workflows"
(
    cd "$SCRATCH/tool" || exit 1
    git init -q
    cat >.github/workflows/ci.yml <<'EOS'
on: push
jobs:
  fine:
    runs-on: ubuntu-latest
    steps: [{run: 'test ! -e bad'}]
  newer:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/setup-python@v5
        with: {python-version: "9.9"}
      - run: python3 --version
EOS
    git add -A
    git commit -qm "Start"
)
script '{rules: (explorer + plan("# Plan: one\n\n## Tasks\n- [ ] **T1** One\n  - files: `a.txt`\n  - needs: none\n  - accept: `test -e a.txt`\n  - role: implementer\n\n## Decisions\n\n## Log\n") +
  work("T1"; "echo x > a.txt") + approve + ending)}' "$SCRATCH/tool.json"
start_mock "$SCRATCH/tool.json"
cd "$SCRATCH/tool" || exit 1
printf '[ci]\nretries = 0\n' >"$CODEX_HOME/cadre.toml"
"$CADRE" run --json "one" >"$SCRATCH/tool.out" 2>"$SCRATCH/tool.err"
ok a_job_that_the_base_cannot_judge_either_does_not_stop_the_run is "$?" 0
ok it_is_reported_as_environment_and_never_as_passed is "$(jq -c 'select(.type=="ci.completed") | [.green, .passed, .environment]' "$SCRATCH/tool.out" | sort | uniq -c | tr -s ' ' | paste -sd';')" " 1 [true,1,1]; 1 [true,2,1]"
ok the_user_is_told_what_was_not_judged grep -q "not judged by CI on this machine, at the base neither: ci.yml/newer: .*python" "$SCRATCH/tool.err"

# --- containers, by a stand-in for `docker` that notes what it is told -----------------------------------------------
mkdir -p "$SCRATCH/bin" "$SCRATCH/boxes/.github/workflows"
cat >"$SCRATCH/bin/docker" <<'EOS'
#!/bin/bash
# run -d: notes the container; exec: runs the command here with what was passed; run --rm: says image and arguments.
echo "$*" >>"$DOCKER_NOTES"
case $1 in
network) exit 0 ;;
inspect) echo healthy ;;
build) [ -f "${!#}/Dockerfile" ] || exit 1; echo "sha256:of-$(cat "${!#}/Dockerfile")" ;;
rm) exit 0 ;;
run)
    [ "$2" = -d ] && { case "$*" in *no-such-image*) echo "pull access denied" >&2; exit 125 ;; esac; echo id; exit 0; }
    shift
    while [ $# -gt 0 ]; do case $1 in --rm | --pids-limit=* | --security-opt=*) shift ;; -w | -v | -e | --network) shift 2 ;; --entrypoint) echo "entrypoint=$2"; shift 2 ;; *) break ;; esac; done
    echo "image=$1"; shift; for a; do echo "argument=$a"; done ;;
exec)
    shift
    [ "$2" = printenv ] && { echo /container/bin:/usr/bin:/bin; exit 0; }
    env=(PATH=/usr/bin:/bin IN_CONTAINER=1)
    while [ $# -gt 0 ]; do case $1 in -w) cd "$2" || exit 1; shift 2 ;; -e) case $2 in *=*) env+=("$2") ;; *) env+=("$2=${!2}") ;; esac; shift 2 ;; *) break ;; esac; done
    shift
    exec env -i "${env[@]}" "$@" ;;
esac
EOS
chmod +x "$SCRATCH/bin/docker"
cat >"$SCRATCH/boxes/.github/workflows/ci.yml" <<'EOS'
on: push
jobs:
  inside:
    runs-on: ubuntu-latest
    container: {image: "debian:12", env: {FROM_IMAGE: x}, options: --cpus 1}
    services:
      db: {image: "postgres:16", ports: ["5432:5432"]}
    env: {GREETING: "a b"}
    steps:
      - uses: actions/checkout@v4
      - run: test "$IN_CONTAINER" = 1 && test "$GREETING" = "a b" && test -f marker && echo "$PWD/tools" >> "$GITHUB_PATH"
      - run: case $PATH in */tools:/container/bin:*) ;; *) exit 1 ;; esac
      - run: test -z "${HOST_ONLY-}${DOCKER_HOST-}"
  image:
    runs-on: ubuntu-latest
    steps:
      - uses: docker://alpine:3
        with: {args: "one 'two words'", entrypoint: /bin/echo}
  missing:
    runs-on: ubuntu-latest
    container: no-such-image
    steps: [{run: exit 1}]
  built:
    runs-on: ubuntu-latest
    steps:
      - uses: ./own
        with: {word: "it's me"}
      - uses: ./bare
EOS
mkdir "$SCRATCH/boxes/own" "$SCRATCH/boxes/bare"
printf 'name: own\ninputs: {word: {default: x}, other: {default: y z}}\nruns:\n  using: docker\n  image: Dockerfile\n  entrypoint: /go\n  args: ["${{ inputs.word }}", --other, "${{ inputs.other }}"]\n' >"$SCRATCH/boxes/own/action.yml"
echo own >"$SCRATCH/boxes/own/Dockerfile"
echo bare >"$SCRATCH/boxes/bare/Dockerfile"
touch "$SCRATCH/boxes/marker"
(cd "$SCRATCH/boxes" && git init -q && git add -A && git commit -qm Start)
export DOCKER_NOTES="$SCRATCH/docker.notes"
cd "$SCRATCH/boxes" || exit 1
printf '[ci]\ncontainer_engine = "docker"\n' >"$CODEX_HOME/cadre.toml"
PATH="$SCRATCH/bin:$PATH" DOCKER_HOST=tcp://nowhere "$CADRE" ci run --json >"$SCRATCH/boxes.out" 2>"$SCRATCH/boxes.err"
state() { jq -r --arg id "ci.yml/$1" 'select(.type=="job" and .id==$id).state' "$SCRATCH/boxes.out"; }
ok steps_of_a_container_job_run_in_it is "$(state inside)" passed
ok an_image_runs_as_a_step is "$(state image)" passed
ok its_arguments_are_split_as_a_shell_would is "$(cat "$XDG_STATE_HOME"/cadre/ci-logs/*/ci.yml-image-*.log | grep -E '^(entrypoint|image|argument)=' | tr '\n' ' ')" "entrypoint=/bin/echo image=alpine:3 argument=one argument=two words "
ok an_image_that_cannot_be_had_is_the_machines_fault is "$(state missing)" environment
ok containers_are_bounded_and_get_no_new_privileges grep -q -- '--pids-limit=4096 --security-opt=no-new-privileges.*debian:12' "$DOCKER_NOTES"
ok services_share_a_network_by_name grep -q -- '--network-alias db .*-p 127.0.0.1:5432:5432 postgres:16' "$DOCKER_NOTES"
ok an_action_with_a_dockerfile_is_built_and_run is "$(state built) $(cat "$XDG_STATE_HOME"/cadre/ci-logs/*/ci.yml-built-*.log | grep -E '^(entrypoint|image|argument)=' | paste -sd' ')" "passed entrypoint=/go image=sha256:of-own argument=it's me argument=--other argument=y z image=sha256:of-bare"
ok everything_started_is_removed is "$(grep -c '^rm -f -v cadre-' "$DOCKER_NOTES") $(grep -c '^network rm' "$DOCKER_NOTES")" "2 1"
printf '[ci]\ncontainer_engine = "none"\n' >"$CODEX_HOME/cadre.toml"
"$CADRE" ci run --json >"$SCRATCH/boxes.out" 2>/dev/null
ok without_an_engine_such_an_action_is_skipped_with_the_reason is "$(jq -r 'select(.type=="job" and .id=="ci.yml/built") | .state, .skipped_steps[]' "$SCRATCH/boxes.out" | paste -sd';')" "skipped;./own: an action in a container; no container engine is used;./bare: an action in a container; no container engine is used"
ok without_an_engine_they_are_skipped_with_the_reason is "$(jq -r 'select(.type=="job" and .id=="ci.yml/inside") | .state + ": " + .reason' "$SCRATCH/boxes.out")" "skipped: runs in the container debian:12; no container engine is used"

# --- what an unchanged run costs, what is red, and reports -------------------------------------------------------------
mkdir -p "$SCRATCH/red/.github/workflows"
cat >"$SCRATCH/red/.github/workflows/ci.yml" <<'EOS'
on: push
jobs:
  fine:
    runs-on: ubuntu-latest
    steps: [{run: 'true'}]
  mapped:
    runs-on: ubuntu-latest
    steps:
      - uses: some/linter@v1
        with: {level: 3}
  broken:
    runs-on: ubuntu-latest
    steps: [{uses: actions/checkout@v4}, {run: "echo 'src/a.c:3:1: error: no <good>'; test -e good"}]
EOS
echo x >"$SCRATCH/red/good"
(cd "$SCRATCH/red" && git init -q && git add -A && git commit -qm Start && git rm -q good && git commit -qm Break)
cd "$SCRATCH/red" || exit 1
printf '[ci.actions."some/linter"]\nrun = "test $INPUT_LEVEL = 3"\n' >"$CODEX_HOME/cadre.toml"
"$CADRE" ci run --json --retries 1 --junit "$SCRATCH/junit.xml" --markdown "$SCRATCH/summary.md" >"$SCRATCH/red.out" 2>/dev/null
ok a_red_run_gives_exit_code_1 is "$?" 1
red() { jq -r 'select(.type=="job" and .id=="ci.yml/broken") | '"$1" "$SCRATCH/red.out"; }
ok the_failing_test_has_file_and_line is "$(red '.failing_tests[0]')" "src/a.c:3: no <good>"
ok a_job_that_fails_again_is_broken is "$(red '.fault + " " + (.failures|tostring) + " of " + (.runs|tostring)')" "broken 2 of 2"
ok the_users_mapping_runs_in_place_of_the_action is "$(jq -r 'select(.type=="job" and .id=="ci.yml/mapped").state' "$SCRATCH/red.out")" passed
ok junit_is_well_formed python3 -c "import sys, xml.dom.minidom as m; d = m.parse(sys.argv[1]); assert len(d.getElementsByTagName('failure')) == 1 and len(d.getElementsByTagName('testcase')) == 3" "$SCRATCH/junit.xml"
ok markdown_names_the_red_job grep -q '^| ci.yml/broken | failed' "$SCRATCH/summary.md"
GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY="$SCRATCH/step.md" "$CADRE" ci run >"$SCRATCH/annotated.out" 2>/dev/null
ok inside_github_failures_are_annotated_at_their_place has "$SCRATCH/annotated.out" "::error file=src/a.c,line=3,title=ci.yml/broken::no <good>"
ok inside_github_the_summary_is_added has "$SCRATCH/step.md" "1 failed"
"$CADRE" ci run --json --base HEAD~1 >"$SCRATCH/red.out" 2>/dev/null
ok what_the_base_does_not_have_is_the_changes_fault is "$(red .fault)" broken
git commit -q --allow-empty -m Nothing
"$CADRE" ci run --json --base HEAD~1 >"$SCRATCH/red.out" 2>/dev/null
ok what_the_base_has_too_was_broken_before is "$(red .fault)" base
ok an_unchanged_job_is_not_run_again is "$(jq -r 'select(.type=="job" and .id=="ci.yml/fine").cached' "$SCRATCH/red.out")" true
