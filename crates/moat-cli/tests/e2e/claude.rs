//! Claude Code in the sandbox, with each kind of credential.

use std::sync::Arc;

use crate::anthropic::{API, Anthropic};
use crate::machine::{GITHUB, Machine, tool};
use crate::program::Output;
use crate::vendor::Double;

/// Makes a machine whose person has granted both credentials.
async fn machine() -> Machine {
    let anthropic = Arc::new(Anthropic::new());
    let machine = Machine::with([anthropic.clone() as Arc<dyn Double>]).await;
    anthropic.grant(&machine).await;
    machine
}

/// Runs `moat claude` with a prompt.
async fn claude(machine: &Machine, grants: &[&str], more: &[&str], prompt: &str) -> Output {
    let client = tool("npm/node_modules/@anthropic-ai/claude-code-linux-x64");
    let path = format!("PATH={client}:/usr/local/bin:/usr/bin:/bin");
    let flags =
        [&["claude", "--headless", "--policy", "strict", "-e", &path], grants, more].concat();
    let output = machine.agent(&flags, prompt).await;
    machine.checked(&output);
    output
}

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn each_credential_answers_a_prompt_and_nothing_else_does() {
    let machine = machine().await;
    for (grant, who) in [("claude", "subscription"), ("anthropic", "key")] {
        let before = machine.vendor.asked(who);
        let answered = claude(&machine, &["--grant", grant], &[], "hello").await;
        assert!(answered.text().contains("hello from the double"), "{answered}");
        assert!(machine.vendor.asked(who) > before, "{:?}", machine.vendor.seen());
    }
    let seen = machine.vendor.seen().into_iter().filter(|seen| seen.host == API);
    let (known, strangers): (Vec<_>, Vec<_>) = seen.partition(|seen| seen.account.is_some());
    assert!(known.iter().any(|seen| seen.path == "/v1/messages"), "{known:?}");
    assert!(strangers.is_empty(), "nothing arrived without a credential: {strangers:?}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn a_tool_of_the_agent_is_logged_in_and_finds_no_token() {
    let machine = machine().await;
    let grants = [GITHUB, &["--grant", "claude"]].concat();
    let prompt = "TOOL:gh api user --jq .login; curl -sS https://api.github.com/echo; \
                  cat ~/.claude/.credentials.json ~/.claude.json; env";
    let answered = claude(&machine, &grants, &[], prompt).await;
    assert!(answered.says("octocat") && answered.says("you sent Bearer ghp_"), "{answered}");
    assert!(answered.says("accessToken"), "the files of the client were read: {answered}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn a_conversation_goes_on_in_the_next_run() {
    let machine = machine().await;
    let claude_grant = ["--grant", "claude"];
    claude(&machine, &claude_grant, &[], "remember the word porcupine").await.text();
    claude(&machine, &claude_grant, &["--continue"], "which word").await.text();
    let bodies = machine.vendor.bodies(API);
    let last = bodies.iter().rev().find(|body| body.contains("which word")).unwrap();
    assert!(last.contains("porcupine"), "the earlier messages are sent along: {last}");
    let runs = machine.moat().args(["runs", "--json"]).run().await.text();
    assert!(runs.contains("claude"), "{runs}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn a_token_that_was_revoked_says_what_to_do() {
    let machine = machine().await;
    machine.vendor.revoke_all();
    let refused = claude(&machine, &["--grant", "claude"], &[], "hello").await;
    assert_ne!(refused.code, Some(0), "{refused}");
    assert!(refused.says("moat grant claude"), "{refused}");
}
