// Asks a vendor with http2 over a tunnel made by hand: URL CREDENTIAL [SOCKET].
"use strict";

const { createHash } = require("node:crypto");
const http = require("node:http");
const http2 = require("node:http2");
const tls = require("node:tls");

const [base, credential, socketPath] = process.argv.slice(2);
const { hostname } = new URL(base);

function tunnel() {
  const proxy = new URL(process.env.HTTPS_PROXY);
  const login = Buffer.from(`${proxy.username}:${proxy.password}`).toString("base64");
  const to = socketPath
    ? { socketPath }
    : {
        host: proxy.hostname,
        port: proxy.port,
        headers: { "Proxy-Authorization": `Basic ${login}` },
      };
  return new Promise((resolve, reject) => {
    const request = http.request({ ...to, method: "CONNECT", path: `${hostname}:443` });
    request.on("connect", (answer, socket) => {
      if (answer.statusCode === 200) resolve(socket);
      else reject(new Error(`CONNECT was answered with ${answer.statusCode}`));
    });
    request.on("error", reject);
    request.end();
  });
}

function ask(session, headers, body) {
  if (credential) headers.authorization = credential;
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    stream.on("response", (head) => resolve({ head, stream }));
    stream.on("error", reject);
    if (body !== undefined) {
      for (const chunk of body) stream.write(chunk);
      stream.end();
    }
  });
}

async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function main() {
  const socket = await tunnel();
  const secure = tls.connect({ socket, servername: hostname, ALPNProtocols: ["h2"] });
  const session = http2.connect(base, { createConnection: () => secure });
  session.on("error", () => {});

  let { head, stream } = await ask(session, { ":path": "/me" });
  console.log("me", head[":status"], head["x-moat-blocked"] ?? "-");
  await all(stream);
  if (head[":status"] !== 200) return;

  const sent = Array.from({ length: 300 }, () => Buffer.alloc(1000, "x"));
  ({ stream } = await ask(session, { ":method": "POST", ":path": "/upload" }, sent));
  console.log("upload", (await all(stream)).toString());

  const seen = [];
  ({ stream } = await ask(session, { ":path": "/events" }));
  for await (const chunk of stream) {
    seen.push(chunk.toString().trim());
    await all((await ask(session, { ":path": "/next" })).stream);
  }
  console.log("events", ...seen);

  ({ head, stream } = await ask(session, { ":path": "/blob", range: "bytes=1000-200999" }));
  const bytes = await all(stream);
  console.log("range", head[":status"], createHash("sha256").update(bytes).digest("hex"));
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
