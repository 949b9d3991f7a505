// Asks a vendor with fetch and the proxy of the environment: URL CREDENTIAL.
"use strict";

const { createHash } = require("node:crypto");
const { EnvHttpProxyAgent, fetch } = require("undici");

const [base, credential] = process.argv.slice(2);
const dispatcher = new EnvHttpProxyAgent();
const ask = (path, options = {}) => {
  const headers = { ...options.headers };
  if (credential) headers.authorization = credential;
  return fetch(base + path, { ...options, headers, dispatcher });
};

async function main() {
  let answer = await ask("/me");
  console.log("me", answer.status, answer.headers.get("x-moat-blocked") ?? "-");
  await answer.text();
  if (answer.status !== 200) return;

  async function* sent() {
    for (let n = 0; n < 300; n++) yield Buffer.alloc(1000, "x");
  }
  answer = await ask("/upload", { method: "POST", body: sent(), duplex: "half" });
  console.log("upload", await answer.text());

  const seen = [];
  answer = await ask("/events");
  for await (const chunk of answer.body) {
    seen.push(Buffer.from(chunk).toString().trim());
    await (await ask("/next")).text();
  }
  console.log("events", ...seen);

  answer = await ask("/blob", { headers: { range: "bytes=1000-200999" } });
  const bytes = Buffer.from(await answer.arrayBuffer());
  console.log("range", answer.status, createHash("sha256").update(bytes).digest("hex"));
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
