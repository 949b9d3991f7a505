//! Bytes in both directions: raw tunnels and WebSockets.

use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::Reason;
use crate::plane::error::Abort;
use crate::plane::record::{Direction, Exchange};
use crate::plane::seam::{BodyMap, Cut, UpgradedMaps};

const BUFFER: usize = 32 * 1024;

/// Passes bytes until both sides are done, one fails, or nothing passes for too long. The end of one
/// direction is passed on, and the other goes on.
pub(crate) async fn relay<C, H>(
    client: C,
    host: H,
    maps: UpgradedMaps,
    exchange: &Exchange,
    idle: Duration,
) where
    C: AsyncRead + AsyncWrite + Unpin,
    H: AsyncRead + AsyncWrite + Unpin,
{
    let (client_read, client_write) = tokio::io::split(client);
    let (host_read, host_write) = tokio::io::split(host);
    let up = copy(client_read, host_write, maps.up, exchange, Direction::Up);
    let down = copy(host_read, client_write, maps.down, exchange, Direction::Down);
    let both = async { tokio::try_join!(up, down) };
    tokio::select! {
        ended = pin!(both) => {
            if let Err(abort) = ended {
                exchange.reason(abort.reason());
            }
        }
        () = silence(exchange, idle) => exchange.reason(Reason::IdleTimeout.as_str()),
    }
}

/// Completes when nothing has passed for a while.
async fn silence(exchange: &Exchange, idle: Duration) {
    let mut seen = exchange.activity();
    loop {
        tokio::time::sleep(idle).await;
        let now = exchange.activity();
        if now == seen {
            return;
        }
        seen = now;
    }
}

async fn copy<R, W>(
    mut from: R,
    mut to: W,
    mut map: Option<Box<dyn BodyMap>>,
    exchange: &Exchange,
    direction: Direction,
) -> Result<(), Abort>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (reading, writing) = match direction {
        Direction::Up => (Reason::ClientAborted, Reason::UpstreamReset),
        Direction::Down => (Reason::UpstreamReset, Reason::ClientAborted),
    };
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(BUFFER);
        let patience = map.as_ref().and_then(|map| map.patience());
        let read = within(patience, from.read_buf(&mut buffer)).await;
        let data = match (read, &mut map) {
            (Some(read), map) => {
                let count = read.map_err(|error| Abort::because(reading, error))?;
                if count == 0 {
                    break;
                }
                exchange.count(direction, count);
                let data = buffer.split().freeze();
                match map {
                    Some(map) => map.push(data).map_err(cut)?,
                    None => data,
                }
            }
            (None, Some(map)) => map.flush().map_err(cut)?,
            (None, None) => continue,
        };
        send(&mut to, &data).await.map_err(|error| Abort::because(writing, error))?;
    }
    if let Some(map) = &mut map {
        let rest = map.finish().map_err(cut)?;
        send(&mut to, &rest).await.map_err(|error| Abort::because(writing, error))?;
    }
    // The other side may have closed both directions at once, which is no failure.
    _ = to.shutdown().await;
    Ok(())
}

async fn send<W: AsyncWrite + Unpin>(to: &mut W, data: &[u8]) -> std::io::Result<()> {
    if !data.is_empty() {
        to.write_all(data).await?;
        to.flush().await?;
    }
    Ok(())
}

async fn within<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

fn cut(cut: Cut) -> Abort {
    Abort::new(cut.reason)
}
