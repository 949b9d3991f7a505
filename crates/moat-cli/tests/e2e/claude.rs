//! Claude Code in the sandbox, with each kind of credential.

use std::sync::Arc;

use serde_json::Value;

use crate::anthropic::{API, Anthropic};
use crate::machine::{GITHUB, Machine, tool};
use crate::program::Output;
use crate::vendor::{Double, OTHER};

/// Makes a machine whose person has granted both credentials.
async fn machine() -> Machine {
    let anthropic = Arc::new(Anthropic::new());
    let machine = Machine::with([anthropic.clone() as Arc<dyn Double>]).await;
    anthropic.grant(&machine).await;
    machine
}

/// Returns the variable with which the client is found.
fn path() -> String {
    let client = tool("npm/node_modules/@anthropic-ai/claude-code-linux-x64");
    format!("PATH={client}:/usr/local/bin:/usr/bin:/bin")
}

/// Runs `moat claude` with a prompt.
async fn claude(machine: &Machine, grants: &[&str], more: &[&str], prompt: &str) -> Output {
    let path = path();
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
}

/// Returns the runs, the latest first.
async fn runs(machine: &Machine) -> Vec<Value> {
    let runs = machine.moat().args(["runs", "--json"]).run().await.text();
    let runs: Value = serde_json::from_str(&runs).unwrap();
    runs["runs"].as_array().unwrap().clone()
}

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn a_run_is_resumed_with_its_conversation_grants_and_flags() {
    let machine = machine().await;
    claude(&machine, &["--grant", "anthropic"], &[], "remember the word porcupine").await.text();
    let first = runs(&machine).await[0].clone();
    claude(&machine, &["--grant", "claude"], &[], "remember the word walrus").await.text();
    let (run, session) = (first["id"].as_str().unwrap(), first["session"].as_str().unwrap());
    let said = |word: &str| {
        let bodies = machine.vendor.bodies(API);
        bodies.into_iter().rev().find(|body| body.contains(word)).unwrap_or_default()
    };
    assert!(said("porcupine").contains(session), "the client has the id that we chose");

    let by_key = machine.vendor.asked("key");
    let path = path();
    let resume = async |words: &[&str]| {
        let resumed = machine.moat().args([&["resume", "-e", &path], words].concat()).run().await;
        machine.checked(&resumed);
        resumed
    };
    resume(&[run, "--headless", "--", "which", "word"]).await.text();
    let body = said("which word");
    assert!(body.contains("porcupine") && !body.contains("walrus"), "{body}");
    assert!(machine.vendor.asked("key") > by_key, "the grant is that of the run");
    let resumed = &runs(&machine).await[0];
    assert_eq!(resumed["grants"], first["grants"]);
    assert_ne!(resumed["session"], first["session"]);
    // The latest of the workspace, in whose requests the id of its own stands.
    resume(&["--headless", "--", "and", "again"]).await.text();
    let body = said("and again");
    assert!(body.contains("porcupine") && body.contains("which word"), "{body}");
    // The policy of the first run holds: a host that has no grant is out of reach.
    let blocked = resume(&["--headless", "--", "TOOL:curl -sS https://elsewhere.test/"]).await;
    assert!(blocked.says("403") && !blocked.says("authorization:"), "{blocked}");
    assert!(machine.vendor.bodies(OTHER).is_empty(), "{blocked}");

    let refused = resume(&["run-0", "--headless", "--", "hello"]).await;
    assert!(refused.code == Some(125) && refused.says("there is no run run-0"), "{refused}");
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
