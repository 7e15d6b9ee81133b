#!/usr/bin/env bash
# What surrounds a command of an agent: processes, limits, /tmp, terminals; and what is left when either side dies.
. "$(dirname "$0")/lib.sh"
make_repo "$SCRATCH/repo"
cd "$SCRATCH/repo" || exit 1

if ! "$CADRE" sandbox --explain | grep -q '^namespaces  yes'; then
    skip box "user namespaces are not allowed here"
    exit 0
fi

call() { # COMMAND [FURTHER-ARGUMENTS]
    jq -cn --arg cmd "$1" --argjson more "${2:-{\}}" '{name: "exec_command", arguments: ({cmd: $cmd, yield_time_ms: 30000} + $more)}'
}
talk() { # CALL...: one model turn for each
    local turn=0
    for c in "$@"; do
        jq -cn --argjson c "$c" --argjson t "$turn" '{match: {turn: $t}, reply: {tool_calls: [$c]}}'
        turn=$((turn + 1))
    done | jq -cs '{rules: (. + [{match: {}, reply: {message: "Done."}}])}' >"$SCRATCH/s.json"
    start_mock "$SCRATCH/s.json"
}
outputs() { jq -r 'select(.type == "item.completed" and .item.type == "command_execution").item | (.aggregated_output // .output)' "$1"; }

# --- Processes, /tmp, terminals -------------------------------------------------------------------------------------
marker="box-$$-$RANDOM"
talk "$(call 'ls /proc | grep -c "^[0-9]"; echo first > /tmp/note; ls -A /run')" \
    "$(call 'cat /tmp/note; kill -9 $$')" \
    "$(call 'tty && [ -t 1 ] && : < /dev/tty && echo controlling' '{"tty": true}')" \
    "$(call "(setsid sleep 300 $marker >/dev/null 2>&1 &) ; exec -a $marker-2 sleep 300 >/dev/null 2>&1 & echo left")" \
    "$(call 'kill -TERM $$; sleep 5')"
"$CADRE" exec --json go >"$SCRATCH/o" 2>"$SCRATCH/e"
ok the_session_ends is "$?" 0
outputs "$SCRATCH/o" >"$SCRATCH/text"
ok a_command_sees_only_its_own_processes sh -c "[ \$(grep -m1 '^[0-9]*\$' '$SCRATCH/text') -le 5 ]"
ok commands_of_a_thread_share_a_tmp has "$SCRATCH/text" "first"
ok it_is_not_the_machines sh -c '! test -e /tmp/note'
ok a_command_that_a_signal_ends_is_told_so has "$SCRATCH/text" "killed by signal 9"
ok and_by_another_signal_too has "$SCRATCH/text" "killed by signal 15"
ok the_terminal_controls has "$SCRATCH/text" "controlling"
ok what_a_command_leaves_running_ends_with_it is "$(pgrep -fc "$marker")" 0
ok the_tmp_goes_with_the_thread is "$(find "$XDG_STATE_HOME" -path '*/sessions/*/tmp/*' | wc -l)" 0

# What a command writes does not reach the user's terminal as orders.
talk "$(call "printf 'before\\033]0;title\\007\\033[2J\\033]52;c;aGk=\\007after\\n'")"
NO_COLOR=1 "$CADRE" exec go >"$SCRATCH/o" 2>"$SCRATCH/e"
ok no_order_for_the_terminal_gets_through sh -c "! cat '$SCRATCH/o' '$SCRATCH/e' | grep -q \"\$(printf '\033')\""

# --- Limits ------------------------------------------------------------------------------------------------------------
cat >>"$CODEX_HOME/cadre.toml" <<'EOF'
[limits]
max_processes = 60
file_mb = 4
EOF
talk "$(call 'python3 -c "
import os, time
n = 0
try:
    while n < 900:
        if os.fork() == 0:
            time.sleep(30)
        n += 1
except OSError:
    pass
