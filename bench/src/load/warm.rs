//! Small requests on connections that are open already.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::upload::Upload;
use super::{Connection, Load};
use crate::Result;
use crate::origin::SMALL;
use crate::process::Cpu;
use crate::world::Http;

/// Requests that are under way at any time.
const CONCURRENT: usize = 64;
/// Of these, on one HTTP/2 connection.
const STREAMS: usize = 8;

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Warm {
    pub(crate) per_second: f64,
    /// Median and 99th percentile, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Seconds of the server's processor time.
    pub(crate) cpu_per_million: f64,
    /// For each second of everybody's processor time.
    pub(crate) per_cpu_second: f64,
}

impl Load {
    /// Sends requests for a while; `cpu` tells the processor time so far.
    pub(crate) async fn warm(&self, length: Duration, cpu: impl Fn() -> Cpu) -> Result<Warm> {
        let connections = self.connections().await?;
        let begin = Instant::now() + length / 4;
        let end = begin + length;
        let mut clients = JoinSet::new();
        for connection in connections {
            clients.spawn(ask(connection, self.http, begin, end));
        }
        tokio::time::sleep_until(begin).await;
        let (before, measured_from) = (cpu(), Instant::now());
        tokio::time::sleep_until(end).await;
        let (after, seconds) = (cpu(), measured_from.elapsed().as_secs_f64());
        let mut latencies = Vec::new();
        while let Some(client) = clients.join_next().await {
            latencies.append(&mut client??);
        }
        latencies.sort_unstable();
        let count = latencies.len();
        if count == 0 {
            return Err("no request was answered in time".into());
        }
        let at = |share: f64| f64::from(latencies[(count as f64 * share) as usize]);
        Ok(Warm {
            per_second: count as f64 / seconds,
            p50: at(0.5),
            p99: at(0.99),
            cpu_per_million: (after.server - before.server) * 1e6 / count as f64,
            per_cpu_second: count as f64 / (after.all - before.all),
        })
    }

    /// Opens what small requests are sent on: connections, or their streams.
    pub(crate) async fn connections(&self) -> Result<Vec<Connection>> {
        let mut connections = Vec::new();
        let per_connection = if self.http == Http::One { 1 } else { STREAMS };
        for number in 0..CONCURRENT / per_connection {
            let connection = self.open(number).await?;
            connections.extend((1..per_connection).filter_map(|_| connection.stream()));
            connections.push(connection);
        }
        Ok(connections)
    }

    /// Sends this many requests on each of the connections, and returns those.
    pub(crate) async fn send(
        &self,
        connections: Vec<Connection>,
        each: usize,
    ) -> Result<Vec<Connection>> {
        let mut clients: JoinSet<Result<Connection>> = JoinSet::new();
        for mut connection in connections {
            let template = connection.request("/small", self.http)?;
            clients.spawn(async move {
                for _ in 0..each {
                    let request = template.clone().map(|()| Upload::empty());
                    connection.exchange(request, SMALL as u64).await?;
                }
                Ok(connection)
            });
        }
        clients.join_all().await.into_iter().collect()
    }
}

/// Asks again and again, and returns the microseconds of what was answered in time.
async fn ask(
    mut connection: Connection,
    http: Http,
    begin: Instant,
    end: Instant,
) -> Result<Vec<u32>> {
    let template = connection.request("/small", http)?;
    let mut latencies = Vec::with_capacity(4096);
    loop {
        let request = template.clone().map(|()| Upload::empty());
        let sent = Instant::now();
        connection.exchange(request, SMALL as u64).await?;
        let answered = Instant::now();
        if answered >= end {
            return Ok(latencies);
        }
        if answered >= begin {
            let latency = (answered - sent).as_micros();
            latencies.push(u32::try_from(latency).unwrap_or(u32::MAX));
        }
    }
}
