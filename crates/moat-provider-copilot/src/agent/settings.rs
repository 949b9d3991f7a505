//! `settings.json`: the person's preferences.

use moat_agent::ValueKind::{Boolean, Text};
use moat_agent::{ValueKind, pick};
use moat_provider_core::PrepareOpts;
use serde_json::{Map, Value};

use super::host::Host;
use super::{Options, Workspace};

/// What is taken over of the person's own settings. Programs (`statusLine`, `hooks`), places
/// (`proxyUrl`, lists of URLs and folders) and plugins stay outside.
const ALLOWED: &[(&str, ValueKind)] = &[
    ("beep", Boolean),
    ("contextTier", Text),
    ("effortLevel", Text),
    ("includeCoAuthoredBy", Boolean),
    ("model", Text),
    ("mouse", Boolean),
    ("renderMarkdown", Boolean),
    ("screenReader", Boolean),
    ("showTipsOnStartup", Boolean),
    ("theme", Text),
];

/// The older name of `theme`.
const COLOR_MODE: &str = "colorMode";

pub(super) fn render(options: &Options, opts: &PrepareOpts, host: &Host) -> Map<String, Value> {
    let own = match opts.host_config.is_empty() {
        true => &host.settings,
        false => &opts.host_config,
    };
    let mut settings = pick(own, ALLOWED);
    if !settings.contains_key("theme")
        && let Some(theme) = pick(own, &[(COLOR_MODE, Text)]).remove(COLOR_MODE)
    {
        settings.insert("theme".to_owned(), theme);
    }
    // What a flag pins is not to be found twice.
    let pinned = [
        ("model", &options.model),
        ("contextTier", &options.context),
        ("effortLevel", &options.effort),
    ];
    for (name, _) in pinned.iter().filter(|(_, value)| value.is_some()) {
        settings.remove(*name);
    }
    settings.insert("autoUpdate".to_owned(), false.into());
    if options.workspace == Workspace::Ignore {
        settings.insert("disableAllHooks".to_owned(), true.into());
    }
    settings
}
