//! The load generator: clients that check every answer.

pub(crate) mod alone;
pub(crate) mod events;
pub(crate) mod fresh;
pub(crate) mod idle;
pub(crate) mod transfer;
mod upload;
pub(crate) mod warm;

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{ACCEPT, AUTHORIZATION, HOST as HOST_FIELD, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::upload::Upload;
use crate::Result;
use crate::signature::{Keys, Payload};
use crate::world::{HOST, Http, World};

/// The longest answer to CONNECT.
const LONGEST_HEAD: usize = 4096;

/// How to reach the origin.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    pub(crate) hop: Hop,
    /// Who asks; connections take turns.
    pub(crate) clients: Vec<Client>,
}

/// What is at the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    /// The origin, or a reverse proxy that stands for it.
    Tls,
    /// A proxy that takes CONNECT.
    Connect,
}

/// What a client says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// To the proxy.
    pub(crate) proxy_authorization: Option<String>,
    /// To the origin: the credential, or what stands for it.
    pub(crate) authorization: String,
    /// What signs requests instead, and how it signs long bodies.
    pub(crate) signing: Option<(Keys, Payload)>,
}

/// Clients on their way to the origin in one version of HTTP.
#[derive(Clone)]
pub(crate) struct Load {
    way: Arc<Way>,
    http: Http,
    tls: Arc<ClientConfig>,
}

impl Load {
    pub(crate) fn new(world: &World, way: Way, http: Http) -> Result<Self> {
        let resumption = Resumption::disabled();
        let tls = Arc::new(world.client(&[http], resumption)?);
        Ok(Self { way: Arc::new(way), http, tls })
    }

    /// Opens a connection; `number` says whose turn it is.
    async fn open(&self, number: usize) -> Result<Connection> {
        let client = &self.way.clients[number % self.way.clients.len()];
        let mut tcp = TcpStream::connect(self.way.address).await?;
        tcp.set_nodelay(true)?;
        if self.way.hop == Hop::Connect {
            tunnel(&mut tcp, client).await?;
        }
        let name = ServerName::try_from(HOST)?;
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await?;
        if stream.get_ref().1.alpn_protocol() != Some(self.http.alpn()) {
            return Err("the proxy does not speak this version of HTTP".into());
        }
        Ok(Connection {
            sender: Sender::begin(stream, self.http).await?,
            template: template(self.http, &client.authorization)?,
            signing: client.signing.clone(),
        })
    }
}

async fn tunnel(tcp: &mut TcpStream, client: &Client) -> Result<()> {
    let mut head = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n");
    if let Some(authorization) = &client.proxy_authorization {
        head.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
    }
    head.push_str("\r\n");
    tcp.write_all(head.as_bytes()).await?;
    let mut answer = Vec::with_capacity(256);
    while !answer.ends_with(b"\r\n\r\n") {
        if tcp.read_buf(&mut answer).await? == 0 || answer.len() > LONGEST_HEAD {
            return Err("the proxy hung up on CONNECT".into());
        }
    }
    if answer.starts_with(b"HTTP/1.1 200") || answer.starts_with(b"HTTP/1.0 200") {
        return Ok(());
    }
    Err(format!("CONNECT: {}", String::from_utf8_lossy(&answer)).into())
}

/// Makes the request that all others of a connection are copies of.
fn template(http: Http, authorization: &str) -> Result<Request<()>> {
    let mut authorization = HeaderValue::from_str(authorization)?;
    authorization.set_sensitive(true);
    let request = Request::get("/")
        .header(AUTHORIZATION, authorization)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "moat-bench/0");
    let request = if http == Http::One { request.header(HOST_FIELD, HOST) } else { request };
    Ok(request.body(())?)
}

/// A connection through to the origin.
pub(crate) struct Connection {
    sender: Sender,
    template: Request<()>,
    signing: Option<(Keys, Payload)>,
}

impl Connection {
    /// Returns one more stream of an HTTP/2 connection.
    fn stream(&self) -> Option<Self> {
        match &self.sender {
            Sender::One(_) => None,
            Sender::Two(sender) => {
                let (template, signing) = (self.template.clone(), self.signing.clone());
                Some(Self { sender: Sender::Two(sender.clone()), template, signing })
            }
        }
    }

    /// Makes a request for a path.
    fn request(&self, path: &str, http: Http) -> Result<Request<()>> {
        let mut request = self.template.clone();
        *request.uri_mut() = match http {
            Http::One => path.parse()?,
            Http::Two => format!("https://{HOST}{path}").parse()?,
        };
        if let Some((keys, _)) = &self.signing {
            keys.sign(&mut request)?;
        }
        Ok(request)
    }

    /// Sends a request, and fails unless the answer is whole, successful and of this length.
    async fn exchange(&mut self, request: Request<Upload>, length: u64) -> Result<()> {
        let answer = self.sender.send(request).await?;
        let found = drain(answer).await?;
        if found == length {
            return Ok(());
        }
        Err(format!("an answer has {found} bytes instead of {length}").into())
    }
}

async fn drain(answer: Response<Incoming>) -> Result<u64> {
    let mut body = successful(answer)?.into_body();
    let mut length = 0;
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        length += frame?.data_ref().map_or(0, bytes::Bytes::len) as u64;
    }
    Ok(length)
}

fn successful(answer: Response<Incoming>) -> Result<Response<Incoming>> {
    match answer.status() {
        StatusCode::OK => Ok(answer),
        status => Err(format!("the answer is {status}, {:?}", answer.headers()).into()),
    }
}

enum Sender {
    One(http1::SendRequest<Upload>),
    Two(http2::SendRequest<Upload>),
}

impl Sender {
    async fn begin(stream: TlsStream<TcpStream>, http: Http) -> Result<Self> {
        let io = TokioIo::new(stream);
        match http {
            Http::One => {
                let (sender, connection) = http1::Builder::new().handshake(io).await?;
                tokio::spawn(connection);
                Ok(Self::One(sender))
            }
            Http::Two => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(1024 * 1024)
                    .initial_connection_window_size(8 * 1024 * 1024)
                    .handshake(io)
                    .await?;
                tokio::spawn(connection);
                Ok(Self::Two(sender))
            }
        }
    }

    async fn send(&mut self, request: Request<Upload>) -> Result<Response<Incoming>> {
        match self {
            Self::One(sender) => {
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
            Self::Two(sender) => {
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
        }
    }
}
