//! Ports of the sandbox that the host asks for.
//!
//! The bridge connects to the host's socket and says that it is there; for each client the host
//! sends a port and a number; the bridge connects once more, tells the number, and joins that
//! connection to the port. The host opens nothing that the container could have replaced.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::join::Join;

/// The number that says: tell me of clients.
const CONTROL: [u8; 8] = [0; 8];

/// How long a server in the sandbox may take to accept.
const CONNECT: Duration = Duration::from_secs(2);

/// The connection over which the host asks.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    stream: UnixStream,
    request: [u8; 10],
    filled: usize,
}

impl Control {
    pub(crate) fn connect(path: PathBuf) -> io::Result<Self> {
        let mut stream = UnixStream::connect(&path)?;
        stream.write_all(&CONTROL)?;
        stream.set_nonblocking(true)?;
        Ok(Self { path, stream, request: [0; 10], filled: 0 })
    }

    /// Returns the next connection that the host asked for; `None` when there is none for now.
    ///
    /// # Errors
    ///
    /// When the host has gone.
    pub(crate) fn next(&mut self) -> io::Result<Option<Join>> {
        loop {
            match self.stream.read(&mut self.request[self.filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.filled += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.filled == self.request.len() {
                self.filled = 0;
                // A port at which nobody listens is the client's problem, not the bridge's.
                if let Ok(join) = self.open() {
                    return Ok(Some(join));
                }
            }
        }
    }

    fn open(&self) -> io::Result<Join> {
        let [high, low, number @ ..] = self.request;
        let mut host = UnixStream::connect(&self.path)?;
        host.write_all(&number)?;
        host.set_nonblocking(true)?;
        let port = u16::from_be_bytes([high, low]);
        let server = connect(port)?;
        server.set_nonblocking(true)?;
        _ = server.set_nodelay(true);
        Ok(Join::new(Box::new(host), Box::new(server)))
    }
}

/// Servers that listen on `localhost` may have got either address.
fn connect(port: u16) -> io::Result<TcpStream> {
    let first = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let second = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&first, CONNECT)
        .or_else(|_| TcpStream::connect_timeout(&second, CONNECT))
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
