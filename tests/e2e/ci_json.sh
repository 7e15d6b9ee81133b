#!/usr/bin/env bash
# `cadre ci --json` has the keys that docs/ci.md names, no more and no fewer; a job without a checkout starts in an empty folder.
. "$(dirname "$0")/lib.sh"
docs="$(dirname "$(readlink -f "$0")")/../../docs/ci.md"
mkdir -p "$SCRATCH/repo/.github/workflows"
cd "$SCRATCH/repo" || exit 1
git init -q
cat >.github/workflows/ci.yml <<'E1'
on: push
jobs:
  good:
    runs-on: ubuntu-latest
    env: {WHO: me}
    steps:
      - uses: actions/checkout@v4
      - uses: some/thing@v1
      - if: github.actor != ''
        run: test -f kept
  empty:
    runs-on: ubuntu-latest
    steps:
      - run: test "$(pwd)" = "$GITHUB_WORKSPACE" && test -z "$(ls -A)" && echo made >file
      - run: cat file
  unwanted:
    runs-on: ubuntu-latest
    steps:
      - {uses: actions/checkout@v4, if: github.actor == ''}
      - run: test ! -e kept
  bad:
    needs: good
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: |
          echo '::error file=kept,line=1,title=Wrong::it is wrong'
          printf 'TAP version 13\n1..1\nnot ok 1 - it_works\n'
          exit 3
  other:
    runs-on: windows-latest
    steps: [{run: dir}]
E1
touch kept
git add -A
git commit -q -m All

section() { sed -n '/^## `--json`/,/^`--junit/p' "$docs"; }
# The words in backticks of the paragraph that begins with $1, up to $2: names of keys.
documented() { section | sed -n "/$1/,/$2/p" | sed "\$d" | grep -oE '`[a-z_]+`' | tr -d '`' | sort -u; }
keys() { jq -r "$1 | .. | objects | keys[]" "$SCRATCH/out" | sort -u; }
# What is in the output and not in the text, and what is in the text and was never seen.
differ() { comm -3 <(keys "$1") <(documented "$2" "$3") | paste -sd' ' | tr -d '\t'; }

"$CADRE" ci plan --json >"$SCRATCH/out" 2>"$SCRATCH/err"
ok plan_json_has_the_documented_keys is "$(differ . '^`cadre ci plan --json`' '^`cadre ci run --json`')" ""
ok a_job_without_a_checkout_says_so is "$(jq -r '.jobs[] | select(.note != null and (.note | startswith("no step checks"))).key' "$SCRATCH/out" | paste -sd' ')" "empty unwanted"
"$CADRE" ci run --json --retries 1 >"$SCRATCH/out" 2>"$SCRATCH/err"
ok run_ends_red is "$?" 1
ok the_jobs_come_out_as_on_github is "$(jq -r 'select(.type=="job") | (.id | sub(".*/"; "")) + ":" + .state' "$SCRATCH/out" | sort | paste -sd' ')" \
    "bad:failed empty:passed good:passed other:skipped unwanted:passed"
ok job_json_has_the_documented_keys is "$(differ 'select(.type=="job")' '^- `type` "job"' '^- `type` "summary"')" ""
ok summary_json_has_the_documented_keys is "$(differ 'select(.type=="summary")' '^- `type` "summary"' '^`--junit')" ""
empty_log() { has "$(jq -r 'select(.id=="ci.yml/empty").log' "$SCRATCH/out")" "the folder is empty, as on GitHub"; }
ok its_log_says_so empty_log
"$CADRE" ci run --in-place --no-cache --job empty --json >"$SCRATCH/out" 2>"$SCRATCH/err"
ok in_place_there_is_the_tree_all_the_same is "$(jq -r 'select(.type=="job").state' "$SCRATCH/out")" failed
