//! The proxy's own HTTP server: identity, CONNECT, absolute form.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{CONNECTION, RETRY_AFTER};
use http::uri::Scheme as UriScheme;
use http::{HeaderValue, Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::LazyConfigAcceptor;

use crate::plane::body::Body;
use crate::plane::destination::{Destination, Scheme};
use crate::plane::error::Abort;
use crate::plane::forward;
use crate::plane::identity::NoRun;
use crate::plane::io::{Rewind, Socket, into_stream};
use crate::plane::lane::{Lane, answer};
use crate::plane::linger::Linger;
use crate::plane::listener::Admission;
use crate::plane::proxy::Shared;
use crate::plane::record::{Exchange, Sink};
use crate::plane::run::Run;
use crate::plane::seam::{Channel, ConnectVerdict, NotTls, UpgradedMaps};
use crate::plane::serve;
use crate::plane::tunnel;
use crate::{Authority, Reason, Refusal};

/// The first byte of a TLS record that holds a handshake message (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) admission: Admission,
    pub(crate) peer: Option<IpAddr>,
}

/// Serves one connection of a client.
pub(crate) async fn serve(socket: Socket, client: Client) {
    let builder = serve::http1_builder(&client.shared.limits);
    let client = Arc::new(client);
    let service = service_fn(move |request| {
        let client = Arc::clone(&client);
        async move { client.handle(request).await }
    });
    let connection =
        builder.serve_connection(TokioIo::new(Linger::new(socket)), service).with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a client's connection ended");
    }
}

impl Client {
    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Body>, Abort> {
        let run = match &self.admission {
            Admission::Run(run) => Arc::clone(run),
            Admission::Token => match self.shared.runs.find(request.headers(), self.peer) {
                Ok(run) => run,
                Err(why) => return Ok(self.unknown(why, &request)),
            },
        };
        if request.method() == Method::CONNECT {
            return Ok(connect(run, request).await);
        }
        let lane = match lane(run, request.uri()) {
            Ok(lane) => lane,
            Err(refusal) => return Ok(answer(refusal.response())),
        };
        // Boxed, because the connection's task is not large without it.
        Box::pin(forward::handle(&lane, request)).await
    }

