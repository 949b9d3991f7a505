//! Hours of mixed traffic through the data plane, compressed into minutes, with its invariants.
//!
//! Runs come and go, each gets a new secret every second, clients do all that clients do, and hosts
//! fail in all the ways in which hosts fail. The program ends with an error when a secret was where
//! it must not be, when something stayed open or was left behind, or when a task panicked.

mod clients;
mod feed;
mod gauges;
mod ledger;
mod options;
mod origins;
mod runs;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, interval};

use crate::gauges::Gauges;
use crate::options::Options;
use crate::runs::Runs;
use crate::world::World;

/// How often the gauges are read.
const PULSE: Duration = Duration::from_secs(1);
/// How long what was left behind may take to go when all has stopped.
const COOLING: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(mistake) => {
            eprintln!("{mistake}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    println!("soak: {options}");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.expect("a runtime").block_on(soak(options)) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

async fn soak(options: Options) -> bool {
    let world = World::open().await;
    world.ledger.count_panics();
    let before = Gauges::read();
    let runs = Arc::new(Runs::new(Arc::clone(&world), &options));
    let keeper = tokio::spawn(Arc::clone(&runs).keep());
    let workers: Vec<_> = (0..options.workers)
        .map(|number| tokio::spawn(clients::work(Arc::clone(&runs), options.seed, number)))
        .collect();
    let series = watch(&world, &options).await;
    runs.end();
    for worker in workers {
        worker.await.expect("a worker ends");
    }
    keeper.await.expect("the keeper ends");
    drop(runs);
    let after = cool(&before).await;
    let mut verdict = world.ledger.report();
    verdict.extend(gauges::judge(&series, &before, &after));
    for line in &verdict {
        println!("FAILED: {line}");
    }
    println!("soak: {} (seed {})", if verdict.is_empty() { "good" } else { "bad" }, options.seed);
    verdict.is_empty()
}

/// Reads the gauges until the time is over.
async fn watch(world: &World, options: &Options) -> Vec<Gauges> {
    let end = Instant::now() + options.time;
    let mut pulse = interval(PULSE);
    let mut series = Vec::new();
    while Instant::now() < end {
        pulse.tick().await;
        let gauges = Gauges::read();
        if series.len() % 15 == 0 {
            println!("{:>5} s  {gauges}  {}", series.len(), world.ledger.line());
        }
        series.push(gauges);
    }
    series
}

/// Waits until what was open at the beginning is all that is open, but not for long.
async fn cool(before: &Gauges) -> Gauges {
    let end = Instant::now() + COOLING;
    let mut pulse = interval(PULSE);
    loop {
        pulse.tick().await;
        let now = Gauges::read();
        if now.is_back_at(before) || Instant::now() > end {
            return now;
        }
    }
}
