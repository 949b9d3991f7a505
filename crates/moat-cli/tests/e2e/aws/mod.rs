//! Amazon Web Services: real clients in the sandbox, whose requests are signed anew outside of it.
//!
//! A double takes no request whose signature botocore does not compute as well, byte for byte.

mod cli;
mod double;
mod go;
mod payload;
mod s3;
mod verify;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use self::double::{Amazon, Call, PERSON, SESSION, STS};
use crate::machine::{Machine, tool, tools};
use crate::program::Output;
use crate::vendor::Double;

const ROLE: &str = "arn:aws:iam::123456789012:role/agent";
const GRANT: &[&str] = &["--grant", "aws"];

/// What a grant is limited to.
const LIMITS: &[&str] = &[
    "--service",
    "s3,sts,dynamodb,bedrock",
    "--allow-region",
    "eu-central-1",
    "--bucket",
    "reports",
];

/// What every client does first, and prints.
const ME: &str = "me arn:aws:sts::123456789012:assumed-role/agent/moat-run";

/// What every client is refused, with the name of the error and why.
const REFUSALS: &[&str] = &[
    "assume: AccessDenied: sts:AssumeRole answers with a credential",
    "token: AccessDenied: sts:GetSessionToken answers with a credential",
    "bucket: AccessDenied: this grant is not for this bucket",
    "region: AccessDeniedException: this grant is not for the region us-east-1",
    "service: AccessDeniedException: this grant is not for the service sqs",
];

/// The sources of the programs that run in the sandbox, or beside it.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/aws/programs");

/// Returns the path of one of them.
fn program(name: &str) -> String {
    Path::new(PROGRAMS).canonicalize().unwrap().join(name).display().to_string()
}

/// Returns how a program in Python is started.
fn python(name: &str) -> [String; 2] {
    [tool("python/bin/python"), program(name)]
}

/// A machine whose person has granted a role.
struct Account {
    machine: Machine,
    amazon: Arc<Amazon>,
}

impl Account {
    async fn granted(options: &[&str]) -> Self {
        let amazon = Arc::new(Amazon::new());
        let machine = Machine::with([amazon.clone() as Arc<dyn Double>]).await;
        let account = Self { machine, amazon };
        account.grant(options).await;
        account
    }

    /// Grants the role, also once more.
    async fn grant(&self, options: &[&str]) {
        let words = ["grant", "aws", "--role", ROLE, "--source", "env", "--region", "eu-central-1"];
        let mut grant = self.machine.moat().args(words).args(options);
        for (name, value) in self.amazon.environment() {
            grant = grant.env(name, value);
        }
        let granted = grant.run().await;
        self.machine.checked(&granted);
        assert!(granted.says("assumed-role/agent"), "{granted}");
    }

    /// Runs a command in the sandbox, where the programs are.
    async fn run(&self, flags: &[&str], command: &[impl AsRef<str>]) -> Output {
        let command: Vec<&str> = command.iter().map(AsRef::as_ref).collect();
        self.machine.run(&[flags, &["--mount", &mount()]].concat(), &command).await
    }

    /// Returns what was signed by the role's sessions, where the double has refused nothing.
    fn calls(&self) -> Vec<Call> {
        assert_eq!(self.amazon.take_refused(), Vec::<String>::new(), "signatures were wrong");
        self.amazon.take_calls()
    }

    /// Runs a program that does everything: it must print what works, and be told of the rest why
    /// it does not.
    async fn does(&self, command: &[impl AsRef<str>], works: &str, refusals: &[&str]) -> Output {
        let output = self.run(GRANT, command).await;
        let text = output.text();
        let (refused, done): (Vec<_>, Vec<_>) =
            text.lines().partition(|line| line.starts_with("refused"));
        assert_eq!(done.join("\n"), works, "{output}");
        assert_eq!(refused.len(), refusals.len(), "{output}");
        for (line, words) in refused.iter().zip(refusals) {
            assert!(words.split(": ").all(|words| line.contains(words)), "{words}: {output}");
        }
        output
    }
}

/// Returns the mount of this directory's programs.
fn mount() -> String {
    let programs = Path::new(PROGRAMS).canonicalize().unwrap();
    format!("{0}:{0}:ro", programs.display())
}

fn has(calls: &[Call], service: &str, operation: &str) -> bool {
    calls.iter().any(|call| call.service == service && call.operation == operation)
}

#[tokio::test]
#[ignore = "needs bubblewrap and boto3; run cargo xtask e2e"]
async fn boto3_works_and_is_limited() {
    let account = Account::granted(LIMITS).await;
    let works = "get True\nlist True\nparts True\npresigned 200 True\nitem Grüße\n\
                 events one two three";
    account.does(&python("client_boto3.py"), &format!("{ME}\n{works}"), REFUSALS).await;
    let calls = account.calls();
    assert!(has(&calls, "dynamodb", "GetItem") && has(&calls, "bedrock", "POST"), "{calls:?}");
    assert!(calls.iter().any(|call| call.is_presigned), "{calls:?}");
    let streamed = |call: &Call| call.payload == "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    assert!(calls.iter().any(streamed), "{calls:?}");
    assert!(!has(&calls, "sts", "AssumeRole") && !has(&calls, "sts", "GetSessionToken"));
}

