//! What the rows of all agents have in common: how one is started, and what is asked of it.

use serde_json::Value;

use crate::machine::{GITHUB, Machine, tool};
use crate::mcp::{self, HOST, Notes, READER};
use crate::program::Output;

/// What an agent's tool does inside: it uses a grant, and writes down all that there is to see.
const LOOK: &str = "TOOL:gh api user --jq .login; (curl -sS https://api.github.com/echo; env; \
                    cat /proc/[0-9]*/environ; \
                    find ~ /tmp -name pkg -prune -o -type f -exec cat {} +) > looked";

/// A program that is an agent.
pub(crate) struct Agent {
    /// The subcommand that starts it.
    name: &'static str,
    path: String,
}

impl Agent {
    /// Names an agent, and the directories in which the installed packages have its programs.
    pub(crate) fn new(name: &'static str, directories: &[&str]) -> Self {
        let directory = |path: &&str| tool(&format!("npm/node_modules/{path}"));
        let directories: Vec<_> = directories.iter().map(directory).collect();
        let path = format!("PATH={}:/usr/local/bin:/usr/bin:/bin", directories.join(":"));
        Self { name, path }
    }

    /// Runs it with a prompt under the strict policy, and searches what it printed for secrets.
    pub(crate) async fn run(&self, machine: &Machine, flags: &[&str], prompt: &str) -> Output {
        let always = [self.name, "--headless", "--policy", "strict", "-e", &self.path];
        let output = machine.agent(&[&always, flags].concat(), prompt).await;
        machine.checked(&output);
        output
    }

    /// Runs its program without a grant, where a host is reached nevertheless.
    pub(crate) async fn stranger(
        &self,
        machine: &Machine,
        host: &str,
        variables: &[&str],
        command: &[&str],
    ) -> Output {
        let mut flags = vec!["--allow", host, "-e", &self.path];
        flags.extend(variables.iter().flat_map(|variable| ["-e", variable]));
        // By its own name it would be the agent, with what that one runs on.
        let command = [&["env"], command].concat();
        let refused = machine.run(&flags, &command).await;
        let last = machine.vendor.seen().into_iter().rev().find(|seen| seen.host == host);
        let last = last.unwrap_or_else(|| panic!("{host} was not asked: {refused}"));
        assert_eq!(last.account, None, "{refused}");
        refused
    }

    /// Has a tool use another grant and look at everything in the sandbox, and returns what it saw.
    pub(crate) async fn look_around(&self, machine: &Machine, flags: &[&str]) -> String {
        let answered = self.run(machine, &[GITHUB, flags].concat(), LOOK).await;
        assert!(answered.says("octocat"), "{answered}");
        let looked = std::fs::read(machine.workspace().join("looked")).unwrap();
        for secret in machine.vendor.canaries() {
            assert_eq!(secret.find_in(&looked), None, "{}", self.name);
        }
        let looked = String::from_utf8_lossy(&looked).into_owned();
        assert!(looked.contains("you sent Bearer ghp_") && looked.contains("HTTPS_PROXY="));
        looked
    }

    /// Has it use a tool of a server that the person's configuration names.
    pub(crate) async fn use_server(&self, machine: &Machine, flags: &[&str]) {
        let workspace = machine.workspace();
        std::fs::write(workspace.join("notes.py"), include_str!("agents/notes.py")).unwrap();
        let config = "[mcp.notes]\ncommand = \"python3\"\nargs = [\"notes.py\"]\n\
                      env = { NOTE = \"buy oat milk\" }\n";
        std::fs::write(workspace.join("moat.toml"), config).unwrap();
        let flags = [flags, &["--trust-config"]].concat();
        let answered = self.run(machine, &flags, "USE:note").await;
        assert!(answered.text().contains("the note says buy oat milk"), "{answered}");
        std::fs::remove_file(workspace.join("moat.toml")).unwrap();
    }

    /// Has it use a tool of a service that has a credential of its own, which is granted here.
    pub(crate) async fn use_service(&self, machine: &Machine, notes: &Notes, flags: &[&str]) {
        notes.grant(machine).await;
        let config = machine.workspace().join("moat.toml");
        std::fs::write(&config, mcp::described()).unwrap();
        let prompt = "USE:recall";
        let answered = self.run(machine, &[flags, &["--trust-config"]].concat(), prompt).await;
        assert!(answered.text().contains("note: porcupine"), "{answered}");
        assert!(machine.vendor.asked(READER) >= 3, "{:?}", machine.vendor.seen());
        // Without the grant the service refuses, and the tool is not there.
        let url = format!("[mcp.notes]\nurl = \"https://{HOST}/mcp\"\n");
        std::fs::write(&config, url).unwrap();
        let before = machine.vendor.asked(READER);
        let flags = [flags, &["--trust-config", "--allow", HOST]].concat();
        let refused = self.run(machine, &flags, prompt).await;
        assert!(!refused.says("porcupine"), "{refused}");
        assert_eq!(machine.vendor.asked(READER), before);
        let refusals = machine.vendor.seen().into_iter().filter(|seen| seen.host == HOST);
        assert!(refusals.filter(|seen| seen.account.is_none()).count() > 0, "it refused");
        std::fs::remove_file(config).unwrap();
    }

    /// Begins a conversation and goes on with it, then begins another; `questions` are what the model
    /// was asked.
    pub(crate) async fn converse(
        &self,
        machine: &Machine,
        flags: &[&str],
        questions: impl Fn(&Machine) -> Vec<String>,
    ) {
        let last = |word: &str| questions(machine).into_iter().rfind(|body| body.contains(word));
        self.run(machine, flags, "remember the word porcupine").await.text();
        self.run(machine, &[flags, &["--continue"]].concat(), "which word was it").await.text();
        let asked = last("which word was it").unwrap();
        assert!(asked.contains("porcupine"), "the earlier messages are sent along: {asked}");
        self.run(machine, flags, "something else now").await.text();
        let asked = last("something else now").unwrap();
        assert!(
            !asked.contains("porcupine"),
            "a new conversation has no earlier messages: {asked}"
        );
    }

    /// Goes on with a conversation by the id that the first run kept of it.
    pub(crate) async fn resume(
        &self,
        machine: &Machine,
        flags: &[&str],
        questions: impl Fn(&Machine) -> Vec<String>,
    ) {
        let name = format!("{}_session_id", self.name);
        let ids = || kept(machine, self.name, &name);
        let before = ids();
        self.run(machine, flags, "remember the word aardvark").await.text();
        let id = ids().into_iter().find(|id| !before.contains(id)).unwrap();
        self.run(machine, flags, "something else now").await.text();
        let flags = [flags, &["--resume", &id]].concat();
        self.run(machine, &flags, "which animal was it").await.text();
        let asked = questions(machine).into_iter().rfind(|body| body.contains("which animal"));
        assert!(asked.unwrap().contains("aardvark"), "the earlier messages are sent along");
        assert_eq!(ids().iter().filter(|kept| **kept == id).count(), 2);
    }
}

/// Returns what the runs so far kept under a name of a provider's.
fn kept(machine: &Machine, provider: &str, name: &str) -> Vec<String> {
    let runs = std::fs::read_dir(machine.moat_home().join("runs")).unwrap();
    let read = runs.filter_map(|run| {
        let metadata = std::fs::read(run.unwrap().path().join("metadata.json")).ok()?;
        let metadata: Value = serde_json::from_slice(&metadata).unwrap();
        metadata["provider_meta"][provider][name].as_str().map(str::to_owned)
    });
    read.collect()
}
