//! The table of `bench aws`.

use std::fmt::Write as _;

use super::{cell, rounds, section};
use crate::load::transfer::Direction;
use crate::results::{Metric, Results};
use crate::variants::Variant;
use crate::world::Http;

const NOTES: &str = "\
How it was measured:
- Origin, proxy and load generator share the processors of this machine over loopback. All numbers are
  medians of the rounds, ratios the medians of the ratios within rounds.
- `ours + rule` puts a credential into a header: what the proxy costs without signing. `ours + aws` has
  the rule of a role: the client signs with dummy keys, once for each connection, as for S3; the proxy
  verifies that for each request and signs it anew with the session's keys. The origin asks for the
  session's token.
- `64 at a time` is throughput; `alone` is the median of requests one after the other, and `more` what
  it has more than `ours + rule`. `per CPU s` is how many requests a second of processor time is enough
  for, that of origin, proxy and load generator together; `ratio` is of that, to `ours + rule`.
- Uploads of `ours + aws` have no digest, as those of the SDKs over TLS; under `chunks` each of 64 KiB
  is signed by the client, and verified, hashed and signed anew by the proxy. Memory is anonymous
  resident memory beyond that before the upload, at most.
";

/// Prints what signing costs beside the same without it.
pub(crate) fn print(results: &Results) -> String {
    let mut text = String::new();
    for http in Http::BOTH {
        text.push_str(&small(results, http));
        text.push_str(&uploads(results, http));
    }
    for remark in &results.remarks {
        _ = writeln!(text, "! {remark}");
    }
    _ = writeln!(text, "{}.\n{NOTES}", rounds(results));
    text
}

fn small(results: &Results, http: Http) -> String {
    let columns = [
        "requests/s",
        "p50 µs",
        "p99 µs",
        "alone µs",
        "more µs",
        "CPU s/million",
        "per CPU s",
        "ratio",
    ];
    let (per_cpu, alone) = (Metric::SmallPerCpu(http), Metric::SmallAlone(http));
    let title = format!("{}: small requests, 64 at a time, and alone", http.as_str());
    section(&title, &columns, |variant| {
        let pair = [variant, Variant::WITH_RULE];
        vec![
            cell(results.median(Metric::SmallPerSecond(http), variant), 0),
            cell(results.median(Metric::SmallP50(http), variant), 0),
            cell(results.median(Metric::SmallP99(http), variant), 0),
            cell(results.median(alone, variant), 0),
            cell(results.compare(alone, pair, |this, rule| this - rule), 0),
            cell(results.median(Metric::SmallCpu(http), variant), 1),
            cell(results.median(per_cpu, variant), 0),
            cell(results.ratio(per_cpu, pair), 2),
        ]
    })
}

fn uploads(results: &Results, http: Http) -> String {
    let columns = ["MB/s", "ratio", "MiB more"];
    let title = format!("{}: one long upload", http.as_str());
    let (speed, memory) = (Metric::Bytes(Direction::Up, http), Metric::Memory(Direction::Up, http));
    section(&title, &columns, |variant| {
        vec![
            cell(results.median(speed, variant).map(|it| it / 1e6), 0),
            cell(results.ratio(speed, [variant, Variant::WITH_RULE]), 2),
            cell(results.median(memory, variant).map(|it| it / f64::from(1 << 20)), 1),
        ]
    })
}
