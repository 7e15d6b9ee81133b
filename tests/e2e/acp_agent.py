#!/usr/bin/env python3
"""A stand-in ACP agent for tests: `acp_agent.py MODE [LOG]`.

MODE `ask` asks its client for everything, also for what must be refused, and reports the answers in its last message;
the other modes misbehave in one way each. LOG gets every message in both directions, for the check against the schema.
"""
import json
import os
import signal
import sys
import time

mode = sys.argv[1]
log = open(sys.argv[2], "a") if len(sys.argv) > 2 else None
SESSION = "s-1"
next_id = 0
backlog = []


def note(direction, message):
    if log:
        log.write(json.dumps({"direction": direction, "message": message}) + "\n")
        log.flush()


def send(message):
    message = {"jsonrpc": "2.0", **message}
    note("agent", message)
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def receive():
    if backlog:
        return backlog.pop(0)
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    message = json.loads(line)
    note("client", message)
    return message


def ask(method, params, session=SESSION):
    """One request to the client; its result, or "error CODE"."""
    global next_id
    next_id += 1
    mine = f"a{next_id}"
    send({"id": mine, "method": method, "params": {"sessionId": session, **params}})
    held = []
    while True:
        message = receive()
        if message.get("id") == mine and "method" not in message:
            break
        held.append(message)
    backlog[:0] = held
    if "error" in message:
        return f"error {message['error']['code']}"
    return message["result"]


def update(name, session=SESSION, **fields):
    send({"method": "session/update", "params": {"sessionId": session, "update": {"sessionUpdate": name, **fields}}})


def say(text, kind="agent_message_chunk", **more):
    update(kind, content={"type": "text", "text": text}, **more)


