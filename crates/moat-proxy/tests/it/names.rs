//! Names whose addresses a test chooses, and a dialer that notes what it was asked for.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use moat_provider_core::BoxFuture;
use moat_proxy::plane::{Dialer, ProxyBuilder, Resolver};
use tokio::net::TcpStream;

/// A resolver and a dialer. What is dialled goes to one place on loopback, or nowhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    answers: HashMap<String, Vec<Vec<IpAddr>>>,
    asked: Vec<String>,
    dialled: Vec<SocketAddr>,
    real: Option<SocketAddr>,
}

impl Names {
    /// Gives a name addresses: those of the first list for the first query, and so on. The last
    /// list stays.
    pub(crate) fn answer(&self, name: &str, lists: &[&[&str]]) {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        let lists = lists.iter().map(parse).collect();
        self.0.lock().unwrap().answers.insert(name.to_owned(), lists);
    }

    /// Lets whatever is dialled be this.
    pub(crate) fn lead_to(&self, real: SocketAddr) {
        assert!(real.ip().is_loopback());
        self.0.lock().unwrap().real = Some(real);
    }

    pub(crate) fn install(&self, builder: ProxyBuilder) -> ProxyBuilder {
        builder.resolver(Arc::new(self.clone())).dialer(Arc::new(self.clone()))
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }

    pub(crate) fn dialled(&self) -> Vec<SocketAddr> {
        self.0.lock().unwrap().dialled.clone()
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let mut state = self.0.lock().unwrap();
        state.asked.push(host.to_owned());
        let found = state
            .answers
            .get_mut(host)
            .map(|lists| if lists.len() > 1 { lists.remove(0) } else { lists[0].clone() });
        Box::pin(async move { found.ok_or(io::ErrorKind::NotFound.into()) })
    }
}

impl Dialer for Names {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        let mut state = self.0.lock().unwrap();
        state.dialled.push(address);
        let real = state.real;
        Box::pin(
            async move { TcpStream::connect(real.ok_or(io::ErrorKind::ConnectionRefused)?).await },
        )
    }
}
