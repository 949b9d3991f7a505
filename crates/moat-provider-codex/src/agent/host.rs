//! The person's own Codex: the files of which something is taken over.

use moat_agent::ValueKind::{self, Boolean, Text};
use moat_agent::pick;
use moat_provider_core::{HostContext, HostDir, HostFile, Secret};
use serde_json::{Map, Value};

use super::HostSettings;
use crate::grant::import::CODEX_HOME;

/// What is taken over of `config.toml`: how the person likes to work. Nothing that says where the
/// model is, what is started, what may be done or whom to trust.
const ALLOWED: &[(&str, ValueKind)] = &[
    ("model", Text),
    ("model_reasoning_effort", Text),
    ("model_reasoning_summary", Text),
    ("model_verbosity", Text),
    ("personality", Text),
    ("hide_agent_reasoning", Boolean),
    ("show_raw_agent_reasoning", Boolean),
];
/// What names another vendor's models, or another set of settings.
const ELSEWHERE: [&str; 3] = ["model_provider", "oss_provider", "profile"];

/// What stood in the files. A file that is missing, or is not what it should be, is empty: a broken
/// file of the person's is no reason not to run.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// `config.toml`, as far as it is taken over.
    pub(super) config: Map<String, Value>,
    /// `AGENTS.md`: the person's instructions to every agent.
    pub(super) instructions: Option<String>,
}

pub(super) async fn read(cx: &HostContext, use_of: HostSettings) -> Host {
    if use_of == HostSettings::Ignore {
        return Host::default();
    }
    let config = text(cx, &below("config.toml")).await;
    let config: Value = toml::from_str(&config).unwrap_or_default();
    Host {
        config: preferences(config.as_object()),
        instructions: Some(text(cx, &below("AGENTS.md")).await).filter(|text| !text.is_empty()),
    }
}

/// Takes over what is allowed of settings of the host.
pub(super) fn preferences(config: Option<&Map<String, Value>>) -> Map<String, Value> {
    let Some(config) = config else { return Map::new() };
    let mut preferences = pick(config, ALLOWED);
    if ELSEWHERE.iter().any(|name| config.contains_key(*name)) {
        preferences.retain(|name, _| !name.starts_with("model"));
    }
    preferences
}

/// Names a file in Codex's directory.
fn below(path: &'static str) -> HostFile {
    HostFile::new(format!("codex/{path}"))
        .at(HostDir::Variable(CODEX_HOME), path)
        .at(HostDir::Home, format!(".codex/{path}"))
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
