#!/usr/bin/env python3
"""Checks every message that the client sent (the LOG of acp_agent.py) against the schema of ACP: `acp_schema.py SCHEMA LOG`.

Exits 77 when no jsonschema is installed. Prints how many messages of each kind were checked.
"""
import collections
import json
import sys

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is not installed")
    sys.exit(77)

schema = json.load(open(sys.argv[1]))
by_method = collections.defaultdict(dict)
for name, definition in schema["$defs"].items():
    for kind in ("Request", "Response", "Notification"):
        if name.endswith(kind) and "x-method" in definition:
            by_method[definition["x-method"]][kind] = name

asked = {}  # id -> method, of what the agent asked
checked = collections.Counter()
problems = []
for line in open(sys.argv[2]):
    entry = json.loads(line)
    message = entry["message"]
    if entry["direction"] == "agent":
        if "method" in message and "id" in message:
            asked[message["id"]] = message["method"]
        continue
    if message.get("jsonrpc") != "2.0":
        problems.append(f"no JSON-RPC 2.0: {message}")
    if "method" in message:
        kind = "Request" if "id" in message else "Notification"
        method, value = message["method"], message.get("params")
    elif "error" in message:
        kind, method, value = "Error", None, message["error"]
    else:
        kind, method, value = "Response", asked.get(message.get("id")), message.get("result")
    name = "Error" if kind == "Error" else by_method.get(method, {}).get(kind)
    if name is None:
        problems.append(f"no such message in the schema: {kind} of {method}")
        continue
    validator = jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]})
    for error in validator.iter_errors(value):
        problems.append(f"{name}: {error.message}: {json.dumps(value)[:200]}")
    checked[name] += 1

for name, count in sorted(checked.items()):
    print(name, count)
for problem in problems:
    print("WRONG", problem)
sys.exit(1 if problems or not checked else 0)
