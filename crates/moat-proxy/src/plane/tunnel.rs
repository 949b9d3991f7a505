//! Bytes in both directions: raw tunnels and WebSockets.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::Reason;
use crate::plane::error::Abort;
use crate::plane::linger::drain;
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
    let (mut client_read, client_write) = tokio::io::split(client);
    let (host_read, host_write) = tokio::io::split(host);
    let up = copy(&mut client_read, host_write, maps.up, exchange, Direction::Up);
    let down = copy(host_read, client_write, maps.down, exchange, Direction::Down);
    let both = async { tokio::try_join!(up, down) };
    let ended = tokio::select! {
        ended = pin!(both) => ended,
        () = silence(exchange, idle) => Err(Ended::Lost(Abort::new(Reason::IdleTimeout.as_str()))),
    };
    match ended {
        Ok(_) => {}
        Err(Ended::Lost(abort)) => exchange.reason(abort.reason()),
        Err(Ended::Cut(reason)) => {
            exchange.reason(reason);
            // A WebSocket's client answers the close frame before it closes (RFC 6455, section 7).
            drain(&mut client_read).await;
        }
    }
}

/// Runs a relay until it ends, or what allowed it is revoked.
pub(crate) async fn until_cut(
    cut: Option<CancellationToken>,
    exchange: &Exchange,
    relay: impl Future<Output = ()>,
) {
    if cut.unwrap_or_default().run_until_cancelled(relay).await.is_none() {
        exchange.reason(Reason::Revoked.as_str());
    }
}

/// Why one direction ended before its time.
enum Ended {
    Lost(Abort),
    /// A map cut it, and its last bytes are sent.
    Cut(&'static str),
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
) -> Result<(), Ended>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (reading, writing) = match direction {
        Direction::Up => (Reason::ClientAborted, Reason::UpstreamReset),
        Direction::Down => (Reason::UpstreamReset, Reason::ClientAborted),
    };
    let lost = |reason| move |error| Ended::Lost(Abort::because(reason, error));
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(BUFFER);
        let patience = map.as_ref().and_then(|map| map.patience());
        let read = within(patience, from.read_buf(&mut buffer)).await;
        let mapped = match (read, &mut map) {
            (Some(read), map) => {
                let count = read.map_err(lost(reading))?;
                if count == 0 {
                    break;
                }
                exchange.count(direction, count);
                let data = buffer.split().freeze();
                match map {
                    Some(map) => map.push(data),
                    None => Ok(data),
                }
            }
            (None, Some(map)) => map.flush(),
            (None, None) => continue,
        };
        pass(&mut to, mapped, lost(writing)).await?;
    }
    if let Some(map) = &mut map {
        pass(&mut to, map.finish(), lost(writing)).await?;
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

/// Sends what a map returned, and after the last bytes of a cut the end.
async fn pass<W: AsyncWrite + Unpin>(
    to: &mut W,
    mapped: Result<Bytes, Cut>,
    lost: impl FnOnce(std::io::Error) -> Ended,
) -> Result<(), Ended> {
    match mapped {
        Ok(data) => send(to, &data).await.map_err(lost),
        Err(cut) => {
            // Whether the last bytes arrive changes nothing.
            _ = send(to, cut.last()).await;
            _ = to.shutdown().await;
            Err(Ended::Cut(cut.reason()))
        }
    }
}
