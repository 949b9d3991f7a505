//! Plugins and marketplaces: those that are there already, and which others may be named.

use std::path::Path;

use moat_provider_core::{
    EnvVar, Error, MountAccess, MountConfig, MountSource, Result, RunContext,
};
use serde_json::{Value, json};

use crate::container::DIRECTORY;

/// The longest name or address that is taken over, in bytes.
const MAX_TEXT: usize = 512;

/// Mounts a directory with plugins, and tells Claude Code of it (2.1.197:
/// `CLAUDE_CODE_PLUGIN_SEED_DIR`).
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when the directory is
/// not absolute.
pub(super) fn seed(directory: &Path, run: &RunContext) -> Result<(EnvVar, MountConfig)> {
    if !directory.is_absolute() {
        return Err(Error::invalid("the directory with plugins has no absolute path")
            .with_hint("write its whole path"));
    }
    let source = MountSource::Host(directory.to_owned());
    let target = run.home().join(&format!("{DIRECTORY}/plugin-seed"))?;
    let variable = EnvVar::new("CLAUDE_CODE_PLUGIN_SEED_DIR", target.as_str())?;
    Ok((variable, MountConfig::new(source, target, MountAccess::ReadOnly)))
}

/// Whether a text is `PLUGIN@MARKETPLACE`.
pub(super) fn is_plugin(name: &str) -> bool {
    name.rsplit_once('@').is_some_and(|(plugin, market)| is_word(plugin) && is_word(market))
}

/// Whether a text may name a marketplace.
pub(super) fn is_word(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(allowed)
}

/// Which directories the author of a setting could mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Directories {
    /// Those of the host, which the container does not have.
    OfHost,
    /// Those of the container.
    OfContainer,
}

/// Returns a marketplace with nothing but where it comes from: an address that anybody can read, or
/// a directory of the container. Headers and programs that authenticate stay outside.
///
/// `github` and `git` stay what they are, because an organization's list of allowed ones compares
/// them as they are written.
pub(super) fn marketplace(value: &Value, directories: Directories) -> Option<Value> {
    let source = value.get("source")?.as_object()?;
    let text = |name: &str| source.get(name).and_then(Value::as_str).filter(|text| is_text(text));
    let kind = text("source")?;
    let (name, place) = match kind {
        "github" => ("repo", text("repo").filter(|repo| is_repository(repo))?),
        "git" => ("url", text("url").filter(|url| is_public_url(url))?),
        "directory" if directories == Directories::OfContainer => ("path", text("path")?),
        _ => return None,
    };
    let mut kept = json!({ "source": kind, name: place });
    if kind != "directory" {
        for name in ["ref", "path"] {
            if let Some(value) = text(name) {
                kept[name] = value.into();
            }
        }
    }
    Some(json!({ "source": kept }))
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT && !text.contains(char::is_control)
}

/// Whether a text is `OWNER/NAME`.
fn is_repository(text: &str) -> bool {
    text.split_once('/').is_some_and(|(owner, name)| is_word(owner) && is_word(name))
}

/// Whether a text is an https URL without a user or a query, in which a token may stand.
fn is_public_url(text: &str) -> bool {
    let Ok(url) = text.parse::<http::Uri>() else {
        return false;
    };
    url.scheme_str() == Some("https")
        && url.query().is_none()
        && url.authority().is_some_and(|authority| !authority.as_str().contains('@'))
}
