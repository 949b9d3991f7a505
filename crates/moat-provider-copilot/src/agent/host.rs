//! The person's own Copilot CLI: the files of which something is taken over.

use moat_provider_core::{HostContext, HostDir, HostFile, Secret};
use serde_json::{Map, Value};

use super::HostSettings;

/// The variable that moves Copilot CLI's directory.
const HOME: &str = "COPILOT_HOME";
/// The file with instructions, in Copilot CLI's directory.
pub(super) const INSTRUCTIONS: &str = "copilot-instructions.md";

/// What stood in the files. A file that is missing, or is not what it should be, is empty: a broken
/// file of the person's is no reason not to run.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// `settings.json`; with comments in it, it is passed over.
    pub(super) settings: Map<String, Value>,
    /// The person's instructions to every agent.
    pub(super) instructions: Option<String>,
}

pub(super) async fn read(cx: &HostContext, use_of: HostSettings) -> Host {
    if use_of == HostSettings::Ignore {
        return Host::default();
    }
    let settings = text(cx, "settings.json").await;
    let instructions = text(cx, INSTRUCTIONS).await;
    Host {
        settings: serde_json::from_str(&settings).unwrap_or_default(),
        instructions: Some(instructions).filter(|text| !text.is_empty()),
    }
}

async fn text(cx: &HostContext, path: &'static str) -> String {
    let file = HostFile::new(format!("copilot/{path}"))
        .at(HostDir::Variable(HOME), path)
        .at(HostDir::Home, format!(".copilot/{path}"));
    let read = cx.files().read(&file).await.ok().flatten();
    read.as_ref().map(exposed).unwrap_or_default()
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is taken over is chosen key by key; the instructions are the person's to the agent"
)]
fn exposed(file: &Secret) -> String {
    file.expose().to_owned()
}
