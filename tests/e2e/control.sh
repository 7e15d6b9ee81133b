#!/usr/bin/env bash
# A run takes orders from another terminal: attach, pause, continue, say, drop, retry, stop; hooks and notifications.
. "$(dirname "$0")/lib.sh"

latest() { ls "$XDG_STATE_HOME/cadre/runs" | tail -n 1; }

# T1 waits for a file; T2 for another, and then for a word.
make_repo "$SCRATCH/r"
script '{rules: (explorer + plan(two_tasks) +
  [rule({role: "implementer", task: "T1", turn: 0}; [sh("until test -f '"$HOME"'/go1; do sleep 0.05; done; echo right > add.txt")]),
   rule({role: "implementer", task: "T2", turn: 0}; [sh("until test -f '"$HOME"'/go2; do sleep 0.05; done")]),
   rule({role: "implementer", task: "T2", input_contains: "MAGIC-WORD"}; [sh("echo right > mul.txt"), done_with("did T2")]),
   rule({role: "implementer", task: "T2"}; [sh("true {{turn}}"), done_with("nothing")])] +
  work("T1"; "true") + approve + ending)}' "$SCRATCH/r.json"
start_mock "$SCRATCH/r.json" --log "$SCRATCH/r.log"
cat >>"$CODEX_HOME/cadre.toml" <<EOF

[hooks]
after_worktree = "echo after_worktree \$CADRE_TASK \$PWD >>$SCRATCH/hooks"
before_task = "echo before_task \$CADRE_TASK >>$SCRATCH/hooks"
after_task = "echo after_task \$CADRE_TASK \$CADRE_STATE >>$SCRATCH/hooks"
before_merge = "echo before_merge \$CADRE_RUN >>$SCRATCH/hooks; cat add.txt mul.txt >>$SCRATCH/hooks"
after_run = "echo after_run \$CADRE_RESULT \${MOCK_KEY:-no-key} >>$SCRATCH/hooks"

[notifications]
command = "printf '%s\n' \"\$CADRE_EVENT\" >>$SCRATCH/notes"
EOF
cd "$SCRATCH/r" || exit 1

"$CADRE" pause >"$SCRATCH/o" 2>&1
ok an_order_without_a_run_is_an_error is "$?" 2
ok it_says_that_no_run_is_alive has "$SCRATCH/o" "no run is alive"

"$CADRE" run --json "mend both" >"$SCRATCH/r.out" 2>"$SCRATCH/r.err" &
pid=$!
wait_for "$SCRATCH/r.out" 'go2' >/dev/null
wait_for "$SCRATCH/r.out" 'go1' >/dev/null
"$CADRE" attach --json >"$SCRATCH/attach.out" 2>"$SCRATCH/attach.err" &
attach=$!
ok the_socket_is_for_the_user_alone is "$(stat -c %a "$XDG_STATE_HOME/cadre/runs/$(latest)/control.sock")" 600
ok pause_is_taken "$CADRE" pause
requests=$(wc -l <"$SCRATCH/r.log")
touch "$HOME/go1"
wait_for "$SCRATCH/attach.out" '"status":"completed"' >/dev/null
sleep 0.3
ok a_paused_run_asks_no_model is "$(wc -l <"$SCRATCH/r.log")" "$requests"
"$CADRE" drop NOPE >"$SCRATCH/o" 2>&1
ok an_unknown_task_is_refused_and_the_known_are_named has "$SCRATCH/o" "it has T1, T2"
"$CADRE" say nobody hello >"$SCRATCH/o" 2>&1
ok an_unknown_thread_is_refused_and_the_open_are_named has "$SCRATCH/o" "task T2"
ok say_is_taken "$CADRE" say T2 the word is MAGIC-WORD
ok continue_is_taken "$CADRE" continue
touch "$HOME/go2"
wait "$pid"
ok the_run_ends_green is "$?" 0
wait "$attach"
ok attach_ends_with_the_run_and_its_exit_code is "$?" 0
ok what_was_said_reached_the_thread is "$(cat mul.txt)" right
ok attach_shows_what_was_before_and_after is "$(jq -r 'select(.seq) | .type' "$SCRATCH/attach.out" | grep -cE '^(run.started|run.paused|run.completed)$')" 3
ok attach_shows_every_kept_event_once is "$(jq -r 'select(.seq).seq' "$SCRATCH/attach.out" | sort -n | uniq -d | wc -l)" 0
ok attach_shows_the_events_of_the_run is "$(jq -r 'select(.seq).seq' "$SCRATCH/attach.out" | sort -n | tail -n 1)" "$(jq -r 'select(.seq).seq' "$SCRATCH/r.out" | sort -n | tail -n 1)"

ok every_hook_ran is "$(cut -d' ' -f1 "$SCRATCH/hooks" | grep -E 'after|before' | sort -u | tr '\n' ' ')" "after_run after_task after_worktree before_merge before_task "
ok before_merge_sees_the_result is "$(grep -A2 before_merge "$SCRATCH/hooks" | tail -n 2 | tr '\n' ' ')" "right right "
ok hooks_get_no_keys has "$SCRATCH/hooks" "after_run completed no-key"
ok a_notification_is_sent_at_the_end is "$(jq -r .type "$SCRATCH/notes" | tail -n 1)" run.completed
ok nothing_listens_any_more is "$(ls "$XDG_STATE_HOME/cadre/runs/$(latest)/control.sock" 2>/dev/null)" ""

