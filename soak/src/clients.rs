//! Clients that do what clients do, and look at what they get.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;

use crate::feed::{Fed, feed};
use crate::runs::{Run, Runs};
use crate::world::{CLOSED, OLD, STEADY, WILD};

/// Longer than this nothing takes: a stream of the longest kind, and a slow host.
const PATIENCE: Duration = Duration::from_secs(60);

type Body = Either<Full<Bytes>, Fed>;
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Does one thing after another until the end.
pub(crate) async fn work(runs: Arc<Runs>, seed: u64, number: usize) {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_add(number as u64));
    while !runs.is_over() {
        let Some(run) = runs.any(&mut random) else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        visit(&runs, &run, &mut random).await;
        sleep(Duration::from_millis(random.u64(0..60))).await;
    }
}

/// What a visit is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visit {
    /// Everything is to go well.
    Steady,
    /// The host fails.
    Wild,
}

/// Opens one tunnel, and does several things in it.
async fn visit(runs: &Runs, run: &Arc<Run>, random: &mut fastrand::Rng) {
    let (host, kind) = match random.u8(0..20) {
        0 => (CLOSED, Visit::Wild),
        1..=3 => (WILD, Visit::Wild),
        4..=5 => (OLD, Visit::Steady),
        _ => (STEADY[random.usize(..STEADY.len())], Visit::Steady),
    };
    let is_http2 = random.bool();
    let visiting = async {
        let mut client = Client::open(runs, run, host, is_http2).await?;
        for _ in 0..random.u8(1..8) {
            if !client.does_something(random).await? {
                break;
            }
            // So that secrets are renewed between two requests of a tunnel.
            sleep(Duration::from_millis(random.u64(0..400))).await;
        }
        Ok(())
    };
    let outcome = bounded(runs, run, visiting).await;
    let ledger = &runs.world.ledger;
    let name = format!("visit {kind:?} {}", if is_http2 { "h2" } else { "h1" });
    match outcome {
        None => ledger.done(&name, "cut by the bound"),
        Some(Ok(())) => ledger.done(&name, "good"),
        Some(Err(_)) if run.has_ended() => ledger.done(&name, "run ended"),
        Some(Err(error)) if kind == Visit::Wild => ledger.done(&name, &short(&error)),
        Some(Err(error)) => {
            // The run may just be ending: its streams close before it says so.
            let ending = timeout(Duration::from_secs(3), run.ended()).await.is_ok();
            let what = if ending { "run ended" } else { "failed" };
            ledger.done(&name, what);
            if !ending {
                ledger.violation(format!("{name} at {host} failed: {}", short(&error)));
            }
        }
    }
}

fn short(error: &Failed) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

/// Runs a visit, which must be over soon after its run is.
async fn bounded<R>(runs: &Runs, run: &Run, visit: impl Future<Output = R>) -> Option<R> {
    tokio::select! {
        done = timeout(PATIENCE, visit) => {
            if done.is_err() {
                runs.world.ledger.violation("a visit hangs".to_owned());
            }
            done.ok()
        }
        () = run.must_be_closed() => {
            let text = format!("run {} has ended, and a stream is open", run.number);
            runs.world.ledger.violation(text);
            None
        }
    }
}

struct Client<'a> {
    runs: &'a Runs,
    run: &'a Run,
    host: &'static str,
    inner: Inner,
}

enum Inner {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

impl<'a> Client<'a> {
    async fn open(
        runs: &'a Runs,
        run: &'a Run,
        host: &'static str,
        is_http2: bool,
    ) -> Result<Self, Failed> {
        let stream = tunnel(runs, run, host, is_http2).await?;
        let io = TokioIo::new(stream);
        let inner = if is_http2 {
            let (sender, connection) =
                http2::Builder::new(TokioExecutor::new()).handshake(io).await?;
            tokio::spawn(connection);
            Inner::Two(sender)
        } else {
            let (sender, connection) = http1::Builder::new().handshake(io).await?;
            tokio::spawn(connection.with_upgrades());
            Inner::One(sender)
        };
        Ok(Self { runs, run, host, inner })
    }

