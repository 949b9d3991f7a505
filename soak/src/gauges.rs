//! What the process holds: memory, descriptors, tasks.

use std::fmt;
use std::fs;

/// The first part of a soak fills caches and pools.
const WARM_UP: f64 = 0.2;
/// How much the memory may grow from the first third behind the warm-up to the last, in MiB.
const MOST_GROWTH: f64 = 32.0;
/// How many descriptors and tasks more than at the beginning may be left at the end.
const LEFT: u64 = 8;

/// Reads one gauge.
type Value = fn(&Gauges) -> f64;

/// One reading.
#[derive(Clone, Debug)]
pub(crate) struct Gauges {
    pub(crate) mib: f64,
    pub(crate) descriptors: u64,
    pub(crate) tasks: u64,
}

impl Gauges {
    pub(crate) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = rss.and_then(|rss| rss.trim().trim_end_matches(" kB").parse::<f64>().ok());
        let descriptors = fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() as u64);
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64;
        Self { mib: kib.unwrap_or(0.0) / 1024.0, descriptors, tasks }
    }

    pub(crate) fn is_back_at(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors + LEFT && self.tasks <= before.tasks + LEFT
    }
}

impl fmt::Display for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6.1} MiB {:>6} fds {:>6} tasks", self.mib, self.descriptors, self.tasks)
    }
}

/// Says what grew that must not.
pub(crate) fn judge(series: &[Gauges], before: &Gauges, after: &Gauges) -> Vec<String> {
    let mut wrong = Vec::new();
    let warm = &series[(series.len() as f64 * WARM_UP) as usize..];
    let third = (warm.len() / 3).max(1);
    let (first, last) = (&warm[..third], &warm[warm.len() - third..]);
    let median = |part: &[Gauges], value: Value| {
        let mut values: Vec<f64> = part.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let minutes = (warm.len() - third).max(1) as f64 / 60.0;
    let values: [(&str, Value, f64); 3] = [
        ("MiB", |it| it.mib, MOST_GROWTH),
        ("fds", |it| it.descriptors as f64, 400.0),
        ("tasks", |it| it.tasks as f64, 800.0),
    ];
    for (name, value, most) in values {
        let (from, to) = (median(first, value), median(last, value));
        println!("{name}: {from:.1} -> {to:.1}, {:+.2} per minute", (to - from) / minutes);
        if to - from > most.max(from * 0.1) {
            wrong.push(format!("{name} grow from {from:.1} to {to:.1}"));
        }
    }
    println!("before: {before}\nafter:  {after}");
    if !after.is_back_at(before) {
        wrong.push(format!("left behind: {before} became {after}"));
    }
    wrong
}
