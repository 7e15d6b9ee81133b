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
mkdir -p below && echo secret >below/secret
ok a_relative_path_is_hidden fails box --hide below -- cat below/secret
ok so_is_one_through_dots fails box --hide below/../below -- cat below/secret
box --hide '' -- true 2>"$SCRATCH/e"
ok an_empty_path_is_wrong_usage is "$?" 2
ok and_the_error_names_the_option has "$SCRATCH/e" "--hide is empty"
box -w /no/such/folder -- true 2>"$SCRATCH/e"
ok a_missing_writable_folder_is_wrong_usage is "$?" 2
mkdir -p "$SCRATCH/gone" && (cd "$SCRATCH/gone" && rmdir "$SCRATCH/gone" && box -- sh -c "echo a > $SCRATCH/other/gone" 2>"$SCRATCH/e")
ok a_deleted_working_directory_is_an_error is "$?:$(ls "$SCRATCH/other/gone" 2>/dev/null)" "2:"
ok and_it_says_what_to_do has "$SCRATCH/e" "change to another one"
for dir in / /etc /var "$SCRATCH" "$SCRATCH/w/.."; do
    ok "tmpdir_does_not_open_$dir" fails env TMPDIR="$dir" "$CADRE" sandbox -- sh -c "echo a > $SCRATCH/other/tmpdir"
done
ok a_plain_tmpdir_is_writable env TMPDIR="$SCRATCH/other" "$CADRE" sandbox -- sh -c "echo a > $SCRATCH/other/plain"
device=/dev/loop-control
if (: <>"$device") 2>/dev/null; then
    ok a_device_cannot_be_opened fails box -- sh -c ": <>$device"
    ok nor_read fails box -- sh -c ": <$device"
    ok a_device_that_is_a_writable_root_can env "$CADRE" -c "sandbox_workspace_write.writable_roots=[\"$device\"]" sandbox -- sh -c ": <>$device"
else
    skip devices "$device cannot be opened here without a box either"
fi
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

# Where user namespaces are not allowed, Landlock and seccomp hold what they can, and nothing lives on either.
cat >"$SCRATCH/narrow.sh" <<'EOS'
echo 0 >/proc/sys/user/max_user_namespaces || exit 9
cd "$1" || exit 9
"$CADRE" sandbox --explain | grep -q '^namespaces  not allowed here' && echo explained
"$CADRE" sandbox -- sh -c 'echo a > "$HOME/narrow"; echo a > .git/narrow; echo a > sub/narrow; cat "$2/secret"' sh sh "$2" >"$1/sub/out" 2>&1
"$CADRE" sandbox --hide "$2" -- cat "$2/secret" && echo seen
"$CADRE" sandbox -- sh -c "(exec -a $3 setsid sleep 60 >/dev/null 2>&1 &) ; kill -9 \$\$"
echo "ended with $?"
EOS
mkdir -p sub
if unshare -Urm true 2>/dev/null; then
    marker="narrow-$$"
    unshare -Urm bash "$SCRATCH/narrow.sh" "$SCRATCH/w" "$SCRATCH/other" "$marker" >"$SCRATCH/narrow" 2>"$SCRATCH/narrow.err"
    ok without_namespaces_it_says_so has "$SCRATCH/narrow" explained
    ok without_namespaces_the_workspace_is_writable test -s sub/narrow
    ok without_namespaces_home_and_git_are_not sh -c "! ls '$HOME/narrow' .git/narrow 2>/dev/null | grep -q ."
    ok without_namespaces_hidden_files_are_not_read sh -c "! grep -q 'secret\\|seen' '$SCRATCH/narrow'"
    ok without_namespaces_a_signal_is_told has "$SCRATCH/narrow" "ended with 137"
    ok without_namespaces_nothing_lives_on is "$(pgrep -fc "^$marker")" 0
else
    skip without_namespaces "no user namespace can be made to try it in"
fi
