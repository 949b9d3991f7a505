//! The least that a proxy of this kind can do: TLS on both legs, and bytes in between that nobody
//! reads. What it costs is what no interception on the same libraries can undercut.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::Result;
use crate::world::{HOST, Http, World};

pub(super) async fn serve(
    world: &World,
    origin: SocketAddr,
    http: Http,
    listener: TcpListener,
) -> Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(world.server(&[http])?));
    let connector = TlsConnector::from(Arc::new(world.client(&[http], Resumption::default())?));
    loop {
        let (mut client, _) = listener.accept().await?;
        client.set_nodelay(true)?;
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                client.read_buf(&mut head).await?;
            }
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            let mut client = acceptor.accept(client).await?;
            let host = TcpStream::connect(origin).await?;
            host.set_nodelay(true)?;
            let name = ServerName::try_from(HOST).map_err(std::io::Error::other)?;
            let mut host = connector.connect(name, host).await?;
            copy_bidirectional_with_sizes(&mut client, &mut host, 16384, 16384).await
        });
    }
}