# --- a merge that a hook refuses; drop and retry of a run that is not at work ------------------------------------------
make_repo "$SCRATCH/h"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt") + work("T2"; "echo right > mul.txt") + approve + ending)}' "$SCRATCH/h.json"
start_mock "$SCRATCH/h.json"
printf '\n[hooks]\nbefore_merge = "echo not on fridays; exit 1"\n' >>"$CODEX_HOME/cadre.toml"
cd "$SCRATCH/h" || exit 1
"$CADRE" run --json "mend both" >"$SCRATCH/h.out" 2>"$SCRATCH/h.err"
ok a_hook_can_refuse_the_merge is "$?" 3
ok its_words_are_shown has "$SCRATCH/h.err" "not on fridays"
ok nothing_was_merged is "$(cat add.txt)" wrong
sed -i '/before_merge/d' "$CODEX_HOME/cadre.toml"
"$CADRE" resume --json >"$SCRATCH/h2.out" 2>"$SCRATCH/h2.err"
ok resume_merges_when_the_hook_agrees is "$?:$(cat add.txt)" "0:right"

make_repo "$SCRATCH/b"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt") +
  [rule({role: "implementer", task: "T2", turn: 0}; [sh("test -f '"$HOME"'/mended && echo right > mul.txt")]),
   rule({role: "implementer", task: "T2"}; [done_with("did T2")])] + approve + ending)}' "$SCRATCH/b.json"
start_mock "$SCRATCH/b.json"
cd "$SCRATCH/b" || exit 1
"$CADRE" run --json "mend both" >"$SCRATCH/b.out" 2>"$SCRATCH/b.err"
ok a_task_that_never_comes_blocks_the_run is "$?" 1
"$CADRE" retry T1 >"$SCRATCH/o" 2>&1
ok an_order_can_be_left_for_resume has "$SCRATCH/o" "carried out by"
ok retry_of_a_blocked_task_is_left "$CADRE" retry T2
touch "$HOME/mended"
"$CADRE" resume --json >"$SCRATCH/b2.out" 2>"$SCRATCH/b2.err"
ok resume_carries_the_order_out is "$?:$(cat mul.txt)" "0:right"
ok an_order_that_makes_no_sense_is_said has "$SCRATCH/b2.err" "only a blocked or dropped task"

# --- drop while it is worked on, stop ------------------------------------------------------------------------------------
make_repo "$SCRATCH/d"
script '{rules: (explorer + plan(two_tasks) + work("T1"; "echo right > add.txt; echo right > mul.txt") +
  [rule({role: "implementer", task: "T2", turn: 0}; [sh("sleep 60")])] + approve + ending)}' "$SCRATCH/d.json"
sed -i 's/files: `add.txt`/files: `add.txt`, `mul.txt`/; s/files: `mul.txt`\\n/files: `CHANGELOG.md`\\n/' "$SCRATCH/d.json"
sed -i 's/accept: `make [a-z]*`/accept: done/g' "$SCRATCH/d.json"
start_mock "$SCRATCH/d.json"
cd "$SCRATCH/d" || exit 1
printf 'check:\n\t@test "$$(cat add.txt)" = right\n' >Makefile && git commit -qam "One check"
"$CADRE" run --json "mend both" >"$SCRATCH/d.out" 2>"$SCRATCH/d.err" &
pid=$!
wait_for "$SCRATCH/d.out" 'sleep 60' >/dev/null
ok drop_is_taken "$CADRE" drop T2
wait "$pid"
ok a_run_ends_without_the_dropped_task is "$?" 0
ok the_dropped_tasks_command_is_gone is "$(pgrep -f 'sleep 6[0]' | wc -l)" 0

git reset -q --hard HEAD~1
"$CADRE" run --json "mend both" >"$SCRATCH/s.out" 2>"$SCRATCH/s.err" &
pid=$!
wait_for "$SCRATCH/s.out" 'sleep 60' >/dev/null
ok stop_is_taken "$CADRE" stop
wait "$pid"
ok a_stopped_run_can_be_resumed is "$?" 130
"$CADRE" say T2 hello >"$SCRATCH/o" 2>&1
ok a_stopped_run_does_not_listen is "$?" 2

# --- attach on a terminal, and a client that is killed -------------------------------------------------------------------
"$CADRE" resume --json >"$SCRATCH/a.out" 2>"$SCRATCH/a.err" &
pid=$!
wait_for "$SCRATCH/a.out" 'sleep 60' >/dev/null
"$CADRE" attach --json >/dev/null 2>&1 &
client=$!
sleep 0.2
kill -9 "$client"
wait "$client" 2>/dev/null
if command -v tmux >/dev/null; then
    tmux -L "cadre$$" -f /dev/null new-session -d -x 100 -y 24 "XDG_STATE_HOME=$XDG_STATE_HOME CODEX_HOME=$CODEX_HOME HOME=$HOME '$CADRE' attach; echo left \$?; sleep 5"
    for _ in $(seq 100); do tmux -L "cadre$$" capture-pane -p | grep -q T2 && break; sleep 0.05; done
    tmux -L "cadre$$" send-keys C-c
    for _ in $(seq 100); do tmux -L "cadre$$" capture-pane -p | grep -q "left" && break; sleep 0.05; done
    tmux -L "cadre$$" capture-pane -p >"$SCRATCH/pane"
    tmux -L "cadre$$" kill-server
    ok attach_shows_the_run_on_a_terminal has "$SCRATCH/pane" "detached; run"
    ok ctrl_c_leaves_with_exit_code_0 has "$SCRATCH/pane" "left 0"
else
    skip attach_shows_the_run_on_a_terminal "tmux is not installed"
fi
ok the_run_does_not_mind_lost_clients kill -0 "$pid"
"$CADRE" stop >/dev/null
wait "$pid"
ok and_stops_as_before is "$?" 130
