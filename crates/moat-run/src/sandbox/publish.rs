//! Ports of loopback of the host that lead to ports of loopback in a sandbox: the host's side of
//! what the bridge does with `--publish`.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::{Result, RunError, RunErrorKind};

/// How long the bridge may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// The number by which the bridge says that it waits for clients.
const CONTROL: u64 = 0;

/// How many connections from the sandbox may be there at once that have not said what they are for.
const GREETING: usize = 256;

/// Clients that wait for the bridge, and the connection over which it hears of them.
#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    control: AsyncMutex<Option<OwnedWriteHalf>>,
    arrived: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    clients: HashMap<u64, oneshot::Sender<UnixStream>>,
}

/// Listens on the socket for the bridge, and on ports of loopback for clients; the task ends all of
/// it when it is aborted. Returns with it what tells whether the bridge was ever there.
pub(super) async fn serve(
    socket: &Path,
    ports: &[(u16, u16)],
) -> Result<(JoinHandle<()>, Arc<AtomicBool>)> {
    let mut listeners = Vec::new();
    for (host, inside) in ports {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *host));
        let listener = TcpListener::bind(address).await.map_err(|error| {
            RunError::new(RunErrorKind::InvalidInput, format!("port {host} cannot be published"))
                .with_hint(format!("publish another one, or end the program that uses {host}"))
                .with_source(error)
        })?;
        listeners.push((listener, *inside));
    }
    let bridge = UnixListener::bind(socket).map_err(|error| {
        let message = format!("cannot listen at {}", socket.display());
        RunError::new(RunErrorKind::Io, message).with_source(error)
    })?;
    let shared = Arc::<Shared>::default();
    let arrived = Arc::clone(&shared.arrived);
    let task = tokio::spawn(async move {
        let mut tasks = JoinSet::new();
        tasks.spawn(accept_bridge(bridge, Arc::clone(&shared)));
        for (listener, port) in listeners {
            tasks.spawn(accept_clients(listener, port, Arc::clone(&shared)));
        }
        while tasks.join_next().await.is_some() {}
    });
    Ok((task, arrived))
}

async fn accept_clients(listener: TcpListener, port: u16, shared: Arc<Shared>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                tasks.spawn(serve_client(client, port, Arc::clone(&shared)));
            }
            Some(_) = tasks.join_next() => {}
            else => return,
        }
    }
}

/// Joins a client to the connection that the bridge opens for it.
async fn serve_client(mut client: TcpStream, port: u16, shared: Arc<Shared>) {
    let (sender, receiver) = oneshot::channel();
    let number = {
        let mut waiting = shared.waiting();
        waiting.last += 1;
        let number = waiting.last;
        waiting.clients.insert(number, sender);
        number
    };
    let joined = timeout(ANSWER, async {
        shared.ask(port, number).await?;
        receiver.await.map_err(io::Error::other)
    });
    let joined = joined.await;
    shared.waiting().clients.remove(&number);
    if let Ok(Ok(mut server)) = joined {
        _ = client.set_nodelay(true);
        _ = copy_bidirectional(&mut client, &mut server).await;
    }
}

async fn accept_bridge(listener: UnixListener, shared: Arc<Shared>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept(), if tasks.len() < GREETING => {
                tasks.spawn(greet(stream, Arc::clone(&shared)));
            }
            Some(_) = tasks.join_next() => {}
            else => return,
        }
    }
}

/// Learns what a connection from the sandbox is for. Anybody in there can open one: all that they
/// get by it is to serve the container's own ports.
async fn greet(mut stream: UnixStream, shared: Arc<Shared>) {
    let Ok(Ok(number)) = timeout(ANSWER, stream.read_u64()).await else { return };
    if number != CONTROL {
        if let Some(client) = shared.waiting().clients.remove(&number) {
            _ = client.send(stream);
        }
        return;
    }
    shared.arrived.store(true, Ordering::Relaxed);
    let (mut reader, writer) = stream.into_split();
    {
        let mut control = shared.control.lock().await;
        // The bridge comes first, before the command is there.
        if control.is_some() {
            return;
        }
        *control = Some(writer);
    }
    // Nothing comes; the end does.
    _ = reader.read_u8().await;
    *shared.control.lock().await = None;
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, port: u16, number: u64) -> io::Result<()> {
        let mut request = [0; 10];
        request[..2].copy_from_slice(&port.to_be_bytes());
        request[2..].copy_from_slice(&number.to_be_bytes());
        match &mut *self.control.lock().await {
            Some(control) => control.write_all(&request).await,
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}
