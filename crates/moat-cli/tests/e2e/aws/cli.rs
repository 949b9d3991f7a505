//! The AWS command, versions 1 and 2.

use super::double::{Call, PATHS};
use super::{Account, GRANT, LIMITS, ME, REFUSALS, has, program};
use crate::machine::tool;

/// The command of version 2, which is a package of the system's; the other one stands beside Python.
pub(super) const VERSION_2: &str = "/usr/bin/aws";

/// What both versions print of what works.
const WORKS: &str = "get True\nlist body ä+(1).txt\nparts True\npresigned True\n\
                     stream 447952884 9000000\nitem Grüße";
/// And of folders.
const FOLDERS: &str = "range many parts, 1\nsync 4\n\
                       pages site/deep/ä+1 site/deep/ä+2 site/deep/ä+3 site/deep/ä+4\n\
                       back 3 page 4\nmoved page 4";

/// What is refused in addition.
const FOLDERS_REFUSED: &[&str] = &[
    "copy: AccessDenied: this grant is not for this bucket",
    "machines: AccessDenied: this grant is not for the service ec2",
    // An answer to `HEAD` has no words.
    "head: (403): HeadObject: Forbidden",
];

async fn works_and_is_limited(aws: &str, refusals: &[&str]) {
    let account = Account::granted(LIMITS).await;
    let command = ["sh", &program("client_awscli.sh"), aws];
    account.does(&command, &format!("{ME}\n{WORKS}"), refusals).await;
    let command = ["sh", &program("client_awscli_folders.sh"), aws];
    account.does(&command, FOLDERS, FOLDERS_REFUSED).await;
    let calls = account.calls();
    assert!(calls.iter().any(|call| call.is_presigned), "{calls:?}");
    assert!(!has(&calls, "sts", "AssumeRole") && !has(&calls, "sts", "GetSessionToken"));
}

#[tokio::test]
#[ignore = "needs bubblewrap and the AWS command; run cargo xtask e2e"]
async fn version_1_works_and_is_limited() {
    works_and_is_limited(&tool("python/bin/aws"), REFUSALS).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and the AWS command; run cargo xtask e2e"]
async fn version_2_works_and_is_limited() {
    // Its client of this queue still speaks XML.
    let service = "service: AccessDenied: this grant is not for the service sqs";
    let refusals = [&REFUSALS[..4], &[service]].concat();
    works_and_is_limited(VERSION_2, &refusals).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and the AWS command; run cargo xtask e2e"]
async fn version_2_asks_and_pages_nothing_and_does_not_log_in() {
    let account = Account::granted(&[]).await;
    // A person who is at a terminal.
    let theirs = account.machine.home().join(".aws");
    std::fs::create_dir(&theirs).unwrap();
    let settings = "[default]\ncli_auto_prompt = on\ncli_pager = less\nretry_mode = standard\n";
    std::fs::write(theirs.join("config"), settings).unwrap();
    let me = ME.strip_prefix("me ").unwrap();
    let works = format!(
        "version aws-cli/2.\nconfigured 3 eu-central-1\nexported 1\n\
         shown 123456789012 paged:123456789012\nchecked CRC32 True\nchecked CRC32C True\n\
         checked SHA1 True\nchecked SHA256 True\npath True\nstill {me} 3"
    );
    let refusals = [
        "none: Missing the following required SSO configuration values",
        "login: RegisterClient: a login of IAM Identity Center, which belongs on the host",
        "registry: AccessDeniedException: ecr:GetAuthorizationToken answers with a credential",
        "user: AccessDenied: iam:CreateUser",
        "key: AccessDenied: iam:CreateAccessKey answers with a credential",
    ];
    let command = ["sh", &program("client_awscli_2.sh"), VERSION_2];
    account.does(&command, &works, &refusals).await;
    let calls = account.calls();
    let put = |call: &&Call| call.service == "s3" && call.operation == "PUT";
    let trailers: Vec<_> = calls.iter().filter(put).map(|call| &*call.payload).collect();
    let [trailer, digest] = ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", ""];
    assert_eq!(trailers, [trailer, trailer, trailer, trailer, digest]);
    let seen = account.machine.vendor.seen();
    assert!(seen.iter().any(|seen| seen.host == PATHS), "the bucket stands in the path");
}

#[tokio::test]
#[ignore = "needs bubblewrap, curl and the AWS command; run cargo xtask e2e"]
async fn version_2_fetches_keys_too() {
    let account = Account::granted(&["--mode", "endpoint"]).await;
    let who = [VERSION_2, "sts", "get-caller-identity", "--query", "Arn", "--output", "text"];
    assert_eq!(format!("me {}", account.run(GRANT, &who).await.text()), ME);
    assert!(has(&account.calls(), "sts", "GetCallerIdentity"));
}
