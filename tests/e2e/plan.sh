#!/usr/bin/env bash
# cadre plan check, show and next as a user sees them.
set -u
cadre=${CADRE:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CODEX_HOME=$work/home XDG_STATE_HOME=$work/state HOME=$work/user
mkdir -p "$CODEX_HOME" "$HOME" "$work/project"
cd "$work/project" || exit 1
count=0
check() { # NAME COMMAND...: the command's success is the test
    count=$((count + 1))
    if "${@:2}" >"$work/log" 2>&1; then echo "ok $count - $1"; else
        echo "not ok $count - $1"
        sed 's/^/# /' "$work/log"
    fi
}
run() { "$cadre" "$@" >"$work/out" 2>"$work/err" </dev/null; code=$?; }
has() { grep -qF -- "$2" "$work/$1" || { echo "no \"$2\" in:"; cat "$work/$1"; return 1; }; }
is_code() { [ "$code" = "$1" ] || { echo "exit code $code, expected $1"; cat "$work/err"; return 1; }; }

echo "1..8"

run plan
missing() { is_code 2 && has err plan.md; }
check a_missing_plan_is_an_error missing

cat >plan.md <<'PLAN'
# Plan: Accept leap days

## Tasks
- [x] **T1** Accept leap days
  - files: `src/date.c`
  - accept: `make check`
- [ ] **T2** Say so in the manual
  - files: `docs/**`
  - needs: T1
  - accept: `make docs`
- [ ] **T3** Use it
  - files: `src/main.c`
  - needs: T2
  - accept: `make check`
PLAN
cp plan.md before
run plan check
good() { is_code 0 && has out "plan.md: 3 tasks, 0 warnings" && [ ! -s "$work/err" ] && cmp plan.md before; }
check a_good_plan_passes good
run plan next
next() { is_code 0 && has out "[ ] T2  Say so in the manual" && ! grep -q T3 "$work/out"; }
check next_shows_what_is_ready next
run plan show --json plan.md
json() { is_code 0 && has out '"id":"T3"' && has out '"needs":["T2"]' && has out '"line":11'; }
check show_prints_json json

sed -i 's/needs: T1/needs: T3/' plan.md
run plan check plan.md
cycle() { is_code 2 && has err "plan.md:11: the tasks need one another in a circle: T2 -> T3 -> T2"; }
check a_cycle_is_named_with_its_line cycle
sed -i 's/\*\*T3\*\*/**T1**/; s/`docs/`..\/docs/' plan.md
run plan plan.md
several() { is_code 2 && has err "plan.md:11: T1 is the id of the task on line 4 already" &&
    has err "plan.md:7: T2: the file '../docs/**' is no plain path" &&
    has err "plan.md:7: T2 needs T3, and there is no such task"; }
check all_problems_are_shown several
printf '# Plan: g\n## Tasks\n- [ ] **A** x\n  - files: a\n  - accept: it works\n' >warn.md
run plan check --strict warn.md
strict() { is_code 2 && has err "warning: warn.md:3: A has no command"; }
check warnings_are_errors_when_strict strict
printf '[loop]\nmax_task_files = 1\n' >"$CODEX_HOME/cadre.toml"
cp before plan.md
sed -i 's/`src\/main.c`/`a`, `b`/' plan.md
run plan
limit() { is_code 2 && has err "T3 names 2 files, and 1 are the most"; }
check the_limit_of_files_is_the_configured_one limit
