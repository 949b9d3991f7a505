//! The SDK for Go.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};

use super::{Account, GRANT, LIMITS, ME, REFUSALS, has};
use crate::machine::{tool, tools};

#[tokio::test]
#[ignore = "needs bubblewrap and the SDK for Go; run cargo xtask e2e"]
async fn the_sdk_for_go_works_and_is_limited() {
    let account = Account::granted(LIMITS).await;
    let works = "get true\nrange true\n\
                 pages 3 pages/ä+0 pages/ä+1 pages/ä+2 pages/ä+3 pages/ä+4\n\
                 parts true\nchecked true\npath true\ndeleted true\npresigned 200 200 true\n\
                 item Grüße";
    // Its client of this queue still speaks XML; and a refusal is asked for once, not again and again.
    let service = "service: AccessDenied: this grant is not for the service sqs";
    let head = "head: HeadObject: StatusCode: 403";
    let refusals = [&REFUSALS[..3], &[head, REFUSALS[3], service]].concat();
    let refusals: Vec<_> =
        refusals.iter().map(|refusal| format!("{refusal}: asked once")).collect();
    let refusals: Vec<_> = refusals.iter().map(String::as_str).collect();
    let output = account.does(&[tool("client-aws-go")], &format!("{ME}\n{works}"), &refusals).await;
    assert!(!output.says(" WARN "), "the kit warns of nothing: {output}");
    let calls = account.calls();
    assert!(calls.iter().any(|call| call.is_presigned), "{calls:?}");
    let streamed = |call: &super::Call| call.payload == "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    assert!(calls.iter().any(streamed), "{calls:?}");
    assert!(!has(&calls, "sts", "AssumeRole") && !has(&calls, "sts", "GetSessionToken"));
}

#[tokio::test]
#[ignore = "needs bubblewrap and the SDK for Go; run cargo xtask e2e"]
async fn a_client_goes_on_in_another_session() {
    let account = Account::granted(&[]).await;
    let run = account.machine.moat().arg("run").args(GRANT).args(tools()).arg("--");
    let mut child = run.args([tool("client-aws-go"), "wait".to_owned()]).spawn(Stdio::null());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("first AROA:first"));
    account.amazon.renew();
    account.grant(&[]).await;
    let then = lines.next_line().await.unwrap();
    let ended = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(then.as_deref(), Some("then AROA:renewed"), "{said}");
    assert!(ended.status.success() && !account.calls().is_empty(), "{said}");
}

#[tokio::test]
#[ignore = "needs bubblewrap, curl and the SDK for Go; run cargo xtask e2e"]
async fn the_sdk_for_go_fetches_keys_too() {
    let account = Account::granted(&["--mode", "endpoint"]).await;
    assert_eq!(account.run(GRANT, &[&*tool("client-aws-go"), "who"]).await.text(), ME);
    assert!(has(&account.calls(), "sts", "GetCallerIdentity"));
}

#[tokio::test]
#[ignore = "needs bubblewrap and the SDK for Go; run cargo xtask e2e"]
async fn an_http_client_of_its_own_works() {
    let account = Account::granted(&[]).await;
    assert_eq!(account.run(GRANT, &[&*tool("client-aws-go"), "own"]).await.text(), ME);
    assert!(has(&account.calls(), "sts", "GetCallerIdentity"));
}
