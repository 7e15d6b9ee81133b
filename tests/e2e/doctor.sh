#!/usr/bin/env bash
# cadre doctor: what it finds, what it says to do, and its exit code.
. "$(dirname "$0")/lib.sh"

script '{rules: [{match: {}, reply: {message: "hello"}}]}' "$SCRATCH/script.json"
start_mock "$SCRATCH/script.json" || exit 1
make_repo "$SCRATCH/repo"
cd "$SCRATCH/repo" || exit 1
sed -i 's/^model = .*/model = "mock"/' "$CODEX_HOME/config.toml"
cp "$CODEX_HOME/config.toml" "$SCRATCH/good.toml"

# doctor EXPECTED-CODE ARGUMENT...
doctor() {
    local want=$1
    shift
    "$CADRE" doctor "$@" >"$SCRATCH/out" 2>"$SCRATCH/err" </dev/null
    is $? "$want" || { cat "$SCRATCH/out" "$SCRATCH/err"; return 1; }
}

healthy() {
    doctor 0 && has "$SCRATCH/out" "0 failures" && has "$SCRATCH/out" "$SCRATCH/repo" && has "$SCRATCH/out" "model mock is offered" &&
        grep -qE '^  ok    reviewer +mock .* read-only .*\(built-in\)$' "$SCRATCH/out"
}
ok a_sound_set_up_has_no_failure healthy

not_offered() {
    sed 's/^model = .*/model = "gpt-5.3-codex"/' "$SCRATCH/good.toml" >"$CODEX_HOME/config.toml"
    doctor 0 && has "$SCRATCH/out" "model gpt-5.3-codex is not offered" && has "$SCRATCH/out" "set one of those offered: mock"
}
ok a_model_that_is_not_offered_is_said not_offered

codex_refuses() {
    { echo 'approval_policy = "untrusted"'; echo 'profile = "p"'; cat "$SCRATCH/good.toml"
      printf '[agents]\nmax_threads = 3\nmax_concurrent_threads_per_session = 4\n[tui]\ntheme = "x"\n'; } >"$CODEX_HOME/config.toml"
    echo 'model_verbosity = "low"' >"$CODEX_HOME/p.config.toml"
    doctor 0 && has "$SCRATCH/out" 'Codex of today refuses approval_policy = "untrusted"' &&
        has "$SCRATCH/out" 'Codex of today refuses the key `profile`' && has "$SCRATCH/out" "Codex refuses a file with both" &&
        has "$SCRATCH/out" "tui.theme is not used"
}
ok what_codex_refuses_or_cadre_leaves_unused_is_named codex_refuses

bad_role() {
    { cat "$SCRATCH/good.toml"; printf '[agents.lost]\nconfig_file = "lost.toml"\n'; } >"$CODEX_HOME/config.toml"
    doctor 2 && has "$SCRATCH/out" "lost.toml: the role file does not exist"
}
ok every_role_file_is_read bad_role

no_runner() {
    cp "$SCRATCH/good.toml" "$CODEX_HOME/config.toml"
    printf '[roles.implementer]\nrunner = "ghost"\n[runner.ghost]\nprotocol = "acp"\ncommand = "no-such-agent"\n' >"$CODEX_HOME/cadre.toml"
    doctor 2 && has "$SCRATCH/out" 'runner ghost: there is no program "no-such-agent"'
    local rc=$?
    rm "$CODEX_HOME/cadre.toml"
    return $rc
}
ok a_runner_without_its_program_is_a_failure no_runner

runner_version() {
    mkdir -p "$SCRATCH/bin"
    printf '#!/bin/sh\necho "agent 1.2.3"; echo more\n' >"$SCRATCH/bin/good-agent"
    chmod +x "$SCRATCH/bin/good-agent"
    printf '[roles.implementer]\nrunner = "good"\n[roles.reviewer]\nrunner = "loose"\n[runner.good]\ncommand = ["%s", "acp"]\nenv_vars = ["NO_SUCH_KEY"]\n[runner.loose]\nprotocol = "codex"\ncommand = "%s"\nbox = "own"\n' \
        "$SCRATCH/bin/good-agent" "$SCRATCH/bin/good-agent" >"$CODEX_HOME/cadre.toml"
    doctor 0 && has "$SCRATCH/out" "runner good: $SCRATCH/bin/good-agent by acp, version: agent 1.2.3" &&
        has "$SCRATCH/out" 'runner good: box "cadre"' && has "$SCRATCH/out" "runner good: NO_SUCH_KEY is not set" &&
        has "$SCRATCH/out" 'runner loose: box "own": the program itself is not shut in'
    local rc=$?
    rm "$CODEX_HOME/cadre.toml"
    return $rc
}
ok a_runner_has_its_version_and_its_box_named runner_version

