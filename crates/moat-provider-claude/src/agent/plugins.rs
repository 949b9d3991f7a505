//! Plugins and marketplaces: those that are there already, and which others may be named.

use std::path::{Path, PathBuf};

use moat_provider_core::{
    ContainerPath, EnvVar, Error, MountAccess, MountConfig, MountSource, Result,
};
use serde_json::{Value, json};

/// The longest name or address that is taken over, in bytes.
const MAX_TEXT: usize = 512;

/// How many names lead at least to a directory with plugins: what is nearer to the root, such as a
/// home directory, holds more.
const LEAST_DEPTH: usize = 3;

/// Mounts a directory with plugins, and has Claude Code take it for its own.
///
/// It appears under its own path, because the files in it name each other by that. The directory of
/// `CLAUDE_CODE_PLUGIN_SEED_DIR` would be looked at only after the plugins are loaded, and a home is
/// new in each run (2.1.197).
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](moat_provider_core::ErrorKind::InvalidInput) when the directory is
/// not absolute, or holds more than plugins.
pub(super) fn seed(directory: &Path) -> Result<(EnvVar, MountConfig)> {
    let refused = |why: &str, hint: &str| {
        Err(Error::invalid(format!("the directory with plugins {why}")).with_hint(hint.to_owned()))
    };
    if !directory.is_absolute() {
        return refused("has no absolute path", "write its whole path");
    }
    let plain: PathBuf = directory.components().collect();
    // The root itself is a component, and no name.
    if plain.components().count() <= LEAST_DEPTH {
        return refused(
            "is too near to the root to hold plugins alone",
            "make one of its own: /opt/claude/plugins",
        );
    }
    let Some(text) = plain.to_str() else {
        return refused("has a path that is not UTF-8", "give it another name");
    };
    let target: ContainerPath = text.parse()?;
    let variable = EnvVar::new("CLAUDE_CODE_PLUGIN_CACHE_DIR", target.as_str())?;
    let mount = MountConfig::new(MountSource::Host(plain), target, MountAccess::ReadOnly);
    Ok((variable, mount))
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
