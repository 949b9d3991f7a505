//! Listeners: connections come in, and none of their faults ends the loop.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Reason;
use crate::plane::connect;
use crate::plane::io::Socket;
use crate::plane::proxy::Shared;
use crate::plane::record::{Exchange, Sink};
use crate::plane::run::Run;

/// Pauses after an error that waiting may cure (EMFILE, ENOBUFS).
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How clients of a listener say which run they are.
#[derive(Clone, Debug)]
pub(crate) enum Admission {
    /// With a token.
    Token,
    /// By being there.
    Run(Arc<Run>),
}

/// Something that connections come in at.
pub(crate) trait Accept: Send + Sync {
    fn accept(&self) -> impl Future<Output = io::Result<(Socket, Option<IpAddr>)>> + Send;
}

impl Accept for TcpListener {
    async fn accept(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        let (stream, peer) = Self::accept(self).await?;
        // Answers are written whole; waiting for more to send would only delay them.
        _ = stream.set_nodelay(true);
        Ok((Socket::Left(stream), Some(peer.ip())))
    }
}

impl Accept for UnixListener {
    async fn accept(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        let (stream, _) = Self::accept(self).await?;
        Ok((Socket::Right(stream), None))
    }
}

/// Accepts connections until the proxy, or the one run that is served, stops.
pub(crate) async fn serve<L: Accept>(shared: Arc<Shared>, listener: L, admission: Admission) {
    let stop = match &admission {
        Admission::Token => shared.stop.clone(),
        Admission::Run(run) => run.stop.clone(),
    };
    stop.run_until_cancelled(accept(&shared, &listener, &admission, &stop)).await;
}

async fn accept<L: Accept>(
    shared: &Arc<Shared>,
    listener: &L,
    admission: &Admission,
    stop: &CancellationToken,
) {
    let room = Arc::new(Semaphore::new(shared.limits.connections));
    let mut pause = FIRST_PAUSE;
    let mut is_full = false;
    loop {
        let place = match Arc::clone(&room).try_acquire_owned() {
            Ok(place) => {
                is_full = false;
                place
            }
            Err(_) => {
                if !std::mem::replace(&mut is_full, true) {
                    full(shared, admission);
                }
                let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
                place
            }
        };
        match listener.accept().await {
            Ok((socket, peer)) => {
                pause = FIRST_PAUSE;
                let client = connect::Client {
                    shared: Arc::clone(shared),
                    admission: admission.clone(),
                    peer,
                };
                let stop = stop.clone();
                tokio::spawn(async move {
                    stop.run_until_cancelled(connect::serve(socket, client)).await;
                    drop(place);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Records that connections have to wait.
fn full(shared: &Shared, admission: &Admission) {
    let run = match admission {
        Admission::Token => None,
        Admission::Run(run) => Some(run.id.clone()),
    };
    let exchange = Exchange::new(shared.recorder.as_ref().map(|recorder| Sink {
        recorder: recorder.clone(),
        run,
        peer: None,
        method: String::new(),
        url: String::new(),
        started: shared.clock.now(),
        client_protocol: "tcp",
        samples: 0,
    }));
    exchange.reason(Reason::TooManyConnections.as_str());
}

/// Whether an error concerns the connection that would have been accepted, and no other.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_descriptors_is_waited_for() {
        let emfile = 24;
        assert!(!is_of_one_connection(&io::Error::from_raw_os_error(emfile)));
        assert!(is_of_one_connection(&io::ErrorKind::ConnectionAborted.into()));
    }
}
