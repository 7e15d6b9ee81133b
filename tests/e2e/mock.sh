#!/bin/bash
# `cadre mock` and `cadre exec` on each wire API, with tools, faults and a cassette.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$SCRATCH/script.json" <<'JSON'
{"rules": [
  {"match": {"turn": 0}, "fault": {"status": 429, "retry_after": 0, "times": 3},
   "reply": {"reasoning": "a look first", "message": "I look.",
             "tool_calls": [{"name": "exec_command", "arguments": {"cmd": "echo seen-$((40 + 2))"}},
                            {"name": "exec_command", "arguments": {"cmd": "echo second"}}]}},
  {"match": {"turn": 1, "last_contains": "seen-42"}, "fault": {"cut_after_events": 1, "times": 3},
   "reply": {"message": "The answer is 42."}}
]}
JSON

use_wire() { # WIRE
    rm "$CODEX_HOME/config.toml"
    cat >"$CODEX_HOME/cadre.toml" <<TOML
[model_providers.mock]
name = "Mock"
base_url = "$MOCK_URL"
env_key = "MOCK_KEY"
wire_api = "$1"
TOML
    printf 'model = "mock-model"\nmodel_provider = "mock"\n' >"$CODEX_HOME/config.toml"
}

answers() { # WIRE
    use_wire "$1"
    (cd "$SCRATCH/repo" && "$CADRE" exec --json -c sandbox_mode='"danger-full-access"' "what is it?" \
        </dev/null >"$SCRATCH/$1.jsonl" 2>"$SCRATCH/$1.err") || { cat "$SCRATCH/$1.err"; return 1; }
    has "$SCRATCH/$1.jsonl" "The answer is 42."
}

logged() { # COUNT TEXT
    is "$(grep -cF -- "$2" "$SCRATCH/mock.log")" "$1"
}

make_repo "$SCRATCH/repo"
start_mock "$SCRATCH/script.json" --log "$SCRATCH/mock.log"
for wire in responses chat messages; do
    ok "exec answers over the $wire API" answers "$wire"
done
ok "the log has the refused requests" logged 3 '"status":429'
ok "the log has every path" logged 2 '/v1/messages'
ok "the key is in no log" has_not "$SCRATCH/mock.log" test-key

no_script() { ! "$CADRE" mock 2>"$SCRATCH/err" && has "$SCRATCH/err" "--script FILE or --cassette FILE"; }
bad_script() {
    echo '{"rules":[{"match":{"rolle":"x"},"reply":{}}]}' >"$SCRATCH/bad.json"
    ! "$CADRE" mock --script "$SCRATCH/bad.json" 2>"$SCRATCH/err" &&
        has "$SCRATCH/err" "bad.json: rules[0].match: unknown key 'rolle'; is 'role' meant?"
}
ok "mock without a script says what it needs" no_script
ok "a misspelt key is named with its place" bad_script
