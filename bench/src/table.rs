//! The table.

pub(crate) mod aws;

use std::fmt::Write as _;

use crate::load::transfer::Direction;
use crate::results::{Metric, Results};
use crate::targets::{self, Bound, Target};
use crate::variants::Variant;
use crate::world::Http;

const NOTES: &str = "\
How it was measured:
- Origin, proxy and load generator share the processors of this machine over loopback, so `no proxy`
  is what origin and load generator can do with them, and a proxy's share falls as it costs more.
- All numbers are medians of the rounds; a ratio is the median of the ratios within rounds.
- `per CPU s` is how many requests a second of processor time is enough for, that of origin, proxy and
  load generator together. Times the number of processors it is what a machine without other work
  would do per second; unlike `requests/s` it hardly changes when the machine has other work. Ratios
  and targets of small requests and handshakes are those of this number. `CPU s/million` is the proxy's.
- Every answer is checked for status and length. The origin answers 401 without its credential; in
  the settings with a rule the client has a placeholder only.
- `ours` intercepts, judges path and method by policy and changes nothing, as the others do; no other
  has rules, policy or scrubbing. `log` renders a record of each request as JSON.
- Everything on rustls uses ring, TLS 1.3 and P-256 leaves; nginx and mitmproxy use OpenSSL. All
  verify the origin. hudsucker and http-mitm-proxy have the pooled client of hyper-util.
- Under `h1` the origin speaks HTTP/1.1, under `h2` both, and likes HTTP/2 best: that is what all speak
  to it, but for nginx, which speaks HTTP/1.1. nginx takes no CONNECT, and so saves a round trip.
- hudsucker leaves the delay of small packets on (Nagle), which costs it 40 ms per new connection and
  event here; `+ nodelay` is the same proxy with a listener that turns it off.
- `fresh` is CONNECT, a full handshake and one small request on a connection of their own.
- An idle tunnel has served one small request. Memory is anonymous resident memory, which includes
  what the allocator keeps. mitmproxy gets bodies of a sixteenth of the length.
";

/// Prints everything that was measured.
pub(crate) fn print(results: &Results) -> String {
    let mut text = String::new();
    for http in Http::BOTH {
        text.push_str(&small(results, http));
    }
    for http in Http::BOTH {
        text.push_str(&rest(results, http));
    }
    text.push_str(&targets(&targets::all(results)));
    text.push('\n');
    for remark in &results.remarks {
        _ = writeln!(text, "! {remark}");
    }
    _ = writeln!(text, "{}.\n{NOTES}", rounds(results));
    text
}

fn rounds(results: &Results) -> String {
    match results.rounds {
        1 => "1 round".to_owned(),
        rounds => format!("{rounds} rounds"),
    }
}

fn small(results: &Results, http: Http) -> String {
    let columns = ["requests/s", "p50 µs", "p99 µs", "CPU s/million", "per CPU s", "ratio"];
    let per_cpu = Metric::SmallPerCpu(http);
    section(&format!("{}: small requests, 64 at a time", http.as_str()), &columns, |variant| {
        vec![
            cell(results.median(Metric::SmallPerSecond(http), variant), 0),
            cell(results.median(Metric::SmallP50(http), variant), 0),
            cell(results.median(Metric::SmallP99(http), variant), 0),
            cell(results.median(Metric::SmallCpu(http), variant), 1),
            cell(results.median(per_cpu, variant), 0),
            cell(results.ratio(per_cpu, [variant, Variant::NoProxy]), 2),
        ]
    })
}

fn rest(results: &Results, http: Http) -> String {
    let columns = [
        "fresh/s",
        "CPU s/mil.",
        "MB/s down",
        "MB/s up",
        "MiB down",
        "MiB up",
        "event µs",
        "KiB/tunnel",
    ];
    let median = |metric, variant, unit: f64| results.median(metric, variant).map(|it| it / unit);
    let title = format!("{}: handshakes, long bodies, events, idle tunnels", http.as_str());
    section(&title, &columns, |variant| {
        vec![
            cell(median(Metric::FreshPerSecond(http), variant, 1.0), 0),
            cell(median(Metric::FreshCpu(http), variant, 1.0), 0),
            cell(median(Metric::Bytes(Direction::Down, http), variant, 1e6), 0),
            cell(median(Metric::Bytes(Direction::Up, http), variant, 1e6), 0),
            cell(median(Metric::Memory(Direction::Down, http), variant, f64::from(1 << 20)), 1),
            cell(median(Metric::Memory(Direction::Up, http), variant, f64::from(1 << 20)), 1),
            cell(median(Metric::Event(http), variant, 1.0), 0),
            cell(median(Metric::Idle(http), variant, 1024.0), 1),
        ]
    })
}

/// Writes one line for each variant of which something is known; nothing if there is none.
fn section(title: &str, columns: &[&str], cells: impl Fn(Variant) -> Vec<String>) -> String {
    let mut lines = String::new();
    for variant in Variant::all() {
        let cells = cells(variant);
        if cells.iter().any(|cell| cell != "-") {
            _ = writeln!(lines, "{:<24}{}", variant.name(), row(&cells, columns));
        }
    }
    if lines.is_empty() {
        return lines;
    }
    let head: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
    format!("{title}\n{:<24}{}\n{lines}\n", "", row(&head, columns))
}

fn row(cells: &[String], columns: &[&str]) -> String {
    let width = |column: &&str| column.chars().count() + 2;
    cells.iter().zip(columns).map(|(cell, column)| format!("{cell:>0$}", width(column))).collect()
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

fn targets(targets: &[Target]) -> String {
    let mut text = format!("{:<44}{:>12}  {:<12}\n", "targets", "measured", "target");
    for target in targets {
        let Some(is_met) = target.is_met() else { continue };
        let measured = target.measured.unwrap_or_default();
        let (measured, bound) = match target.bound {
            Bound::AtLeast(bound) => (format!("{measured:.2}"), format!("≥ {bound}")),
            Bound::AtMost(bound, unit) => {
                (format!("{measured:.1} {unit}"), format!("≤ {bound} {unit}"))
            }
        };
        let verdict = if is_met { "met" } else { "MISSED" };
        _ = writeln!(text, "{:<44}{measured:>12}  {bound:<12}{verdict}", target.what);
    }
    text
}
