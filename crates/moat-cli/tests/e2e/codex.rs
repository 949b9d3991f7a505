//! Codex in the sandbox, with each kind of credential.

use std::sync::Arc;

use crate::machine::{GITHUB, Machine, tool};
use crate::mcp::{self, Notes, READER};
use crate::openai::{API, CHATGPT, LOGIN, Offer, OpenAi};
use crate::program::Output;
use crate::vendor::{Double, Seen};

const KEY: &[&str] = &["--grant", "openai"];
const ACCOUNT: &[&str] = &["--grant", "codex"];

/// Makes a machine whose person has a key, and an access token of a ChatGPT account.
async fn machine(offer: Offer) -> (Machine, Arc<OpenAi>) {
    let openai = Arc::new(OpenAi::new(offer));
    let machine = Machine::with([openai.clone() as Arc<dyn Double>]).await;
    openai.grant(&machine).await;
    (machine, openai)
}

/// Logs in with a code, in the place of the access token.
async fn log_in(machine: &Machine) {
    let granted = machine.moat().args(["grant", "codex", "--source", "device"]).run().await;
    machine.checked(&granted);
    granted.text();
    assert!(granted.says("enter the code AB12-CD34"), "{granted}");
}

/// Returns the variable with which the sandbox finds the program.
fn path() -> String {
    let vendor = "npm/node_modules/@openai/codex/vendor/x86_64-unknown-linux-musl/bin";
    format!("PATH={}:/usr/local/bin:/usr/bin:/bin", tool(vendor))
}

/// Runs `moat codex` with a prompt. The workspace is no repository.
async fn codex(machine: &Machine, grants: &[&str], more: &[&str], prompt: &str) -> Output {
    let path = path();
    let flags =
        [&["codex", "--headless", "--policy", "strict", "-e", &path], grants, more].concat();
    let output = machine.agent(&flags, prompt).await;
    machine.checked(&output);
    output
}

fn is_of_openai(seen: &Seen) -> bool {
    [API, CHATGPT].contains(&&*seen.host)
}

/// Returns the requests to the model; those without a body came by WebSocket.
fn questions(machine: &Machine) -> Vec<Seen> {
    let seen = machine.vendor.seen().into_iter();
    seen.filter(|seen| is_of_openai(seen) && seen.path.ends_with("/responses")).collect()
}

#[tokio::test]
#[ignore = "needs bubblewrap and Codex; run cargo xtask e2e"]
async fn each_credential_answers_a_prompt_and_nothing_else_does() {
    let (machine, _) = machine(Offer::WebSocket).await;
    for (grants, who) in [(KEY, "key"), (ACCOUNT, "access token"), (ACCOUNT, "login")] {
        if who == "login" {
            log_in(&machine).await;
        }
        let before = machine.vendor.asked(who);
        let answered = codex(&machine, grants, &[], "--help me").await;
        assert!(answered.text().contains("hello from the double"), "{answered}");
        assert!(machine.vendor.asked(who) > before, "{:?}", machine.vendor.seen());
        let last = questions(&machine).pop().unwrap();
        assert!(last.account == Some(who) && last.body.is_empty(), "by WebSocket: {last:?}");
    }
    let (known, strangers): (Vec<_>, Vec<_>) = machine
        .vendor
        .seen()
        .into_iter()
        .filter(is_of_openai)
        .partition(|seen| seen.account.is_some());
    assert!(!known.is_empty() && strangers.is_empty(), "without a credential: {strangers:?}");

    // Without a grant nothing is filled, whatever stands in the environment.
    let path = path();
    let none = ["--allow", "api.openai.com", "-e", &path, "-e", "CODEX_API_KEY=sk-made-up"];
    let ask = ["codex", "exec", "--skip-git-repo-check", "hello"];
    let refused = machine.run(&none, &ask).await;
    assert!(refused.code != Some(0) && refused.says("Incorrect API key"), "{refused}");
    let last = questions(&machine).pop().unwrap();
    assert_eq!((last.account, &*last.authorization), (None, "Bearer sk-made-up"));
}

