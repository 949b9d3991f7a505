//! The person's gh preferences, without whatever could harm or be secret.

use std::collections::BTreeMap;

use moat_provider_core::{HostDir, HostFile};
use saphyr::{LoadableYamlNode, Yaml};

/// The settings that are taken over, each of which is on or off. Everything else stays out: what
/// names a program of the host (`editor`, `browser`, `pager`), a socket (`http_unix_socket`), or
/// holds a login (`hosts`, `oauth_token`).
///
/// Source: gh 2.x, `internal/config`, `Options`.
pub(crate) const SETTINGS: [&str; 6] = [
    "prompt",
    "prefer_editor_prompt",
    "color_labels",
    "accessible_colors",
    "accessible_prompter",
    "spinner",
];
const VALUES: [&str; 2] = ["enabled", "disabled"];

/// The longest alias that is taken over, in bytes.
const MAX_ALIAS: usize = 1024;
/// What begins GitHub's tokens, and the header that carries others': no such alias is taken over.
const CREDENTIALS: [&str; 7] =
    ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "authorization"];

/// Names gh's configuration file (gh 2.x, `pkg/config`, `ConfigDir`).
pub(crate) fn host_file() -> HostFile {
    HostFile::new("gh/config.yml")
        .at(HostDir::Variable("GH_CONFIG_DIR"), "config.yml")
        .at(HostDir::Config, "gh/config.yml")
}

/// What is taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preferences {
    /// In the order of [`SETTINGS`].
    pub(crate) settings: Vec<(&'static str, &'static str)>,
    /// Aliases that stand for commands of gh.
    pub(crate) aliases: BTreeMap<String, String>,
}

impl Preferences {
    /// Whether nothing is taken over.
    pub(crate) fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.aliases.is_empty()
    }
}

/// Reads a configuration file; `None` when it is not YAML.
pub(crate) fn read(yaml: &str) -> Option<Preferences> {
    let documents = Yaml::load_from_str(yaml).ok()?;
    let file = documents.first()?;
    let settings = SETTINGS.into_iter().filter_map(|name| {
        let value = file.as_mapping_get(name)?.as_str()?;
        let value = VALUES.into_iter().find(|allowed| *allowed == value)?;
        Some((name, value))
    });
    let aliases = file.as_mapping_get("aliases").and_then(Yaml::as_mapping);
    let aliases = aliases.into_iter().flatten().filter_map(|(name, expansion)| {
        let (name, expansion) = (name.as_str()?, expansion.as_str()?.trim());
        (is_alias_name(name) && is_command_of_gh(expansion))
            .then(|| (name.to_owned(), expansion.to_owned()))
    });
    Some(Preferences { settings: settings.collect(), aliases: aliases.collect() })
}

fn is_alias_name(name: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_alphanumeric();
    name.len() <= 64
        && name.bytes().next().is_some_and(first)
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_ ".contains(&byte))
}

/// An alias that begins with `!` is handed to a shell.
fn is_command_of_gh(expansion: &str) -> bool {
    let lower = expansion.to_ascii_lowercase();
    !expansion.is_empty()
        && expansion.len() <= MAX_ALIAS
        && !expansion.starts_with('!')
        && !expansion.contains(char::is_control)
        && !CREDENTIALS.iter().any(|sign| lower.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(yaml: &str) -> Preferences {
        read(yaml).unwrap_or_default()
    }

    #[test]
    fn preferences_survive_and_nothing_else_does() {
        let read = read_one(
            "# mine\ngit_protocol: ssh\neditor: vim -u /home/me/.vimrc\nprompt: disabled\n\
             pager: less\nhttp_unix_socket: /run/me.sock\nbrowser:\nspinner: enabled\n\
             color_labels: maybe\naccessible_colors: null\noauth_token: gho_x\n\
             aliases:\n  co: pr checkout\n  mine mine: issue list --assignee @me\n  sh: '!rm -rf /'\n  \
             spaced: '  !id'\n  auth: \"api -H 'Authorization: token x'\"\n  pat: api -f x=ghp_x\n  \
             lines: \"pr\\nlist\"\n  number: 1\nhosts:\n  github.com:\n    oauth_token: gho_y\n",
        );
        assert_eq!(read.settings, [("prompt", "disabled"), ("spinner", "enabled")]);
        let aliases: Vec<_> = read.aliases.iter().map(|(n, e)| (&**n, &**e)).collect();
        assert_eq!(aliases, [("co", "pr checkout"), ("mine mine", "issue list --assignee @me")]);
    }

    #[test]
    fn what_is_no_configuration_is_nothing() {
        for yaml in [
            "",
            "---",
            "null",
            "just text",
            "- a\n- list",
            "a: [b",
            "\t- x: y: z",
            "prompt:\naliases:\n",
            "hosts:\n  github.com:\n    user: me\n",
            "aliases: pr checkout\n",
            "http_unix_socket: null\n",
        ] {
            assert!(read_one(yaml).is_empty(), "{yaml:?}");
        }
    }
}
