"""An MCP server on standard streams, with one tool: it runs a program, and returns what it printed."""

import json
import subprocess
import sys


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "local", "version": "1"},
        }
    if method == "tools/list":
        schema = {"type": "object", "properties": {}}
        return {"tools": [{"name": "run", "description": "Runs it", "inputSchema": schema}]}
    if method == "tools/call":
        ran = subprocess.run(sys.argv[1:], capture_output=True, text=True)
        return {"content": [{"type": "text", "text": ran.stdout + ran.stderr}]}
    return {}


for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        result = answer(asked["method"], asked.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
