#!/usr/bin/env python3
"""A stand-in for `codex app-server` in tests: `app_server.py MODE LOG app-server ...`; LOG gets what the client sends."""
import json
import os
import signal
import sys
import time

mode, log = sys.argv[1], open(sys.argv[2], "a")
THREAD = "t-1"


def send(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def receive():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    log.write(line)
    log.flush()
    return json.loads(line)


def tell(method, thread=THREAD, **params):
    send({"method": method, "params": {"threadId": thread, "turnId": "u-1", **params}})


def item(kind, phase="completed", thread=THREAD, **fields):
    tell(f"item/{phase}", thread=thread, item={"type": kind, "id": fields.pop("id", kind), **fields})


def usage(tokens):
    counts = {"inputTokens": tokens, "outputTokens": 10, "cachedInputTokens": 5, "reasoningOutputTokens": 0, "totalTokens": 0}
    tell("thread/tokenUsage/updated", tokenUsage={"total": counts, "last": counts})


def say_all():
    item("userMessage", content=[])
    item("reasoning", phase="started", summary=["hm"])
    item("reasoning", summary=["hm", "so"])
    item("commandExecution", phase="started", command="ls", status="inProgress")
    item("commandExecution", command="ls", status="completed", aggregatedOutput="a\n", exitCode=0)
    item("fileChange", changes=[{"path": "a", "kind": {"type": "add"}, "diff": ""}], status="declined")
    item("mcpToolCall", server="s", tool="t", status="completed")
    item("webSearch", query="q")
    item("fromTheFuture", x=1)
    tell("turn/plan/updated", plan=[{"step": "one", "status": "completed"}])
    tell("turn/plan/updated", plan=[{"step": "one", "status": "completed"}, {"step": "two", "status": "pending"}])
    item("agentMessage", id="m1", text="the last word")
    item("agentMessage", id="m2", thread="t-2", text="of another thread")
    tell("turn/completed", thread="t-2", turn={"id": "u-1", "status": "failed"})
    usage(100)
    usage(300)
    send({"id": 7, "method": "item/commandExecution/requestApproval", "params": {"threadId": THREAD, "command": "rm -rf /"}})
    receive()
    send({"id": 8, "method": "item/tool/call", "params": {"threadId": THREAD}})
    receive()


while True:
    request = receive()
    method = request.get("method")
    if method == "initialize":
        if mode == "die_early":
            print("bad config", file=sys.stderr)
            sys.exit(1)
        send({"id": request["id"], "result": {"userAgent": "x"}})
    elif method == "thread/start":
        send({"id": request["id"], "result": {} if mode == "no_thread" else {"thread": {"id": THREAD}}})
    elif method == "turn/start":
        send({"id": request["id"], "result": {"turn": {"id": "u-1", "status": "inProgress"}}})
        status, error = "completed", None
        if mode == "all":
            say_all()
        elif mode == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif mode == "fail":
            status, error = "failed", {"message": "unexpected status 401 Unauthorized"}
        elif mode == "spend":
            usage(1000000)
            status = None  # goes on until it is interrupted
        elif mode == "waiting":
            status = None
            for _ in range(15):
                tell("error", error={"message": "waiting for network"}, willRetry=True)
                time.sleep(0.1)
        if status:
            tell("turn/completed", turn={"id": "u-1", "status": status, "error": error})
    elif method == "turn/interrupt":
        send({"id": request["id"], "result": {}})
        tell("turn/completed", turn={"id": "u-1", "status": "interrupted", "error": None})
