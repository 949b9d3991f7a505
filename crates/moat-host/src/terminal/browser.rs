//! The person's browser.

use std::process::Stdio;
use std::time::Duration;

use http::Uri;
use moat_provider_core::{CommandSpec, Error, ErrorKind, Result};
use tokio::process::Command;

use crate::commands::SystemCommands;
use crate::environment::plain;

/// The program that opens a URL as the person's desktop is set up.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
/// Any of these means that a browser can show itself.
const DISPLAYS: &[&str] = &["WAYLAND_DISPLAY", "DISPLAY", "BROWSER"];
/// How long an opener may take to fail. It may also last as long as the browser is open.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a program needs to find the person's desktop.
pub(super) const DESKTOP: &[&str] = &[
    "BROWSER",
    "DBUS_SESSION_BUS_ADDRESS",
    "DESKTOP_SESSION",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_CURRENT_DESKTOP",
    "XDG_SESSION_TYPE",
];

pub(super) async fn open(commands: &SystemCommands, url: &str) -> Result<()> {
    let parsed = url.parse::<Uri>();
    let is_https = |url: &Uri| {
        url.scheme_str() == Some("https") && url.host().is_some_and(|host| !host.is_empty())
    };
    if !parsed.is_ok_and(|url| is_https(&url)) {
        return Err(Error::invalid("only an https URL is opened in the browser")
            .with_hint("report a bug of the provider that asked for it"));
    }
    let unsupported = |why: &str| {
        Error::new(ErrorKind::Unsupported, format!("no browser can be opened: {why}"))
            .with_hint("open the address by hand, on any machine")
    };
    let mut has_display = cfg!(target_os = "macos");
    for name in DISPLAYS {
        has_display |= plain(commands.environment(), name)?.is_some();
    }
    if !has_display {
        return Err(unsupported("there is no display"));
    }
    let spec = CommandSpec::new(OPENER).args([url]);
    let command = commands.prepare(&spec, DESKTOP).map_err(|error| unsupported(error.message()))?;
    let mut command = Command::from(command);
    // Not in the terminal's foreground: Ctrl-C here must not end the browser.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let Ok(mut opener) = command.spawn() else {
        return Err(unsupported(&format!("{OPENER} does not start")));
    };
    match tokio::time::timeout(PATIENCE, opener.wait()).await {
        Ok(Ok(status)) if !status.success() => Err(unsupported(&format!("{OPENER} failed"))),
        _ => Ok(()),
    }
}
