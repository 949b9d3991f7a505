//! OpenCode.

use super::Dialogue;
use super::person::{CTRL_C, ESCAPE};
use crate::agents::Agent;
use crate::gemini::machine;

const GEMINI: &[&str] = &["--grant", "gemini"];

fn opencode() -> Dialogue {
    Dialogue {
        agent: Agent::new("opencode", &["opencode-linux-x64/bin"]),
        question: None,
        ready: "Ask anything",
        interrupt: (ESCAPE, "interrupted"),
        permission: Some("Permission required"),
        leave: "/exit",
        quit: (CTRL_C, ""),
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap and OpenCode; run cargo xtask e2e"]
async fn a_day_with_a_key() {
    let (machine, _) = machine().await;
    let before = machine.vendor.asked("key");
    let shown = opencode().day(&machine, GEMINI).await;
    assert!(machine.vendor.asked("key") > before, "{shown}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and OpenCode; run cargo xtask e2e"]
async fn a_command_waits_for_the_person() {
    let (machine, _) = machine().await;
    // Its own settings allow everything.
    let settings = r#"{"permission": {"bash": "ask"}}"#;
    std::fs::write(machine.workspace().join("opencode.json"), settings).unwrap();
    opencode().asked(&machine, GEMINI, "TOOL:gh api user --jq .login").await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and OpenCode; run cargo xtask e2e"]
async fn a_key_that_was_revoked_says_what_to_do() {
    let (machine, _) = machine().await;
    machine.vendor.revoke_all();
    let mut person = opencode().begin(&machine, GEMINI).await;
    opencode().says(&mut person, "hello", "moat grant gemini").await;
    opencode().end(&machine, person).await;
}
