//! Claude Code.

use std::sync::Arc;

use super::Dialogue;
use super::person::{CTRL_C, CTRL_D};
use crate::agents::Agent;
use crate::anthropic::Anthropic;
use crate::machine::Machine;
use crate::vendor::Double;

fn claude() -> Dialogue {
    Dialogue {
        agent: Agent::new("claude", &["@anthropic-ai/claude-code-linux-x64"]),
        question: None,
        ready: "← for agents",
        interrupt: (CTRL_C, "Interrupted"),
        permission: Some("Do you want to proceed?"),
        leave: "/exit",
        quit: (CTRL_D, "Press Ctrl-D again to exit"),
    }
}

/// Makes a machine whose person has granted both credentials.
async fn machine() -> Machine {
    let anthropic = Arc::new(Anthropic::new());
    let machine = Machine::with([anthropic.clone() as Arc<dyn Double>]).await;
    anthropic.grant(&machine).await;
    machine
}

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn a_day_with_each_credential() {
    let machine = machine().await;
    for (grant, who) in [("claude", "subscription"), ("anthropic", "key")] {
        let before = machine.vendor.asked(who);
        let shown = claude().day(&machine, &["--grant", grant]).await;
        assert!(machine.vendor.asked(who) > before, "{shown}");
        assert!(shown.contains("To go on: moat resume"), "{shown}");
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn a_command_waits_for_the_person() {
    let machine = machine().await;
    let line = "TOOL:gh api user --jq .login";
    claude().asked(&machine, &["--grant", "claude"], line).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn whoever_is_killed_leaves_a_terminal_that_works() {
    let machine = machine().await;
    claude().killed(&machine, &["--grant", "claude"]).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn a_token_that_was_revoked_says_what_to_do() {
    let machine = machine().await;
    machine.vendor.revoke_all();
    let mut person = claude().begin(&machine, &["--grant", "claude"]).await;
    claude().says(&mut person, "hello", "moat grant claude").await;
    claude().end(&machine, person).await;
}
