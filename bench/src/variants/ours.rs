//! Our proxy, put together as a host would.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::header::AUTHORIZATION;
use moat_provider_core::{
    Alphabet, BoxFuture, Credential, CredentialKey, CredentialRule, HeaderTemplate, Placeholder,
    PlaceholderKey, PlaceholderShape, ProxyConfigurer, ProxyRules, RunContext, Secret, SecretRef,
    Target,
};
use moat_proxy::engine::Generation;
use moat_proxy::plane::{
    CertificateAuthority, Dialer, Limits, Proxy, Resolver, RunHandle, RunRegistration, UpstreamTls,
    channel, raise_descriptor_limit,
};
use moat_proxy::{Mode, Policy, RunRules};
use time::OffsetDateTime;
use tokio::net::{TcpListener, TcpStream};

use super::{Setting, aws};
use crate::Result;
use crate::clock::SystemClock;
use crate::load::Client;
use crate::signature::Payload;
use crate::world::{HOST, World};

/// An address for documentation (RFC 5737): only our dialer goes there.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
/// Records that may wait for the writer.
const RECORDS: usize = 4096;

/// Returns what a client of a run says.
pub(super) fn client(run: usize, setting: Setting, bare: &Client) -> Result<Client> {
    let token = token(run);
    let authorization = if setting.rules == 0 {
        bare.authorization.clone()
    } else {
        format!("Bearer {}", placeholder(&*context(run)?, &key(0)?)?)
    };
    let proxy_authorization = Some(format!("Bearer {token}"));
    Ok(Client { proxy_authorization, authorization, signing: None })
}

/// Returns what a client of the run says that signs.
pub(super) fn signing_client(payload: Payload, bare: &Client) -> Result<Client> {
    let proxy_authorization = Some(format!("Bearer {}", token(0)));
    let signing = Some((aws::keys(&*context(0)?)?, payload));
    Ok(Client { proxy_authorization, signing, ..bare.clone() })
}

/// Serves a run with a role of AWS.
pub(super) async fn serve_signing(
    world: &World,
    origin: SocketAddr,
    listener: TcpListener,
) -> Result<()> {
    let proxy = proxy(world, origin, false)?;
    let context = context(0)?;
    let secret = Secret::new(world.read("credential")?);
    let generation = aws::generation(&context, placeholder_key(), &secret)?;
    let policy = Policy::builder(Mode::Strict).allow("203.0.113.0/24")?.build();
    let _run = begin(&proxy, 0, context, policy, generation)?;
    proxy.serve_tcp(listener).await;
    Ok(())
}

pub(super) async fn serve(
    world: &World,
    origin: SocketAddr,
    setting: Setting,
    listener: TcpListener,
) -> Result<()> {
    let proxy = proxy(world, origin, setting.log)?;
    let secret = Secret::new(world.read("credential")?);
    let _runs = (0..setting.runs)
        .map(|run| register(&proxy, run, setting.rules, &secret))
        .collect::<Result<Vec<RunHandle>>>()?;
    proxy.serve_tcp(listener).await;
    Ok(())
}

fn proxy(world: &World, origin: SocketAddr, log: bool) -> Result<Proxy> {
    raise_descriptor_limit()?;
    let now = moat_provider_core::Clock::now(&SystemClock);
    let (certificate, key) = (world.read("proxy-ca.pem")?, world.read("proxy-ca.key")?);
    let authority = CertificateAuthority::from_pem(&certificate, &key, now)?;
    let trust = UpstreamTls::empty().trust_pem(world.read("origin-ca.pem")?.as_bytes())?;
    let mut limits = Limits::default();
    limits.tunnels = 4096;
    let mut builder = Proxy::builder(Arc::new(SystemClock), Arc::new(authority))
        .limits(limits)
        .resolver(Arc::new(OneAddress))
        .dialer(Arc::new(ToOrigin(origin)))
        .upstream_tls(trust);
    if log {
        let (recorder, records) = channel(RECORDS);
        builder = builder.recorder(recorder);
        tokio::spawn(async move { records.write_json_lines(&mut tokio::io::sink()).await });
    }
    Ok(builder.build()?)
}