#[tokio::test]
#[ignore = "needs bubblewrap and Codex; run cargo xtask e2e"]
async fn it_talks_by_http_where_it_has_to() {
    for (offer, flags) in [(Offer::Http, &[][..]), (Offer::WebSocket, &["--no-websocket"])] {
        let (machine, _) = machine(offer).await;
        for (grants, who) in [(KEY, "key"), (ACCOUNT, "access token")] {
            let answered = codex(&machine, grants, flags, "hello").await;
            assert!(answered.text().contains("hello from the double"), "{answered}");
            let asked: Vec<_> =
                questions(&machine).into_iter().filter(|seen| seen.account == Some(who)).collect();
            let by_socket = asked.iter().filter(|seen| seen.body.is_empty()).count();
            let tried = usize::from(offer == Offer::Http);
            assert_eq!((by_socket, asked.len()), (tried, tried + 1), "{asked:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap and Codex; run cargo xtask e2e"]
async fn a_tool_of_the_agent_is_logged_in_and_finds_no_token() {
    let (machine, _) = machine(Offer::WebSocket).await;
    for own in [KEY, ACCOUNT] {
        let grants = [GITHUB, own].concat();
        let prompt = "TOOL:gh api user --jq .login; curl -sS https://api.github.com/echo; \
                      cat ~/.codex/auth.json ~/.codex/config.toml; find ~/.codex -type f; env";
        let answered = codex(&machine, &grants, &[], prompt).await;
        assert!(answered.says("octocat") && answered.says("you sent Bearer ghp_"), "{answered}");
        assert!(answered.says("auth_mode") && answered.says("HTTPS_PROXY"), "{answered}");
    }
    // A program that is not the agent works with the key as well.
    let list = ["curl", "-sS", "https://api.openai.com/v1/models"];
    let listed = machine.run(&[KEY, &["--policy", "strict"]].concat(), &list).await;
    assert!(listed.text().contains("\"object\":\"list\""), "{listed}");
    let refused = machine.run(&["--allow", "api.openai.com"], &list).await;
    assert!(refused.text().contains("Incorrect API key"), "{refused}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Codex; run cargo xtask e2e"]
async fn tools_of_mcp_servers_are_called() {
    let openai = Arc::new(OpenAi::new(Offer::WebSocket));
    let notes = Arc::new(Notes::new());
    let machine = Machine::with([openai.clone() as Arc<dyn Double>, notes.clone()]).await;
    openai.grant(&machine).await;
    notes.grant(&machine).await;
    let local = include_str!("mcp_server.py");
    std::fs::write(machine.workspace().join("server.py"), local).unwrap();
    let config = format!(
        "{}[mcp.local]\ncommand = \"python3\"\nargs = [\"server.py\", \"gh\", \"api\", \"user\"]\n",
        mcp::described()
    );
    std::fs::write(machine.workspace().join("moat.toml"), config).unwrap();
    let grants = [GITHUB, KEY].concat();
    for (tool, said) in [("notes__recall", "note: porcupine"), ("local__run", "octocat")] {
        let prompt = format!("MCP:mcp__{tool}");
        let answered = codex(&machine, &grants, &["--trust-config"], &prompt).await;
        assert!(answered.says(said), "{answered}");
    }
    assert!(machine.vendor.asked(READER) > 0);
    // A server works with the grants of the run alone.
    let refused = codex(&machine, KEY, &[], "MCP:mcp__local__run").await;
    assert!(refused.says("hello from the double") && !refused.says("octocat"), "{refused}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Codex; run cargo xtask e2e"]
async fn a_conversation_goes_on_in_the_next_run() {
    let (machine, _) = machine(Offer::WebSocket).await;
    let http = ["--no-websocket"];
    codex(&machine, KEY, &http, "remember the word porcupine").await.text();
    codex(&machine, KEY, &["--no-websocket", "--continue"], "which word").await.text();
    let bodies = machine.vendor.bodies(API);
    let last = bodies.iter().rev().find(|body| body.contains("which word")).unwrap();
    assert!(last.contains("porcupine"), "the earlier messages are sent along: {last}");
    // Another one begins anew.
    codex(&machine, KEY, &http, "what else").await.text();
    let bodies = machine.vendor.bodies(API);
    let last = bodies.iter().rev().find(|body| body.contains("what else")).unwrap();
    assert!(!last.contains("porcupine"), "{last}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Codex; run cargo xtask e2e"]
async fn a_credential_that_was_revoked_says_what_to_do() {
    let (machine, _) = machine(Offer::WebSocket).await;
    machine.vendor.revoke_all();
    for (grants, command) in [(KEY, "moat grant openai"), (ACCOUNT, "moat grant codex")] {
        let refused = codex(&machine, grants, &[], "hello").await;
        assert_ne!(refused.code, Some(0), "{refused}");
        assert!(refused.says(command), "{refused}");
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap and Codex; run cargo xtask e2e"]
async fn a_login_of_its_own_is_renewed_outside() {
    let (machine, openai) = machine(Offer::WebSocket).await;
    log_in(&machine).await;
    openai.end_first_login();
    let answered = codex(&machine, ACCOUNT, &[], "hello").await;
    assert!(answered.text().contains("hello from the double"), "{answered}");
    assert!(machine.vendor.asked("renewed login") > 0);
    let renewals = machine.vendor.seen().into_iter().filter(|seen| {
        seen.host == LOGIN && seen.path == "/oauth/token" && seen.body.contains("refresh_token\"")
    });
    assert_eq!(renewals.count(), 1, "one refresh for each generation");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Codex; run cargo xtask e2e"]
async fn nothing_is_done_that_nobody_was_there_to_allow() {
    let (machine, _) = machine(Offer::WebSocket).await;
    // A repository has no say in it.
    let own = "approval_policy = \"never\"\nsandbox_mode = \"danger-full-access\"\n";
    std::fs::create_dir(machine.workspace().join(".codex")).unwrap();
    std::fs::write(machine.workspace().join(".codex/config.toml"), own).unwrap();
    let prompt = "TOOL:touch made; gh api user --jq .login";
    let grants = [GITHUB, KEY].concat();
    let answered = codex(&machine, &grants, &["--ask"], prompt).await;
    assert!(answered.text().contains("hello from the double"), "{answered}");
    assert!(!answered.says("octocat") && !machine.workspace().join("made").exists(), "{answered}");
    let answered = codex(&machine, &grants, &[], prompt).await;
    assert!(answered.says("octocat") && machine.workspace().join("made").exists(), "{answered}");
}
