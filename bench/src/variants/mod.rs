//! What is measured: no proxy, ours in several settings, and the others.

mod aws;
mod connector;
mod http_mitm_proxy;
mod hudsucker;
mod mitmproxy;
mod nginx;
mod ours;
mod relay;

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;

use crate::Result;
use crate::load::{Client, Hop, Way};
use crate::process::{Server, find};
use crate::signature::Payload;
use crate::world::{Http, World};

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Variant {
    /// The origin itself.
    NoProxy,
    Ours(Setting),
    /// As it comes: it leaves the delay of small packets on.
    Hudsucker,
    HudsuckerNoDelay,
    HttpMitmProxy,
    Nginx,
    Mitmproxy,
    /// TLS on both legs, and nothing in between.
    Relay,
    /// Ours with a role of AWS: signs anew.
    Signing(Payload),
}

/// The last argument of a server whose sockets do not delay small packets.
pub(crate) const NO_DELAY: &str = "nodelay";

/// What our proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Setting {
    /// Rules with a secret each; one of them is for the origin.
    pub(crate) rules: usize,
    /// Registered runs; connections belong to them in turn.
    pub(crate) runs: usize,
    /// Whether requests are recorded.
    pub(crate) log: bool,
}

impl Variant {
    /// Intercepts and judges, and changes nothing: what the others do.
    pub(crate) const OURS: Self = Self::Ours(Setting { rules: 0, runs: 1, log: false });
    /// Puts the credential in and scrubs the answer.
    pub(crate) const WITH_RULE: Self = Self::Ours(Setting { rules: 1, runs: 1, log: false });
    pub(crate) const WITH_LOG: Self = Self::Ours(Setting { rules: 1, runs: 1, log: true });
    pub(crate) const RULES_100: Self = Self::Ours(Setting { rules: 100, runs: 1, log: false });
    pub(crate) const RULES_10000: Self = Self::Ours(Setting { rules: 10_000, runs: 1, log: false });
    pub(crate) const RUNS_1000: Self = Self::Ours(Setting { rules: 1, runs: 1000, log: false });

    pub(crate) const SIGNING: Self = Self::Signing(Payload::Unsigned);
    pub(crate) const SIGNING_CHUNKS: Self = Self::Signing(Payload::Chunks);

    /// What `bench aws` compares.
    pub(crate) const AWS: [Self; 5] =
        [Self::NoProxy, Self::OURS, Self::WITH_RULE, Self::SIGNING, Self::SIGNING_CHUNKS];

    /// What `bench proxy` compares.
    pub(crate) const PROXY: [Self; 13] = [
        Self::NoProxy,
        Self::OURS,
        Self::WITH_RULE,
        Self::WITH_LOG,
        Self::RULES_100,
        Self::RULES_10000,
        Self::RUNS_1000,
        Self::Hudsucker,
        Self::HudsuckerNoDelay,
        Self::HttpMitmProxy,
        Self::Nginx,
        Self::Mitmproxy,
        Self::Relay,
    ];

    /// Every variant, in the order of the table.
    pub(crate) fn all() -> Vec<Self> {
        [&Self::PROXY[..], &[Self::SIGNING, Self::SIGNING_CHUNKS]].concat()
    }

    /// What is the same for all, and is measured with few settings of ours only.
    pub(crate) fn is_compared(self) -> bool {
        !matches!(self, Self::Ours(_)) || matches!(self, Self::OURS | Self::WITH_RULE)
    }

    /// The name in the table and of `--only`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoProxy => "no proxy",
            Self::OURS => "ours",
            Self::WITH_RULE => "ours + rule",
            Self::WITH_LOG => "ours + rule + log",
            Self::RULES_100 => "ours + 100 rules",
            Self::RULES_10000 => "ours + 10000 rules",
            Self::RUNS_1000 => "ours + 1000 runs",
            Self::Ours(_) => "ours otherwise",
            Self::Hudsucker => "hudsucker",
            Self::HudsuckerNoDelay => "hudsucker + nodelay",
            Self::HttpMitmProxy => "http-mitm-proxy",
            Self::Nginx => "nginx",
            Self::Mitmproxy => "mitmproxy",
            Self::Relay => "bytes only",
            Self::Signing(Payload::Unsigned) => "ours + aws",
            Self::Signing(Payload::Chunks) => "ours + aws chunks",
        }
    }
}

