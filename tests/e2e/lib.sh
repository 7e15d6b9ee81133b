# tests/e2e/lib.sh: sourced by the end-to-end tests. Each test gets a scratch folder with its own HOME, CODEX_HOME and
# XDG_STATE_HOME, runs the real binary against `cadre mock`, and leaves nothing behind.
# shellcheck shell=bash
set -u
CADRE=${CADRE:-build-check/cadre}
CADRE=$(readlink -f "$CADRE")
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/cadre-e2e-XXXXXX")
export HOME="$SCRATCH/home" CODEX_HOME="$SCRATCH/home/.codex" XDG_STATE_HOME="$SCRATCH/state"
export GIT_CONFIG_NOSYSTEM=1 MOCK_KEY=test-key
unset OPENAI_API_KEY OPENAI_BASE_URL XDG_CONFIG_HOME
mkdir -p "$CODEX_HOME" "$XDG_STATE_HOME"
git config --global user.name "E2E User"
git config --global user.email "e2e@example.invalid"
git config --global init.defaultBranch main
git config --global advice.detachedHead false

MOCK_PIDS=()
test_number=0
failures=0

finish() {
    for pid in "${MOCK_PIDS[@]}" $(cat "$SCRATCH/mock-pids" 2>/dev/null); do kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
    if [ -n "${KEEP_SCRATCH:-}" ]; then echo "# kept $SCRATCH"; else rm -rf "$SCRATCH"; fi
    echo "1..$test_number"
    [ "$failures" -eq 0 ]
}
trap 'finish; exit $?' EXIT

# ok NAME COMMAND...: one TAP line; the command's output is shown when it fails.
ok() {
    local name=$1 out
    shift
    test_number=$((test_number + 1))
    if out=$("$@" 2>&1); then
        echo "ok $test_number - $name"
    else
        failures=$((failures + 1))
        printf '%s\n' "$out" | tail -n 40 | sed 's/^/# /'
        echo "not ok $test_number - $name"
    fi
}

skip() { # NAME REASON
    test_number=$((test_number + 1))
    echo "ok $test_number - $1 # SKIP $2"
}

has() { grep -qF -- "$2" "$1" || { echo "not in $1: $2"; tail -n 25 "$1"; return 1; }; }
has_not() { ! grep -qF -- "$2" "$1" || { echo "in $1, but should not be: $2"; return 1; }; }
is() { [ "$1" = "$2" ] || { echo "got \"$1\", expected \"$2\""; return 1; }; }

# start_mock SCRIPT [ARGUMENT...]: sets MOCK_URL and points the configuration at it.
start_mock() {
    local out="$SCRATCH/mock.$RANDOM.out"
    "$CADRE" mock --script "$@" >"$out" 2>"$out.err" &
    MOCK_PIDS+=($!)
    echo $! >>"$SCRATCH/mock-pids" # also of a subshell
    for _ in $(seq 200); do
        grep -q 'listening on' "$out" 2>/dev/null && break
        sleep 0.05
    done
    MOCK_URL=$(sed -n 's/.*listening on \(http[^ ]*\).*/\1/p' "$out")
    [ -n "$MOCK_URL" ] || { cat "$out" "$out.err" >&2; return 1; }
    cat >"$CODEX_HOME/config.toml" <<EOF
model = "mock-model"
model_provider = "mock"

[model_providers.mock]
name = "Mock"
base_url = "$MOCK_URL"
env_key = "MOCK_KEY"
wire_api = "responses"
request_max_retries = 3
stream_max_retries = 3
EOF
}

# A small project with two bugs; `make check` is its CI.
make_repo() { # DIR
    mkdir -p "$1"
    (
        cd "$1" || exit 1
        git init -q
        printf 'check: add mul\nadd:\n\t@test "$$(cat add.txt)" = right || { echo "not ok add"; exit 1; }\nmul:\n\t@test "$$(cat mul.txt)" = right || { echo "not ok mul"; exit 1; }\n.PHONY: check add mul\n' >Makefile
        echo wrong >add.txt
        echo wrong >mul.txt
        echo "# log" >CHANGELOG.md
        git add -A
        git commit -qm "Start"
    )
    cat >"$CODEX_HOME/cadre.toml" <<'EOF'
[ci]
commands = ["make check"]

[merge]
shared_files = ["CHANGELOG.md"]
EOF
    # For tests whose agents wait for files of the test.
    [ "${PRIVATE_TMP:-}" != no ] || printf '\n[sandbox]\nprivate_tmp = false\n' >>"$CODEX_HOME/cadre.toml"
}

# wait_for FILE TEXT: until TEXT is in FILE, 30 s at most.
wait_for() {
    for _ in $(seq 600); do
        grep -qF -- "$2" "$1" 2>/dev/null && return 0
        sleep 0.05
    done
    echo "never came: $2"
    return 1
}

# Plans and replies that many scripts share, as jq functions.
JQ_LIB='
def call(n; a): {name: n, arguments: a};
def done_with(s): call("submit_result"; {status: "done", summary: s});
def sh(c): call("exec_command"; {cmd: c});
def rule(m; calls): {match: m, reply: {tool_calls: calls}};
def explorer: [rule({role: "explorer"}; [done_with("two files, one make target")])];
def approve: [
  rule({role: "reviewer"}; [call("submit_review"; {verdict: "approve", summary: "fine", findings: []})]),
  rule({role: "security_auditor"}; [call("submit_review"; {verdict: "approve", summary: "fine", findings: []})])];
def ending: [
  rule({role: "qa_test_author"}; [done_with("every line has a test")]),
  rule({role: "release_manager"}; [call("submit_result"; {status: "done", summary: "notes", notes: "# Notes\n\n- mended\n\n## Rollback\n\n- revert\n"})])];
def plan(text): [
  rule({role: "orchestrator", turn: 0}; [sh("cat > plan.md <<'"'"'EOF'"'"'\n" + text + "\nEOF\n")]),
  rule({role: "orchestrator"}; [done_with("planned")])];
def two_tasks: "# Plan: mend both\n\n## Tasks\n- [ ] **T1** Mend add\n  - files: `add.txt`\n  - needs: none\n  - accept: `make add`\n  - role: implementer\n- [ ] **T2** Mend mul\n  - files: `mul.txt`\n  - needs: none\n  - accept: `make mul`\n  - role: implementer\n\n## Decisions\n\n## Log\n";
def work(t; c): [
  rule({role: "implementer", task: t, turn: 0}; [sh(c)]),
  rule({role: "implementer", task: t}; [done_with("did " + t)])];
'
script() { jq -n "$JQ_LIB $1" >"$2"; } # JQ-PROGRAM FILE
