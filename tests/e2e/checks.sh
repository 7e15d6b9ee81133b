#!/usr/bin/env bash
# The built-in checks stand between a batch and the branch; a plan or the repository may allow one, with a reason.
. "$(dirname "$0")/lib.sh"

PLAN='"# Plan: p\n\n## Tasks\n- [ ] **T1** Add a package\n  - files: `add.txt`, `mul.txt`, `package.json`\n  - needs: none\n  - accept: `make check`\n  - role: implementer\n'
WORK="echo right > add.txt; echo right > mul.txt; printf '{\\\"dependencies\\\": {\\\\n  \\\"left-pad\\\": \\\"^1.3.0\\\"\\\\n}}\\\\n' > package.json"
run_with() { # NAME ALLOW-LINE: runs in $SCRATCH/NAME
    make_repo "$SCRATCH/$1"
    script "{rules: (explorer + plan($PLAN$2\n## Decisions\n\n## Log\n\") + work(\"T1\"; \"$WORK\") + approve + ending)}" "$SCRATCH/$1.json"
    start_mock "$SCRATCH/$1.json"
    [ -z "${TOML:-}" ] || printf '%s\n' "$TOML" >>"$CODEX_HOME/cadre.toml"
    (cd "$SCRATCH/$1" && "$CADRE" run --json "add a package" >"$SCRATCH/$1.out" 2>"$SCRATCH/$1.err")
    echo $?
}
gates() { jq -r 'select(.type=="gate.completed") | .gate + ":" + .verdict' "$1" | sort -u | tr '\n' ' '; }

code=$(TOML='[loop]
max_plan_attempts = 1
max_attempts = 1' run_with refused "")
ok a_dependency_without_leave_is_refused is "$code:$(gates "$SCRATCH/refused.out")" "1:checks:request_changes "
ok the_finding_names_check_file_and_package is "$(jq -r 'select(.type=="gate.completed").findings[] | .check + " " + .file + " " + .title' "$SCRATCH/refused.out" | sort -u)" \
    "dependency-added package.json a dependency is added: left-pad"
ok nothing_of_it_is_merged test ! -e "$SCRATCH/refused/package.json"

code=$(run_with by_plan '  - allow: `dependency-added`\n')
ok the_plan_can_allow_it_for_a_task is "$code:$(gates "$SCRATCH/by_plan.out")" "0:checks:approve review:approve security:approve "

code=$(TOML='[[gates.allow]]
check = "dependency-added"
reason = "this team keeps its packages"
paths = ["*.json"]' run_with by_config "")
ok the_repository_can_allow_it_for_paths is "$code" 0
code=$(TOML='[loop]
max_plan_attempts = 1
max_attempts = 1
[[gates.allow]]
check = "dependency-added"
reason = "elsewhere"
paths = ["web/**"]' run_with elsewhere "")
ok an_allowance_for_other_paths_does_not_count is "$code:$(gates "$SCRATCH/elsewhere.out")" "1:checks:request_changes "

code=$(TOML='[[gates.allow]]
check = "dependency-added"' run_with no_reason "")
ok a_missing_reason_is_an_error is "$code" 2
ok it_names_the_place_and_what_to_do grep -q 'cadre.toml:[0-9]*:[0-9]*: gates.allow: "dependency-added" is allowed without a reason' "$SCRATCH/no_reason.err"
code=$(TOML='[[gates.allow]]
check = "dependency-aded"
reason = "x"' run_with no_such "")
ok an_unknown_check_is_an_error is "$code" 2
ok it_says_which_was_meant has "$SCRATCH/no_such.err" 'did you mean "dependency-added"?'
code=$(TOML='[loop]
max_plan_attempts = 1' run_with bad_plan '  - allow: `dependencies`\n')
ok a_plan_that_allows_what_does_not_exist_is_refused has "$SCRATCH/bad_plan.out" "names no built-in check"
