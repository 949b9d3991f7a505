//! What a sandbox vendor does with this crate: a run with one credential, one request through the
//! proxy, and its record. Everything is on loopback.
//!
//! `cargo run -p moat-proxy --example embed`

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, request};
use moat_provider_core::{BoxFuture, Clock, Secret};
use moat_proxy::Reason;
use moat_proxy::plane::seam::{
    Action, ConnectVerdict, ForwardPlan, Handler, NotTls, Note, RequestPlace, Verdict,
};
use moat_proxy::plane::{
    CertificateAuthority, ConnectTo, Proxy, RunRegistration, UpstreamTls, channel,
};
use moat_proxy::{Authority, Refusal};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let vendor = vendor().await?;

    // Once for each process: what is trusted, and where records go.
    let day = Duration::from_secs(24 * 3600);
    let ca = Arc::new(CertificateAuthority::generate(SystemClock.now(), day)?);
    let (recorder, mut records) = channel(1024);
    let proxy = Proxy::builder(Arc::new(SystemClock), Arc::clone(&ca))
        // Here hosts are reached over plain HTTP, so that any authority will do.
        .upstream_tls(UpstreamTls::empty().trust_pem(ca.certificate_pem().as_bytes())?)
        .connect_to(format!("vendor.test:80:127.0.0.1:{}", vendor.port()).parse::<ConnectTo>()?)
        .recorder(recorder)
        .build()?;

    // Once for each sandbox: its rules, and a token that its clients name it with. Draw a real one
    // from 128 random bits or more.
    let token = Secret::new("an-example-of-a-token".to_owned());
    let run = RunRegistration::new("example".parse()?, Arc::new(Rules)).token(&token);
    let run = proxy.register(run)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(proxy.serve_tcp(listener));

    // In the sandbox: HTTP_PROXY=http://run:TOKEN@ADDRESS, and `ca.certificate_pem()` to trust.
    let mut client = TcpStream::connect(address).await?;
    let request = "GET http://vendor.test/me HTTP/1.1\r\nHost: vendor.test\r\n\
                   Proxy-Authorization: Bearer an-example-of-a-token\r\nConnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    print(&answer);
    if let Some(record) = records.recv().await {
        print(&record.to_json());
    }

    run.stop().await;
    proxy.shut_down();
    serving.await?;
    Ok(())
}

/// Sends a header along to one host, and refuses all others. For rules of providers, policy and
/// scrubbing there is `moat_proxy::RunRules`.
#[derive(Debug)]
struct Rules;

impl Handler for Rules {
    fn connect(&self, _: &Authority) -> ConnectVerdict {
        ConnectVerdict::Intercept(NotTls::Close)
    }

    fn request(&self, head: &mut request::Parts, place: &RequestPlace<'_>) -> Verdict {
        let action = match place.authority {
            Some(authority) if authority.host().as_text() == "vendor.test" => {
                // No secret goes out without TLS; this one is none.
                head.headers.insert("x-example", HeaderValue::from_static("put in by the proxy"));
                Action::Forward(ForwardPlan::default())
            }
            _ => {
                let refusal =
                    Refusal::new(Reason::HostNotAllowed).about("only the vendor is reached");
                Action::Answer(refusal.response())
            }
        };
        Verdict { action, note: Note::default() }
    }

    fn judge_addresses(
        &self,
        authority: &Authority,
        addresses: Vec<IpAddr>,
    ) -> Result<Vec<SocketAddr>, Refusal> {
        Ok(addresses.into_iter().map(|ip| (ip, authority.port()).into()).collect())
    }
}

/// A vendor on loopback that repeats what it was sent.
async fn vendor() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).await?;
        let start = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(&[start.as_bytes(), &head[..length]].concat()).await
    });
    Ok(address)
}

#[expect(clippy::print_stdout, reason = "this is what the example shows")]
fn print(text: &str) {
    println!("{text}\n");
}

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is a clock port")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
