//! `moat completions`.

use clap_complete::Shell;

use crate::app::App;
use crate::args;
use crate::error::Result;

/// Writes the script for a shell.
pub(super) fn completions(app: &App<'_>, shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::root(&app.registry, &[]), "moat", &mut script);
    app.output.raw(&String::from_utf8_lossy(&script))
}
