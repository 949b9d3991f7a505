//! Visitors, who ask for further commands in a sandbox that runs.

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use moat_run::Way;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::world::{PORT, World, text};

/// A visitor who has sent a part of a request.
struct Visitor {
    stream: UnixStream,
    rest: Vec<u8>,
}

impl Visitor {
    /// Asks for a script of the shell, and stalls behind so many bytes.
    fn stalled(socket: &Path, script: &str, after: usize) -> Self {
        let words = format!("streams\0sh\0-c\0{script}\0");
        let mut request = u32::try_from(words.len()).unwrap().to_be_bytes().to_vec();
        request.extend(words.into_bytes());
        let rest = request.split_off(after);
        let stream = UnixStream::connect(socket).unwrap();
        let null = File::open("/dev/null").unwrap();
        let streams = [null.as_fd(); 3];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&streams));
        let sent = sendmsg(&stream, &[IoSlice::new(&request)], &mut control, SendFlags::NOSIGNAL);
        assert_eq!(sent.unwrap(), after);
        Self { stream, rest }
    }

    /// Sends the rest, and waits for the exit code.
    fn served(mut self) -> u8 {
        self.stream.write_all(&self.rest).unwrap();
        self.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut code = [0];
        self.stream.read_exact(&mut code).unwrap();
        code[0]
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn a_visitor_who_stalls_holds_nobody_up() {
    let world = World::new();
    let script = format!(
        "
import socket
first = socket.create_connection(('127.0.0.1', {PORT}))
first.recv(1)
second = socket.create_connection(('127.0.0.1', {PORT}))
second.sendall(b'ping')
print(second.recv(4))
"
    );
    let mut spec = world.spec(&["/usr/bin/python3", "-c", &script]);
    let own = world.directory.join("own.sock");
    let proxy = UnixListener::bind(&own).unwrap();
    spec.way = Way::Socket { path: own, port: PORT };
    let running = world.start(&spec).await;
    let (mut first, _) = proxy.accept().await.unwrap();
    let door = world.directory.join("visits.sock");
    let silent = UnixStream::connect(&door).unwrap();
    let in_length = Visitor::stalled(&door, "exit 5", 2);
    let in_words = Visitor::stalled(&door, "exit 6", 10);
    // What goes through the sandbox now comes through before any of them was turned away.
    first.write_all(b"1").await.unwrap();
    let (mut second, _) = proxy.accept().await.unwrap();
    let mut ping = [0; 4];
    second.read_exact(&mut ping).await.unwrap();
    assert_eq!((in_words.served(), in_length.served()), (6, 5));
    drop(silent);
    second.write_all(b"pong").await.unwrap();
    let output = running.output().await.unwrap();
    assert_eq!(text(&output.stdout), "b'pong'\n", "{}", text(&output.stderr));
}
