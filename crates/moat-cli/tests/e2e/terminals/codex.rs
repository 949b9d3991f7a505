//! Codex.

use std::sync::Arc;

use super::person::CTRL_C;
use super::{Dialogue, ended};
use crate::agents::Agent;
use crate::machine::Machine;
use crate::openai::{Offer, OpenAi};
use crate::vendor::Double;

fn codex() -> Dialogue {
    Dialogue {
        agent: Agent::new("codex", &["@openai/codex/vendor/x86_64-unknown-linux-musl/bin"]),
        question: None,
        ready: "Ask Codex to do anything",
        interrupt: (CTRL_C, "interrupted"),
        permission: Some("Would you like to run the following command?"),
        leave: "/quit",
        quit: (CTRL_C, ""),
    }
}

/// Makes a machine whose person has a key, and an access token of a ChatGPT account.
async fn machine(offer: Offer) -> Machine {
    let openai = Arc::new(OpenAi::new(offer));
    let machine = Machine::with([openai.clone() as Arc<dyn Double>]).await;
    openai.grant(&machine).await;
    machine
}

#[tokio::test]
#[ignore = "needs bubblewrap and Codex; run cargo xtask e2e"]
async fn a_day_with_each_credential() {
    for (offer, grant, who) in [
        (Offer::WebSocket, "codex", "access token"),
        (Offer::Http, "codex", "access token"),
        (Offer::WebSocket, "openai", "key"),
    ] {
        let machine = machine(offer).await;
        let before = machine.vendor.asked(who);
        let shown = codex().day(&machine, &["--grant", grant]).await;
        assert!(machine.vendor.asked(who) > before, "{shown}");
        assert!(!shown.contains("Any running work continues"), "{shown}");
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap and Codex; run cargo xtask e2e"]
async fn a_command_waits_for_the_person() {
    let machine = machine(Offer::WebSocket).await;
    codex().asked(&machine, &["--grant", "codex"], "ASK:gh api user --jq .login").await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Codex; run cargo xtask e2e"]
async fn whoever_is_killed_leaves_a_terminal_that_works() {
    let machine = machine(Offer::WebSocket).await;
    codex().killed(&machine, &["--grant", "codex"]).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Codex; run cargo xtask e2e"]
async fn a_credential_that_was_revoked_says_what_to_do() {
    let revoked = machine(Offer::WebSocket).await;
    revoked.vendor.revoke_all();
    let mut person = codex().begin(&revoked, &["--grant", "openai"]).await;
    codex().says(&mut person, "hello", "moat grant openai").await;
    codex().end(&revoked, person).await;
    // Without its account it does not get as far as the first prompt. What the command has to say
    // about that comes when the screen is the person's again.
    let person = codex().begin(&revoked, &["--grant", "codex"]).await;
    let shown = ended(&revoked, person, 1).await;
    let (_, end) = shown.split_once("unauthorized (401)").unwrap();
    assert!(end.contains("moat grant codex"), "{shown}");
}
