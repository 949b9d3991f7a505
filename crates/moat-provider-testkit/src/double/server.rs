//! The threads of a double.

use std::any::Any;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::wire::{Connection, Wire};
use crate::Vendor;
use crate::fakes::lock;

/// How long a double waits for a client that has stopped in the middle of a message.
const PATIENCE: Duration = Duration::from_secs(30);

/// A listener, its connections, and what they have seen.
pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    vendor: Box<dyn Vendor>,
    tls: Option<Arc<ServerConfig>>,
    stopped: AtomicBool,
    connections: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
    requests: Mutex<Vec<Request<Bytes>>>,
    failures: Mutex<Vec<String>>,
}

impl Server {
    pub(super) fn start(vendor: Box<dyn Vendor>, tls: Option<Arc<ServerConfig>>) -> Self {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr().map(|address| (listener, address)));
        let (listener, address) = match bound {
            Ok(bound) => bound,
            Err(error) => panic!("no port of loopback can be bound: {error}"),
        };
        let shared = Arc::new(Shared {
            vendor,
            tls,
            stopped: AtomicBool::new(false),
            connections: Mutex::default(),
            requests: Mutex::default(),
            failures: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        Self { address, shared, listener: Some(thread::spawn(move || accepting.accept(&listener))) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn requests(&self) -> Vec<Request<Bytes>> {
        lock(&self.shared.requests).clone()
    }

    pub(super) fn verify(&self) {
        let failures = std::mem::take(&mut *lock(&self.shared.failures));
        assert!(failures.is_empty(), "the vendor's double failed: {}", failures.join("; "));
    }

    fn stop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // The listener waits for a connection: this is the last one.
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take() {
            // What went wrong in a thread is among the failures.
            let _ = listener.join();
        }
        let connections = std::mem::take(&mut *lock(&self.shared.connections));
        for (stream, thread) in connections {
            // Fails when the client has closed the connection already.
            let _ = stream.shutdown(Shutdown::Both);
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if !thread::panicking() {
            self.verify();
        }
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopped.load(Ordering::Acquire) {
                return;
            }
            let opened = stream.and_then(|stream| {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                Ok((stream.try_clone()?, stream.try_clone()?, stream))
            });
            match opened {
                Ok((handle, end, stream)) => {
                    let shared = Arc::clone(&self);
                    let thread = thread::spawn(move || {
                        shared.serve(stream);
                        // The handle keeps the connection open. Fails when the client was faster.
                        let _ = end.shutdown(Shutdown::Both);
                    });
                    lock(&self.connections).push((handle, thread));
                }
                Err(error) => self.fail(format!("a connection could not be taken: {error}")),
            }
        }
    }

    fn serve(&self, stream: TcpStream) {
        let served = match &self.tls {
            None => self.serve_on("http", stream),
            Some(config) => match ServerConnection::new(Arc::clone(config)) {
                Ok(tls) => self.serve_on("https", StreamOwned::new(tls, stream)),
                Err(error) => Err(io::Error::other(error)),
            },
        };
        match served {
            Err(error) if is_malformed(&error) => {
                self.fail(format!("what came is not a request: {error}"));
            }
            // A client may go when it likes, and need not trust the certificate.
            _ => {}
        }
    }

    fn serve_on(&self, scheme: &str, stream: impl Read + Write) -> io::Result<()> {
        let mut wire = Wire::new(stream);
        while let Some(request) = wire.read_request(scheme)? {
            lock(&self.requests).push(request.clone());
            let answered = catch_unwind(AssertUnwindSafe(|| self.vendor.answer(&request)));
            let (response, connection) = match answered {
                Ok(response) => (response, Connection::wanted(&request)),
                Err(panic) => {
                    self.fail(message_of(&*panic));
                    (crate::empty(500), Connection::Close)
                }
            };
            wire.write_response(&response, request.method(), connection)?;
            if connection == Connection::Close {
                return Ok(());
            }
        }
        Ok(())
    }

    fn fail(&self, failure: String) {
        lock(&self.failures).push(failure);
    }
}

/// Whether what came was not HTTP, rather than not TLS.
fn is_malformed(error: &io::Error) -> bool {
    let tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    error.kind() == io::ErrorKind::InvalidData && !tls
}

/// Returns the text of a panic.
pub(crate) fn message_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "a panic without text".to_owned())
}
