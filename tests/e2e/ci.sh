#!/usr/bin/env bash
# `cadre ci`: list, plan and run on real repositories with the real binary; what is printed can be copied; wrong input
# says what is wrong and where.
source "$(dirname "$0")/lib.sh"
export NO_COLOR=1

repo() { # NAME: a fresh repository, and the working directory
    mkdir -p "$SCRATCH/$1" && cd "$SCRATCH/$1" && git init -q
}
put() { # FILE < TEXT
    mkdir -p "$(dirname "$1")" && cat >"$1"
}
commit() { git add -A && git commit -qm "${1:-Change}"; }
run_ci() { # EXPECTED-CODE ARGUMENT...: output in out, errors in err
    local want=$1 code=0
    shift
    "$CADRE" ci "$@" >"$SCRATCH/out" 2>"$SCRATCH/err" || code=$?
    [ "$code" = "$want" ] || { echo "exit code $code, expected $want"; cat "$SCRATCH/out" "$SCRATCH/err"; return 1; }
}
out() { has "$SCRATCH/out" "$1"; }
out_not() { has_not "$SCRATCH/out" "$1"; }
err() { has "$SCRATCH/err" "$1"; }
jq_is() { # FILTER EXPECTED
    is "$(jq -r "$1" "$SCRATCH/out")" "$2"
}

# ------------------------------------------------------------------------------------------------ GitHub
repo github
put .github/workflows/ci.yml <<'EOF'
name: CI
on:
  push: {branches: [main]}
  pull_request: {paths: ['src/**']}
env: {GREETING: hello world}
jobs:
  lint:
    runs-on: ubuntu-latest
    steps: [{uses: actions/checkout@v4}, {run: 'true'}]
  test:
    needs: lint
    runs-on: ${{ matrix.os }}
    strategy: {matrix: {os: [ubuntu-latest, windows-latest, macos-latest], n: [1, 2]}}
    defaults: {run: {working-directory: src}}
    env: {N: '${{ matrix.n }}'}
    steps:
      - {uses: actions/checkout@v4}
      - {name: Install, run: 'cd . && npm ci --version || true'}
      - name: Check ${{ matrix.n }}
        env: {WHO: "it's me"}
        run: |
          test "$GREETING" = 'hello world'
          test "$N" = ${{ matrix.n }} && test "$WHO" = "it's me" && test -e a.c
  skipped:
    runs-on: ubuntu-latest
    if: github.event_name == 'schedule'
    steps: [{run: exit 1}]
EOF
put .github/workflows/release.yml <<'EOF'
on: {push: {tags: ['v*']}}
jobs: {publish: {runs-on: ubuntu-latest, steps: [{run: echo publish}]}}
EOF
echo 'int a;' | put src/a.c
commit Start

ok "list names the jobs of the event and why one is skipped" run_ci 0 list
ok "list: a leg for this machine" out "ci.yml/test (ubuntu-latest, 2)"
ok "list: legs that differ only by the system are folded" out "windows-latest, 1)  skipped: the same as 'ci.yml/test (ubuntu-latest, 1)' but for the system"
ok "list: a false condition" out "ci.yml/skipped  skipped: its \`if\` is false"
ok "list leaves out what another event runs" out_not "release.yml"
run_ci 0 list --all
ok "list --all names it with its reason" out "release.yml/publish  skipped: \`on.push\` is for tags only"
run_ci 0 list --tag v1.0
ok "--tag mirrors the push of a tag" out "release.yml/publish"

run_ci 0 plan --json
ok "plan --json is one object" jq_is '.type + " " + .source' "plan github"
ok "plan --json puts jobs in the order of their needs" jq_is '[.jobs[] | select(.state == "run") | .key] | unique_by(.) | join(" ")' "lint test"
ok "plan --json tells what installs from what tests" \
    jq_is '[.jobs[] | select(.id == "ci.yml/test (ubuntu-latest, 1)") | .steps[] | select(.kind == "run") | .dependency] | tostring' "[true,false]"
ok "plan --json says which steps get the network" \
    jq_is '[.jobs[] | select(.id == "ci.yml/test (ubuntu-latest, 1)") | .steps[] | select(.kind == "run") | .network] | tostring' "[true,false]"
ok "plan fixes time, locale, parallelism and seeds" run_ci 0 plan
ok "plan: they are one line to copy" out "export CI=true TZ=UTC LANG=C.UTF-8 LC_ALL=C.UTF-8"

