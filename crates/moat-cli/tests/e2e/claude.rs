//! Claude Code in the sandbox, with each kind of credential.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use moat_host::SystemClock;
use moat_provider_core::Clock;
use moat_store::{CredentialStore, Expect, FileStore, KeyFile};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::anthropic::{API, Anthropic};
use crate::machine::{GITHUB, Machine, tool};
use crate::program::Output;
use crate::vendor::{Double, OTHER};

/// Makes a machine whose person has granted both credentials.
async fn machine() -> Machine {
    with(&Arc::new(Anthropic::new())).await
}

async fn with(anthropic: &Arc<Anthropic>) -> Machine {
    let machine = Machine::with([anthropic.clone() as Arc<dyn Double>]).await;
    anthropic.grant(&machine).await;
    machine
}

/// Where the client is.
const CLIENT: &str = "npm/node_modules/@anthropic-ai/claude-code-linux-x64";
/// How long the next part of an answer may take, on a machine that does other things as well.
const LIMIT: Duration = Duration::from_secs(60);

/// Returns the variable with which the client is found.
fn path() -> String {
    format!("PATH={}:/usr/local/bin:/usr/bin:/bin", tool(CLIENT))
}

/// Runs `moat claude` with a prompt.
pub(crate) async fn claude(
    machine: &Machine,
    grants: &[&str],
    more: &[&str],
    prompt: &str,
) -> Output {
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

    let refused = resume(&["run-x", "--headless", "--", "hello"]).await;
    assert!(refused.code == Some(125) && refused.says("there is no run run-x"), "{refused}");
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

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn with_both_grants_each_request_has_the_one_that_it_asks_for() {
    let machine = machine().await;
    let both = ["--grant", "claude,anthropic"];
    let prompt =
        "TOOL:curl -sS -H x-api-key:$ANTHROPIC_API_KEY https://api.anthropic.com/v1/models";
    let answered = claude(&machine, &both, &[], prompt).await;
    assert!(answered.says("has_more"), "{answered}");
    let seen: Vec<_> = machine.vendor.seen().into_iter().filter(|seen| seen.host == API).collect();
    let of = |path: &str| {
        let accounts = seen.iter().filter(|seen| seen.path == path).map(|seen| seen.account);
        accounts.collect::<BTreeSet<_>>()
    };
    assert_eq!(of("/v1/messages"), [Some("subscription")].into());
    assert_eq!(of("/v1/models"), [Some("key")].into());
    // The person may turn it round; a key of the sandbox's own is nobody's.
    let before = machine.vendor.asked("subscription");
    let prompt = "TOOL:curl -sS -H x-api-key:sk-ant-api03-mine https://api.anthropic.com/v1/models";
    let answered = claude(&machine, &both, &["--default", "anthropic"], prompt).await;
    assert!(answered.says("it printed") && !answered.says("has_more"), "{answered}");
    assert_eq!(machine.vendor.asked("subscription"), before);
}

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn an_overloaded_service_is_asked_again_and_the_record_shows_it() {
    let anthropic = Arc::new(Anthropic::new());
    let machine = with(&anthropic).await;
    anthropic.overloaded.store(2, Ordering::SeqCst);
    let answered = claude(&machine, &["--grant", "claude"], &[], "hello").await;
    assert!(answered.text().contains("hello from the double"), "{answered}");
    let records = machine.moat().args(["trace", "--json"]).run().await.text();
    let records = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let messages: Vec<_> = records
        .filter(|record| record["url"].as_str().is_some_and(|url| url.contains("/v1/messages")))
        .map(|record| (record["status"].as_u64(), record["grant"].as_str().map(str::to_owned)))
        .collect();
    let grant = Some("claude".to_owned());
    let overloaded = messages.iter().filter(|seen| **seen == (Some(529), grant.clone())).count();
    assert_eq!(overloaded, 2, "{messages:?}");
    assert!(messages.contains(&(Some(200), grant)), "{messages:?}");
    let failed = machine.moat().args(["trace", "--failed"]).run().await;
    assert!(failed.text().contains("529"), "{failed}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn a_long_answer_arrives_part_by_part() {
    const PARTS: usize = 200;
    let anthropic = Arc::new(Anthropic::new());
    let machine = with(&anthropic).await;
    let (client, prompt) = (tool(CLIENT), format!("PARTS:{PARTS}"));
    let mount = format!("{client}:{client}:ro");
    let run = ["run", "--grant", "claude", "--policy", "strict", "-e", &path(), "--mount", &mount];
    let ask = ["--", "claude", "-p", "--verbose", "--output-format", "stream-json"];
    let words = [&run[..], &ask, &["--include-partial-messages", &prompt]].concat();
    let mut child = machine.moat().args(words).spawn(Stdio::null());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = 0;
    anthropic.parts.add_permits(1);
    // The next part is sent after this one was shown: were any held back, nothing would come any
    // more.
    while last < PARTS {
        let line = tokio::time::timeout(LIMIT, lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("nothing comes after part {last}"));
        let line = line.unwrap().unwrap_or_else(|| panic!("the answer ends with part {last}"));
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"]["delta"]["text"] == *format!("part-{} ", last + 1) {
            last += 1;
            anthropic.parts.add_permits(1);
        }
    }
    while lines.next_line().await.unwrap().is_some() {}
    assert!(child.wait().await.unwrap().success());
    assert!(machine.vendor.asked("subscription") > 0, "{:?}", machine.vendor.seen());
}

/// Lets the grant of the subscription expire: nobody waits for that.
async fn age(machine: &Machine) {
    let home = machine.moat_home();
    let store = FileStore::builder(&home).key_source(Arc::new(KeyFile::in_home(&home))).build();
    let stored = store.load(&"claude".parse().unwrap()).await.unwrap();
    let past = SystemClock.now() - Duration::from_secs(3600);
    let aged = stored.credential.renew().expires_at(past).build();
    store.save(&aged, Expect::Generation(stored.generation)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn an_expired_login_starts_nothing_and_says_what_to_do() {
    let anthropic = Arc::new(Anthropic::new());
    let machine = with(&anthropic).await;
    let refused = async || {
        age(&machine).await;
        let before = machine.vendor.seen().len();
        let refused = claude(&machine, &[], &[], "hello").await;
        assert_eq!(refused.code, Some(125), "{refused}");
        assert_eq!(machine.vendor.seen().len(), before, "nobody was asked");
        refused
    };
    let own = refused().await;
    assert!(own.says("claude has expired and cannot be renewed"), "{own}");
    assert!(own.says("moat grant claude"), "{own}");
    // The other credential is not used in its place unless the person says so.
    let answered = claude(&machine, &["--grant", "anthropic"], &[], "hello").await;
    assert!(answered.text().contains("hello from the double"), "{answered}");

    // A login that belongs to the person's own Claude Code.
    let file = machine.moat_home().parent().unwrap().join(".claude/.credentials.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, anthropic.login()).unwrap();
    let granted = machine.moat().args(["grant", "claude", "--source", "import"]).run().await;
    granted.text();
    machine.checked(&granted);
    let answered = claude(&machine, &["--grant", "claude"], &[], "hello").await;
    assert!(answered.text().contains("hello from the double"), "{answered}");
    let copied = refused().await;
    assert!(
        copied.says("a copy of a login that Claude Code refreshes and has expired"),
        "{copied}"
    );
    assert!(copied.says("moat grant claude"), "{copied}");
}

/// Makes a directory with a plugin of one skill, as Claude Code lays it out when it installs one.
fn plugin(directory: &Path) {
    let write = |name: &str, text: String| {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let place = |name: &str| directory.join(name).display().to_string();
    let when = "2026-01-01T00:00:00.000Z";
    let known = json!({"market": {
        "source": {"source": "git", "url": "https://git.test/market.git"},
        "installLocation": place("marketplaces/market"), "lastUpdated": when,
    }});
    write("known_marketplaces.json", known.to_string());
    let market = json!({"name": "market", "owner": {"name": "o"}, "plugins": [
        {"name": "greeter", "source": "./greeter", "description": "Greets"},
    ]});
    write("marketplaces/market/.claude-plugin/marketplace.json", market.to_string());
    let installed = json!({"version": 2, "plugins": {"greeter@market": [{
        "scope": "user", "installPath": place("cache/market/greeter/1.0.0"), "version": "1.0.0",
        "installedAt": when, "lastUpdated": when,
    }]}});
    write("installed_plugins.json", installed.to_string());
    let manifest = json!({"name": "greeter", "version": "1.0.0", "description": "Greets"});
    let skill = format!("---\nname: greet\ndescription: {SKILL}\n---\nSay hello.\n");
    for copy in ["marketplaces/market/greeter", "cache/market/greeter/1.0.0"] {
        write(&format!("{copy}/.claude-plugin/plugin.json"), manifest.to_string());
        write(&format!("{copy}/skills/greet/SKILL.md"), skill.clone());
    }
}

/// What the model is told of the plugin's skill.
const SKILL: &str = "Greets whoever knocks at noon";

#[tokio::test]
#[ignore = "needs bubblewrap and Claude Code; run cargo xtask e2e"]
async fn plugins_of_the_host_are_there_from_the_start_where_they_are_wanted() {
    let machine = machine().await;
    let directory = machine.path("claude/plugins");
    plugin(&directory);
    let own = machine.moat_home().parent().unwrap().join(".claude/settings.json");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::write(own, json!({"enabledPlugins": {"greeter@market": true}}).to_string()).unwrap();
    let seed = ["--plugin-seed", directory.to_str().unwrap()];
    let is_offered = async |more: &[&str]| {
        let before = machine.vendor.bodies(API).len();
        claude(&machine, &["--grant", "claude"], more, "hello").await.text();
        machine.vendor.bodies(API)[before..].iter().any(|body| body.contains(SKILL))
    };
    assert!(is_offered(&seed).await);
    assert!(!is_offered(&[]).await, "nothing of it is there without the flag");
    assert!(!is_offered(&[&seed[..], &["--no-host-settings"]].concat()).await, "it is not enabled");
}