mcp_server() {
    { cat "$SCRATCH/good.toml"; printf '[mcp_servers.docs]\ncommand = "no-such-server"\nenv_vars = ["NO_SUCH_TOKEN"]\n'; } >"$CODEX_HOME/config.toml"
    doctor 0 && has "$SCRATCH/out" 'there is no program "no-such-server"' && has "$SCRATCH/out" "NO_SUCH_TOKEN is not set"
}
ok an_mcp_server_without_its_program_is_a_warning mcp_server

role_servers() {
    { cat "$SCRATCH/good.toml"; printf '[mcp_servers.docs]\ncommand = "sh"\n[agents.builder]\ndescription = "builds"\nconfig_file = "builder.toml"\n'; } >"$CODEX_HOME/config.toml"
    printf 'developer_instructions = "Build."\n[mcp_servers.docs]\n[mcp_servers.own]\ncommand = "no-such-own-server"\n' >"$CODEX_HOME/builder.toml"
    printf '[roles.reviewer]\nmcp_servers = ["dcos"]\n' >"$CODEX_HOME/cadre.toml"
    "$CADRE" doctor >"$SCRATCH/out" 2>&1
    rm "$CODEX_HOME/cadre.toml" "$CODEX_HOME/builder.toml"
    grep -E '^  ok    builder .* docs,own ' "$SCRATCH/out" && grep -E '^  ok    reviewer .* native +- ' "$SCRATCH/out" &&
        grep -E '^  ok    implementer .* docs ' "$SCRATCH/out" &&
        has "$SCRATCH/out" 'MCP server own of role builder: there is no program "no-such-own-server"' &&
        has "$SCRATCH/out" 'role reviewer: there is no MCP server "dcos"'
}
ok roles_are_shown_with_their_mcp_servers role_servers

cp "$SCRATCH/good.toml" "$CODEX_HOME/config.toml"
no_key() { (unset MOCK_KEY; doctor 4) && has "$SCRATCH/out" "MOCK_KEY"; }
ok a_missing_key_is_named no_key
unreachable() { doctor 4 -c 'model_providers.mock.base_url="http://127.0.0.1:9/v1"' && has "$SCRATCH/out" "127.0.0.1:9"; }
ok an_unreachable_provider_is_a_failure unreachable
offline() { doctor 0 --offline -c 'model_providers.mock.base_url="http://127.0.0.1:9/v1"'; }
ok offline_asks_nobody offline
bad_toml() { echo 'model = = 1' >"$CODEX_HOME/config.toml"; doctor 2 && has "$SCRATCH/out" "config.toml:1:9"; }
ok bad_toml_is_one_clear_failure bad_toml

# A file that is no library stands in the way of each.
missing_libraries() {
    mkdir -p "$SCRATCH/broken"
    echo "no library" | tee "$SCRATCH/broken/libcurl.so.4" >"$SCRATCH/broken/libmicrohttpd.so.12"
    local -x LD_LIBRARY_PATH="$SCRATCH/broken"
    "$CADRE" --version && "$CADRE" ci plan && "$CADRE" config get model || return 1
    doctor 4 && has "$SCRATCH/out" "a request by HTTP needs the library libcurl.so.4: " &&
        has "$SCRATCH/out" "install it (on Debian: apt install libcurl4)" || return 1
    "$CADRE" exec hello 2>"$SCRATCH/err" </dev/null && return 1
    has "$SCRATCH/err" "install it (on Debian: apt install libcurl4)" || return 1
    "$CADRE" mock --script "$SCRATCH/script.json" 2>"$SCRATCH/err" && return 1
    has "$SCRATCH/err" "install it (on Debian: apt install libmicrohttpd12)"
}
cp "$SCRATCH/good.toml" "$CODEX_HOME/config.toml"
ok what_makes_no_request_needs_no_libcurl_and_what_does_says_so missing_libraries
