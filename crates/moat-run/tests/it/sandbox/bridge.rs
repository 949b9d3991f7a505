//! The way from a container's loopback to the run's socket.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::world::{PORT, World, text};

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn a_long_transfer_arrives_after_its_half_was_closed() {
    let world = World::new();
    let script = format!(
        "
import socket, threading
s = socket.create_connection(('127.0.0.1', {PORT}))
data = bytes(range(251)) * 200000
def send(): s.sendall(data); s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = bytearray()
while part := s.recv(65536): got += part
print(bytes(got) == data)
"
    );
    let output = world.python(&script).await;
    assert_eq!(text(&output.stdout), "True\n", "{}", text(&output.stderr));
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn five_hundred_connections_are_served_at_once() {
    let world = World::new();
    let script = format!(
        "
import socket
all = [socket.create_connection(('127.0.0.1', {PORT})) for _ in range(500)]
for i, s in enumerate(all): s.sendall(b'%08d' % i)
print(all and all.__len__(), sum(s.recv(8, socket.MSG_WAITALL) == b'%08d' % i for i, s in enumerate(all)))
"
    );
    let output = world.python(&script).await;
    assert_eq!(text(&output.stdout), "500 500\n", "{}", text(&output.stderr));
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn a_published_port_leads_to_the_container() {
    let world = World::new();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let script = "
import socket
s = socket.create_server(('127.0.0.1', 8000))
c, _ = s.accept(); c.sendall(c.recv(4).upper()); c.close()
";
    let mut spec = world.spec(&["/usr/bin/python3", "-c", script]);
    spec.publish = vec![(free, 8000)];
    let running = world.start(&spec).await;
    // Until the server listens, connections end without an answer.
    let mut answer = Vec::new();
    while answer.is_empty() {
        let mut client = TcpStream::connect(("127.0.0.1", free)).await.unwrap();
        client.write_all(b"ping").await.unwrap();
        _ = client.read_to_end(&mut answer).await;
    }
    assert_eq!(text(&answer), "PING");
    assert_eq!(running.output().await.unwrap().code, 0);
}
