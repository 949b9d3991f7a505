//! Why an exchange failed, in words that show nothing of it.

use std::error::Error as StdError;
use std::io;

use moat_provider_core::{Error, ErrorKind};
use rustls::CertificateError;

/// Judges an error of the HTTP client. Nothing of it is shown: only the host, and what kind of
/// failure it was.
pub(super) fn judge(host: &str, error: &(dyn StdError + 'static)) -> Error {
    let chain = || chain_of(error);
    // What failed while connecting was judged there.
    if let Some(judged) = chain().find_map(|error| error.downcast_ref::<Error>()) {
        return again(judged);
    }
    if let Some(error) = chain().find_map(|error| error.downcast_ref::<hyper::Error>()) {
        let odd = |what: &str| unexpected(host, what);
        if error.is_parse() {
            return odd("does not answer in HTTP");
        }
        if error.is_incomplete_message() || error.is_body_write_aborted() {
            return odd("broke off its answer");
        }
        if error.is_user() {
            return Error::invalid(format!("the request to {host} cannot be sent as it is"))
                .with_hint("report a bug of the provider that made it");
        }
    }
    if let Some(error) = chain().find_map(|error| error.downcast_ref::<io::Error>()) {
        return match error.kind() {
            io::ErrorKind::InvalidData => unexpected(host, "does not answer in HTTP"),
            io::ErrorKind::UnexpectedEof => unexpected(host, "broke off its answer"),
            _ => offline(host, "the connection was lost"),
        };
    }
    // HTTP/2: a stream that was reset, a connection that was closed, a frame that was none.
    unexpected(host, "broke off its answer")
}

/// Judges why a host was not reached.
pub(super) fn judge_connect(host: &str, error: &(dyn StdError + 'static)) -> Error {
    let kinds =
        chain_of(error).filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind);
    let why = match kinds.last() {
        Some(io::ErrorKind::ConnectionRefused) => "the connection was refused",
        Some(io::ErrorKind::TimedOut) => "the connection took too long",
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            "there is no way to it in this network"
        }
        _ if error.to_string().contains("dns") => "the name was not found",
        _ => "no connection could be made",
    };
    offline(host, why)
}

/// Judges why no TLS connection came about.
pub(super) fn judge_tls(host: &str, error: &io::Error) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let certificate = match tls {
        Some(rustls::Error::InvalidCertificate(certificate)) => certificate,
        Some(rustls::Error::AlertReceived(_)) => {
            return unexpected(host, "refuses the TLS connection");
        }
        Some(_) => return unexpected(host, "does not speak TLS"),
        None => return offline(host, "the connection was lost during the TLS handshake"),
    };
    let (what, hint) = match certificate {
        // The latter when an authority of the same name is trusted.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "comes from an authority that this machine does not trust",
            "if a proxy of your company opens TLS, pass its authority: --upstream-ca FILE",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("has expired", "check the clock of this machine with: date")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("is not valid yet", "check the clock of this machine with: date")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "is for another host",
            "check the host's name, and whether a login page of this network is in the way",
        ),
        _ => (
            "is not valid",
            "if a proxy of your company opens TLS, pass its authority: --upstream-ca FILE",
        ),
    };
    Error::new(ErrorKind::Offline, format!("the certificate of {host} {what}")).with_hint(hint)
}

pub(super) fn offline(host: &str, why: &str) -> Error {
    Error::new(ErrorKind::Offline, format!("{host} was not reached: {why}"))
        .with_hint("check the network, and HTTPS_PROXY where a proxy is needed")
}

pub(super) fn unexpected(host: &str, what: &str) -> Error {
    Error::new(ErrorKind::UnexpectedAnswer, format!("{host} {what}"))
        .with_hint("check the host's name, and whether a proxy or login page is in the way")
}

/// Iterates over an error and its causes.
fn chain_of<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

/// Makes the same error once more: the client hands it out behind a reference.
fn again(error: &Error) -> Error {
    let made = Error::new(error.kind(), error.message().to_owned());
    match error.hint() {
        Some(hint) => made.with_hint(hint.to_owned()),
        None => made,
    }
}
