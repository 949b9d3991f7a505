//! A minimal proxy on the crate `hudsucker`.

use std::net::SocketAddr;

use hudsucker::Proxy;
use hudsucker::certificate_authority::RcgenAuthority;
use tokio::net::TcpListener;

use super::connector::ToOrigin;
use crate::Result;
use crate::world::{World, provider};

/// Leaf certificates that are kept.
const LEAVES: u64 = 1000;

pub(super) async fn serve(world: &World, origin: SocketAddr, listener: TcpListener) -> Result<()> {
    let authority = RcgenAuthority::new(world.issuer("proxy-ca")?, LEAVES, (*provider()).clone());
    let proxy = Proxy::builder()
        .with_listener(listener)
        .with_ca(authority)
        .with_http_connector(ToOrigin::new(world, origin)?)
        .build()?;
    Ok(proxy.start().await?)
}
