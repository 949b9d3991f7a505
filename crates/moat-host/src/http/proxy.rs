//! A proxy between this machine and vendors, as companies have them.

use std::fmt;
use std::io;

use http::Uri;
use http::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use moat_provider_core::{Environment, Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::port_of;
use crate::environment::plain;

/// The longest answer to CONNECT that is read.
const LONGEST_HEAD: usize = 16 * 1024;

/// An HTTP proxy through which vendors are reached, with CONNECT (RFC 9110, section 9.3.6).
///
/// User and password may stand in its URL; they are shown by nothing.
pub struct CorporateProxy {
    matcher: Matcher,
    /// Where the URL came from, for messages: the URL itself holds a password.
    origin: String,
}

impl CorporateProxy {
    /// Reads `http://[user:password@]host[:port]`, and a list of hosts to reach directly, as
    /// `NO_PROXY` has it: names with all below them, addresses, networks, or `*`, with commas in
    /// between. Port 80 is meant when none is given. `origin` says where the URL came from: the
    /// name of a flag or a variable.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when it is not the URL of an HTTP proxy, [`ErrorKind::Unsupported`]
    /// for SOCKS and for TLS towards the proxy. No text shows any of it.
    pub fn new(url: &str, bypass: &str, origin: impl Into<String>) -> Result<Self> {
        let origin = origin.into();
        let hint = format!("set {origin} to http://[user:password@]host:port");
        if let Some((scheme, _)) = url.split_once("://")
            && !scheme.eq_ignore_ascii_case("http")
        {
            let message = format!("the proxy in {origin} is not reached over plain HTTP");
            return Err(Error::new(ErrorKind::Unsupported, message).with_hint(hint));
        }
        let anything = Uri::from_static("https://proxy.invalid");
        let matcher = Matcher::builder().https(url.trim().to_owned());
        let valid = matcher.build().intercept(&anything);
        let is_place = |proxy: &Uri| {
            proxy.host().is_some_and(|host| !host.is_empty()) && port_of(proxy).is_some()
        };
        if !valid.is_some_and(|proxy| is_place(proxy.uri())) {
            let message = format!("{origin} is not the URL of an HTTP proxy");
            return Err(Error::invalid(message).with_hint(hint));
        }
        let matcher = Matcher::builder().https(url.trim().to_owned()).no(bypass.to_owned());
        Ok(Self { matcher: matcher.build(), origin })
    }

    /// Reads the variables that most tools read: the first of `HTTPS_PROXY`, `https_proxy`,
    /// `ALL_PROXY` and `all_proxy` that is not empty, with `NO_PROXY` or `no_proxy`.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new) and of [`Environment::var`].
    #[expect(clippy::disallowed_methods, reason = "the proxy's password goes to the proxy")]
    pub fn from_environment(environment: &dyn Environment) -> Result<Option<Self>> {
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            let Some(url) = environment.var(name)?.filter(|url| !url.trimmed().is_empty()) else {
                continue;
            };
            let bypass = match plain(environment, "NO_PROXY")? {
                Some(bypass) => Some(bypass),
                None => plain(environment, "no_proxy")?,
            };
            return Self::new(url.expose(), &bypass.unwrap_or_default(), name).map(Some);
        }
        Ok(None)
    }

    /// Returns how to reach a URL through the proxy; `None` when it is reached directly.
    pub(super) fn route(&self, url: &Uri) -> Option<Route> {
        let proxy = self.matcher.intercept(url)?;
        Some(Route {
            host: proxy.uri().host()?.to_owned(),
            port: port_of(proxy.uri())?,
            authorization: proxy.basic_auth().cloned(),
            origin: self.origin.clone(),
        })
    }
}

impl fmt::Debug for CorporateProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CorporateProxy").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// The way through a proxy.
pub(super) struct Route {
    pub(super) host: String,
    pub(super) port: u16,
    authorization: Option<HeaderValue>,
    pub(super) origin: String,
}