#[tokio::test]
#[ignore = "needs bubblewrap and the SDK for JavaScript; run cargo xtask e2e"]
async fn the_sdk_for_javascript_works_and_is_limited() {
    let account = Account::granted(LIMITS).await;
    let works = "get true\nlist true\nparts true\npresigned 200 true\nitem Grüße\n\
                 events one two three";
    let modules = format!("NODE_PATH={}", tool("npm/node_modules"));
    let command = ["env", &modules, "node", &program("client_aws_sdk.js")];
    account.does(&command, &format!("{ME}\n{works}"), &REFUSALS[..4]).await;
    let calls = account.calls();
    assert!(has(&calls, "dynamodb", "GetItem") && has(&calls, "bedrock", "POST"), "{calls:?}");
    assert!(calls.iter().any(|call| call.is_presigned), "{calls:?}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and the SDK for Rust; run cargo xtask e2e"]
async fn the_sdk_for_rust_works_and_is_limited() {
    let account = Account::granted(LIMITS).await;
    let works = "get true\nlist true\nparts true\npresigned true";
    let command = [tool("rust/debug/client-aws")];
    account.does(&command, &format!("{ME}\n{works}"), &REFUSALS[..3]).await;
    let calls = account.calls();
    assert!(calls.iter().any(|call| call.is_presigned), "{calls:?}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and botocore; run cargo xtask e2e"]
async fn chunks_are_signed_anew_one_by_one() {
    let account = Account::granted(&[]).await;
    let upload = python("client_chunks.py").to_vec();
    let upload = async |more: &[&str]| {
        let more = more.iter().map(|word| (*word).to_owned());
        account.run(GRANT, &upload.iter().cloned().chain(more).collect::<Vec<_>>()).await
    };
    for kind in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"]
    {
        let mut stored = account.amazon.hold();
        stored.go.send(()).unwrap();
        let done = upload(&[kind, "40"]).await.text();
        let (length, hash) = stored.arrived.try_recv().unwrap();
        assert_eq!((length, done), (40 * 128 * 1024, format!("200 {hash}")));
        let calls = account.calls();
        assert!(calls.iter().any(|call| call.payload == kind), "{calls:?}");
    }
    // One chunk that nobody with the run's key has signed, and nothing is stored.
    let broken = upload(&["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "40", "20"]).await;
    assert!(!broken.says("200 "), "{broken}");
    assert!(account.amazon.take_calls().is_empty());
}

/// The most memory that the host's process may ever have taken; what it passes on is a gibibyte.
const MOST_MEMORY: u64 = 64 << 20;

#[tokio::test]
#[ignore = "needs bubblewrap and boto3; run cargo xtask e2e"]
async fn a_gibibyte_streams_through_little_memory() {
    let account = Account::granted(&[]).await;
    let held = account.amazon.hold();
    let run = account.machine.moat().arg("run").args(GRANT).args(tools());
    let upload = run.args(["--mount", &mount(), "--"]).args(python("client_upload.py")).arg("1024");
    let mut child = upload.spawn(Stdio::null());
    let host = child.id().unwrap();
    let (length, hash) = tokio::select! {
        arrived = held.arrived => arrived.unwrap(),
        ended = child.wait() => panic!("it ended before anything was there: {ended:?}"),
    };
    assert_eq!(length, 1 << 30);
    let status = std::fs::read_to_string(format!("/proc/{host}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    let peak: u64 = peak.strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024;
    held.go.send(()).unwrap();
    let ended = child.wait_with_output().await.unwrap();
    let (code, stdout, stderr) = (ended.status.code(), ended.stdout, ended.stderr);
    let output = Output { code, stdout, stderr };
    account.machine.checked(&output);
    assert_eq!(output.text(), hash);
    assert!(peak < MOST_MEMORY, "{peak} bytes");
    let calls = account.calls();
    assert_eq!(calls.last().unwrap().payload, "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
}

#[tokio::test]
#[ignore = "needs bubblewrap, boto3 and curl; run cargo xtask e2e"]
async fn the_endpoint_hands_out_the_sessions_keys() {
    let account = Account::granted(&["--mode", "endpoint"]).await;
    let done = account.run(GRANT, &python("client_endpoint.py")).await.text();
    let refused = "without the token 401\nwithout the token 401";
    let works = format!("keys from container-role\n{ME}\nget all is well\n{refused}");
    assert_eq!(done, works);
    // The other format, for programs that start one to get keys.
    let variables =
        ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
    let aws = tool("python/bin/aws");
    let who = ["sts", "get-caller-identity", "--query", "Arn", "--output", "text"];
    let command = [&["env", "-u", variables[0], "-u", variables[1], &aws], &who[..]].concat();
    assert_eq!(format!("me {}", account.run(GRANT, &command).await.text()), ME);
    let calls = account.calls();
    assert!(has(&calls, "sts", "GetCallerIdentity") && has(&calls, "s3", "PUT"), "{calls:?}");
}

#[tokio::test]
#[ignore = "needs bubblewrap, the AWS command and the SDK for Go; run cargo xtask e2e"]
async fn keys_of_others_are_not_exchanged() {
    let account = Account::granted(&[]).await;
    for aws in [&*tool("python/bin/aws"), cli::VERSION_2] {
        let who = [aws, "sts", "get-caller-identity"];
        refuses_keys_of_others(&account, &who, "credential of its own").await;
    }
    let who = [&*tool("client-aws-go"), "who"];
    refuses_keys_of_others(&account, &who, "credential of its own").await;
}

/// Runs a program that asks who it is with keys that are not the run's. `strict` is what it says of
/// the refusal in a strict run.
async fn refuses_keys_of_others(account: &Account, who: &[&str], strict: &str) {
    let other = ["env", "AWS_ACCESS_KEY_ID=AKIAOTHEROTHEROTHERO", "AWS_SECRET_ACCESS_KEY=made-up"];
    let other = [&other[..], who].concat();
    // Without the grant, and with it: they go on as they are, and AWS does not know them.
    let region = ["env", "AWS_DEFAULT_REGION=eu-central-1", "AWS_REGION=eu-central-1"];
    let without = [&region[..], &other].concat();
    let none = ["--allow", "POST *.amazonaws.com/**"];
    for (flags, command) in [(&none[..], &without), (GRANT, &other)] {
        let refused = account.run(flags, command).await;
        assert!(refused.code != Some(0) && refused.says("InvalidClientTokenId"), "{refused}");
        let told = account.amazon.take_refused();
        assert_eq!(told, [format!("InvalidClientTokenId POST https://{STS}/")]);
    }
    // In a strict run they go nowhere, nor do requests that are signed in the run's name with
    // something else.
    let flags = [GRANT, &["--policy", "strict"]].concat();
    let refused = account.run(&flags, &other).await;
    assert!(refused.code != Some(0) && refused.says(strict), "{refused}");
    let forged = [&["env", "AWS_SECRET_ACCESS_KEY=made-up"][..], who].concat();
    let refused = account.run(GRANT, &forged).await;
    assert!(refused.code != Some(0) && refused.says("signature is not of this run"), "{refused}");
    assert!(account.calls().is_empty());
}

/// Prints what a process in the sandbox can read of keys.
const EVERYTHING: &str = "env; cat ~/.aws/*; cat ~/.aws/moat/* 2>/dev/null; ls -laR /run/moat; \
    cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; find / -xdev -type f -size -200k \
    -not -path '/usr/*' -not -path '/proc/*' -not -path '/sys/*' -exec cat {} + 2>/dev/null";

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn no_keys_are_in_the_sandbox() {
    let account = Account::granted(&[]).await;
    let all = account.run(GRANT, &["sh", "-c", EVERYTHING]).await;
    assert!(all.says("aws_secret_access_key = ") && all.says("AWS_ACCESS_KEY_ID=AKIA"), "{all}");
    assert!(!all.says(PERSON) && !all.says(SESSION), "{all}");
    assert!(all.stdout.len() > 10_000, "much was read");
}

#[tokio::test]
#[ignore = "needs bubblewrap and the SDK for Go; run cargo xtask e2e"]
async fn no_keys_are_in_memory() {
    let look = [&python("memory.py")[..], &[tool("client-aws-go"), "wait".to_owned()]].concat();
    let found = Account::granted(&[]).await.run(GRANT, &look).await;
    let none = "moat-bridge the run's key []\nclient-aws-go the run's key []";
    assert_eq!(found.text(), none);
    // What a program has that fetches them is found.
    let found = Account::granted(&["--mode", "endpoint"]).await.run(GRANT, &look).await;
    assert!(found.text().ends_with(&format!("client-aws-go no key [b'{SESSION}']")), "{found}");
}

#[tokio::test]
#[ignore = "needs bubblewrap, boto3 and curl; run cargo xtask e2e"]
async fn there_are_no_keys_of_the_machine() {
    let account = Account::granted(&[]).await;
    let found = account.run(GRANT, &python("client_metadata.py")).await;
    assert_eq!(found.text(), "keys None");
    let ask = "curl -sS -i --noproxy '' http://169.254.169.254/latest/meta-data/; \
               curl -sS --noproxy '*' --max-time 5 http://169.254.169.254/latest/meta-data/ || echo none";
    let refused = account.run(GRANT, &["sh", "-c", ask]).await;
    assert!(refused.says("metadata-address") && refused.text().ends_with("none"), "{refused}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and curl; run cargo xtask e2e"]
async fn curl_signs_too() {
    let account = Account::granted(&[]).await;
    let done = account.run(GRANT, &["sh", &program("client_curl.sh")]).await;
    let works = "put 200\nget all is well 200\nencoded 200\nget encoded all is well 200\nlist 1\n\
                 plus 200\nitem {} 200\nevents 1\ntwice 1";
    assert_eq!(done.text(), works, "{:?}", account.amazon.take_refused());
    assert_eq!(account.calls().len(), 9);
}
