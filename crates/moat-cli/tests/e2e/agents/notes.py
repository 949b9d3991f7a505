"""An MCP server on standard streams. Its one tool says what the server's environment holds."""

import json
import os
import sys

TOOL = {"name": "note", "description": "Reads the note", "inputSchema": {"type": "object"}}

for line in sys.stdin:
    call = json.loads(line)
    if "id" not in call:
        continue
    if call["method"] == "initialize":
        version = call["params"]["protocolVersion"]
        about = {"name": "notes", "version": "1"}
        said = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}
    elif call["method"] == "tools/list":
        said = {"tools": [TOOL]}
    elif call["method"] == "tools/call":
        said = {"content": [{"type": "text", "text": "the note says " + os.environ["NOTE"]}]}
    else:
        said = {}
    print(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": said}), flush=True)
