//! Copilot CLI.

use super::person::CTRL_C;
use super::{Dialogue, ended};
use crate::agents::Agent;
use crate::github::LOGIN;
use crate::machine::Machine;

fn copilot() -> Dialogue {
    Dialogue {
        agent: Agent::new("copilot", &["@github/copilot-linux-x64"]),
        // It loads what a repository brings for it only where the person says so.
        question: Some("Do you trust the files in this folder?"),
        ready: "? help",
        interrupt: (CTRL_C, "cancelled"),
        permission: Some("Do you want to run this command?"),
        leave: "/exit",
        quit: (CTRL_C, "again to exit"),
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap and Copilot CLI; run cargo xtask e2e"]
async fn a_day_with_the_grant() {
    let machine = Machine::granted().await;
    let shown = copilot().day(&machine, &[]).await;
    assert!(machine.vendor.asked(LOGIN) > 0, "{shown}");
    assert!(shown.contains("To go on: moat resume"), "{shown}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Copilot CLI; run cargo xtask e2e"]
async fn a_command_waits_for_the_person() {
    let machine = Machine::granted().await;
    copilot().asked(&machine, &[], "TOOL:gh api user --jq .login").await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Copilot CLI; run cargo xtask e2e"]
async fn a_token_that_was_revoked_starts_nothing_and_says_what_to_do() {
    let machine = Machine::granted().await;
    machine.vendor.revoke_all();
    let shown = ended(&machine, copilot().start(&machine, &[]), 125).await;
    assert!(shown.contains("moat grant github"), "{shown}");
}
