#!/usr/bin/env python3
"""A small MCP server for tests, on standard input and output: server.py ERA [FILE].

ERA: session (2025-11-25), old (answers with 2025-06-18), stateless (2026-07-28), both, alien (a revision nobody knows),
dies-on-probe and silent-on-probe (as session, but ends at, or says nothing to, a first message that is not initialize),
never (reads and never answers), garbage (only garbage), exits (ends at once with a message). With FILE each start adds a
line to it. Its tools do what their names say."""
import json
import os
import sys

ERA = sys.argv[1]
STATELESS = "2026-07-28"
META = "io.modelcontextprotocol/"
extra_tools = []
early_calls = []

if len(sys.argv) > 2:
    with open(sys.argv[2], "a") as starts:
        starts.write("%d\n" % os.getpid())


def send(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def reply(request, result):
    if ERA == "stateless" or (ERA == "both" and is_stateless(request)):
        result = dict({"resultType": "complete"}, **result)
    send({"jsonrpc": "2.0", "id": request["id"], "result": result})


def refuse(request, code, message, data=None):
    error = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    send({"jsonrpc": "2.0", "id": request["id"], "error": error})


def is_stateless(request):
    meta = request.get("params", {}).get("_meta", {})
    return meta.get(META + "protocolVersion") == STATELESS


def read():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


def ask(method):
    """A request to the client; its answer. Calls that come meanwhile wait."""
    send({"jsonrpc": "2.0", "id": "ask", "method": method, "params": {"message": "?", "requestedSchema": {}}})
    while True:
        message = read()
        if message.get("id") == "ask" and "method" not in message:
            return message.get("result", message.get("error"))
        early_calls.append(message)


def text(value):
    return {"content": [{"type": "text", "text": value}]}


def schema(**properties):
    return {"type": "object", "properties": properties}


TOOLS = {
    "echo": schema(text={"type": "string"}),
    "a b/c": schema(),
    "a_b_c": schema(),
    "write": schema(),
    "env": schema(),
    "pid": schema(),
    "fails": schema(),
    "refuses": schema(),
    "big": schema(),
    "picture": schema(),
    "hang": schema(),
    "progress_then_hang": schema(),
    "die": schema(),
    "flood": schema(),
    "call_flood": schema(),
    "garbage": schema(),
    "wrong_id": schema(),
    "no_result": schema(),
    "huge": schema(),
    "deep": schema(),
    "ask": schema(),
    "sample": schema(),
    "roots": schema(),
    "change": schema(),
}


def list_tools():
    tools = [{"name": name, "description": "Tool " + name, "inputSchema": s} for name, s in TOOLS.items()]
    for tool in tools:
        if tool["name"] == "write":
            tool["annotations"] = {"readOnlyHint": False}
    return tools + extra_tools


def call(request):
    params = request["params"]
    name = params["name"]
    if name == "echo":
        reply(request, text(params["arguments"].get("text", "")))
    elif name == "env":
        reply(request, text("\n".join(sorted(os.environ))))
    elif name == "pid":
        reply(request, text(str(os.getpid())))
    elif name == "fails":
        reply(request, dict(text("it went wrong"), isError=True))
    elif name == "refuses":
        refuse(request, -32000, "not today")
    elif name == "big":
        reply(request, text("x" * 1000000))
    elif name == "picture":
        reply(request, {"content": [{"type": "image", "mimeType": "image/png", "data": "aGk="}]})
    elif name == "hang":
        pass
    elif name == "progress_then_hang":
        send({"jsonrpc": "2.0", "method": "notifications/progress",
              "params": {"progressToken": params["_meta"]["progressToken"], "progress": 3, "total": 10, "message": "digging"}})
    elif name == "die":
        sys.stderr.write("out of luck\n")
        sys.stderr.flush()
        os._exit(3)
    elif name == "flood":
        while True:
            sys.stdout.write('{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"%s"}}\n' % ("y" * 60000))
    elif name == "call_flood":
        for i in range(100000):
            sys.stdout.write('{"jsonrpc":"2.0","id":%d,"method":"roots/list"}\n' % i)
        sys.stdout.flush()
    elif name == "garbage":
        sys.stdout.write('hello\n{"half": \n[1,2]\n"text"\n\xff\xfe\n{"jsonrpc":"2.0","id":{}}\n{"id":99999,"result":{}}\n')
        reply(request, text("after garbage"))
    elif name == "wrong_id":
        send({"jsonrpc": "2.0", "id": request["id"] + 1000, "result": text("not for you")})
        send({"jsonrpc": "2.0", "id": str(request["id"]), "result": text("nor this")})
    elif name == "no_result":
        send({"jsonrpc": "2.0", "id": request["id"], "result": None})
    elif name == "huge":
        sys.stdout.write('{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"' % request["id"])
        for _ in range(40):
            sys.stdout.write("z" * 1000000)
        sys.stdout.write('"}]}}\n')
        sys.stdout.flush()
    elif name == "deep":
        sys.stdout.write('{"jsonrpc":"2.0","id":%d,"result":%s1%s}\n' % (request["id"], '{"a":' * 5000, "}" * 5000))
        sys.stdout.flush()
    elif name in ("ask", "sample", "roots") and is_stateless(request):
        method = {"ask": "elicitation/create", "sample": "sampling/createMessage", "roots": "roots/list"}[name]
        if "inputResponses" in params and params.get("requestState") == "s1":
            reply(request, text(json.dumps(params["inputResponses"]["q"])))
        else:
            send({"jsonrpc": "2.0", "id": request["id"],
                  "result": {"resultType": "input_required", "requestState": "s1",
                             "inputRequests": {"q": {"method": method, "params": {}}}}})
    elif name == "ask":
        reply(request, text(json.dumps(ask("elicitation/create"))))
    elif name == "sample":
        reply(request, text(json.dumps(ask("sampling/createMessage"))))
    elif name == "roots":
        reply(request, text(json.dumps(ask("roots/list"))))
    elif name == "change":
        extra_tools.append({"name": "later", "description": "came later", "inputSchema": schema()})
        send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        reply(request, text("changed"))
    else:
        refuse(request, -32602, "Unknown tool: " + name)


CAPABILITIES = {"tools": {"listChanged": True}, "resources": {}, "prompts": {}}
INFO = {"name": "test-server", "version": "1"}


def answer(request):
    method = request["method"]
    if ERA == "stateless" and not is_stateless(request):
        refuse(request, -32602, "the _meta of the request is missing")
    elif method == "initialize" and ERA != "stateless":
        version = {"old": "2025-06-18", "alien": "1999-01-01"}.get(ERA, "2025-11-25")
        reply(request, {"protocolVersion": version, "capabilities": CAPABILITIES, "serverInfo": INFO})
    elif method == "server/discover" and ERA in ("stateless", "both"):
        reply(request, {"supportedVersions": [STATELESS], "capabilities": CAPABILITIES, "serverInfo": INFO,
                        "ttlMs": 1000, "cacheScope": "public"})
    elif method == "tools/list":
        tools = list_tools()
        at = int(request.get("params", {}).get("cursor", "0"))
        result = {"tools": tools[at:at + 10], "ttlMs": 1000, "cacheScope": "public"}
        if at + 10 < len(tools):
            result["nextCursor"] = str(at + 10)
        reply(request, result)
    elif method == "tools/call":
        call(request)
    elif method == "resources/list":
        reply(request, {"resources": [{"uri": "test://one", "name": "one"}]})
    elif method == "resources/read":
        reply(request, {"contents": [{"uri": request["params"]["uri"], "text": "the content of one"}]})
    elif method == "prompts/list":
        reply(request, {"prompts": [{"name": "greet"}]})
    elif method == "prompts/get":
        reply(request, {"messages": [{"role": "user", "content": {"type": "text", "text": "Greet me."}}]})
    else:
        refuse(request, -32601, "Method not found")


if ERA == "exits":
    sys.stderr.write("cannot open the vault\n")
    sys.exit(7)
first = True
while True:
    if ERA == "garbage":
        sys.stdout.write("not json at all\n")
        sys.stdout.flush()
    message = early_calls.pop(0) if early_calls else read()
    if ERA in ("never", "garbage") or "method" not in message or "id" not in message:
        continue
    if first and message["method"] != "initialize" and ERA in ("dies-on-probe", "silent-on-probe"):
        if ERA == "dies-on-probe":
            sys.exit(1)
        continue
    first = False
    answer(message)
