#!/usr/bin/env bash
# `cadre sandbox` in a terminal is like the command in a terminal: keys, signals, size, job control, exit codes, and nothing left.
TMPDIR=/var/tmp
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$SCRATCH/w" && cd "$SCRATCH/w" || exit 1
export CADRE
each=(interrupt interrupt_in_a_shell quit_key interrupt_is_the_commands_to_answer
    interrupt_comes_once resize stop_and_go_on stop_is_the_commands_to_answer
    suspended_shell stopped_and_left suspended_and_left hang_up signals)
for case in "${each[@]}" killed shell python; do
    ok "$case" python3 "$here/sandbox_tty.py" "$case"
done
for case in interrupt_in_a_shell hang_up; do
    ok "${case}_with_full_access" env BOX="--mode danger-full-access" python3 "$here/sandbox_tty.py" "$case"
done
narrow() { unshare -Urm sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' sh "$@"; }
if narrow true 2>/dev/null; then
    for case in "${each[@]}"; do
        ok "${case}_without_namespaces" narrow python3 "$here/sandbox_tty.py" "$case"
    done
else
    skip without_namespaces "no user namespace can be made to try it in"
fi
