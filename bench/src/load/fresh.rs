//! A new connection and a full handshake for each request.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Load;
use super::upload::Upload;
use crate::Result;
use crate::origin::SMALL;
use crate::process::Cpu;

/// Connections that are under way at any time.
const CONCURRENT: usize = 16;

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fresh {
    pub(crate) per_second: f64,
    /// Seconds of the server's processor time.
    pub(crate) cpu_per_million: f64,
    /// For each second of everybody's processor time.
    pub(crate) per_cpu_second: f64,
}

impl Load {
    /// Connects for a while; `cpu` tells the processor time so far.
    pub(crate) async fn fresh(&self, length: Duration, cpu: impl Fn() -> Cpu) -> Result<Fresh> {
        let begin = Instant::now() + length / 4;
        let end = begin + length;
        let mut clients = JoinSet::new();
        for number in 0..CONCURRENT {
            let load = self.clone();
            clients.spawn(async move { load.connect_again(number, begin, end).await });
        }
        tokio::time::sleep_until(begin).await;
        let (before, measured_from) = (cpu(), Instant::now());
        tokio::time::sleep_until(end).await;
        let (after, seconds) = (cpu(), measured_from.elapsed().as_secs_f64());
        let mut count = 0;
        while let Some(client) = clients.join_next().await {
            count += client??;
        }
        let count = f64::from(count);
        Ok(Fresh {
            per_second: count / seconds,
            cpu_per_million: (after.server - before.server) * 1e6 / count,
            per_cpu_second: count / (after.all - before.all),
        })
    }

    async fn connect_again(&self, number: usize, begin: Instant, end: Instant) -> Result<u32> {
        let mut count = 0;
        loop {
            self.ask_once(number).await?;
            let now = Instant::now();
            if now >= end {
                return Ok(count);
            }
            count += u32::from(now >= begin);
        }
    }

    async fn ask_once(&self, number: usize) -> Result<()> {
        let mut connection = self.open(number).await?;
        let request = connection.request("/small", self.http)?.map(|()| Upload::empty());
        connection.exchange(request, SMALL as u64).await
    }
}
