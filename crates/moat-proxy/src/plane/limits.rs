//! Bounds, each with a default and an answer when it is reached.

use std::time::Duration;

/// How much, how many and how long.
///
/// Every field may be changed before the proxy is built.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request's or answer's head; 64 KiB. Beyond: 431 for a request,
    /// `upstream-protocol` for an answer.
    pub head_bytes: usize,
    /// Tunnels that one run has open; 1024. Beyond: 503 `too-many-tunnels`.
    pub tunnels: usize,
    /// Client connections of one listener; 4096. Beyond: new ones wait, and a record with the reason
    /// `too-many-connections` says so.
    pub connections: usize,
    /// Streams that a client has open on one HTTP/2 connection; 256. Beyond: refused as HTTP/2 says.
    pub streams: u32,
    /// Wait for a client's TLS handshake, from its first byte to its last; 10 seconds. Beyond: the
    /// tunnel closes.
    pub client_handshake: Duration,
    /// Wait for a first byte from the client in a tunnel that may also carry something else than
    /// TLS; 500 milliseconds. Beyond: the server is taken to speak first.
    pub server_speaks_first: Duration,
    /// Wait for a complete request head, and for the next request on an idle connection; 120
    /// seconds, since clients keep connections for about that long. Beyond: the connection closes.
    pub header_read: Duration,
    /// Wait for a name to resolve; 10 seconds. Beyond: 502 `dns`.
    pub resolve: Duration,
    /// Wait for a connection to any address of a host; 15 seconds. Beyond: 504 `connect-timeout`.
    pub connect: Duration,
    /// Head start of one address before the next is tried too (RFC 8305); 250 milliseconds.
    pub connect_stagger: Duration,
    /// Wait for the TLS handshake with a host; 10 seconds. Beyond: 504 `connect-timeout`.
    pub upstream_handshake: Duration,
    /// Wait for the head of an answer, counted from the last byte of the request; 10 minutes.
    /// Beyond: 504 `upstream-timeout`.
    pub first_byte: Duration,
    /// Wait for `100 Continue` before the body is sent anyway (RFC 9110, section 10.1.1); 1 second.
    pub expect_continue: Duration,
    /// Wait for what a handler defers a request for, all in all; 30 seconds. Beyond: 504 `not-ready`.
    pub defer: Duration,
    /// Silence in a raw tunnel or a WebSocket; 1 hour. Beyond: it closes.
    pub tunnel_idle: Duration,
    /// Idle time of a pooled connection to a host; 90 seconds. Beyond: it closes.
    pub pool_idle: Duration,
    /// Idle connections that are kept for one host; 256. Beyond: the oldest closes.
    pub pool_idle_per_host: usize,
    /// HTTP/2 connections to one host; 8. Beyond: streams share the least busy.
    pub pool_h2_per_host: usize,
    /// Silence on an HTTP/2 connection to a host after which it is pinged; 30 seconds.
    pub ping: Duration,
    /// Wrong run tokens from one address within the window that are answered with 407; 20. Beyond:
    /// 429 `too-many-attempts`. A right token works at once all the same: others may share the
    /// address. A request without a token is not counted.
    pub wrong_tokens: u32,
    /// The window in which wrong run tokens are counted; 60 seconds.
    pub wrong_token_window: Duration,
    /// Leaf certificates that one authority keeps; 1024. Beyond: the least used goes.
    pub leaves: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            tunnels: 1024,
            connections: 4096,
            streams: 256,
            client_handshake: Duration::from_secs(10),
            server_speaks_first: Duration::from_millis(500),
            header_read: Duration::from_secs(120),
            resolve: Duration::from_secs(10),
            connect: Duration::from_secs(15),
            connect_stagger: Duration::from_millis(250),
            upstream_handshake: Duration::from_secs(10),
            first_byte: Duration::from_secs(600),
            expect_continue: Duration::from_secs(1),
            defer: Duration::from_secs(30),
            tunnel_idle: Duration::from_secs(3600),
            pool_idle: Duration::from_secs(90),
            pool_idle_per_host: 256,
            pool_h2_per_host: 8,
            ping: Duration::from_secs(30),
            wrong_tokens: 20,
            wrong_token_window: Duration::from_secs(60),
            leaves: 1024,
        }
    }
}

/// Raises the soft limit of open descriptors to the hard one and returns it.
///
/// A proxy needs two descriptors for each tunnel; 1024 are soon used up.
///
/// # Errors
///
/// Those of the system.
pub fn raise_descriptor_limit() -> std::io::Result<u64> {
    let (soft, hard) = rlimit::Resource::NOFILE.get()?;
    if soft < hard {
        rlimit::Resource::NOFILE.set(hard, hard)?;
    }
    Ok(hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptor_limit_is_raised_and_never_lowered() {
        let (soft, hard) = rlimit::Resource::NOFILE.get().unwrap();
        assert_eq!(raise_descriptor_limit().unwrap(), hard);
        let (after, _) = rlimit::Resource::NOFILE.get().unwrap();
        assert!(after >= soft && after == hard);
    }
}
