#!/usr/bin/env bash
# Secrets of twenty-nine kinds are planted where a run meets them; none is in any file, event or message that it leaves.
. "$(dirname "$0")/lib.sh"

source_dir=$(pwd)
random() { tr -dc 'A-Za-z0-9' </dev/urandom | head -c "$1"; }
hex() { tr -dc '0-9a-f' </dev/urandom | head -c "$1"; }
declare -A S # name -> what must not be found
plant() { S[$1]=$2; }

# Known by where they come from.
plant env_key "mock$(random 24)"
plant bearer_token "bt$(random 24)"
plant header_literal "hl$(random 24)"
plant header_from_environment "he$(random 24)"
plant auth_command_output "ac$(random 24)"
plant mcp_env_vars "mv$(random 24)"
plant mcp_env_literal "ml$(random 24)"
plant mcp_bearer "mb$(random 24)"
plant ci_secret "cs$(random 24)"
plant codex_login "cl$(random 24)"
plant variable_by_name "vn$(random 24)"
plant database_url_password "du$(random 12)"
plant base_url_password "bu$(random 12)"
# Known by their form.
plant github_token_in_a_file "ghp_$(random 36)"
plant private_key_in_a_file "MIIE$(random 60)"
plant aws_key_in_output "AKIA$(tr -dc 'A-Z0-9' </dev/urandom | head -c 16)"
plant bearer_on_a_command_line "cmd$(random 30)7"
plant url_in_output "ur$(random 14)"
plant key_in_a_providers_error "sk-proj-$(random 40)"
plant slack_token_in_ci_log "xoxb-$(random 12)-$(random 24)"
plant stripe_key_in_a_message "sk_live_$(random 30)"
plant token_in_the_goal "glpat-$(random 20)"
plant anthropic_key_in_a_summary "sk-ant-$(random 40)"
plant npm_token_in_a_patch "npm_$(random 36)"
plant web_token_in_reasoning "eyJ$(random 20).eyJ$(random 30).$(random 43)"
plant google_key_in_a_finding "AIza$(random 35)"
plant random_value_in_a_file "q9$(hex 4)Zr$(random 24)x1b2c3"
plant huggingface_token_in_notes "hf_$(random 34)"
plant digitalocean_token_in_an_mcp_result "dop_v1_$(hex 64)"

export MOCK_KEY=${S[env_key]} HEADER_VALUE=${S[header_from_environment]} MCP_GIVEN=${S[mcp_env_vars]} MCP_BEARER=${S[mcp_bearer]}
export PIPELINE_VALUE=${S[ci_secret]} DEPLOY_TOKEN=${S[variable_by_name]}
export DATABASE_URL="postgres://app:${S[database_url_password]}@db.invalid/app"

make_repo "$SCRATCH/w"
cd "$SCRATCH/w" || exit 1
# CI prints a token that is in no file of the tree, and fails at first.
printf 'check: add mul\nadd:\n\t@printf "token: %%s%%s DU=%%s\\n" %s "%s" "$$DATABASE_URL"; test "$$(cat add.txt)" = right || { echo "not ok add"; exit 1; }\nmul:\n\t@test "$$(cat mul.txt)" = right || { echo "not ok mul"; exit 1; }\n.PHONY: check add mul\n' "${S[slack_token_in_ci_log]:0:4}" "${S[slack_token_in_ci_log]:4}" >Makefile
printf '.env\nkey.pem\n' >.gitignore
printf '.env\nkey.pem\n' >.worktreeinclude
git add -A && git commit -qm "CI prints too much"
printf 'GH=%s\nAPI_KEY="%s"\nLOGIN=%s\n' "${S[github_token_in_a_file]}" "${S[random_value_in_a_file]}" "${S[codex_login]}" >.env
printf -- '-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n' "${S[private_key_in_a_file]}" >key.pem

