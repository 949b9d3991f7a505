//! `moat.toml`: what a workspace asks for.
//!
//! The file is foreign (laws L17 and the threat model): a repository brings it along, and the
//! sandbox can write it. Reading it changes nothing. What in it would bind a credential, widen the
//! network or give away a part of this machine is a list of [`Ask`]s, which the person agrees to
//! once.

mod asks;
mod consent;
mod fields;
mod file;
mod mcp;

use std::collections::BTreeMap;
use std::path::Path;

use moat_provider_core::{EnvVar, GrantRef};
use moat_proxy::Mode;

pub(crate) use self::asks::Ask;
pub(crate) use self::consent::Consent;
use self::fields::{Fields, Value};
pub(crate) use self::mcp::McpServer;
use crate::args::{HomeChoice, MountSpec, Publish, SandboxChoice};
use crate::error::Result;

/// The name of the file, in the root of the workspace.
pub(crate) const FILE: &str = "moat.toml";

/// What a workspace asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkspaceConfig {
    pub(crate) agent: Option<String>,
    pub(crate) grants: Vec<GrantRef>,
    pub(crate) defaults: Vec<GrantRef>,
    pub(crate) policy: Option<Mode>,
    pub(crate) allow: Vec<String>,
    pub(crate) deny: Vec<String>,
    pub(crate) no_proxy: Vec<String>,
    pub(crate) sandbox: Option<SandboxChoice>,
    pub(crate) home: Option<HomeChoice>,
    pub(crate) mounts: Vec<MountSpec>,
    pub(crate) publish: Vec<Publish>,
    pub(crate) env: Vec<EnvVar>,
    pub(crate) mcp: BTreeMap<String, McpServer>,
    /// The flags of agents, by agent, as they would be typed.
    pub(crate) agents: BTreeMap<String, Vec<String>>,
}

impl WorkspaceConfig {
    /// Reads the file of a workspace; `None` when there is none.
    ///
    /// # Errors
    ///
    /// When the file is no regular one, is too long or makes no sense; with the line and column.
    pub(crate) fn read(workspace: &Path) -> Result<Option<Self>> {
        match file::read(workspace)? {
            Some(text) => Ok(Some(Self::parse(&text)?.located(workspace))),
            None => Ok(None),
        }
    }

    /// Makes the sources of mounts absolute, from the workspace on, and follows their links: what the
    /// person agrees to is what they lead to, and a link that changes is asked about again.
    fn located(mut self, workspace: &Path) -> Self {
        for mount in &mut self.mounts {
            let path = workspace.join(&mount.source);
            // What is not there is refused when it is to be shown.
            mount.source = path.canonicalize().unwrap_or(path);
        }
        self
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// With the line and column of what makes no sense.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut fields = Fields::parse(text)?;
        let config = Self {
            agent: fields.text("agent")?,
            grants: fields.list("grants", Value::parsed)?,
            defaults: fields.list("defaults", Value::parsed)?,
            policy: fields.parsed("policy")?,
            allow: fields.list("allow", |value| value.entry())?,
            deny: fields.list("deny", |value| value.entry())?,
            no_proxy: fields.list("no-proxy", |value| value.text())?,
            sandbox: fields.optional("sandbox", sandbox)?,
            home: fields.parsed("home")?,
            mounts: fields.list("mounts", Value::parsed)?,
            publish: fields.list("publish", Value::number_or_parsed)?,
            env: fields.table("env", variable)?,
            mcp: fields.table("mcp", mcp::server)?.into_iter().collect(),
            agents: fields.table("agents", flags)?.into_iter().collect(),
        };
        fields.finish()?;
        Ok(config)
    }
}

/// A workspace may not switch off what protects from it.
fn sandbox(value: &Value<'_>) -> Result<SandboxChoice> {
    match value.parsed()? {
        SandboxChoice::None => Err(value
            .error("a workspace cannot ask for a run without a sandbox")
            .with_hint("moat run --sandbox none")),
        choice => Ok(choice),
    }
}

/// Reads a variable. Those by which programs find the proxy and its authority are the run's own.
fn variable(name: &str, value: &Value<'_>) -> Result<EnvVar> {
    let upper = name.to_ascii_uppercase();
    if upper.ends_with("_PROXY") || upper.starts_with("MOAT_") || upper.starts_with("LD_") {
        return Err(value.error(format!("{name} cannot be set by a workspace")));
    }
    value.check(EnvVar::new(name, value.text()?))
}

/// Reads the options of an agent as flags, as they would be typed.
fn flags(name: &str, value: &Value<'_>) -> Result<(String, Vec<String>)> {
    let mut flags = Vec::new();
    for (option, value) in value.entries()? {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !option.bytes().all(plain) || option.starts_with('-') || option.is_empty() {
            return Err(value.error(format!("{option:?} is no option")));
        }
        value.as_flags(&option, &mut flags)?;
    }
    Ok((name.to_owned(), flags))
}

#[cfg(test)]
mod tests;
