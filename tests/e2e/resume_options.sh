#!/usr/bin/env bash
# A run that goes on asks the models and follows the settings that its command line named when it was begun.
. "$(dirname "$0")/lib.sh"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/run.json"
start_mock "$SCRATCH/run.json" --log "$SCRATCH/requests" --log-bodies || exit 1
make_repo "$SCRATCH/repo"
cd "$SCRATCH/repo" || exit 1
first=$(git rev-parse HEAD)
cp "$CODEX_HOME/config.toml" "$SCRATCH/config.toml"
models() { jq -r .body.model "$SCRATCH/requests" | sort | uniq -c | awk '{print $2}' | tr '\n' ' '; }
kept() { # KEY of what the latest run keeps of its command line
    python3 -c 'import json, sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
text, = db.execute("select json from record where kind = ? and key = ?", ("meta", "command_line")).fetchone()
print(json.dumps(json.loads(text).get(sys.argv[2])))' "$(ls -d "$XDG_STATE_HOME"/cadre/runs/*/journal.db | tail -n 1)" "$1"
}

# --- model, profile and settings ---------------------------------------------------------------------------------------------
printf '\n[profiles.quick]\nmodel_reasoning_effort = "low"\n' >>"$CODEX_HOME/config.toml"
CADRE_TEST_KILL_AT=journal-after:40 "$CADRE" -m first -p quick -c loop.max_batches=7 -c 'model_providers.mock.http_headers.X-Token="sekrit-value-1234"' run --json "mend both" >"$SCRATCH/o" 2>&1
ok the_run_is_killed is "$?" 137
ok settings_are_kept is "$(kept overrides)" '["loop.max_batches=7"]'
ok a_secret_is_not is "$(kept left_out) $(grep -rl sekrit-value-1234 "$XDG_STATE_HOME" | wc -l)" '["model_providers.mock.http_headers.X-Token"] 0'
: >"$SCRATCH/requests"
"$CADRE" resume --json >"$SCRATCH/again.out" 2>"$SCRATCH/again.err"
ok resume_ends_green is "$?" 0
ok it_asks_the_model_of_the_command_line is "$(models)" "first "
ok it_follows_the_profile is "$(jq -r '.body.reasoning.effort' "$SCRATCH/requests" | sort -u)" low
ok it_says_what_it_goes_on_with has "$SCRATCH/again.err" "as the run was begun: --profile quick --model first -c loop.max_batches=7"
ok it_asks_for_the_secret_again has "$SCRATCH/again.err" "begun with -c model_providers.mock.http_headers.X-Token=..., which is a secret and was not kept"

# --- what the new command line says wins -------------------------------------------------------------------------------------
git reset -q --hard "$first"
CADRE_TEST_KILL_AT=journal-after:40 "$CADRE" -m first -c loop.max_batches=7 run --json "mend both" >"$SCRATCH/o" 2>&1
: >"$SCRATCH/requests"
"$CADRE" -m second -c loop.max_batches=8 resume --json >"$SCRATCH/other.out" 2>"$SCRATCH/other.err"
ok another_model_can_go_on is "$? $(models)" "0 second "
ok nothing_is_said_then has_not "$SCRATCH/other.err" "as the run was begun"
ok the_new_one_is_kept is "$(kept model) $(kept overrides)" '"second" ["loop.max_batches=8"]'

# --- a server of this machine ------------------------------------------------------------------------------------------------
git reset -q --hard "$first"
export CODEX_OSS_BASE_URL
CODEX_OSS_BASE_URL=$(sed -n 's/^base_url = "\(.*\)"/\1/p' "$SCRATCH/config.toml")
printf 'model = "elsewhere"\nmodel_provider = "elsewhere"\n[model_providers.elsewhere]\nname = "Elsewhere"\nbase_url = "http://127.0.0.1:9/v1"\nwire_api = "responses"\n' >"$CODEX_HOME/config.toml"
: >"$SCRATCH/requests"
CADRE_TEST_KILL_AT=journal-after:40 "$CADRE" --oss --local-provider ollama run --json "mend both" >"$SCRATCH/oss.out" 2>&1
ok oss_carries_a_run is "$? $(models)" "137 gpt-oss:20b "
: >"$SCRATCH/requests"
"$CADRE" resume --json >"$SCRATCH/oss2.out" 2>"$SCRATCH/oss2.err"
ok resume_asks_the_same_server is "$? $(models)" "0 gpt-oss:20b "
"$CADRE" resume >"$SCRATCH/o" 2>&1
ok nothing_to_go_on_with_is_said_with_a_hint is "$? $(grep -c 'cadre status' "$SCRATCH/o")" "2 1"