all_env='env; env | base64 -w0; '
script '{rules: (
  [rule({role: "explorer", turn: 0}; [sh("'"$all_env"'cat '"$SCRATCH"'/w/.env; echo AWS '"${S[aws_key_in_output]}"'")])] + explorer +
  plan(two_tasks) +
  [rule({role: "implementer", task: "T1", turn: 0}; [
     sh("cat .env key.pem; echo right > add.txt; env | grep -c -e MOCK_KEY -e HEADER_VALUE -e MCP_ -e PIPELINE -e DEPLOY_TOKEN"),
     sh("curl -sm1 -H \"Authorization: Bearer '"${S[bearer_on_a_command_line]}"'\" http://127.0.0.1:9/; true"),
     sh("echo cloning https://bot:'"${S[url_in_output]}"'@git.invalid/x; for i in 1 2 3; do cat key.pem; done"),
     {name: "apply_patch", input: "*** Begin Patch\n*** Add File: add.txt\n+'"${S[npm_token_in_a_patch]}"'\n*** End Patch"},
     sh("echo right > add.txt; base64 < .env")])
   | .reply.reasoning = "I saw '"${S[web_token_in_reasoning]}"'" | .reply.message = "The key is '"${S[stripe_key_in_a_message]}"'"] +
  [rule({role: "implementer", task: "T1"}; [done_with("used '"${S[anthropic_key_in_a_summary]}"'")])] +
  work("T2"; "echo right > mul.txt") +
  [rule({role: "reviewer", attempt: 1}; [call("submit_review"; {verdict: "approve", summary: "fine", findings: [
     {severity: "nit", file: "add.txt", line: 1, title: "key '"${S[google_key_in_a_finding]}"'", detail: "d"}]})])] + approve +
  [rule({role: "release_manager"}; [call("submit_result"; {status: "done", summary: "s", notes: "# Notes\n\n'"${S[huggingface_token_in_notes]}"'\n"})])] +
  ending)}' "$SCRATCH/run.json"
start_mock "$SCRATCH/run.json"
url_with_password=$(printf '%s' "$MOCK_URL" | sed "s|http://|http://user:${S[base_url_password]}@|")
printf '%s\n' "${S[auth_command_output]}" >"$SCRATCH/token"
cat >>"$CODEX_HOME/config.toml" <<EOF
http_headers = { X-Api-Key = "${S[header_literal]}" }
env_http_headers = { X-Extra = "HEADER_VALUE" }

[model_providers.second]
name = "Second"
base_url = "$url_with_password"
experimental_bearer_token = "${S[bearer_token]}"
request_max_retries = 0
stream_max_retries = 0

[model_providers.third]
name = "Third"
base_url = "$MOCK_URL"
request_max_retries = 0
stream_max_retries = 0
auth = { command = "sh", args = ["-c", "cat $SCRATCH/token"] }

[mcp_servers.local]
command = "python3"
args = ["${CADRE_SOURCE:-$source_dir}/tests/data/mcp/server.py", "session"]
enabled = false
env_vars = ["MCP_GIVEN"]
env = { SERVICE_TOKEN = "${S[mcp_env_literal]}" }

[mcp_servers.remote]
url = "http://127.0.0.1:9/mcp"
enabled = false
bearer_token_env_var = "MCP_BEARER"
EOF
cat >>"$CODEX_HOME/cadre.toml" <<'EOF'

[ci.secrets]
PIPELINE = "PIPELINE_VALUE"
EOF
printf '{"OPENAI_API_KEY": "%s"}' "${S[codex_login]}" >"$CODEX_HOME/auth.json"

"$CADRE" -v run --json --record "$SCRATCH/cassette.jsonl" "mend both, the token is ${S[token_in_the_goal]}" >"$SCRATCH/out.run" 2>"$SCRATCH/err.run"
ok the_run_ends_green is "$?" 0
ok children_were_not_given_the_variables is "$(jq -r 'select(.type=="item.completed" and .task=="T1") | .item.aggregated_output // empty' "$SCRATCH/out.run" | grep -cx 0)" 1
ok the_agent_saw_the_file has "$SCRATCH/out.run" "GH=[redacted]"
ok ci_logs_are_kept_without_the_token test -n "$(grep -rl '^token: .redacted.' "$XDG_STATE_HOME" --include=*.log)"

# What people look at afterwards, and CI alone.
"$CADRE" ci run --json >"$SCRATCH/out.ci" 2>"$SCRATCH/err.ci"
"$CADRE" ci run >"$SCRATCH/out.ci-plain" 2>"$SCRATCH/err.ci-plain"
"$CADRE" status >"$SCRATCH/out.status" 2>&1
"$CADRE" logs >"$SCRATCH/out.logs" 2>&1
"$CADRE" doctor >"$SCRATCH/out.doctor" 2>&1
"$CADRE" config get model_providers >"$SCRATCH/out.config" 2>&1
"$CADRE" config explain mcp_servers >>"$SCRATCH/out.config" 2>&1
"$CADRE" logs --json >"$SCRATCH/out.logs-json" 2>&1
ok ci_alone_runs_too has "$SCRATCH/out.ci" '"state"'

