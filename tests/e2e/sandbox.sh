#!/usr/bin/env bash
# Commands stay in their box: the kernel refuses, not a string match.
# /tmp is writable in workspace-write, so the scratch folder is elsewhere.
TMPDIR=/var/tmp
. "$(dirname "$0")/lib.sh"
mkdir -p "$SCRATCH/w" "$SCRATCH/other" && cd "$SCRATCH/w" && git init -q . || exit 1
echo secret >"$SCRATCH/other/secret"
export TMPDIR="$SCRATCH/w/tmp"
mkdir -p "$TMPDIR"
box() { "$CADRE" sandbox "$@"; }
fails() { ! "$@"; }

ok workspace_is_writable box -- sh -c 'echo a > x && cat x'
ok home_is_not_writable fails box -- sh -c 'echo a > "$HOME/x"'
ok another_folder_is_not_writable fails box -- sh -c "echo a > $SCRATCH/other/x"
ok etc_is_not_writable fails box -- sh -c 'echo a > /etc/cadre-test'
ok git_is_not_writable fails box -- sh -c 'echo a > .git/x'
ok git_cannot_be_replaced fails box -- sh -c 'mv .git .git2 || rm -rf .git'
ok git_can_be_read box -- git status --short
ok read_only_writes_nothing fails box --mode read-only -- sh -c 'echo a > y'
ok read_only_reads box --mode read-only -- cat x
ok a_symlink_does_not_lead_out fails box -- sh -c "ln -s $SCRATCH/other out && echo a > out/x"
ok no_tcp_socket fails box -- python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM)'
ok no_udp_socket fails box -- python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)'
ok no_ipv6_socket fails box -- python3 -c 'import socket; socket.socket(socket.AF_INET6, socket.SOCK_STREAM)'
ok no_raw_socket fails box -- python3 -c 'import socket; socket.socket(17, socket.SOCK_RAW)'
ok unix_sockets_work box -- python3 -c 'import socket; a, b = socket.socketpair(); a.send(b"x"); assert b.recv(1) == b"x"'
ok a_private_loopback_can_be_had box --loopback -- python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); c = socket.create_connection(s.getsockname())'
ok no_user_namespace fails box -- unshare -U true
ok no_mount fails box -- mount -t tmpfs none /mnt
ok no_signal_to_others fails box -- kill -0 $$
ok hidden_paths_are_hidden fails box --hide "$SCRATCH/other" -- cat "$SCRATCH/other/secret"
ok full_access_is_full box --mode danger-full-access -- sh -c "echo a > $SCRATCH/other/y"
box -- sh -c 'exit 42'
ok the_exit_code_is_the_commands is "$?" 42
box -- no-such-command 2>/dev/null
ok a_missing_command_is_127 is "$?" 127
box --mode wide -- true 2>"$SCRATCH/err"
ok an_unknown_mode_is_a_usage_error is "$?" 2
ok no_descriptor_leaks_in test "$(box -- sh -c 'ls /proc/self/fd | wc -l' 7<"$SCRATCH/other/secret")" -le 4
# The box for a program that brings its own: mounts can be made in it, and still nothing outside is written.
if box --nestable -- true 2>"$SCRATCH/nest.err"; then
    nest() { box --nestable "$@"; }
    ok nestable_workspace_is_writable nest -- sh -c 'echo a > nested && cat nested'
    ok nestable_home_is_not_writable fails nest -- sh -c 'echo a > "$HOME/x"'
    ok nestable_git_is_not_writable fails nest -- sh -c 'echo a > .git/x'
    ok nestable_tmp_is_not_writable fails nest -- sh -c 'echo a > /tmp/cadre-nest'
    ok nestable_settings_of_the_kernel_are_not_writable fails nest -- sh -c 'cat /proc/sys/vm/swappiness > /proc/sys/vm/swappiness'
    ok nestable_reads_no_other_process_root fails nest -- ls "/proc/$$/root/"
    ok nestable_signals_nobody_outside fails nest -- kill -0 $$
    ok a_box_can_be_made_within nest -- unshare -Urm sh -c 'mount -t tmpfs none /mnt && touch /mnt/x'
    ok the_box_within_cannot_remount fails nest -- unshare -Urm mount -o remount,bind,rw /
    ok the_box_within_cannot_write_home fails nest -- unshare -Urm sh -c 'echo a > "$HOME/x"'
    ok nestable_read_only_writes_nothing fails nest --mode read-only -- sh -c 'echo a > z'
else
    skip nestable_box "$(head -n 1 "$SCRATCH/nest.err")"
fi
ok explain_names_every_layer is "$(box --explain | grep -cE '^(landlock|seccomp|namespaces)')" 3
