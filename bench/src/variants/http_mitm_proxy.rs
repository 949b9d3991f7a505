//! A minimal proxy on the crate `http-mitm-proxy`, with the pooled client of `hyper-util`.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use http_mitm_proxy::MitmProxy;
use http_mitm_proxy::moka::sync::Cache;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use super::connector::ToOrigin;
use crate::Result;
use crate::world::World;

/// Leaf certificates that are kept.
const LEAVES: u64 = 1000;

pub(super) async fn serve(world: &World, origin: SocketAddr, listener: TcpListener) -> Result<()> {
    let proxy = MitmProxy::new(Some(world.issuer("proxy-ca")?), Some(Cache::new(LEAVES)));
    let proxy = Arc::new(proxy);
    let client = Client::builder(TokioExecutor::new()).build(ToOrigin::new(world, origin)?);
    let forward = service_fn(move |mut request: Request<Incoming>| {
        // The client of `hyper-util` chooses the version by connection.
        *request.version_mut() = http::Version::HTTP_11;
        client.request(request)
    });
    loop {
        let (tcp, _) = listener.accept().await?;
        // Without this, the kernel holds small answers back for others' acknowledgements.
        tcp.set_nodelay(true)?;
        let service = MitmProxy::wrap_service(Arc::clone(&proxy), forward.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(tcp), service);
            _ = connection.with_upgrades().await;
        });
    }
}
