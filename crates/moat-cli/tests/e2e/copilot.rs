//! Copilot CLI in the sandbox, on the grant of GitHub's.

pub(crate) mod api;

use std::sync::Arc;

use self::api::API;
use crate::agents::Agent;
use crate::github::{API as GITHUB_API, LOGIN};
use crate::machine::Machine;
use crate::mcp::Notes;
use crate::vendor::Double;

fn copilot() -> Agent {
    Agent::new("copilot", &["@github/copilot-linux-x64"])
}

#[tokio::test]
#[ignore = "needs bubblewrap and Copilot CLI; run cargo xtask e2e"]
async fn the_grant_answers_a_prompt_and_nothing_else_does() {
    let machine = Machine::granted().await;
    let answered = copilot().run(&machine, &[], "--help me").await;
    assert!(answered.text().contains("hello from the double"), "{answered}");
    let seen = machine.vendor.seen().into_iter().filter(|seen| seen.host == API);
    let (known, strangers): (Vec<_>, Vec<_>) = seen.partition(|seen| seen.account == Some(LOGIN));
    assert!(known.iter().any(|seen| seen.path == "/chat/completions"), "{known:?}");
    assert!(strangers.is_empty(), "nothing arrived without a credential: {strangers:?}");

    let variables = ["COPILOT_GITHUB_TOKEN=github_pat_made_up"];
    let command = ["copilot", "--no-auto-update", "--prompt=hello"];
    let refused = copilot().stranger(&machine, GITHUB_API, &variables, &command).await;
    assert_ne!(refused.code, Some(0), "{refused}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Copilot CLI; run cargo xtask e2e"]
async fn its_tools_and_servers_work_and_find_no_secret() {
    let machine = Machine::granted().await;
    let looked = copilot().look_around(&machine, &[]).await;
    assert!(looked.contains("COPILOT_GITHUB_TOKEN=github_pat_"));
    copilot().use_server(&machine, &[]).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Copilot CLI; run cargo xtask e2e"]
async fn a_service_gets_its_credential_on_its_own_host() {
    let notes = Arc::new(Notes::new());
    let machine = Machine::with([notes.clone() as Arc<dyn Double>]).await;
    copilot().use_service(&machine, &notes, &[]).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Copilot CLI; run cargo xtask e2e"]
async fn a_conversation_goes_on_in_the_next_run() {
    let machine = Machine::granted().await;
    copilot().converse(&machine, &[], |machine| machine.vendor.bodies(API)).await;
    copilot().resume(&machine, &[], |machine| machine.vendor.bodies(API)).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Copilot CLI; run cargo xtask e2e"]
async fn a_token_that_was_revoked_says_what_to_do() {
    let machine = Machine::granted().await;
    machine.vendor.revoke_all();
    let refused = copilot().run(&machine, &[], "hello").await;
    assert_ne!(refused.code, Some(0), "{refused}");
    assert!(refused.says("moat grant github"), "{refused}");
}
