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
"$CADRE" exec -c 'default_permissions="p"' -c 'permissions.p={filesystem={":minimal"="read",":workspace_roots"="write"}}' "write" >"$SCRATCH/o" 2>"$SCRATCH/e"
ok a_profile_that_cannot_be_kept_is_an_error is "$?:$(grep -c 'confines reading' "$SCRATCH/e"):$(ls made 2>/dev/null)" "2:1:"
"$CADRE" exec -c 'default_permissions="p"' -c 'permissions.p={extends=":workspace"}' "write" >"$SCRATCH/o" 2>"$SCRATCH/e"
ok a_profile_with_a_writable_workspace_lets_it_write is "$?:$(ls made 2>/dev/null)" "0:made"