copied() { # the plan of one job, run by a plain shell
    run_ci 0 plan --job lint && bash -eu "$SCRATCH/out" || return 1
    "$CADRE" ci plan >"$SCRATCH/script" && ( bash -eu "$SCRATCH/script" )
}
ok "a person can copy the plan into a shell" copied
ok "plan fills in what is known" grep -q 'test "$N" = 2 &&' "$SCRATCH/script"

ok "run mirrors it" run_ci 0 run
ok "run: both legs passed" out "passed       ci.yml/test (ubuntu-latest, 2)"
ok "run: what was skipped is not called passed" out "3 passed, 0 failed, 5 skipped"
ok "run again without a change costs nothing" run_ci 0
ok "run again: results are from the cache" out "(unchanged)"
run_ci 0 run --no-cache --json --job lint
ok "run --json prints an object a job and a summary" is "$(jq -rs 'map(.type) | unique | join(" ")' "$SCRATCH/out")" "job summary"
ok "run --job runs that job alone" is "$(jq -rs '[.[] | select(.type == "job") | .id] | join(" ")' "$SCRATCH/out")" "ci.yml/lint"
run_ci 0 list --workflow release --tag v1
ok "--workflow chooses by file name without its suffix" out_not "ci.yml"

# What a pull request changes.
git checkout -qb topic
echo x | put docs/x.md
commit Docs
run_ci 0 list --event pull_request --base main
ok "a path filter leaves out a pull request of documentation" is "$(cat "$SCRATCH/out")" ""
echo 'int b;' >>src/a.c
ok "uncommitted changes are part of it" run_ci 0 list --event pull_request --base main
ok "a path filter lets it in" out "ci.yml/lint"
ok "a branch filter leaves out a push to another branch" run_ci 0 list
ok "nothing is listed then" is "$(cat "$SCRATCH/out")" ""
git checkout -q -- src

# A failure: state, excerpt, exit code, reports.
repo red
put .github/workflows/ci.yml <<'EOF'
on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          echo "src/x.c:3:7: error: expected ';'"
          exit 3
      - run: echo never
  b: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}
  c: {needs: a, runs-on: ubuntu-latest, steps: [{run: 'true'}]}
EOF
commit
ok "a red run ends with 1" run_ci 1 run --junit junit.xml --markdown summary.md
ok "red: the failing part is shown with the command to repeat it" out "src/x.c:3:7: error: expected ';'"
ok "red: the job that needs it is skipped" out "skipped      ci.yml/c"
ok "red: JUnit names the failure" grep -q '<failure' junit.xml
ok "red: the summary in Markdown names it" grep -q 'ci.yml/a' summary.md
run_ci 1 run --json
ok "red --json has exit code, command and place" \
    is "$(jq -rs '.[] | select(.id == "ci.yml/a") | "\(.state) \(.exit_code) \(.failing_tests | length > 0)"' "$SCRATCH/out")" "failed 3 true"

# Determinism and the network.
repo calm
put .github/workflows/ci.yml <<'EOF'
on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: test "$TZ $LC_ALL $CI_SEED $OMP_NUM_THREADS $PYTHONHASHSEED" = "UTC C.UTF-8 1 4 0"
      - run: test -z "${MY_TOKEN:-}"
      - run: '! ip -o link | grep -v -q ": lo:"'
      - run: |
          curl --version >/dev/null 2>&1 || true
          ls /sys/class/net > seen
EOF
commit
has_namespaces() { "$CADRE" sandbox --loopback --writable / -- true >/dev/null 2>&1 && unshare -n true 2>/dev/null; }
if has_namespaces && command -v ip >/dev/null; then
    MY_TOKEN=secret TZ=Asia/Tokyo ok "commands get fixed variables, no secrets of the caller, and only a loopback" run_ci 0 run
else
    skip "commands get a network of their own" "no user namespaces here"
fi

