// Asks a vendor with the fetch that the program itself has: URL CREDENTIAL. Bun, Deno and Node.
import { createHash } from "node:crypto";
import process from "node:process";

const [base, credential] = process.argv.slice(2);
const ask = (path, options = {}) => {
  const headers = { ...options.headers };
  if (credential) headers.authorization = credential;
  return fetch(base + path, { ...options, headers });
};

async function main() {
  let answer = await ask("/me");
  console.log("me", answer.status, answer.headers.get("x-moat-blocked") ?? "-");
  await answer.text();
  if (answer.status !== 200) return;

  let left = 300;
  const sent = new ReadableStream({
    pull(to) {
      if (left-- > 0) to.enqueue(new Uint8Array(1000).fill(120));
      else to.close();
    },
  });
  answer = await ask("/upload", { method: "POST", body: sent, duplex: "half" });
  console.log("upload", await answer.text());

  const seen = [];
  const decoder = new TextDecoder();
  answer = await ask("/events");
  for await (const chunk of answer.body) {
    seen.push(decoder.decode(chunk).trim());
    await (await ask("/next")).text();
  }
  console.log("events", ...seen);

  answer = await ask("/blob", { headers: { range: "bytes=1000-200999" } });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  console.log("range", answer.status, createHash("sha256").update(bytes).digest("hex"));
}

try {
  await main();
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(1);
}
