//! Names to addresses, and addresses to connections.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use moat_provider_core::BoxFuture;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::plane::error::SetupError;
use crate::plane::limits::Limits;
use crate::{Authority, Reason, Refusal};

/// Resolves names.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// Returns all addresses of a name. The name is absolute: no search domain is added to it.
    ///
    /// # Errors
    ///
    /// Any, when the name does not resolve.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// Opens connections. It sees addresses only, and only those that were judged.
pub trait Dialer: fmt::Debug + Send + Sync {
    /// Connects.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn dial(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>>;
}

/// Resolves with the resolver of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let absolute = format!("{host}.");
            let found = tokio::net::lookup_host((absolute.as_str(), 0)).await?;
            let mut addresses: Vec<_> = found.map(|address| address.ip()).collect();
            addresses.dedup();
            Ok(addresses)
        })
    }
}

/// Dials with TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDialer;

impl Dialer for TcpDialer {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        Box::pin(async move {
            let socket =
                if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_keepalive(true)?;
            socket.set_nodelay(true)?;
            socket.connect(address).await
        })
    }
}

/// Connects to the first address that answers: each gets a head start over the next, and the two
/// families take turns (RFC 8305, sections 4 and 5).
pub(super) async fn first_of(
    dialer: &Arc<dyn Dialer>,
    addresses: Vec<SocketAddr>,
    limits: &Limits,
) -> Result<TcpStream, Refusal> {
    let race = async {
        match addresses[..] {
            [] => Err(io::Error::from(io::ErrorKind::AddrNotAvailable)),
            [address] => dialer.dial(address).await,
            _ => race(dialer, take_turns(addresses), limits.connect_stagger).await,
        }
    };
    match tokio::time::timeout(limits.connect, race).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(unreached(&error)),
        Err(_) => Err(Refusal::new(Reason::ConnectTimeout)),
    }
}

fn unreached(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Refusal::new(Reason::ConnectionRefused),
        io::ErrorKind::TimedOut => Refusal::new(Reason::ConnectTimeout),
        _ => Refusal::new(Reason::Unreachable),
    }
}

fn take_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::new();
    loop {
        match (first.next(), second.next()) {
            (None, None) => return turns,
            (one, other) => turns.extend(one.into_iter().chain(other)),
        }
    }
}

async fn race(
    dialer: &Arc<dyn Dialer>,
    addresses: Vec<SocketAddr>,
    stagger: Duration,
) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let more = waiting.next();
        let is_last = more.is_none();
        if let Some(address) = more {
            attempts.spawn(dialer.dial(address));
        }
        let next = async {
            if is_last {
                return attempts.join_next().await;
            }
            tokio::time::timeout(stagger, attempts.join_next()).await.unwrap_or(None)
        };
        match next.await {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => last = error,
            Some(Err(_)) => {}
            None if is_last => return Err(last),
            None => {}
        }
    }
}

/// "Connections to this host and port go to that host and port instead": `HOST:PORT:ADDR:PORT`, as
/// curl has it. An empty host or port stands for any; an empty address or port for the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTo {
    host: Option<String>,
    port: Option<u16>,
    to_host: Option<String>,
    to_port: Option<u16>,
}

impl ConnectTo {
    pub(super) fn applies(&self, authority: &Authority) -> bool {
        self.host.as_deref().is_none_or(|host| host == authority.host().bare())
            && self.port.is_none_or(|port| port == authority.port())
    }

    /// Returns the host to connect to, where the rule names one, and the port for an authority to
    /// which it applies.
    pub(super) fn place(&self, authority: &Authority) -> (Option<&str>, u16) {
        (self.to_host.as_deref(), self.to_port.unwrap_or(authority.port()))
    }
}

impl FromStr for ConnectTo {
    type Err = SetupError;

    fn from_str(text: &str) -> Result<Self, SetupError> {
        let parts = split_outside_brackets(text);
        let invalid = || SetupError::new(format!("{text:?} is not HOST:PORT:ADDR:PORT"));
        let [host, port, to_host, to_port] = parts[..] else { return Err(invalid()) };
        let number = |port: &str| match port {
            "" => Ok(None),
            _ => port.parse::<u16>().map(Some).map_err(|_| invalid()),
        };
        let bare = |host: &str| host.trim_matches(['[', ']']).trim_end_matches('.').to_owned();
        Ok(Self {
            host: (!host.is_empty()).then(|| bare(host).to_ascii_lowercase()),
            port: number(port)?,
            to_host: (!to_host.is_empty()).then(|| bare(to_host)),
            to_port: number(to_port)?,
        })
    }
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(|c| {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ => {}
        }
        c == ':' && !inside
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_to_is_read_as_curl_reads_it() {
        let read = |text: &str| text.parse::<ConnectTo>();
        let rule = read("API.example:443:[::1]:8443").unwrap();
        let authority = |text| Authority::parse_connect(text).unwrap();
        assert!(rule.applies(&authority("api.example:443")));
        assert!(!rule.applies(&authority("api.example:444")));
        assert_eq!(rule.place(&authority("api.example:443")), (Some("::1"), 8443));
        let any = authority("any.example:9");
        assert_eq!(read("any.example:9:b:").unwrap().place(&any), (Some("b"), 9));
        assert_eq!(read(":9::8443").unwrap().place(&any), (None, 8443));
        assert!(read("::127.0.0.1:1").unwrap().applies(&authority("any.example:9")));
        for odd in ["", "a:1:b", "a:1:b:c", "a:x:b:1", "a:1:b:1:2"] {
            assert!(read(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn families_take_turns() {
        let all = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(|text| text.parse().unwrap());
        let turns: Vec<_> = take_turns(all.to_vec()).iter().map(ToString::to_string).collect();
        assert_eq!(turns, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
    }

    #[derive(Debug)]
    struct OnlyLast(SocketAddr);

    impl Dialer for OnlyLast {
        fn dial(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
            let real = self.0;
            Box::pin(async move {
                match address.port() {
                    1 => std::future::pending().await,
                    2 => Err(io::ErrorKind::ConnectionRefused.into()),
                    _ => TcpStream::connect(real).await,
                }
            })
        }
    }

    #[tokio::test]
    async fn a_silent_and_a_refusing_address_do_not_stand_in_the_way() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialer: Arc<dyn Dialer> = Arc::new(OnlyLast(listener.local_addr().unwrap()));
        let addresses: Vec<_> = [1, 2, 3].map(|port| ([192, 0, 2, 1], port).into()).to_vec();
        let limits = Limits { connect_stagger: Duration::from_millis(1), ..Limits::default() };
        first_of(&dialer, addresses.clone(), &limits).await.unwrap();
        let refused = first_of(&dialer, addresses[1..2].to_vec(), &limits).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::ConnectionRefused);
        let limits = Limits { connect: Duration::from_millis(1), ..Limits::default() };
        let silent = first_of(&dialer, addresses[..1].to_vec(), &limits).await.unwrap_err();
        assert_eq!(silent.reason(), Reason::ConnectTimeout);
    }
}
