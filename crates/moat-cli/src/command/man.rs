//! `moat man`.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use crate::app::App;
use crate::args::{self, ManArgs};
use crate::error::{CliError, Result};

/// Writes the first page to standard output, or all pages into a directory.
pub(super) fn man(app: &App<'_>, args: &ManArgs) -> Result<()> {
    let mut root = args::root(&app.registry, &[]);
    root.build();
    let Some(directory) = &args.directory else {
        let mut page = Vec::new();
        Man::new(root).render(&mut page).map_err(|error| CliError::of_output(&error))?;
        return app.output.raw(&String::from_utf8_lossy(&page));
    };
    let mut count = 0;
    write(&root, "moat", directory, &mut count).map_err(|error| {
        CliError::new(format!("the manual cannot be written to {}", directory.display()))
            .with_source(&error)
            .with_hint(format!("mkdir -p {}", directory.display()))
    })?;
    app.output.note(&format!("Wrote {count} pages to {}.", directory.display()));
    Ok(())
}

/// Writes the page of a command, and those of the commands below it: `moat-grant-list.1`.
fn write(command: &Command, name: &str, directory: &Path, count: &mut usize) -> io::Result<()> {
    let mut page = Vec::new();
    Man::new(command.clone().name(name.to_owned())).render(&mut page)?;
    fs::write(directory.join(format!("{name}.1")), page)?;
    *count += 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write(below, &format!("{name}-{}", below.get_name()), directory, count)?;
    }
    Ok(())
}
