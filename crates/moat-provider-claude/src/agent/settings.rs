//! `settings.json`, from five sources.

use moat_agent::Layers;
use serde_json::{Map, Value, json};

use super::Options;
use super::host::Host;
use super::plugins::{Directories, is_plugin, is_word, marketplace};

/// The name of the file, in Claude Code's directory.
pub(super) const FILE: &str = "settings.json";
/// The name of the file with what prevails over a repository's own settings, because it comes by a
/// flag.
pub(super) const OVERRIDES: &str = "moat-settings.json";

const PLUGINS: &str = "enabledPlugins";
const MARKETPLACES: &str = "extraKnownMarketplaces";
const RENDERER: &str = "tui";
const SKIP_WARNING: &str = "skipDangerousModePermissionPrompt";
/// A program that prints a key. The credential is that of the grant: a repository that brings a
/// program would have the conversation under an account of its own.
const KEY_PROGRAM: &str = "apiKeyHelper";
const VARIABLES: &str = "env";
/// Variables that say where the API is and with which credential it is asked, and that
/// `CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST` does not cover (Claude Code 2.1.197). A repository's
/// settings may set variables.
const FOREIGN: [&str; 6] = [
    "ANTHROPIC_CONFIG_DIR",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_FEDERATION_RULE_ID",
    "ANTHROPIC_PROFILE",
    "CLAUDE_CODE_API_BASE_URL",
    "CLAUDE_CODE_CUSTOM_OAUTH_URL",
];
/// What several sources have a say in, or none. Every other setting is the person's own, for
/// sandboxes.
const SHARED: [&str; 5] = [PLUGINS, MARKETPLACES, RENDERER, SKIP_WARNING, KEY_PROGRAM];

/// Where settings come from, beside the person's own Claude Code, which is weaker than all of these.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingsSource {
    /// The person's settings for sandboxes. Of this source every setting is used.
    Sandbox,
    /// A file of the workspace, `.claude/settings.json`. Its plugins and marketplaces are used; a
    /// host passes them on only after the person agreed to them.
    Workspace,
    /// The configuration of the run. Its plugins and marketplaces prevail, also over what Claude
    /// Code finds in the workspace.
    Run,
}

/// A source, the weakest first.
#[derive(Clone, Copy, Debug)]
enum Source {
    KnownMarketplaces,
    Host,
    Given(SettingsSource),
}

impl Source {
    const fn directories(self) -> Directories {
        match self {
            Self::Given(SettingsSource::Sandbox | SettingsSource::Run) => Directories::OfContainer,
            _ => Directories::OfHost,
        }
    }
}

/// What all sources come to.
pub(super) struct United {
    /// What stands in `settings.json`.
    pub(super) settings: Map<String, Value>,
    /// What prevails over a repository's own settings.
    pub(super) overrides: Map<String, Value>,
}

/// Unites the sources.
pub(super) fn unite(options: &Options, host: &Host) -> United {
    let mut layers = Layers::new();
    let known = json!({ MARKETPLACES: host.marketplaces });
    let known = known.as_object().cloned().unwrap_or_default();
    layers.push(Source::KnownMarketplaces, known);
    layers.push(Source::Host, host.settings.clone());
    let mut given: Vec<_> = options.settings.iter().collect();
    given.sort_by_key(|(source, _)| *source);
    let mut settings = Map::new();
    let mut of_run = Layers::new();
    for (source, given) in given {
        layers.push(Source::Given(*source), given.clone());
        match source {
            SettingsSource::Sandbox => {
                let extras = given.iter().filter(|(name, _)| !SHARED.contains(&name.as_str()));
                settings.extend(extras.map(|(name, value)| (name.clone(), value.clone())));
            }
            SettingsSource::Run => of_run.push(Source::Given(*source), given.clone()),
            SettingsSource::Workspace => {}
        }
    }
    settings.extend(shared(&layers));
    // The full screen renderer starts the program anew and loses flags (Claude Code 2.1).
    let is_renderer = |value: &Value| value == "default" || value == "fullscreen";
    let renderer = layers.last(RENDERER, is_renderer);
    let renderer = renderer.map_or_else(|| "default".into(), |(_, value)| value.clone());
    settings.insert(RENDERER.to_owned(), renderer);
    // The sandbox is the border, as the person said by starting it. Without the flag that lets the
    // agent act by itself this says nothing.
    settings.insert(SKIP_WARNING.to_owned(), true.into());
    let mut overrides = shared(&of_run);
    overrides.insert(KEY_PROGRAM.to_owned(), "".into());
    overrides.insert(VARIABLES.to_owned(), foreign(&settings).into());
    United { settings, overrides }
}

/// Empties the variables that lead elsewhere, but for what the person set for sandboxes.
fn foreign(settings: &Map<String, Value>) -> Map<String, Value> {
    let own = settings.get(VARIABLES).and_then(Value::as_object);
    let variable = |name: &str| {
        let value = own.and_then(|own| own.get(name)).cloned();
        (name.to_owned(), value.unwrap_or_else(|| "".into()))
    };
    FOREIGN.into_iter().map(variable).collect()
}

/// Returns plugins and marketplaces, as far as they are well-formed.
fn shared(layers: &Layers<Source>) -> Map<String, Value> {
    let plugins = layers.united(PLUGINS).into_iter();
    let plugins = plugins.filter(|(name, (_, enabled))| is_plugin(name) && enabled.is_boolean());
    let plugins = plugins.map(|(name, (_, enabled))| (name.to_owned(), enabled.clone()));
    let marketplaces = layers.united(MARKETPLACES).into_iter();
    let marketplaces = marketplaces.filter_map(|(name, (source, value))| {
        let value = marketplace(value, source.directories()).filter(|_| is_word(name))?;
        Some((name.to_owned(), value))
    });
    let united =
        [(PLUGINS, plugins.collect::<Map<_, _>>()), (MARKETPLACES, marketplaces.collect())];
    let some = united.into_iter().filter(|(_, entries)| !entries.is_empty());
    some.map(|(name, entries)| (name.to_owned(), entries.into())).collect()
}