# --- one agent: providers that fail and talk about keys ------------------------------------------------------------------
all_secrets="Authorization: Bearer ${S[bearer_on_a_command_line]} https://bot:${S[url_in_output]}@git.invalid/ API_KEY=${S[random_value_in_a_file]} "
all_secrets+=$'-----BEGIN PRIVATE KEY-----\n'"${S[private_key_in_a_file]}"$'\n-----END PRIVATE KEY-----\n'
for name in "${!S[@]}"; do
    case $name in # these are known by what stands around them, or once their command ran
        bearer_on*|url_in*|random_value*|private_key*|auth_command*) ;;
        *) all_secrets+="${S[$name]} " ;;
    esac
done
jq -n --arg all "$all_secrets" --arg token "${S[auth_command_output]}" '
def rules(suffix; all): [
  {match: {model: ("fails" + suffix)}, reply: {message: ""}, fault: {status: 400, times: -1, body: {error: {message: ("bad keys: " + all)}}}},
  {match: {model: ("works" + suffix), turn: 0}, reply: {message: all, tool_calls: [
     {name: "exec_command", arguments: {cmd: ("printf %s " + (all | @base64) + " | base64 -d; env")}},
     {name: "mcp__local__echo", arguments: {text: ("it says " + all)}}, {name: "mcp__local__no_such_tool", arguments: {text: all}}]}},
  {match: {model: ("works" + suffix)}, reply: {message: ("done: " + all)}}];
{rules: (rules("-third"; $all + $token) + rules(""; $all))}' >"$SCRATCH/exec.json"
config=$(cat "$CODEX_HOME/config.toml")
old_url=$MOCK_URL
start_mock "$SCRATCH/exec.json"
printf '%s\n' "$config" | sed "s|${old_url#http://}|${MOCK_URL#http://}|" >"$CODEX_HOME/config.toml"
number=0
for provider in mock second third; do
    for model in works fails; do
        number=$((number + 1))
        [ "$provider" != third ] || model+=-third
        "$CADRE" -v -m "$model" -c mcp_servers.local.enabled=true -c "model_provider=\"$provider\"" exec --json "use $all_secrets" >"$SCRATCH/out.$number" 2>"$SCRATCH/err.$number"
        echo "$provider $model $?" >>"$SCRATCH/codes"
    done
done
ok every_provider_was_asked is "$(tr '\n' ' ' <"$SCRATCH/codes")" "mock works 0 mock fails 4 second works 0 second fails 4 third works-third 0 third fails-third 4 "
ok the_mcp_server_answered test "$(jq -r 'select(.type=="item.completed").item | select(.type | test("tool_call")) | tostring' "$SCRATCH/out.1" | grep -c 'it says')" -ge 1
ok the_command_ran_and_its_output_is_there test "$(grep -c 'aggregated_output":"[^"]*\[redacted\]' "$SCRATCH/out.1")" -ge 1

# --- search ------------------------------------------------------------------------------------------------------------------
mkdir "$SCRATCH/objects"
git cat-file --batch-all-objects --batch >"$SCRATCH/objects/all" 2>/dev/null
git log --all --format=%B >"$SCRATCH/objects/messages"
rm -f "$CODEX_HOME/config.toml" "$CODEX_HOME/auth.json" # these are where the user put them
places=("$XDG_STATE_HOME" "$CODEX_HOME" "$SCRATCH/objects" "$SCRATCH/w/.git" "$SCRATCH/cassette.jsonl" "$SCRATCH"/out.* "$SCRATCH"/err.*)
ok there_is_something_to_search test "$(cat "$SCRATCH"/out.* | wc -c)" -gt 20000
ok the_journal_is_searched test -n "$(find "$XDG_STATE_HOME" -name journal.db)"
not_found() {
    local found
    found=$(grep -rlaF -- "$1" "${places[@]}")
    [ -z "$found" ] || { echo "in: $found"; for f in $found; do grep -ao -m1 -- ".\{0,60\}$1.\{0,20\}" "$f" | head -n 2; done; return 1; }
}
for name in "${!S[@]}"; do
    ok "${name}_is_nowhere" not_found "${S[$name]}"
done
for name in env_key codex_login; do
    # whatever stands before it, the inner part of its base64 is the same
    inner=$(printf '%s' "${S[$name]}" | base64 -w0 | cut -c1-24)
    ok "${name}_is_nowhere_in_base64" not_found "$inner"
done