impl Route {
    /// Asks for a tunnel to a host and port.
    pub(super) async fn open(&self, tcp: &mut TcpStream, host: &str, port: u16) -> Result<()> {
        let failed = |what: &str| {
            Error::new(ErrorKind::Offline, format!("the proxy in {} {what}", self.origin))
                .with_hint(format!("check {}, or name {host} in NO_PROXY", self.origin))
        };
        let asked = async {
            tcp.write_all(&self.request(host, port)).await?;
            read_status(tcp).await
        };
        match asked.await {
            Ok(200..=299) => Ok(()),
            Ok(407) if self.authorization.is_some() => {
                Err(failed("does not accept the user and password in its URL"))
            }
            Ok(407) => Err(failed("asks for a user and password (http://user:password@host:port)")),
            Ok(status) => Err(failed(&format!("refuses a tunnel to {host} (status {status})"))),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::InvalidData => failed("does not answer as an HTTP proxy does"),
                _ => failed("hung up"),
            }),
        }
    }

    fn request(&self, host: &str, port: u16) -> Zeroizing<Vec<u8>> {
        let head = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        let mut request = Zeroizing::new(Vec::with_capacity(head.len() + 8 * 1024));
        request.extend(head.as_bytes());
        if let Some(authorization) = &self.authorization {
            request.extend(b"Proxy-Authorization: ");
            request.extend(authorization.as_bytes());
            request.extend(b"\r\n");
        }
        request.extend(b"\r\n");
        request
    }
}

/// Reads the head of the proxy's answer and not a byte more: what follows is the host's.
async fn read_status(tcp: &mut TcpStream) -> io::Result<u16> {
    let mut head = Vec::new();
    loop {
        let mut peeked = [0; 1024];
        let len = tcp.peek(&mut peeked).await?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = head.len();
        head.extend(&peeked[..len]);
        let end = head.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        let taken = end.unwrap_or(head.len()) - before;
        tcp.read_exact(&mut peeked[..taken]).await?;
        if let Some(end) = end {
            head.truncate(end);
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut headers);
            let parsed = response.parse(&head);
            return match (parsed, response.code) {
                (Ok(httparse::Status::Complete(_)), Some(status)) => Ok(status),
                _ => Err(io::ErrorKind::InvalidData.into()),
            };
        }
        if head.len() > LONGEST_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use moat_provider_testkit::{Canary, FakeEnvironment};

    use super::*;

    fn url(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let environment = FakeEnvironment::new()
            .text("HTTPS_PROXY", " ")
            .text("https_proxy", "http://one.example:3128")
            .text("ALL_PROXY", "http://two.example:3128")
            .text("no_proxy", "corp.example, 10.0.0.0/8");
        let proxy = CorporateProxy::from_environment(&environment).unwrap().unwrap();
        let route = proxy.route(&url("https://api.example.com")).unwrap();
        assert_eq!(
            (&*route.host, route.port, &*route.origin),
            ("one.example", 3128, "https_proxy")
        );
        for direct in ["https://corp.example", "https://a.corp.example:8443", "https://10.1.2.3"] {
            assert!(proxy.route(&url(direct)).is_none(), "{direct}");
        }
        assert!(proxy.route(&url("https://notcorp.example")).is_some());
        assert!(CorporateProxy::from_environment(&FakeEnvironment::new()).unwrap().is_none());
    }

    #[test]
    fn what_is_no_http_proxy_is_refused_and_not_shown() {
        let password = Canary::shaped("", moat_provider_core::Alphabet::LowerHex, 32);
        for (odd, kind) in [
            ("http://", ErrorKind::InvalidInput),
            ("http://u:PASSWORD@p:port", ErrorKind::InvalidInput),
            ("http://u:PASSWORD with space@p:1", ErrorKind::InvalidInput),
            ("ftp://u:PASSWORD@p:1", ErrorKind::Unsupported),
            ("socks5h://u:PASSWORD@p:1", ErrorKind::Unsupported),
            ("https://u:PASSWORD@p:1", ErrorKind::Unsupported),
        ] {
            let odd = odd.replace("PASSWORD", password.text());
            let error = CorporateProxy::new(&odd, "", "HTTPS_PROXY").unwrap_err();
            assert_eq!(error.kind(), kind, "{odd}");
            assert!(error.to_string().contains("HTTPS_PROXY"));
            assert_eq!(password.find_in_str(&format!("{error:?}")), None);
        }
    }
}