    /// Returns whether more can be done with this connection.
    async fn does_something(&mut self, random: &mut fastrand::Rng) -> Result<bool, Failed> {
        let is_wild = self.host == WILD || self.host == CLOSED;
        match random.u8(0..16) {
            _ if is_wild => self.get("/wild", "wild").await.map(|()| true),
            0..=6 => {
                let form = random.u8(0..8);
                // The last form is compressed, and cut.
                let done = self.get(&format!("/echo/{form}"), "echo").await;
                if form == 7 { Ok(false) } else { done.map(|()| true) }
            }
            7..=8 => self.upload(random).await.map(|()| true),
            9 => self
                .get(&format!("/download/{}", random.u8(1..60)), "download")
                .await
                .map(|()| true),
            10..=11 => self.get(&format!("/sse/{}", random.u8(1..100)), "sse").await.map(|()| true),
            12 => self.bidi(random).await.map(|()| true),
            13 => self.websocket(random).await.map(|()| false),
            14 => self.abort(random).await.map(|()| false),
            _ => self.get("/500", "500").await.map(|()| true),
        }
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let builder = match self.inner {
            Inner::One(_) => Request::builder().uri(path).header("host", self.host),
            Inner::Two(_) => Request::builder().uri(format!("https://{}{path}", self.host)),
        };
        // The floor is read before the request is sent: what is in force then must be used.
        let claim = format!("{} {}", self.run.number, self.run.floor());
        let builder = builder.method(method).header("x-soak", claim);
        builder.header("authorization", format!("token {}", self.run.placeholder))
    }

    async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Failed> {
        let answer = match &mut self.inner {
            Inner::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Inner::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        for value in answer.headers().values() {
            self.look(value.as_bytes());
        }
        Ok(answer)
    }

    /// Looks for secrets in what came.
    fn look(&self, bytes: &[u8]) {
        for trace in &self.run.traces {
            if bytes.windows(trace.len()).any(|window| window == trace) {
                let text = String::from_utf8_lossy(bytes).chars().take(200).collect::<String>();
                self.runs.world.ledger.violation(format!("a client sees a secret: {text}"));
            }
        }
    }

    /// Reads a body to its end; pieces are looked at together with the end of the one before.
    async fn read(&self, mut body: Incoming) -> Result<Vec<u8>, Failed> {
        const OVERLAP: usize = 64;
        let mut last = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame?;
            if let Some(data) = frame.data_ref() {
                last.extend_from_slice(data);
                self.look(&last);
                last.drain(..last.len().saturating_sub(OVERLAP));
            }
            if let Some(trailers) = frame.trailers_ref() {
                trailers.values().for_each(|value| self.look(value.as_bytes()));
            }
        }
        Ok(last)
    }

    async fn get(&mut self, path: &str, what: &str) -> Result<(), Failed> {
        let request = self.request("GET", path).body(Either::Left(Full::default()))?;
        let answer = self.send(request).await?;
        let status = answer.status();
        let last = self.read(answer.into_body()).await;
        let outcome = if last.is_ok() { "whole" } else { "cut" };
        let protocol = if matches!(self.inner, Inner::One(_)) { "h1" } else { "h2" };
        self.runs.world.ledger.done(&format!("{what} {protocol}"), &format!("{status} {outcome}"));
        let last = last?;
        let expected = if what == "500" { 502 } else { 200 };
        if what != "wild" && status.as_u16() != expected {
            return Err(format!("{path} is answered with {status}").into());
        }
        if ["sse", "download"].contains(&what) && !last.ends_with(b"end") {
            return Err(format!("{path} does not end as it should").into());
        }
        Ok(())
    }

