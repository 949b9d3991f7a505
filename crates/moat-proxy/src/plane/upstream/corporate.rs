//! A proxy between this proxy and the hosts, as companies have them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use crate::plane::error::SetupError;
use crate::plane::io::Rewind;
use crate::{Authority, Reason, Refusal};

/// The longest answer to CONNECT that is read.
const LONGEST_HEAD: usize = 16 * 1024;

/// An HTTP proxy through which hosts are reached, with CONNECT.
#[derive(Clone)]
pub struct UpstreamProxy {
    host: String,
    port: u16,
    authorization: Option<Zeroizing<String>>,
    bypass: Vec<String>,
}

impl UpstreamProxy {
    /// Reads `http://user:password@host:port`; user and password may be left out.
    ///
    /// # Errors
    ///
    /// When the URL is not one of an HTTP proxy. The text shows none of it.
    pub fn parse(url: &str) -> Result<Self, SetupError> {
        let invalid =
            || SetupError::new("the upstream proxy is not http://[user:password@]host:port");
        let rest = url.strip_prefix("http://").ok_or_else(invalid)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(percent_decode(user).ok_or_else(invalid)?), place),
            None => (None, rest),
        };
        let place = Authority::parse(place, 80).map_err(|_| invalid())?;
        let basic = |user: Zeroizing<Vec<u8>>| Zeroizing::new(STANDARD.encode(&*user));
        Ok(Self {
            host: place.host().bare().into_owned(),
            port: place.port(),
            authorization: user.map(basic),
            bypass: Vec::new(),
        })
    }

    /// Names hosts that are reached directly: `example.com` and all below it.
    #[must_use]
    pub fn bypass(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        let plain = |host: String| host.trim_start_matches(['*', '.']).to_ascii_lowercase();
        self.bypass.extend(hosts.into_iter().map(plain));
        self
    }

    pub(super) fn serves(&self, authority: &Authority) -> bool {
        !self.bypass.iter().any(|entry| {
            authority
                .host()
                .bare()
                .strip_suffix(entry.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }

    pub(super) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Asks for a tunnel.
    pub(super) async fn open(
        &self,
        mut tcp: TcpStream,
        authority: &Authority,
    ) -> Result<Rewind<TcpStream>, Refusal> {
        let failed = |_| Refusal::new(Reason::UpstreamProxy).about("it hung up");
        tcp.write_all(self.request(authority).as_bytes()).await.map_err(failed)?;
        let mut buffer = BytesMut::with_capacity(1024);
        loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = buffer.split_to(end + 4);
                return match status(&head) {
                    Some(b'2') => Ok(Rewind::new(buffer.freeze(), tcp)),
                    _ => Err(Refusal::new(Reason::UpstreamProxy).about("it refused the tunnel")),
                };
            }
            if buffer.len() > LONGEST_HEAD {
                return Err(Refusal::new(Reason::UpstreamProxy).about("it answers without end"));
            }
            if tcp.read_buf(&mut buffer).await.map_err(failed)? == 0 {
                return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn request(&self, authority: &Authority) -> Zeroizing<String> {
        let mut head =
            Zeroizing::new(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"));
        if let Some(authorization) = &self.authorization {
            head.push_str("Proxy-Authorization: Basic ");
            head.push_str(authorization);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        head
    }
}

/// Returns the first digit of the status.
fn status(head: &[u8]) -> Option<u8> {
    let line = head.strip_prefix(b"HTTP/1.")?;
    let [_minor, b' ', class, second, third, rest @ ..] = line else { return None };
    let digits = [class, second, third].into_iter().all(u8::is_ascii_digit);
    (digits && matches!(rest.first(), Some(b' ' | b'\r'))).then_some(*class)
}

fn percent_decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex = [bytes.next()?, bytes.next()?];
            let hex = std::str::from_utf8(&hex).ok()?;
            decoded.push(u8::from_str_radix(hex, 16).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

impl fmt::Debug for UpstreamProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamProxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("bypass", &self.bypass)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(text: &str) -> Authority {
        Authority::parse_connect(text).unwrap()
    }

    #[test]
    fn user_and_password_become_a_basic_credential() {
        let proxy = UpstreamProxy::parse("http://us%40er:p:w@proxy.corp:3128/").unwrap();
        assert_eq!(proxy.address(), ("proxy.corp", 3128));
        let expected = format!(
            "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nProxy-Authorization: Basic {}\r\n\r\n",
            STANDARD.encode("us@er:p:w")
        );
        assert_eq!(*proxy.request(&authority("h:443")), expected);
        assert!(!format!("{proxy:?}").contains("p:w"));
    }

    #[test]
    fn an_odd_url_is_refused_without_being_shown() {
        for url in ["", "https://p:1", "http://", "http://u:%zz@p:1", "p:3128", "http://p:1/x"] {
            let error = UpstreamProxy::parse(url).unwrap_err().to_string();
            assert!(!error.contains("%zz"), "{error}");
        }
    }

    #[test]
    fn hosts_around_the_proxy_end_at_label_borders() {
        let proxy = UpstreamProxy::parse("http://p:1").unwrap();
        let proxy = proxy.bypass(["*.Corp.example".to_owned()]);
        assert!(!proxy.serves(&authority("corp.example:443")));
        assert!(!proxy.serves(&authority("a.corp.example:443")));
        assert!(proxy.serves(&authority("notcorp.example:443")));
    }

    #[test]
    fn only_a_status_of_the_second_class_opens_the_tunnel() {
        assert_eq!(status(b"HTTP/1.1 200 Connection established\r\n\r\n"), Some(b'2'));
        assert_eq!(status(b"HTTP/1.0 200\r\n\r\n"), Some(b'2'));
        assert_eq!(status(b"HTTP/1.1 407 No\r\n\r\n"), Some(b'4'));
        for odd in [&b"HTTP/1.1 2000 x\r\n"[..], b"HTTP/2 200\r\n", b"200 OK\r\n", b"HTTP/1.1 2"] {
            assert_eq!(status(odd), None);
        }
    }
}
