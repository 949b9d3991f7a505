// Speaks WebSocket with ws over a tunnel of an agent's: URL CREDENTIAL.
"use strict";

const http = require("node:http");
const tls = require("node:tls");
const https = require("node:https");
const WebSocket = require("ws");

const [url, credential] = process.argv.slice(2);
const { hostname } = new URL(url);
const proxy = new URL(process.env.HTTPS_PROXY);

class Tunnel extends https.Agent {
  createConnection(options, done) {
    const login = Buffer.from(`${proxy.username}:${proxy.password}`).toString("base64");
    const request = http.request({
      host: proxy.hostname,
      port: proxy.port,
      method: "CONNECT",
      path: `${hostname}:443`,
      headers: { "Proxy-Authorization": `Basic ${login}` },
    });
    request.on("connect", (answer, socket) => {
      if (answer.statusCode === 200) done(null, tls.connect({ socket, servername: hostname }));
      else done(new Error(`CONNECT was answered with ${answer.statusCode}`));
    });
    request.on("error", done);
    request.end();
  }
}

const headers = credential ? { authorization: credential } : {};
const socket = new WebSocket(url, { agent: new Tunnel(), headers });
const messages = ["one", "x".repeat(1000000), Buffer.from("two")];
let greeted = false;
socket.on("message", (data, isBinary) => {
  if (!greeted) {
    greeted = true;
    console.log(data.toString());
  } else {
    console.log(isBinary ? "bytes" : "str", data.length);
  }
  if (messages.length > 0) socket.send(messages.shift());
  else socket.close(1000);
});
socket.on("close", (code) => {
  if (greeted) console.log("closed", code);
});
socket.on("unexpected-response", (_, answer) => {
  console.log("refused", answer.statusCode, answer.headers["x-moat-blocked"] ?? "-");
  process.exit(0);
});
socket.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