OPTIONS = [
    {"optionId": "always", "name": "Always", "kind": "allow_always"},
    {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
    {"optionId": "no", "name": "No", "kind": "reject_once"},
]


def permission(kind, path=None, options=OPTIONS):
    tool = {"toolCallId": "p", "title": f"{kind} {path}", "kind": kind}
    if path:
        tool["locations"] = [{"path": path}]
    outcome = ask("session/request_permission", {"toolCall": tool, "options": options})
    return outcome["outcome"].get("optionId", outcome["outcome"]["outcome"])


def read(path, **more):
    answer = ask("fs/read_text_file", {"path": path, **more})
    return answer if isinstance(answer, str) else answer["content"]


def write(path, content="x\n"):
    answer = ask("fs/write_text_file", {"path": path, "content": content})
    return answer if isinstance(answer, str) else "ok"


def terminal(command, **more):
    made = ask("terminal/create", {"command": command, **more})
    if isinstance(made, str):
        return made
    name = {"terminalId": made["terminalId"]}
    code = ask("terminal/wait_for_exit", name)
    out = ask("terminal/output", name)
    ask("terminal/release", name)
    return {"exit": code, "output": out["output"], "truncated": out["truncated"]}


def everything(cwd):
    os.path.lexists(f"{cwd}/link") or os.symlink("/etc/passwd", f"{cwd}/link")
    result = {
        "permission_inside": permission("edit", f"{cwd}/a.txt"),
        "permission_outside": permission("edit", "/etc/passwd"),
        "permission_dotdot": permission("delete", f"{cwd}/../x"),
        "permission_execute": permission("execute"),
        "permission_read": permission("read", "/etc/hostname"),
        "permission_fetch": permission("fetch"),
        "permission_strange": permission("sudo"),
        "permission_no_reject": permission("fetch", options=OPTIONS[:2]),
        "permission_no_options": permission("edit", f"{cwd}/a.txt", options=[]),
        "write": write(f"{cwd}/sub/new.txt", "one\ntwo\nthree\n"),
        "read": read(f"{cwd}/sub/new.txt"),
        "read_part": read(f"{cwd}/sub/new.txt", line=2, limit=1),
        "read_beyond": read(f"{cwd}/sub/new.txt", line=9, limit=9),
        "read_passwd": read("/etc/passwd"),
        "read_dotdot": read(f"{cwd}/../../etc/passwd"),
        "read_relative": read("sub/new.txt"),
        "read_link": read(f"{cwd}/link"),
        "read_missing": read(f"{cwd}/none"),
        "read_folder": read(f"{cwd}/sub"),
        "write_outside": write(f"{cwd}-outside"),
        "write_git": write(f"{cwd}/.git/hooks/pre-commit"),
        "write_link": write(f"{cwd}/link"),
        "wrong_session": ask("fs/read_text_file", {"path": f"{cwd}/sub/new.txt"}, session="s-2"),
        "unknown_method": ask("fs/delete_everything", {}),
        "unknown_terminal_method": ask("terminal/explode", {"terminalId": "term_1"}),
        "unknown_terminal": ask("terminal/output", {"terminalId": "term_99"}),
        "terminal": terminal("echo", args=["a b", "$HOME"], env=[{"name": "X", "value": "y"}]),
        "terminal_shell": terminal("echo $((6 * 7)) $X; exit 3", env=[{"name": "X", "value": "y"}]),
        "terminal_outside": terminal("pwd", cwd="/etc"),
        "terminal_writes_outside": terminal("echo x > /var/tmp/cadre-acp-escape; echo x > \"$HOME/cadre-acp-escape\""),
        "terminal_writes_git": terminal("echo x > .git/escape"),
        "terminal_network": terminal("exec 3<>/dev/tcp/127.0.0.1/1"),
        "terminal_limit": terminal("yes é | head -c 3000000", outputByteLimit=101),
        "terminal_environment": terminal("echo key=$MOCK_KEY."),
    }
    made = ask("terminal/create", {"command": "sleep 98765 & sleep 98765"})
    result["terminal_running"] = "exitStatus" in ask("terminal/output", made)
    ask("terminal/kill", made)
    result["terminal_killed"] = ask("terminal/wait_for_exit", made)
    ask("terminal/release", made)
    result["terminal_released"] = ask("terminal/output", made)
    result["terminals_open"] = [
        isinstance(ask("terminal/create", {"command": "sleep 98765"}), dict) for _ in range(20)
    ].count(True)
    for name in range(1, 60):
        ask("terminal/release", {"terminalId": f"term_{name}"})
    return result


def updates(cwd):
    say("Thinking ", kind="agent_thought_chunk")
    say("hard.", kind="agent_thought_chunk")
    say("ignored", kind="user_message_chunk")
    say("First ", messageId="m1")
    say("message.", messageId="m1")
    say("Second message.", messageId="m2")
    update("plan", entries=[{"content": "step", "priority": "high", "status": "pending"}])
    update("tool_call", toolCallId="t1", title="ls", kind="execute", status="pending", rawInput={"command": "ls -l"})
    update("tool_call_update", toolCallId="t1", status="completed", rawOutput={"exit_code": 0},
           content=[{"type": "content", "content": {"type": "text", "text": "a.txt"}}])
    update("tool_call", toolCallId="t2", title="Edit a.txt", kind="edit",
           content=[{"type": "diff", "path": f"{cwd}/a.txt", "oldText": "a", "newText": "b"}])
    update("tool_call_update", toolCallId="t2", status="failed")
    update("tool_call", toolCallId="t3", title="never ends", kind="search")
    update("plan", entries=[{"content": "step", "priority": "high", "status": "completed"}])
    update("available_commands_update", availableCommands=[])
    update("current_mode_update", currentModeId="x")
    update("usage_update", used=500, size=1000, cost={"amount": 0.25, "currency": "USD"})
    update("agent_message_chunk", content={"type": "image", "data": "", "mimeType": "image/png"})
    update("agent_message_chunk", content=None)
    update("from_the_future", x=1)
    update("agent_message_chunk", session="s-2", content={"type": "text", "text": "of another session"})


def misbehave():
    if mode == "hang":
        while True:
            time.sleep(100)
    if mode == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "fail":
        print("out of cheese", file=sys.stderr)
        sys.exit(3)
    if mode == "endless_line":
        while True:
            sys.stdout.write("x" * 65536)
    if mode == "garbage":
        while True:
            sys.stdout.write("this is no JSON\n[]\n{}\n7\n\"x\"\n{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":7}\n" * 1000)
            sys.stdout.flush()
    if mode == "flood":
        for n in range(60000):
            update("tool_call", toolCallId=f"f{n}", title="again", kind="read")
        return
    if mode == "wrong_ids":
        for answer in (99, "1", None, -1, 1.5, [], {}):
            send({"id": answer, "result": {"stopReason": "end_turn"}})
            send({"id": answer, "error": {"code": 1, "message": "x"}})


def main():
    request = receive()
    if mode == "die_early":
        print("no configuration", file=sys.stderr)
        sys.exit(2)
    version = 7 if mode == "wrong_version" else 1
    capabilities = {"mcpCapabilities": {"http": mode == "auth"}}
    methods = [{"id": "login", "name": "Log in", "type": "terminal"}, {"id": "key", "name": "Key"}]
    send({"id": request["id"], "result": {"protocolVersion": version, "agentCapabilities": capabilities, "authMethods": methods}})
    cwd = None
    is_signed_in = mode not in ("auth", "auth_refused")
    while True:
        request = receive()
        method, params = request.get("method"), request.get("params", {})
        if method == "authenticate":
            if mode == "auth_refused":
                send({"id": request["id"], "error": {"code": -32603, "message": "Internal error", "data": "KEY is not set"}})
                continue
            is_signed_in = params["methodId"] == "key"
            send({"id": request["id"], "result": {}})
        elif method == "session/new":
            if not is_signed_in:
                send({"id": request["id"], "error": {"code": -32000, "message": "Authentication required"}})
                continue
            cwd = params["cwd"]
            option = {"id": "the-model", "name": "Model", "category": "model", "type": "select", "currentValue": "a", "options": []}
            send({"id": request["id"], "result": {} if mode == "no_session" else {"sessionId": SESSION, "configOptions": [option]}})
        elif method in ("session/set_mode", "session/set_config_option"):
            send({"id": request["id"], "result": {"configOptions": []} if method.endswith("option") else {}})
        elif method == "session/prompt":
            result = {"stopReason": "end_turn"}
            if mode == "ask":
                updates(cwd)
                say(json.dumps(everything(cwd)), messageId="m3")
                result["usage"] = {"inputTokens": 60, "cachedReadTokens": 40, "outputTokens": 10, "totalTokens": 110}
            elif mode in ("work", "spend"):  # mends the file of its task by way of its client
                text = params["prompt"][0]["text"]
                name = "add" if "# Task T1:" in text else "mul"
                say(json.dumps({"status": "done", "summary": write(f"{cwd}/{name}.txt", "right\n")}))
                spent = 100000 if mode == "spend" else 1000
                result["usage"] = {"inputTokens": spent, "outputTokens": 100, "totalTokens": spent + 100}
            elif mode == "chatter":
                say("I am done, I think.")
            elif mode == "refuse":
                result["stopReason"] = "refusal"
            elif mode == "strange_stop":
                result["stopReason"] = "tired"
            else:
                misbehave()
                say("still here")
            send({"id": request["id"], "result": result})


main()
