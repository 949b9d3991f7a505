// A host in Node with both versions of HTTP: KEY CERTIFICATE [h2|http/1.1], TOKEN set.
"use strict";

const fs = require("node:fs");
const http2 = require("node:http2");
const https = require("node:https");
const { WebSocketServer } = require("ws");

const [keyPath, certificatePath, only] = process.argv.slice(2);
const [key, cert] = [fs.readFileSync(keyPath), fs.readFileSync(certificatePath)];
const token = `Bearer ${process.env.TOKEN}`;

async function answer(request, response) {
  if (request.headers.authorization !== token) {
    response.writeHead(401);
    response.end();
    return;
  }
  if (request.url === "/hints") {
    response.writeEarlyHints({ link: "</a>; rel=preload" });
  }
  if (request.url === "/push") {
    const allowed = response.stream?.pushAllowed ?? false;
    response.end(`push ${allowed}`);
    return;
  }
  let length = 0;
  for await (const chunk of request) length += chunk.length;
  response.writeHead(200, { trailer: "x-last", "x-echo": token });
  response.write(`${request.method} ${request.url} `);
  response.write(`${length} ${request.trailers?.["x-mine"] ?? "-"}`);
  response.addTrailers({ "x-last": "yes" });
  response.end();
}

const server =
  only === "h2"
    ? http2.createSecureServer({ key, cert, settings: { enableConnectProtocol: true } }, answer)
    : https.createServer({ key, cert }, answer);

const sockets = new WebSocketServer({ noServer: true });
server.on("upgrade", (request, socket, head) => {
  if (request.headers.authorization !== token) {
    socket.end("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  sockets.handleUpgrade(request, socket, head, (client) => {
    client.on("message", (data, isBinary) => client.send(data, { binary: isBinary }));
  });
});

server.listen(0, "127.0.0.1", () => console.log("ready", server.address().port));
