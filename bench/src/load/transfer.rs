//! One long body, down or up.

use std::time::Duration;

use http::{Method, Request};
use tokio::time::{Instant, MissedTickBehavior};

use super::upload::{Signed, Upload};
use super::{Connection, Load};
use crate::Result;
use crate::body::{Repeat, text};
use crate::origin::{PIECE, SMALL};

/// How often the server's memory is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Which way a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Direction {
    Down,
    Up,
}

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) bytes_per_second: f64,
    /// Bytes of memory that the server had at most, beyond those before.
    pub(crate) memory: f64,
}

impl Load {
    /// Sends one body; `memory` tells how much the server has.
    pub(crate) async fn transfer(
        &self,
        direction: Direction,
        length: u64,
        memory: impl Fn() -> u64,
    ) -> Result<Transfer> {
        let mut connection = self.open(0).await?;
        let first = connection.request("/small", self.http)?.map(|()| Upload::empty());
        connection.exchange(first, SMALL as u64).await?;
        let (request, answer) = match direction {
            Direction::Down => {
                let path = format!("/down/{length}");
                (connection.request(&path, self.http)?.map(|()| Upload::empty()), length)
            }
            Direction::Up => {
                let mut request = connection.request("/up", self.http)?;
                *request.method_mut() = Method::POST;
                let body = connection.upload(&mut request, length)?;
                let answer = body.len().to_string().len() as u64;
                (request.map(|()| body), answer)
            }
        };
        let before = memory();
        let began = Instant::now();
        let peak = watch(&memory, connection.exchange(request, answer)).await?;
        Ok(Transfer {
            bytes_per_second: length as f64 / began.elapsed().as_secs_f64(),
            memory: peak.saturating_sub(before) as f64,
        })
    }
}

impl Connection {
    /// Makes a long body, and signs for it if requests are signed.
    fn upload(&self, request: &mut Request<()>, length: u64) -> Result<Upload> {
        let piece = text(PIECE);
        if let Some((keys, payload)) = &self.signing
            && let Some(chain) = keys.sign_body(request, *payload, length)?
        {
            let pieces = length / PIECE as u64;
            return Ok(Upload::Signed(Box::new(Signed::new(piece, pieces, chain))));
        }
        Ok(Upload::Plain(Repeat::new(piece, length)))
    }
}

/// Returns the most memory that the server had until something was done.
async fn watch(memory: &impl Fn() -> u64, done: impl Future<Output = Result<()>>) -> Result<u64> {
    let mut done = std::pin::pin!(done);
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut peak = 0;
    loop {
        tokio::select! {
            result = &mut done => {
                result?;
                return Ok(peak.max(memory()));
            }
            _ = look.tick() => peak = peak.max(memory()),
        }
    }
}