    async fn upload(&mut self, random: &mut fastrand::Rng) -> Result<(), Failed> {
        let (count, size) = (random.usize(1..40), random.usize(1..30_000));
        let (sender, body) = feed();
        let request = self.request("POST", "/upload").body(Either::Right(body))?;
        let feed = async move {
            for _ in 0..count {
                if sender.data(vec![b'u'; size]).await.is_err() {
                    return;
                }
            }
        };
        let (answer, ()) = tokio::join!(self.send(request), feed);
        let last = self.read(answer?.into_body()).await?;
        self.runs.world.ledger.done("upload", "whole");
        if last != (count * size).to_string().as_bytes() {
            return Err("an upload has another length".into());
        }
        Ok(())
    }

    /// Sends messages, each when the one before is answered.
    async fn bidi(&mut self, random: &mut fastrand::Rng) -> Result<(), Failed> {
        let (sender, body) = feed();
        let request = self.request("POST", "/bidi").body(Either::Right(body))?;
        sender.data(&b"ask "[..]).await?;
        let mut body = self.send(request).await?.into_body();
        for _ in 0..random.u8(1..100) {
            let Some(frame) = body.frame().await else { return Err("a stream ends early".into()) };
            frame?.data_ref().into_iter().for_each(|data| self.look(data));
            sleep(Duration::from_millis(random.u64(0..30))).await;
            sender.data(&b"ask "[..]).await?;
        }
        drop(sender);
        self.read(body).await?;
        self.runs.world.ledger.done("bidi", "whole");
        Ok(())
    }

    /// Opens a WebSocket, in HTTP/1.1 alone.
    async fn websocket(&mut self, random: &mut fastrand::Rng) -> Result<(), Failed> {
        let Inner::One(_) = self.inner else { return Ok(()) };
        let request = self
            .request("GET", "/ws")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(Either::Left(Full::default()))?;
        let answer = self.send(request).await?;
        if answer.status() != 101 {
            return Err(format!("a WebSocket is answered with {}", answer.status()).into());
        }
        let mut socket = TokioIo::new(hyper::upgrade::on(answer).await?);
        for _ in 0..random.u8(1..100) {
            socket.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await?;
            let mut message = vec![0; 2];
            socket.read_exact(&mut message).await?;
            message.resize(2 + usize::from(message[1]), 0);
            socket.read_exact(&mut message[2..]).await?;
            self.look(&message);
            sleep(Duration::from_millis(random.u64(0..30))).await;
        }
        self.runs.world.ledger.done("websocket", "whole");
        Ok(())
    }

    /// Goes away in the middle.
    async fn abort(&mut self, random: &mut fastrand::Rng) -> Result<(), Failed> {
        let path = ["/sse/100", "/download/59", "/echo/0"][random.usize(..3)];
        let request = self.request("GET", path).body(Either::Left(Full::default()))?;
        let begun = timeout(Duration::from_millis(random.u64(0..50)), self.send(request)).await;
        if let Ok(Ok(answer)) = begun {
            let mut body = answer.into_body();
            if let Some(Ok(frame)) = body.frame().await {
                frame.data_ref().into_iter().for_each(|data| self.look(data));
            }
        }
        self.runs.world.ledger.done("abort", "done");
        Ok(())
    }
}

/// Opens a tunnel with TLS in it.
async fn tunnel(
    runs: &Runs,
    run: &Run,
    host: &'static str,
    is_http2: bool,
) -> Result<TlsStream<TcpStream>, Failed> {
    let mut socket = TcpStream::connect(runs.world.address).await?;
    socket.set_nodelay(true)?;
    let request = format!(
        "CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nProxy-Authorization: Bearer {}\r\n\r\n",
        run.token
    );
    socket.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await?);
    }
    if !head.starts_with(b"HTTP/1.1 200") {
        return Err(String::from_utf8_lossy(&head).lines().next().unwrap_or_default().into());
    }
    let connector = &run.connector[usize::from(is_http2)];
    Ok(connector.connect(ServerName::try_from(host)?, socket).await?)
}
