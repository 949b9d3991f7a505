// Does what programs do with AWS, on the SDK for JavaScript; prints one line for each thing.
"use strict";

const { createHash } = require("node:crypto");
const { Readable } = require("node:stream");
const { BedrockRuntimeClient, InvokeModelWithResponseStreamCommand } =
  require("@aws-sdk/client-bedrock-runtime");
const { DynamoDBClient, GetItemCommand, PutItemCommand } = require("@aws-sdk/client-dynamodb");
const { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } =
  require("@aws-sdk/client-s3");
const { AssumeRoleCommand, GetCallerIdentityCommand, GetSessionTokenCommand, STSClient } =
  require("@aws-sdk/client-sts");
const { Upload } = require("@aws-sdk/lib-storage");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");
const { NodeHttpHandler } = require("@smithy/node-http-handler");
const { HttpsProxyAgent } = require("https-proxy-agent");
const { EnvHttpProxyAgent, fetch } = require("undici");

const Bucket = "reports";
const Key = "2026 ä+(1)!'*~&=/x//y.txt";
const Body = Buffer.from("all is well\n".repeat(1000));
const parts = Buffer.alloc(12_000_000, Buffer.from(Array.from({ length: 251 }, (_, n) => n)));

const sha = (content) => createHash("sha256").update(content).digest("hex");
const httpsAgent = new HttpsProxyAgent(process.env.HTTPS_PROXY);
// Named, because Bedrock's own one speaks HTTP/2 and knows no proxies.
const requestHandler = new NodeHttpHandler({ httpsAgent });
const client = (kind, more = {}) => new kind({ requestHandler, ...more });
const read = async (answer) => Buffer.from(await answer.Body.transformToByteArray());

async function refused(what, call) {
  try {
    await call();
    console.log("allowed", what);
  } catch (error) {
    console.log("refused", what, `${error.$metadata?.httpStatusCode} ${error.name}: ${error.message}`);
  }
}

async function main() {
  const [sts, s3] = [client(STSClient), client(S3Client)];
  const [table, bedrock] = [client(DynamoDBClient), client(BedrockRuntimeClient)];
  console.log("me", (await sts.send(new GetCallerIdentityCommand())).Arn);

  await s3.send(new PutObjectCommand({ Bucket, Key, Body }));
  const got = await read(await s3.send(new GetObjectCommand({ Bucket, Key })));
  console.log("get", sha(got) === sha(Body));
  const listed = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: "2026 ä+" }));
  console.log("list", listed.Contents.length === 1 && listed.Contents[0].Key === Key);
  const stream = Readable.from([parts.subarray(0, 7_000_000), parts.subarray(7_000_000)]);
  await new Upload({ client: s3, params: { Bucket, Key: "parts", Body: stream } }).done();
  const whole = await read(await s3.send(new GetObjectCommand({ Bucket, Key: "parts" })));
  console.log("parts", sha(whole) === sha(parts));
  const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key }));
  const answer = await fetch(url, { dispatcher: new EnvHttpProxyAgent() });
  const bytes = Buffer.from(await answer.arrayBuffer());
  console.log("presigned", answer.status, sha(bytes) === sha(Body));

  const TableName = "t";
  const Item = { id: { S: "7" }, name: { S: "Grüße" } };
  await table.send(new PutItemCommand({ TableName, Item }));
  const item = await table.send(new GetItemCommand({ TableName, Key: { id: Item.id } }));
  console.log("item", item.Item.name.S);

  const invoke = { modelId: "vendor.model-v1:0", body: JSON.stringify({ prompt: "one two three" }) };
  const said = await bedrock.send(new InvokeModelWithResponseStreamCommand(invoke));
  const words = [];
  for await (const event of said.body) {
    words.push(JSON.parse(Buffer.from(event.chunk.bytes).toString()).completion);
  }
  console.log("events", ...words);

  const role = { RoleArn: "arn:aws:iam::123456789012:role/other", RoleSessionName: "session" };
  await refused("assume", () => sts.send(new AssumeRoleCommand(role)));
  await refused("token", () => sts.send(new GetSessionTokenCommand({})));
  await refused("bucket", () => s3.send(new GetObjectCommand({ Bucket: "other", Key })));
  const elsewhere = client(DynamoDBClient, { region: "us-east-1" });
  const asked = new GetItemCommand({ TableName, Key: { id: Item.id } });
  await refused("region", () => elsewhere.send(asked));
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
