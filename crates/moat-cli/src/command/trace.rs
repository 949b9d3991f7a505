//! `moat trace`: the requests of a run.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use moat_run::StateDir;
use serde_json::Value;

use crate::app::App;
use crate::args::TraceArgs;
use crate::error::{CliError, Result};
use crate::output::{Format, Table, ascii};

const FILE: &str = "requests.jsonl";
/// A longer line is no record of ours: URLs are bounded, and samples of bodies as well.
const LONGEST: u64 = 1024 * 1024;
/// Widths of columns.
const URL: usize = 100;

/// Shows the requests of a run.
pub(super) fn trace(app: &App<'_>, args: &TraceArgs) -> Result<()> {
    let state = StateDir::new(app.system.home()?);
    let run = super::runs::find(app, &state, args.run.as_ref())?;
    let directory = state.run(&run);
    let last = args.last.unwrap_or(usize::MAX);
    let mut records = VecDeque::new();
    let mut damaged = 0_u64;
    for path in files(&directory) {
        let read = each(&path, |record| match record {
            Some(record) if !args.failed || is_failed(&record) => {
                records.push_back(record);
                if records.len() > last {
                    records.pop_front();
                }
            }
            Some(_) => {}
            None => damaged += 1,
        });
        read.map_err(|error| {
            CliError::new(format!("{} cannot be read", path.display())).with_source(&error)
        })?;
    }
    if damaged > 0 {
        app.output.warn(&format!("{damaged} lines of the records are damaged"));
    }
    if records.is_empty() {
        app.output.note(&format!("The run {run} has no such requests."));
        return Ok(());
    }
    match app.output.format() {
        Format::Json => records
            .iter()
            .try_for_each(|record| app.output.raw(&format!("{}\n", ascii(&record.to_string())))),
        Format::Text => app.output.raw(&format!("{}\n", table(&records).render())),
    }
}

/// Returns the files of a run's records, the oldest first.
fn files(directory: &Path) -> Vec<PathBuf> {
    let rotated = (1..).map(|number| directory.join(format!("{FILE}.{number}")));
    let mut files: Vec<_> = rotated.take_while(|path| path.is_file()).collect();
    files.reverse();
    files.push(directory.join(FILE));
    files
}

/// Hands each record of a file to a function; `None` for a line that is none.
fn each(path: &Path, mut take: impl FnMut(Option<Value>)) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        // The last line may be in the writing.
        if line.last() != Some(&b'\n') && reader.fill_buf()?.is_empty() {
            return Ok(());
        }
        take(serde_json::from_slice(&line).ok().filter(Value::is_object));
    }
}

/// Whether a request was refused by the proxy, failed on its way, or was answered with an error.
fn is_failed(record: &Value) -> bool {
    let status = record["status"].as_u64();
    status.is_none_or(|status| status >= 400) || record["strays"].is_array()
}

fn table(records: &VecDeque<Value>) -> Table {
    let mut table =
        Table::new(["TIME", "METHOD", "URL", "STATUS", "MS", "UP", "DOWN", "CREDENTIAL"]);
    for record in records {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let number =
            |name: &str| record[name].as_u64().map(|it| it.to_string()).unwrap_or_default();
        if text("kind") == "lost" {
            let lost = format!("({} records were lost here)", number("records"));
            table.row([clock(&text("ts")), String::new(), lost]);
            continue;
        }
        table.row([
            clock(&text("ts")),
            text("method"),
            crate::output::clipped(&text("url"), URL),
            number("status"),
            number("total_ms"),
            number("up"),
            number("down"),
            credential(record),
        ]);
    }
    table
}

/// Returns the time of day of a time of RFC 3339.
fn clock(time: &str) -> String {
    time.get(11..19).unwrap_or(time).to_owned()
}

/// Says which grant's credential was put in and by which rule, or why none was.
fn credential(record: &Value) -> String {
    let text = |name: &str| record[name].as_str().filter(|text| !text.is_empty());
    let mut said: Vec<String> = Vec::new();
    said.extend(text("grant").map(|grant| format!("{grant}:")));
    said.extend(text("rule").map(str::to_owned));
    said.extend(text("reason").map(|reason| format!("({reason})")));
    if let Some(places) = record["strays"].as_array() {
        let places: Vec<_> = places.iter().filter_map(Value::as_str).collect();
        said.push(format!("placeholder out of place: {}", places.join(", ")));
    }
    said.join(" ")
}
