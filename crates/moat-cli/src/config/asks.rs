//! What in a workspace's file a person has to agree to.

use std::fmt;

use moat_proxy::Mode;

use super::{McpServer, WorkspaceConfig};
use crate::output::clipped;

/// How many characters of a sentence are shown.
const SHOWN: usize = 400;

/// One thing that a workspace asks for: a sentence. It prints escaped and bounded, and says how much
/// is missing; what is remembered of it is the whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ask(String);

impl Ask {
    /// Returns the whole sentence as it is.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&clipped(&self.0, SHOWN))?;
        match self.0.chars().count().checked_sub(SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, " (and {more} characters more)"),
        }
    }
}

impl WorkspaceConfig {
    /// Returns what the person has to agree to, in the order of the file's documentation.
    ///
    /// What only narrows (`policy = "strict"`, `deny`) and what stays within the sandbox (`env`, a
    /// private home) is not among it.
    pub(crate) fn asks(&self) -> Vec<Ask> {
        let mut asks = Vec::new();
        let mut ask = |text: String| asks.push(Ask(text));
        for grant in &self.grants {
            ask(format!("use your credential {grant}"));
        }
        for grant in &self.defaults {
            ask(format!("use {grant} where a request carries no credential"));
        }
        if self.policy == Some(Mode::Permissive) {
            ask("reach every host, because the policy is permissive".to_owned());
        }
        for entry in &self.allow {
            ask(format!("reach {entry}"));
        }
        for host in &self.no_proxy {
            ask(format!("reach {host} without the proxy"));
        }
        for mount in &self.mounts {
            let verb = match mount.access {
                moat_provider_core::MountAccess::ReadOnly => "read",
                _ => "read and write",
            };
            ask(format!("{verb} {} of this machine, as {}", mount.source.display(), mount.target));
        }
        for port in &self.publish {
            ask(format!("be reached at port {} of this machine", port.host));
        }
        for (name, server) in &self.mcp {
            match server {
                McpServer::Local { .. } => {}
                McpServer::Remote { url, grant, .. } => ask(match grant {
                    Some(grant) => {
                        format!("use your credential {grant} at {url}, as the MCP server {name}")
                    }
                    None => format!("reach {url}, as the MCP server {name}"),
                }),
            }
        }
        if let Some(agent) = &self.agent {
            ask(format!("start the agent {agent}"));
        }
        for (agent, flags) in self.agents.iter().filter(|(_, flags)| !flags.is_empty()) {
            ask(format!("start {agent} with {}", words(flags.iter().map(String::as_str))));
        }
        asks
    }

    /// Returns what the person has to agree to besides when there is no sandbox: by a variable such as
    /// `PATH` or `NODE_OPTIONS`, and by a program, the workspace decides what runs on this machine.
    pub(crate) fn asks_without_sandbox(&self) -> Vec<Ask> {
        let mut asks = Vec::new();
        for var in &self.env {
            let assignment = format!("{}={}", var.name(), var.value());
            asks.push(Ask(format!("set {}, without a sandbox", words([&*assignment]))));
        }
        for (name, server) in &self.mcp {
            if let McpServer::Local { command, args, env } = server {
                let set = env.iter().map(|var| format!("{}={}", var.name(), var.value()));
                let all: Vec<_> =
                    set.chain([command.clone()]).chain(args.iter().cloned()).collect();
                let command = words(all.iter().map(String::as_str));
                asks.push(Ask(format!(
                    "start {command} as the MCP server {name}, without a sandbox"
                )));
            }
        }
        asks
    }
}

/// Joins words so that two lists never read alike: what has more than plain characters is quoted.
fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+%".contains(c);
    let quoted =
        words.into_iter().map(|word| match !word.is_empty() && word.chars().all(is_plain) {
            true => word.into(),
            false => shell_words::quote(word),
        });
    quoted.collect::<Vec<_>>().join(" ")
}
