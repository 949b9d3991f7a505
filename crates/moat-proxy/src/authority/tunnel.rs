//! The authority of a tunnel, which every request in it must repeat (law L6).

use http::{HeaderMap, Uri, Version};

use super::{Authority, Host, only_host};
use crate::{Reason, Refusal};

/// The port that a URL of https means when it writes none.
const HTTPS: u16 = 443;

/// Whom the client asked for: by CONNECT, and by SNI if it sent one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelIdentity(Authority);

impl TunnelIdentity {
    /// Compares the name of the handshake, which may be absent, with the target of CONNECT.
    ///
    /// # Errors
    ///
    /// [`Reason::SniMismatch`] when they differ, a name for a CONNECT to an address included;
    /// [`Reason::AuthorityMalformed`].
    pub fn new(connect: Authority, sni: Option<&str>) -> Result<Self, Refusal> {
        let other = sni.filter(|name| !connect.host.is_written(name.as_bytes()));
        match other.map(Host::parse_sni).transpose()? {
            Some(name) if name != connect.host => {
                let both = format!("{name} in place of {}", connect.host);
                Err(Refusal::new(Reason::SniMismatch).about(both))
            }
            _ => Ok(Self(connect)),
        }
    }

    /// Returns the authority.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.0
    }

    /// Checks one request of the tunnel.
    ///
    /// `uri` is the request's target: in HTTP/2 with scheme and authority from the pseudo-header
    /// fields, in HTTP/1.1 in origin, absolute or asterisk form. A missing port means 443, also in
    /// a tunnel to another port.
    ///
    /// # Errors
    ///
    /// [`Reason::AuthorityMismatch`] (421) when `Host`, `:authority` or an absolute form name
    /// another authority; with 400 [`Reason::HostMissing`], [`Reason::HostRepeated`],
    /// [`Reason::SchemeNotHttps`], [`Reason::UserInfo`] and [`Reason::AuthorityMalformed`].
    pub fn check(&self, version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = only_host(headers)?;
        let target = uri.authority().map(|authority| authority.as_str().as_bytes());
        let binary = version >= Version::HTTP_2;
        // RFC 9112, section 3.2: HTTP/1.1 has a Host whatever its target says. RFC 9113, section
        // 8.3.1: HTTP/2 has `:authority` or, from a client that translates, Host.
        if host.is_none() && (!binary || target.is_none()) {
            return Err(Refusal::new(Reason::HostMissing));
        }
        match uri.scheme_str() {
            Some(scheme) if scheme != "https" => {
                return Err(Refusal::new(Reason::SchemeNotHttps).about(scheme));
            }
            None if binary => return Err(Refusal::new(Reason::SchemeNotHttps)),
            _ => {}
        }
        for claim in [target, host].into_iter().flatten() {
            self.0.expect_text(claim, HTTPS)?;
        }
        Ok(())
    }
}
