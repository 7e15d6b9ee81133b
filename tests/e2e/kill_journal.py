#!/usr/bin/env python3
"""What the journal of a killed run holds, and whether its resume did anything twice.

kill_journal.py snapshot STATE      prints "none", or JSON: the run, its state, the tasks that are finished, the last event
kill_journal.py check STATE SNAP    fails when a task that SNAP calls finished was started again, or merged twice
"""
import glob
import json
import sqlite3
import sys


def journals(state):
    return sorted(glob.glob(state + "/cadre/runs/*/journal.db"))


def snapshot(state):
    for path in journals(state):
        db = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
        try:
            row = db.execute("SELECT id, state FROM run").fetchone()
            if row is None:
                continue
            tasks = {key: json.loads(text) for key, text in db.execute("SELECT key, json FROM record WHERE kind = 'task'")}
            seq = db.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0]
        except sqlite3.OperationalError:
            continue
        finally:
            db.close()
        done = {k: [t["state"], t.get("commit")] for k, t in tasks.items() if t["state"] in ("committed", "merged", "dropped")}
        return {"id": row[0], "state": row[1], "done": done, "seq": seq, "journal": path}
    return None


def check(before):
    db = sqlite3.connect("file:%s?mode=ro" % before["journal"], uri=True)
    events = [(seq, json.loads(text)) for seq, text in db.execute("SELECT seq, json FROM event ORDER BY seq")]
    tasks = {key: json.loads(text) for key, text in db.execute("SELECT key, json FROM record WHERE kind = 'task'")}
    state = db.execute("SELECT state FROM run").fetchone()[0]
    wrong = []
    merged = {}
    for seq, event in events:
        task = event.get("task")
        if event["type"] == "task.started" and seq > before["seq"] and task in before["done"]:
            wrong.append("task %s was %s and is started again" % (task, before["done"][task][0]))
        if event["type"] == "task.merged":
            merged[task] = merged.get(task, 0) + 1
    for task, (_, commit) in before["done"].items():
        if tasks[task].get("commit") != commit:
            wrong.append("the commit of %s changed from %s to %s" % (task, commit, tasks[task].get("commit")))
    wrong += ["task %s is merged %d times" % (t, n) for t, n in merged.items() if n != 1]
    wrong += ["task %s is merged and no event says so" % t for t, r in tasks.items()
              if r["state"] == "merged" and t not in merged]
    if state != "completed":
        wrong.append("the run's state is " + state)
    if [seq for seq, _ in events] != list(range(1, len(events) + 1)):
        wrong.append("the events are not numbered without gaps")
    if [e["type"] for _, e in events].count("run.completed") != 1:
        wrong.append("run.completed is there %d times" % [e["type"] for _, e in events].count("run.completed"))
    return wrong


if sys.argv[1] == "snapshot":
    found = snapshot(sys.argv[2])
    print("none" if found is None else json.dumps(found))
else:
    problems = check(json.load(open(sys.argv[3])))
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