/// The programs that are not part of this one.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) nginx: Option<PathBuf>,
    pub(crate) mitmdump: Option<PathBuf>,
}

impl Programs {
    pub(crate) fn locate(mitmdump: Option<PathBuf>) -> Self {
        Self { nginx: find("nginx"), mitmdump: mitmdump.or_else(|| find("mitmdump")) }
    }

    /// Says why a variant cannot be measured here.
    pub(crate) fn missing(&self, variant: Variant) -> Option<&'static str> {
        match variant {
            Variant::Nginx if self.nginx.is_none() => Some("nginx is not installed"),
            Variant::Mitmproxy if self.mitmdump.is_none() => {
                Some("mitmdump is not on the path; name it with --mitmdump")
            }
            _ => None,
        }
    }
}

/// Starts a variant; none for the origin, which runs already.
pub(crate) fn start(
    variant: Variant,
    http: Http,
    world: &World,
    origin: SocketAddr,
    programs: &Programs,
) -> Result<Option<Server>> {
    let directory = world.directory().to_str().ok_or("the directory's name is not text")?;
    let server = match (variant, arguments(variant, http, directory, origin.port())) {
        (_, Some(arguments)) => Server::ours(&arguments)?,
        (Variant::Nginx, None) => nginx::start(programs, world, origin)?,
        (Variant::Mitmproxy, None) => mitmproxy::start(programs, world, origin)?,
        (_, None) => return Ok(None),
    };
    Ok(Some(server))
}

/// Returns what comes after `serve` for a proxy that is part of this program; none for the others.
pub(crate) fn arguments(
    variant: Variant,
    http: Http,
    directory: &str,
    origin: u16,
) -> Option<Vec<String>> {
    let (name, rest) = match variant {
        Variant::NoProxy | Variant::Nginx | Variant::Mitmproxy => return None,
        Variant::Ours(Setting { rules, runs, log }) => {
            let log = if log { "log" } else { "no-log" };
            ("ours", vec![rules.to_string(), runs.to_string(), log.to_owned()])
        }
        Variant::Hudsucker => ("hudsucker", vec![]),
        Variant::HudsuckerNoDelay => ("hudsucker", vec![NO_DELAY.to_owned()]),
        Variant::HttpMitmProxy => ("http-mitm-proxy", vec![]),
        Variant::Relay => ("relay", vec![http.as_str().to_owned()]),
        Variant::Signing(_) => ("signing", vec![]),
    };
    let first = [name.to_owned(), directory.to_owned(), origin.to_string()];
    Some(first.into_iter().chain(rest).collect())
}

/// Returns the way to the origin through a variant.
pub(crate) fn way(variant: Variant, world: &World, address: SocketAddr) -> Result<Way> {
    let hop = match variant {
        Variant::NoProxy | Variant::Nginx => Hop::Tls,
        _ => Hop::Connect,
    };
    let bare =
        Client { proxy_authorization: None, authorization: world.authorization()?, signing: None };
    let clients = match variant {
        Variant::Ours(setting) => {
            (0..setting.runs).map(|run| ours::client(run, setting, &bare)).collect::<Result<_>>()?
        }
        Variant::Signing(payload) => vec![ours::signing_client(payload, &bare)?],
        _ => vec![bare],
    };
    Ok(Way { address, hop, clients })
}

/// Carries out `serve NAME DIRECTORY PORT …`: one of the proxies that are part of this program.
pub(crate) async fn serve(arguments: &[String], listener: TcpListener) -> Result<()> {
    let [name, directory, port, rest @ ..] = arguments else { return Err("too few words".into()) };
    let world = World::open(directory);
    let origin = crate::process::loopback(port.parse()?);
    match (name.as_str(), rest) {
        ("hudsucker", [] | [_]) => hudsucker::serve(&world, origin, listener).await,
        ("relay", [http]) => relay::serve(&world, origin, Http::parse(http)?, listener).await,
        ("signing", []) => ours::serve_signing(&world, origin, listener).await,
        ("http-mitm-proxy", []) => http_mitm_proxy::serve(&world, origin, listener).await,
        ("ours", [rules, runs, log]) => {
            let setting = Setting { rules: rules.parse()?, runs: runs.parse()?, log: log == "log" };
            ours::serve(&world, origin, setting, listener).await
        }
        _ => Err(format!("`{name}` is no server").into()),
    }
}
