//! Requests to vendors.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, Response};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::{BoxFuture, Result};

/// Sends requests to vendors.
///
/// An implementation follows no redirect (a credential would go along), verifies certificates,
/// gives up after the request's [`Timeout`] or 30 seconds, and reads at most 1 MiB of an answer.
/// Every status is an answer, none is an error.
pub trait HttpClient: fmt::Debug + Send + Sync {
    /// Sends a request with an absolute https URL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Offline`](crate::ErrorKind::Offline) when the vendor was not reached,
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut),
    /// [`ErrorKind::UnexpectedAnswer`](crate::ErrorKind::UnexpectedAnswer) when what came is not
    /// HTTP or too long, and [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a URL
    /// that is not https. No error shows a header, a query or a body.
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>>>;
}

/// How long a request may take from start to end; an extension of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(pub Duration);

/// Reads how long a vendor asks to wait: `Retry-After` in seconds or as a date (RFC 9110, section
/// 10.2.3). A date in the past is no wait.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = OffsetDateTime::parse(value, &Rfc2822).ok()?;
    Some((date - now).try_into().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_seconds_or_dates() {
        let now = OffsetDateTime::from_unix_timestamp(784_111_777).unwrap();
        let read = |value: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]), now)
        };
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:07 GMT"), Some(Duration::ZERO));
        assert_eq!(read("-1"), None);
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
