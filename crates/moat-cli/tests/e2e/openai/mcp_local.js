// A server of the Model Context Protocol on standard input and output, with one tool.
const lines = require("node:readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const asked = JSON.parse(line);
  const reply = (result) =>
    process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id: asked.id, result }) + "\n");
  switch (asked.method) {
    case "initialize":
      return reply({
        protocolVersion: asked.params.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "local", version: "1" },
      });
    case "tools/list":
      return reply({
        tools: [
          {
            name: "where",
            description: "where it runs",
            inputSchema: { type: "object", properties: {} },
          },
        ],
      });
    case "tools/call":
      return reply({ content: [{ type: "text", text: `MARK is ${process.env.MARK}` }] });
    default:
      if (asked.id !== undefined) reply({});
  }
});
