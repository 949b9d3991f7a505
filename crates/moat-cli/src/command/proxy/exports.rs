//! What a sandbox of the person's own has to be given, as text.

use std::path::Path;

use moat_provider_core::{EnvVar, MountAccess};
use moat_run::{Bind, Run, Way};
use serde_json::{Value, json};

use crate::app::App;
use crate::args::Exports;
use crate::error::Result;
use crate::output::{Format, line};

/// Prints variables, and what else the sandbox needs. `stage` is the directory of what is staged.
pub(super) fn print(app: &App<'_>, run: &Run, stage: &Path, exports: Exports) -> Result<()> {
    let spec = run.spec();
    let mounts = mounts(run, stage)?;
    if let (Format::Text, Way::Port(_)) = (app.output.format(), &spec.way) {
        app.output.note(
            "Note: what is printed holds the token of this run. Whoever has it uses the grants until \
             the run ends.",
        );
    }
    app.output.result(&text(run, &mounts, exports), || {
        let env: serde_json::Map<_, _> =
            spec.env.iter().map(|var| (var.name().to_owned(), json!(var.value()))).collect();
        json!({
            "run": run.id().as_str(),
            "port": spec.way.port(),
            "socket": socket(&spec.way),
            "env": env,
            "mounts": mounts.iter().map(mount).collect::<Vec<_>>(),
        })
    })
}

fn socket(way: &Way) -> Option<String> {
    match way {
        Way::Socket { path, .. } => Some(path.display().to_string()),
        _ => None,
    }
}

/// Returns what has to appear in the sandbox, outer directories first.
fn mounts(run: &Run, stage: &Path) -> Result<Vec<Bind>> {
    let spec = run.spec();
    let mut mounts = spec.binds.clone();
    if let (Way::Port(_), Some(path)) = (&spec.way, stage.to_str()) {
        // What is staged for the host itself is bound nowhere, and has its place already.
        let (source, target) = (stage.to_owned(), path.parse()?);
        mounts.insert(0, Bind { source, target, access: MountAccess::ReadOnly });
    }
    Ok(mounts)
}

fn text(run: &Run, mounts: &[Bind], exports: Exports) -> String {
    let spec = run.spec();
    let mut text = format!("# moat: {}\n", run.id());
    if let Way::Socket { path, port } = &spec.way {
        text.push_str(&format!("# socket {}\n", shell_words::quote(&path.display().to_string())));
        text.push_str(&format!("# to be joined to 127.0.0.1:{port} in the sandbox\n"));
    }
    for bind in mounts {
        let (source, target) = (bind.source.display().to_string(), bind.target.to_string());
        let words = shell_words::join([source, target]);
        text.push_str(&format!("# mount {} {}\n", line(&words), access(bind)));
    }
    for var in &spec.env {
        text.push_str(&match exports {
            Exports::Shell => shell(var),
            Exports::Dotenv => dotenv(var),
        });
    }
    text
}

fn mount(bind: &Bind) -> Value {
    json!({
        "source": bind.source.display().to_string(),
        "target": bind.target.to_string(),
        "access": access(bind),
    })
}

fn access(bind: &Bind) -> &'static str {
    match bind.access {
        MountAccess::ReadWrite => "rw",
        _ => "ro",
    }
}

fn shell(var: &EnvVar) -> String {
    format!("export {}={}\n", var.name(), shell_words::quote(var.value()))
}

/// Writes a variable for programs that read files of variables. They agree on plain values only:
/// some take quotes literally, and none of those has a way to write a line break.
fn dotenv(var: &EnvVar) -> String {
    let (name, value) = (var.name(), var.value());
    let is_plain =
        value.trim() == value && !value.contains(['\n', '\r', '#', '"', '\'', '\\', '$', '`']);
    match is_plain {
        true => format!("{name}={value}\n"),
        false if value.contains('\'') => format!("{name}={value:?}\n"),
        false => format!("{name}='{value}'\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn var(value: &str) -> EnvVar {
        EnvVar::new("A", value).unwrap()
    }

    #[test]
    fn a_shell_reads_back_what_was_written() {
        for value in ["", "a", "a b", "it's", "$(x)`y`", "a\nb", "\u{e9}"] {
            let line = shell(&var(value));
            let words = shell_words::split(line.trim_end_matches('\n')).unwrap();
            assert_eq!(words, ["export".to_owned(), format!("A={value}")]);
        }
    }

    #[test]
    fn plain_values_stand_without_quotes_in_files_of_variables() {
        for (value, line) in [
            ("-Dx=y -Dz", "A=-Dx=y -Dz\n"),
            ("http://moat:t@127.0.0.1:1", "A=http://moat:t@127.0.0.1:1\n"),
            ("a #b", "A='a #b'\n"),
            (" a", "A=' a'\n"),
            ("it's", "A=\"it's\"\n"),
        ] {
            assert_eq!(dotenv(&var(value)), line);
        }
    }
}