fn register(proxy: &Proxy, run: usize, rules: usize, secret: &Secret) -> Result<RunHandle> {
    let context = context(run)?;
    let generation = generation(&context, rules, secret)?;
    let (mode, entry) = match rules {
        // An entry with a path makes the proxy look into the tunnel and judge each request.
        0 => (Mode::Permissive, Some(format!("GET,POST {HOST}/**"))),
        _ => (Mode::Strict, None),
    };
    let mut policy = Policy::builder(mode).allow("203.0.113.0/24")?;
    if let Some(entry) = entry {
        policy = policy.allow(&entry)?;
    }
    begin(proxy, run, context, policy.build(), generation)
}

fn begin(
    proxy: &Proxy,
    run: usize,
    context: Arc<RunContext>,
    policy: Policy,
    generation: Generation,
) -> Result<RunHandle> {
    let id = context.id().clone();
    let rules = RunRules::builder(context, Arc::new(SystemClock), policy, generation).build()?;
    let registration = RunRegistration::new(id, Arc::new(rules)).token(&Secret::new(token(run)));
    Ok(proxy.register(registration)?)
}

/// Makes rules, one for the origin and each other one for a host of its own, with a secret each.
fn generation(context: &RunContext, rules: usize, secret: &Secret) -> Result<Generation> {
    let mut recorded = ProxyRules::default();
    let mut secrets = BTreeMap::new();
    for number in 0..rules {
        let key = key(number)?;
        let (host, secret) = match number {
            0 => (HOST.to_owned(), secret.clone()),
            _ => (format!("host-{number}.test"), Secret::new(format!("secret-of-{number:08}"))),
        };
        let credential = Credential::builder(key.clone(), secret, OffsetDateTime::UNIX_EPOCH);
        secrets.insert(key.clone(), credential.build().secrets().clone());
        let rule = CredentialRule::new(
            Target::host(&host)?,
            AUTHORIZATION,
            HeaderTemplate::Bearer,
            SecretRef::token(&key),
        );
        recorded.credential(rule.placeholder(placeholder(context, &key)?));
    }
    let mode = if rules == 0 { Mode::Permissive } else { Mode::Strict };
    Ok(Generation::new(&recorded, &[], &secrets, placeholder_key(), mode)?)
}

fn context(run: usize) -> Result<Arc<RunContext>> {
    let id = format!("run-{run}").parse()?;
    Ok(Arc::new(RunContext::builder(id, "/home/agent".parse()?, placeholder_key()).build()))
}

fn placeholder(context: &RunContext, key: &CredentialKey) -> Result<Placeholder> {
    let shape = PlaceholderShape::prefixed("ben_", Alphabet::Alphanumeric, 40);
    Ok(context.placeholder(key, "token", &shape)?)
}

/// The same in all processes, so that the load generator knows what stands in a container.
fn placeholder_key() -> PlaceholderKey {
    PlaceholderKey::from_bytes([7; 32])
}

fn key(number: usize) -> Result<CredentialKey> {
    Ok(format!("vendor:q{number}").parse()?)
}

fn token(run: usize) -> String {
    format!("token-of-run-{run}")
}

/// Knows one address for every name.
#[derive(Debug)]
struct OneAddress;

impl Resolver for OneAddress {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async { Ok(vec![ADDRESS]) })
    }
}

/// Dials the origin, whatever the address.
#[derive(Debug)]
struct ToOrigin(SocketAddr);

impl Dialer for ToOrigin {
    fn dial(&self, _: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        let origin = self.0;
        Box::pin(async move {
            let tcp = TcpStream::connect(origin).await?;
            tcp.set_nodelay(true)?;
            Ok(tcp)
        })
    }
}
