#!/usr/bin/env bash
# What a role's file says holds for its thread, and the file is opened when the role is first spawned, not before.
. "$(dirname "$0")/lib.sh"

script '{rules: [
  rule({model: "strict-model", role: "strict", turn: 0}; [sh("echo x > made.txt; echo status=$?")]),
  {match: {role: "strict", last_contains: "status=0"}, reply: {message: "it could write"}},
  {match: {model: "strict-model", role: "strict"}, reply: {message: "it could not write"}},
  {match: {role: "default"}, reply: {message: "plain"}}]}' "$SCRATCH/script.json"
start_mock "$SCRATCH/script.json" --log "$SCRATCH/mock.log" || exit 1
cat >>"$CODEX_HOME/config.toml" <<'E2'

[agents.strict]
description = "Reads only"
config_file = "roles/strict.toml"

[agents.never_used]
description = "Not spawned here"
config_file = "roles/never_used.toml"
E2
mkdir -p "$CODEX_HOME/roles" "$CODEX_HOME/agents" "$SCRATCH/work"
cat >"$CODEX_HOME/roles/strict.toml" <<'E2'
developer_instructions = "Say nothing twice."
model = "strict-model"
sandbox_mode = "read-only"
E2
echo 'this is not TOML and is never read' >"$CODEX_HOME/roles/never_used.toml"
echo 'neither is this' >"$CODEX_HOME/agents/found.toml"
cd "$SCRATCH/work" || exit 1
git init -q

traced() { # ARGUMENT...: cadre under strace; the role files that were opened go to $SCRATCH/opened
    ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=open,openat,openat2 -o "$SCRATCH/trace" \
        "$CADRE" "$@" >"$SCRATCH/out" 2>"$SCRATCH/err" </dev/null
    local code=$?
    grep -oE "\.codex/(roles|agents)/[a-z_]+\.toml" "$SCRATCH/trace" | sort -u >"$SCRATCH/opened"
    return $code
}
opens() { # EXPECTED ARGUMENT...
    local want=$1
    shift
    traced "$@" || { cat "$SCRATCH/err"; return 1; }
    is "$(cat "$SCRATCH/opened")" "$want"
}

settings_hold() {
    "$CADRE" exec --role strict "write a file" >"$SCRATCH/out" 2>"$SCRATCH/err" </dev/null ||
        { cat "$SCRATCH/err" "$SCRATCH/mock.log"; return 1; }
    has "$SCRATCH/out" "it could not write" || return 1
    [ ! -e made.txt ] || { echo "a read-only role wrote a file"; return 1; }
    has "$SCRATCH/mock.log" '"strict-model"'
}
ok model_instructions_and_sandbox_of_the_file_hold settings_hold

first_bytes() { sed -n 's/.*"turn":0,.*"bytes":\([0-9]*\).*/\1/p' "$SCRATCH/mock.log" | tail -1; }
edit_holds() {
    local before after
    before=$(first_bytes)
    printf 'developer_instructions = "%05000d"\nmodel = "strict-model"\nsandbox_mode = "read-only"\n' 0 \
        >"$CODEX_HOME/roles/strict.toml"
    "$CADRE" exec --role strict "write a file" >"$SCRATCH/out" 2>"$SCRATCH/err" </dev/null || { cat "$SCRATCH/err"; return 1; }
    after=$(first_bytes)
    [ $((after - before)) -gt 4900 ] || { echo "requests of $before and $after bytes"; return 1; }
}
ok instructions_are_sent_and_an_edit_holds_from_the_next_spawn edit_holds

if strace -f -o "$SCRATCH/probe" true 2>/dev/null; then
    ok no_role_file_is_opened_for_a_thread_without_it opens "" exec "hello"
    ok a_role_file_is_opened_when_its_role_is_spawned opens ".codex/roles/strict.toml" exec --role strict "write a file"
else
    skip no_role_file_is_opened_for_a_thread_without_it "strace cannot trace here"
    skip a_role_file_is_opened_when_its_role_is_spawned "strace cannot trace here"
fi

bad_role() {
    "$CADRE" exec --role never_used x >"$SCRATCH/out" 2>"$SCRATCH/err" </dev/null
    is $? 2 && has "$SCRATCH/err" "roles/never_used.toml:1:"
}
ok a_bad_role_file_is_an_error_when_it_is_spawned bad_role
no_role() {
    "$CADRE" exec --role strct x >"$SCRATCH/out" 2>"$SCRATCH/err" </dev/null
    is $? 2 && has "$SCRATCH/err" 'did you mean "strict"?'
}
ok an_unknown_role_names_the_nearest no_role
