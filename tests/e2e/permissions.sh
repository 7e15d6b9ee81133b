#!/usr/bin/env bash
# Permission profiles: an agent's command is held by the profile; one that the box cannot keep starts nothing.
. "$(dirname "$0")/lib.sh"
make_repo "$SCRATCH/repo"
cat >"$SCRATCH/s.json" <<'EOF'
{"rules": [
 {"match": {"turn": 0}, "reply": {"tool_calls": [{"name": "exec_command", "arguments": {"cmd": "echo x > made"}}]}},
 {"match": {}, "reply": {"message": "Done."}}]}
EOF
start_mock "$SCRATCH/s.json"
cd "$SCRATCH/repo" || exit 1
"$CADRE" exec -c 'default_permissions=":read-only"' "write" >"$SCRATCH/o" 2>"$SCRATCH/e"
ok a_read_only_profile_holds_the_command is "$?:$(ls made 2>/dev/null)" "0:"
"$CADRE" exec -c 'default_permissions="p"' -c 'permissions.p={extends=":workspace",network={enabled=true,domains={"a.test"="allow"}}}' "write" >"$SCRATCH/o" 2>"$SCRATCH/e"
ok a_profile_that_cannot_be_kept_is_an_error is "$?:$(grep -c 'limits the network' "$SCRATCH/e"):$(ls made 2>/dev/null)" "2:1:"
"$CADRE" exec -c 'default_permissions="p"' -c 'permissions.p={extends=":workspace"}' "write" >"$SCRATCH/o" 2>"$SCRATCH/e"
ok a_profile_with_a_writable_workspace_lets_it_write is "$?:$(ls made 2>/dev/null)" "0:made"

# Reading confined to the system and the workspace; parts of the workspace shut off.
echo outside >"$SCRATCH/outside"
mkdir -p docs && echo "KEY=1" >.env
cat >"$SCRATCH/s2.json" <<EOF
{"rules": [
 {"match": {"turn": 0}, "reply": {"tool_calls": [{"name": "exec_command", "arguments": {"cmd": "cat $SCRATCH/outside; cat .env; echo x > docs/made; echo x > made2; cat /etc/passwd | head -n 1"}}]}},
 {"match": {}, "reply": {"message": "Done."}}]}
EOF
start_mock "$SCRATCH/s2.json"
"$CADRE" exec --json -c 'default_permissions="p"' -c 'permissions.p={filesystem={":minimal"="read",":workspace_roots"={"."="write",".env"="deny","docs"="read"}}}' "look" >"$SCRATCH/o" 2>"$SCRATCH/e"
ok confined_reading_still_runs_programs is "$?:$(ls made2 2>/dev/null):$(grep -c 'root:x:0' "$SCRATCH/o")" "0:made2:1"
ok nothing_outside_is_read sh -c "! grep -q 'outside\\\\n' '$SCRATCH/o'"
ok a_denied_file_is_not_read sh -c "! grep -q KEY=1 '$SCRATCH/o'"
ok a_read_only_part_is_not_written is "$(ls docs)" ""

printf 'default_permissions = "p"\n[permissions.p]\nextends = ":workspace"\n[permissions.p.network]\nenabled = true\nmode = "limited"\n' >"$CODEX_HOME/config.toml"
"$CADRE" doctor --offline >"$SCRATCH/o" 2>&1
ok doctor_names_a_profile_that_cannot_be_kept has "$SCRATCH/o" "limits the network"