print(\"forks:\", n)
os._exit(0)"')" \
    "$(call 'head -c 9000000 /dev/zero > big; echo "ended with $?"; stat -c %s big')"
timeout 100 "$CADRE" exec --json go >"$SCRATCH/o" 2>"$SCRATCH/e"
outputs "$SCRATCH/o" >"$SCRATCH/text"
ok processes_are_limited sh -c "n=\$(sed -n 's/^forks: //p' '$SCRATCH/text'); [ \"\$n\" -ge 30 ] && [ \"\$n\" -lt 400 ]"
ok files_are_limited has "$SCRATCH/text" "4194304"

free_mb=$(($(stat -f -c '%a * %S' .) / 1048576))
rest=$((free_mb - 40))
printf '[limits]\nmin_free_disk_mb = %d\n' "$rest" >"$CODEX_HOME/cadre.toml"
talk "$(call 'for i in 1 2 3 4 5 6 7 8 9 10; do head -c 30000000 /dev/urandom > "fill$i"; sleep 0.2; done; echo filled')"
"$CADRE" exec --json go >"$SCRATCH/o" 2>"$SCRATCH/e"
outputs "$SCRATCH/o" >"$SCRATCH/text"
rm -f fill*
ok a_command_that_fills_the_disk_is_ended has "$SCRATCH/text" "it has filled the disk"

printf '[limits]\ncpu_seconds = 1\n' >"$CODEX_HOME/cadre.toml"
talk "$(call 'while :; do :; done')"
"$CADRE" exec --json go >"$SCRATCH/o" 2>"$SCRATCH/e"
outputs "$SCRATCH/o" >"$SCRATCH/text"
ok processor_time_is_limited has "$SCRATCH/text" "killed by signal"

# The limit of memory is kept by watching: twice as much as allowed, in two processes.
printf '[sandbox]\nprivate_tmp = true\n' >"$CODEX_HOME/cadre.toml"
ok memory_is_limited_over_all_processes has <("$(dirname "$CADRE")/cadre-exec" __exec-helper --mode=1 --cwd="$PWD" --memory=120000000 -- \
    python3 -c 'import os, time
a = bytearray(os.urandom(1)) * 80000000
if os.fork() == 0: a = bytearray(os.urandom(1)) * 80000000
time.sleep(20)' 2>&1) "more memory than limits.memory_mb"

# So is what a process hides of itself, and what nobody has attached.
limited() { "$(dirname "$CADRE")/cadre-exec" __exec-helper --mode=1 --cwd="$PWD" --memory=120000000 -- python3 -c "$1" 2>&1; }
ok memory_of_an_undumpable_process_counts has <(limited 'import ctypes, time
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
a = bytearray(200000000)
time.sleep(20)') "more memory than limits.memory_mb"
ok memory_in_detached_segments_counts has <(limited 'import ctypes, time
c = ctypes.CDLL(None)
c.shmat.restype = ctypes.c_void_p
for i in range(4):
    a = c.shmat(c.shmget(0, ctypes.c_size_t(50000000), 0o1600), None, 0)
    ctypes.memset(a, 1, 50000000)
    c.shmdt(ctypes.c_void_p(a))
time.sleep(20)') "more memory than limits.memory_mb"
ok an_attached_segment_counts_once has <(limited 'import ctypes, time
c = ctypes.CDLL(None)
c.shmat.restype = ctypes.c_void_p
ctypes.memset(c.shmat(c.shmget(0, ctypes.c_size_t(80000000), 0o1600), None, 0), 1, 80000000)
time.sleep(1)
print("it has ended well")') "it has ended well"

# --- Either side dies ----------------------------------------------------------------------------------------------------
talk "$(call "echo started; exec -a $marker-3 sleep 300")"
"$CADRE" exec --json go >"$SCRATCH/o" 2>"$SCRATCH/e" &
pid=$!
for _ in $(seq 100); do pgrep -f "$marker-3" >/dev/null && break; sleep 0.1; done
ok the_command_runs sh -c "pgrep -f '$marker-3' >/dev/null"
kill -9 "$pid"
wait "$pid" 2>/dev/null
for _ in $(seq 50); do pgrep -f "$marker-3" >/dev/null || break; sleep 0.1; done
ok it_dies_with_the_program_that_is_killed is "$(pgrep -fc "$marker-3")" 0

talk "$(call 'echo one')" "$(call 'sleep 2; echo two')" "$(call 'echo three')"
"$CADRE" exec --json go >"$SCRATCH/o" 2>"$SCRATCH/e" &
pid=$!
for _ in $(seq 100); do outputs "$SCRATCH/o" 2>/dev/null | grep -q one && break; sleep 0.05; done
ok there_is_a_server sh -c "pkill -9 -o -P $pid -f __box-server"
wait "$pid"
ok its_end_ends_nothing is "$?:$(outputs "$SCRATCH/o" | grep -cx 'two\|three')" "0:2"

# A server that answers too late: the command runs, and once.
talk "$(call 'echo one; sleep 1')" "$(call 'echo x >>count')" "$(call 'sleep 3')"
"$CADRE" exec --json go >"$SCRATCH/o" 2>"$SCRATCH/e" &
pid=$!
server=
for _ in $(seq 100); do server=$(pgrep -o -P "$pid" -f __box-server) && break; sleep 0.05; done
kill -STOP "$server"
for _ in $(seq 200); do [ -s count ] && break; sleep 0.1; done
kill -CONT "$server" 2>/dev/null # while the program that it would start the command for is still there
wait "$pid"
ok a_stopped_server_holds_up_nothing is "$?" 0
ok a_command_is_not_started_twice is "$(wc -l <count)" 1
