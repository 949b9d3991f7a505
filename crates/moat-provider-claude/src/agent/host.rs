//! The person's own Claude Code: the files of which something is taken over.

use moat_provider_core::{HostContext, HostDir, HostFile, Secret};
use serde_json::{Map, Value};

use super::HostSettings;

/// The variable that moves Claude Code's directory.
const CONFIG_DIR: &str = "CLAUDE_CONFIG_DIR";

/// What stood in the files. A file that is missing, or is not what it should be, is empty: a broken
/// file of the person's is no reason not to run.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// `.claude.json`: what Claude Code remembers.
    pub(super) config: Map<String, Value>,
    /// `settings.json`
    pub(super) settings: Map<String, Value>,
    /// `known_marketplaces.json`: where plugins came from.
    pub(super) marketplaces: Map<String, Value>,
    /// `CLAUDE.md`: the person's instructions to every agent.
    pub(super) instructions: Option<String>,
}

pub(super) async fn read(cx: &HostContext, use_of: HostSettings) -> Host {
    if use_of == HostSettings::Ignore {
        return Host::default();
    }
    let config = HostFile::new("claude/.claude.json")
        .at(HostDir::Variable(CONFIG_DIR), ".claude.json")
        .at(HostDir::Home, ".claude.json");
    Host {
        config: object(&text(cx, &config).await),
        settings: object(&text(cx, &below("settings.json")).await),
        marketplaces: object(&text(cx, &below("plugins/known_marketplaces.json")).await),
        instructions: Some(text(cx, &below("CLAUDE.md")).await).filter(|text| !text.is_empty()),
    }
}

/// Names a file in Claude Code's directory.
fn below(path: &'static str) -> HostFile {
    HostFile::new(format!("claude/{path}"))
        .at(HostDir::Variable(CONFIG_DIR), path)
        .at(HostDir::Home, format!(".claude/{path}"))
}

async fn text(cx: &HostContext, file: &HostFile) -> String {
    let read = cx.files().read(file).await.ok().flatten();
    read.as_ref().map(exposed).unwrap_or_default()
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is taken over is chosen key by key; the instructions are the person's to the agent"
)]
fn exposed(file: &Secret) -> String {
    file.expose().to_owned()
}

fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}