    /// Answers a client of no run.
    fn unknown(&self, why: NoRun, request: &Request<Incoming>) -> Response<Body> {
        let limits = &self.shared.limits;
        let wait = match (why, self.peer) {
            (NoRun::Wrong, Some(peer)) => self.shared.attempts.failed(peer, limits),
            _ => None,
        };
        let reason = if wait.is_none() { Reason::ProxyAuth } else { Reason::TooManyAttempts };
        let refusal = Refusal::new(reason);
        let exchange = Exchange::new(self.shared.recorder.as_ref().map(|recorder| Sink {
            recorder: recorder.clone(),
            run: None,
            peer: self.peer,
            method: request.method().to_string(),
            url: printable(request.uri()),
            started: self.shared.clock.now(),
            client_protocol: forward::version(request.version()),
            samples: 0,
        }));
        exchange.answered(refusal.status());
        exchange.reason(reason.as_str());
        let mut response = answer(refusal.response());
        if let Some(wait) = wait {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, wait.as_secs().max(1).into());
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Writes a target without what could be a secret.
fn printable(uri: &Uri) -> String {
    let scheme = uri.scheme().map_or_else(String::new, |scheme| format!("{scheme}://"));
    let host = uri.host().unwrap_or_default();
    let port = uri.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{scheme}{host}{port}{}", uri.path())
}

/// Finds out what a request that is not CONNECT wants of a proxy.
fn lane(run: Arc<Run>, uri: &Uri) -> Result<Lane, Refusal> {
    match (uri.scheme(), uri.authority()) {
        (None, None) => Ok(Lane::new(run, Channel::Direct, None)),
        (Some(scheme), Some(authority)) if *scheme == UriScheme::HTTP => {
            let authority = Authority::parse(authority.as_str(), 80)?;
            let destination = Destination::new(authority, Scheme::Http)?;
            Ok(Lane::new(run, Channel::Plain, Some(destination)))
        }
        _ => Err(Refusal::new(Reason::BadRequest)
            .about("only http URLs are asked for in absolute form")
            .fix("open a tunnel with CONNECT for anything else")),
    }
}

/// Answers a CONNECT request.
async fn connect(run: Arc<Run>, mut request: Request<Incoming>) -> Response<Body> {
    let target = request.uri().authority().map_or("", |authority| authority.as_str()).to_owned();
    let upgrade = hyper::upgrade::on(&mut request);
    let opened = open(&run, &target, request.version(), upgrade).await;
    match opened {
        Ok(()) => Response::new(Body::empty()),
        Err(refusal) => {
            let exchange = exchange_of(&run, &target, forward::version(request.version()));
            exchange.answered(refusal.status());
            exchange.reason(refusal.reason().as_str());
            exchange.rule(refusal.decided_by().map(Into::into));
            answer(refusal.response())
        }
    }
}

fn exchange_of(run: &Run, target: &str, protocol: &'static str) -> Arc<Exchange> {
    forward::exchange(run, "CONNECT", target.to_owned(), protocol)
}

async fn open(
    run: &Arc<Run>,
    target: &str,
    version: http::Version,
    upgrade: OnUpgrade,
) -> Result<(), Refusal> {
    let authority = Authority::parse_connect(target)?;
    let verdict = run.handler().connect(&authority);
    let tunnel = || {
        let permit = run.tunnel()?;
        Ok::<_, Refusal>(Tunnel { run: Arc::clone(run), authority, _permit: permit })
    };
    match verdict {
        ConnectVerdict::Intercept(not_tls) => {
            let tunnel = tunnel()?;
            let task = async move {
                if let Some(socket) = upgraded(upgrade).await {
                    tunnel.intercept(socket, not_tls).await;
                }
            };
            run.tasks.spawn(Box::pin(task));
        }
        ConnectVerdict::Refuse(refusal) => return Err(refusal),
        ConnectVerdict::Tunnel(plan) => {
            let tunnel = tunnel()?;
            let handler = Arc::clone(&run.handler());
            let reach = run.shared.upstream.reach(&**handler, &tunnel.authority);
            let host = run
                .stop
                .run_until_cancelled(reach)
                .await
                .unwrap_or_else(|| Err(Refusal::new(Reason::RunStopped)))?;
            let exchange = exchange_of(run, target, forward::version(version));
            exchange.answered(http::StatusCode::OK);
            let task = async move {
                let relay = async {
                    if let Some(socket) = upgraded(upgrade).await {
                        tunnel.relay(socket, host, &exchange).await;
                    }
                };
                tunnel::until_cut(plan.cut, &exchange, relay).await;
            };
            run.tasks.spawn(task);
        }
    }
    Ok(())
}

async fn upgraded(upgrade: OnUpgrade) -> Option<Rewind<Socket>> {
    into_stream(upgrade.await.ok()?).ok()
}

/// An open tunnel.
struct Tunnel {
    run: Arc<Run>,
    authority: Authority,
    _permit: OwnedSemaphorePermit,
}

impl Tunnel {
    /// Looks at the first byte and terminates TLS.
    async fn intercept(self, mut socket: Rewind<Socket>, not_tls: NotTls) {
        let limits = &self.run.shared.limits;
        let patience = match not_tls {
            NotTls::Tunnel => limits.server_speaks_first,
            NotTls::Close => limits.client_handshake,
        };
        match (tokio::time::timeout(patience, socket.peek()).await, not_tls) {
            (Ok(Ok(Some(HANDSHAKE))), _) => Box::pin(self.terminate(socket)).await,
            // Closed before anything was said: a probe, or a connection opened ahead.
            (Ok(Ok(None) | Err(_)), _) => {}
            (Err(_) | Ok(Ok(Some(_))), NotTls::Tunnel) => Box::pin(self.pass(socket)).await,
            (Err(_) | Ok(Ok(Some(_))), NotTls::Close) => {
                self.failed(Reason::NotTls);
            }
        }
    }

    async fn pass(self, socket: Rewind<Socket>) {
        let handler = Arc::clone(&self.run.handler());
        match self.run.shared.upstream.reach(&**handler, &self.authority).await {
            Ok(host) => {
                let exchange = exchange_of(&self.run, &self.authority.to_string(), "raw");
                exchange.answered(http::StatusCode::OK);
                self.relay(socket, host, &exchange).await;
            }
            Err(refusal) => {
                let exchange = exchange_of(&self.run, &self.authority.to_string(), "raw");
                exchange.reason(refusal.reason().as_str());
            }
        }
    }

    async fn relay<S>(self, socket: Rewind<Socket>, host: S, exchange: &Exchange)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let idle = self.run.shared.limits.tunnel_idle;
        tunnel::relay(socket, host, UpgradedMaps::default(), exchange, idle).await;
    }

    async fn terminate(self, socket: Rewind<Socket>) {
        let limit = self.run.shared.limits.client_handshake;
        let handshake = tokio::time::timeout(limit, self.handshake(socket)).await;
        match handshake {
            Ok(Ok((stream, lane))) => serve::serve(stream, lane).await,
            Ok(Err(error)) => {
                tracing::debug!(%error, host = %self.authority, "a client's handshake failed");
                self.failed(Reason::ClientTls);
            }
            Err(_) => self.failed(Reason::ClientTls),
        }
    }

    async fn handshake(&self, socket: Rewind<Socket>) -> std::io::Result<(serve::ClientTls, Lane)> {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket).await?;
        let sni = start.client_hello().server_name().map(str::to_owned);
        let config =
            self.run.leaves.config(self.authority.host()).map_err(std::io::Error::other)?;
        let stream = start.into_stream(config).await?;
        let destination = Destination::new(self.authority.clone(), Scheme::Https)
            .map_err(std::io::Error::other)?;
        Ok((stream, Lane::intercepted(Arc::clone(&self.run), destination, sni)))
    }

    fn failed(&self, reason: Reason) {
        let exchange = exchange_of(&self.run, &self.authority.to_string(), "tls");
        exchange.reason(reason.as_str());
    }
}