# --------------------------------------------------------------------------------------------- dispatch
repo dispatch
put .github/workflows/d.yml <<'EOF'
on: {workflow_dispatch: {inputs: {level: {type: number, default: 3}, dry: {type: boolean}}}}
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: test '${{ inputs.level }} ${{ inputs.dry == true }} ${{ github.event.inputs.dry }}' = '5 true true'
EOF
commit
ok "--input gives inputs in their declared types" run_ci 0 run --event workflow_dispatch --input level=5 --input dry=true
echo '{"inputs": {"level": "5", "dry": "true"}}' >event.json
ok "--event-file gives the payload" run_ci 0 run --event workflow_dispatch --event-file event.json
ok "without them the defaults hold" run_ci 1 run --event workflow_dispatch

# ------------------------------------------------------------------------------------------------ GitLab
repo gitlab
put .gitlab-ci.yml <<'EOF'
include: ci/jobs.yml
stages: [build, test]
variables: {NAME: world}
build:
  stage: build
  script: [mkdir -p out, 'echo "hello $NAME" > out/f']
  artifacts: {paths: [out/]}
mr-only:
  script: exit 1
  rules: [{if: '$CI_PIPELINE_SOURCE == "merge_request_event"'}]
EOF
put ci/jobs.yml <<'EOF'
.base: {before_script: [export READY=1]}
test:
  extends: .base
  parallel: {matrix: [{V: ['1', '2']}]}
  script: ['test "$READY$V" = "1$V"', grep -q "hello world" out/f]
db: {services: [postgres], script: 'true'}
EOF
commit
ok "a GitLab pipeline is planned" run_ci 0 plan --json
ok "gitlab: stages order the jobs" jq_is '[.jobs[] | select(.state == "run") | .id] | join(" ")' "build test (1) test (2)"
ok "gitlab: what cannot run says why" jq_is '.jobs[] | select(.key == "db") | .reason' "needs the service postgres; no container engine is used"
ok "gitlab: it runs, artifacts and all" run_ci 0 run
ok "gitlab: three passed" out "3 passed, 0 failed, 1 skipped"
run_ci 0 list --event pull_request
ok "gitlab: a merge request has its own jobs" is "$(cat "$SCRATCH/out")" "mr-only"
printf 'a:\n  script: x\n  stge: test\n' >.gitlab-ci.yml
ok "gitlab: an error has its place" run_ci 2 plan
ok "gitlab: in GitLab's words" err ".gitlab-ci.yml:3:3: jobs:a config contains unknown keys: stge"

# ---------------------------------------------------------------------------------------- detected, none
repo plain
printf 'check:\n\t@test -e Makefile\n' >Makefile
commit
ok "without a definition the build files suggest one" run_ci 0 run
ok "plain: it is called by its tool" out "passed       make"
run_ci 0 plan
ok "plain: its source is said" out "# source: detected"
printf '[ci]\ncommands = ["false"]\n' >"$CODEX_HOME/cadre.toml"
ok "commands of cadre.toml come first" run_ci 1 run
rm "$CODEX_HOME/cadre.toml"
repo empty
git commit -q --allow-empty -m Start
ok "a repository without any CI is not green" run_ci 1 run
run_ci 0 plan
ok "and the plan says that there is nothing" out "# nothing to run"

# ------------------------------------------------------------------------------------------- wrong input
repo wrong
put .github/workflows/ci.yml <<'EOF'
on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: echo ${{ github.sha && git.ref }}
EOF
ok "a workflow that does not read ends with 2" run_ci 2 run
ok "wrong: file, line, column, position within the expression" \
    err ".github/workflows/ci.yml:6:14: Unrecognized named-value: 'git'. Located at position 15 within expression: github.sha && git.ref"
sed -i 's/ && git.ref//' .github/workflows/ci.yml
ok "an unknown verb is refused" run_ci 2 frobnicate
ok "wrong: it names what is expected" err "'frobnicate' is neither list, plan nor run"
ok "an unknown job is refused" run_ci 2 run --job nope
ok "wrong: and says where to look" err "no job 'nope' runs for this event; \`cadre ci list --all\` shows what there is"
ok "an unknown event is refused" run_ci 2 list --event pushed
ok "wrong: no such event" err "--event 'pushed': no such event"
ok "an unknown base is refused" run_ci 2 list --base nowhere
ok "wrong: no such commit" err "--base 'nowhere': git knows no such commit"
ok "an input without a value is refused" run_ci 2 list --input x
echo '[1' >bad.json
ok "a payload that is no JSON is refused" run_ci 2 list --event-file bad.json
ok "wrong: at its place" err "bad.json:"
ok "a number out of range is refused" run_ci 2 run --parallel 0
