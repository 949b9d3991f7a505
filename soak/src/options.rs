//! What the person asked for.

use std::fmt;
use std::time::Duration;

pub(crate) const USAGE: &str = "Usage: moat-soak [--minutes N] [--seed S] [--runs R] [--workers W]";

/// How long, how much, and from which seed.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) runs: usize,
    pub(crate) workers: usize,
}

impl Options {
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let time = Duration::from_secs(600);
        let mut options = Self { time, seed: fastrand::u64(..), runs: 200, workers: 128 };
        while let Some(name) = arguments.next() {
            let number = arguments.next().and_then(|value| value.parse::<u64>().ok());
            let number = number.ok_or_else(|| format!("{name} is followed by a number"))?;
            let count = usize::try_from(number).unwrap_or(usize::MAX);
            match name.as_str() {
                "--minutes" => options.time = Duration::from_secs(60 * number),
                "--seed" => options.seed = number,
                "--runs" => options.runs = count,
                "--workers" => options.workers = count,
                _ => return Err(format!("{name} is no option")),
            }
        }
        Ok(options)
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, seed) = (self.time.as_secs(), self.seed);
        write!(f, "{seconds} s, seed {seed}, {} runs, {} workers", self.runs, self.workers)
    }
}
