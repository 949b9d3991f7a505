//! Everything is measured in turn, round after round.

use std::net::SocketAddr;
use std::time::Duration;

use crate::Result;
use crate::load::Load;
use crate::load::transfer::Direction;
use crate::options::{Options, Size};
use crate::process::{self, Cpu, Server};
use crate::results::{Metric, Results};
use crate::variants::{self, Programs, Variant};
use crate::world::{Http, World};

/// How much less of a long body mitmproxy gets: it would take minutes.
const MITMPROXY_SHARE: u64 = 16;

/// How long one measurement may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Small,
    Alone,
    Fresh,
    Transfer,
    Events,
    Idle,
}

impl Subject {
    /// What `bench aws` measures.
    pub(crate) const AWS: [Self; 3] = [Self::Small, Self::Alone, Self::Transfer];

    /// What `bench proxy` measures.
    pub(crate) const PROXY: [Self; 5] =
        [Self::Small, Self::Fresh, Self::Transfer, Self::Events, Self::Idle];

    pub(crate) const ALL: [Self; 6] =
        [Self::Small, Self::Alone, Self::Fresh, Self::Transfer, Self::Events, Self::Idle];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Alone => "alone",
            Self::Fresh => "fresh",
            Self::Transfer => "transfer",
            Self::Events => "events",
            Self::Idle => "idle",
        }
    }

    fn concerns(self, variant: Variant) -> bool {
        match self {
            Self::Small | Self::Alone => true,
            Self::Idle => variant.is_compared() && variant != Variant::NoProxy,
            Self::Fresh | Self::Transfer | Self::Events => variant.is_compared(),
        }
    }
}

/// Measures all that was asked for.
pub(crate) async fn all(options: &Options, world: &World) -> Result<Results> {
    let programs = Programs::locate(options.mitmdump.clone());
    let mut results = Results::new(options.rounds);
    let mut benches = Vec::new();
    for http in options.versions.iter().copied() {
        benches.push(Bench::new(options, world, &programs, http, &mut results)?);
    }
    for round in 0..options.rounds {
        for subject in options.subjects.iter().copied() {
            for bench in &mut benches {
                // Nobody is always the first.
                let others = bench.stands.len().min(1);
                bench.stands.rotate_left(others);
                bench.round(round, subject, &mut results).await;
            }
        }
    }
    eprint!("\r\x1b[K");
    Ok(results)
}

/// A variant with its process, if it has one.
struct Stand {
    variant: Variant,
    server: Option<Server>,
}

/// Everything that is measured in one version of HTTP, which is spoken on both sides of a proxy.
struct Bench<'a> {
    world: &'a World,
    programs: &'a Programs,
    http: Http,
    size: Size,
    origin: Server,
    stands: Vec<Stand>,
}

impl<'a> Bench<'a> {
    fn new(
        options: &Options,
        world: &'a World,
        programs: &'a Programs,
        http: Http,
        results: &mut Results,
    ) -> Result<Self> {
        let directory = world.directory().to_str().ok_or("the directory's name is not text")?;
        let origin = Server::ours(&["origin", directory, http.as_str()])?;
        let mut stands = Vec::new();
        for variant in options.variants.iter().copied() {
            if let Some(reason) = programs.missing(variant) {
                results.remark(format!("{} is left out: {reason}", variant.name()));
            } else if options.subjects.iter().any(|subject| subject.concerns(variant)) {
                let server = variants::start(variant, http, world, origin.address(), programs)?;
                stands.push(Stand { variant, server });
            }
        }
        Ok(Self { world, programs, http, size: options.size, origin, stands })
    }

    /// Measures one subject once for each variant.
    async fn round(&self, round: usize, subject: Subject, results: &mut Results) {
        for stand in self.stands.iter().filter(|stand| subject.concerns(stand.variant)) {
            let what =
                format!("{}: {}, {}", stand.variant.name(), subject.name(), self.http.as_str());
            eprint!("\r\x1b[Kround {}, {what}", round + 1);
            let measured = self.measure(round, subject, stand, results);
            let measured = tokio::time::timeout(PATIENCE, measured).await;
            if let Err(error) = measured.unwrap_or_else(|_| Err("it never ended".into())) {
                results.remark(format!("{what}: {error}"));
            }
        }
    }

    async fn measure(
        &self,
        round: usize,
        subject: Subject,
        stand: &Stand,
        results: &mut Results,
    ) -> Result<()> {
        let (variant, http) = (stand.variant, self.http);
        let server = stand.server.as_ref().unwrap_or(&self.origin);
        let mut add = |metric, value| results.add(round, metric, variant, value);
        let load = self.load(variant, server.address())?;
        match subject {
            Subject::Small => {
                let warm = load.warm(self.size.length, || self.cpu(stand)).await?;
                add(Metric::SmallPerSecond(http), warm.per_second);
                add(Metric::SmallP50(http), warm.p50);
                add(Metric::SmallP99(http), warm.p99);
                add(Metric::SmallCpu(http), warm.cpu_per_million);
                add(Metric::SmallPerCpu(http), warm.per_cpu_second);
            }
            Subject::Alone => {
                add(Metric::SmallAlone(http), load.alone(self.size.alone).await?);
            }
            Subject::Fresh => {
                let fresh = load.fresh(self.size.length, || self.cpu(stand)).await?;
                add(Metric::FreshPerSecond(http), fresh.per_second);
                add(Metric::FreshCpu(http), fresh.cpu_per_million);
                add(Metric::FreshPerCpu(http), fresh.per_cpu_second);
            }
            Subject::Transfer => {
                for direction in [Direction::Down, Direction::Up] {
                    let length = self.length(variant);
                    let transfer = load.transfer(direction, length, || server.memory()).await?;
                    add(Metric::Bytes(direction, http), transfer.bytes_per_second);
                    add(Metric::Memory(direction, http), transfer.memory);
                }
            }
            Subject::Events => add(Metric::Event(http), load.events(self.size.events).await?),
            Subject::Idle => {
                // A process that was never used: memory that is free already would hide its cost.
                let fresh = self.fresh(variant)?;
                let load = self.load(variant, fresh.address())?;
                add(Metric::Idle(http), load.idle(self.size.tunnels, || fresh.memory()).await?);
            }
        }
        Ok(())
    }

    /// Returns the processor time that everybody has used so far.
    fn cpu(&self, stand: &Stand) -> Cpu {
        let origin = self.origin.cpu();
        let server = stand.server.as_ref().map_or(origin, Server::cpu);
        let others = if stand.server.is_some() { origin } else { 0.0 };
        Cpu { server, all: server + others + process::own_cpu() }
    }

    fn load(&self, variant: Variant, address: SocketAddr) -> Result<Load> {
        Load::new(self.world, variants::way(variant, self.world, address)?, self.http)
    }

    fn fresh(&self, variant: Variant) -> Result<Server> {
        let server =
            variants::start(variant, self.http, self.world, self.origin.address(), self.programs)?;
        Ok(server.ok_or("there is no process to measure")?)
    }

    fn length(&self, variant: Variant) -> u64 {
        match variant {
            Variant::Mitmproxy => self.size.bytes / MITMPROXY_SHARE,
            _ => self.size.bytes,
        }
    }
}
