//! Why the proxy refused or failed: one code per cause, and the answer that carries it.

use std::fmt;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

/// How many characters of foreign text a message shows.
const SHOWN: usize = 200;

const BLOCKED: HeaderName = HeaderName::from_static("x-moat-blocked");
const ERROR: HeaderName = HeaderName::from_static("x-moat-error");

/// Makes the enum and its tables from one line per cause: variant, code, status, sentence.
macro_rules! reasons {
    ($($variant:ident = $code:literal, $status:ident, $message:literal;)+) => {
        /// Why a request was refused, or could not be carried out.
        ///
        /// The code is stable: programs and records may rely on it.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = concat!("`", $code, "`: ", $message, ".")] $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the code, in kebab case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// Returns the status of the answer.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }

            /// Returns what happened, as a lower-case fragment.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message),+ }
            }
        }
    };
}

reasons! {
    // What the request is.
    AuthorityMalformed = "authority-malformed", BAD_REQUEST, "the request names no valid host";
    UserInfo = "user-info", BAD_REQUEST, "the authority holds user information";
    HostMissing = "host-missing", BAD_REQUEST, "the request says no host";
    HostRepeated = "host-repeated", BAD_REQUEST, "the request has several Host headers";
    SchemeNotHttps = "scheme-not-https", BAD_REQUEST, "the request in the tunnel is not for https";
    AuthorityMismatch = "authority-mismatch", MISDIRECTED_REQUEST, "the request is for another host than the tunnel";
    SniMismatch = "sni-mismatch", MISDIRECTED_REQUEST, "the handshake is for another host than the tunnel";
    PathMalformed = "path-malformed", BAD_REQUEST, "the path is malformed";
    PathAmbiguous = "path-ambiguous", BAD_REQUEST, "servers may read the path in several ways, and a rule depends on which";
    MethodAmbiguous = "method-ambiguous", BAD_REQUEST, "the query may override the method, and a rule depends on it";

    // What the policy says.
    MethodRefused = "method-refused", FORBIDDEN, "no request with this method is carried out";
    Denied = "denied", FORBIDDEN, "an entry of the policy denies this";
    HostNotAllowed = "host-not-allowed", FORBIDDEN, "the run may not reach this host and port";
    RequestNotAllowed = "request-not-allowed", FORBIDDEN, "the run may reach this host, but not with this request";

    // Where the name leads.
    MetadataAddress = "metadata-address", FORBIDDEN, "the address is a cloud's metadata service, which no run may reach";
    LinkLocalAddress = "link-local-address", FORBIDDEN, "the address is link-local, which no run may reach";
    MulticastAddress = "multicast-address", FORBIDDEN, "the address is multicast, which no run may reach";
    BroadcastAddress = "broadcast-address", FORBIDDEN, "the address is broadcast, which no run may reach";
    UnspecifiedAddress = "unspecified-address", FORBIDDEN, "the address is unspecified, which no run may reach";
    ProxyAddress = "proxy-address", FORBIDDEN, "the address is the proxy's own, which no run may reach";
    LocalAddress = "local-address", FORBIDDEN, "the address is this machine, which has a name of its own for runs";
    LocalServiceNotAllowed = "local-service-not-allowed", FORBIDDEN, "the run may not reach this port of this machine";
    PrivateAddress = "private-address", FORBIDDEN, "the address is in a private network that was not opened";
    ReservedAddress = "reserved-address", FORBIDDEN, "the address is in a reserved range that was not opened";
    NameNotFound = "name-not-found", BAD_GATEWAY, "the name has no address";
    NameLookupFailed = "name-lookup-failed", BAD_GATEWAY, "the name could not be looked up";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal, or a failure of the proxy's own: why, what it was about, and what the person can do.
///
/// What came from the container or a vendor is kept escaped and bounded (law L18). Neither a query
/// nor a header's value goes in here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    subject: Option<String>,
    because: Option<&'static str>,
    rule: Option<String>,
    fix: Option<String>,
}

impl Refusal {
    /// Makes a refusal that says nothing but its reason.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason, subject: None, because: None, rule: None, fix: None }
    }

    /// Adds what was refused, from whatever source.
    #[must_use]
    pub fn about(mut self, subject: impl AsRef<[u8]>) -> Self {
        self.subject = Some(escape(subject.as_ref(), SHOWN));
        self
    }

    /// Adds what is the matter with the subject, as the end of a sentence: `holds white space`.
    #[must_use]
    pub const fn because(mut self, problem: &'static str) -> Self {
        self.because = Some(problem);
        self
    }

    /// Adds the rule or entry that decided.
    #[must_use]
    pub fn rule(mut self, rule: &dyn fmt::Display) -> Self {
        self.rule = Some(escape(rule.to_string().as_bytes(), SHOWN));
        self
    }

    /// Adds what the person can do, best a flag to paste.
    ///
    /// People paste this into a shell: parts that the container chose must be plain words.
    #[must_use]
    pub fn fix(mut self, fix: impl AsRef<[u8]>) -> Self {
        self.fix = Some(escape(fix.as_ref(), 2 * SHOWN));
        self
    }

    /// Returns why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.reason.status()
    }

    /// Returns the rule or entry that decided.
    #[must_use]
    pub fn decided_by(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// Returns what the person can do.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.fix.as_deref()
    }

    /// Returns the header that marks the answer as the proxy's: `x-moat-blocked` for a refusal,
    /// `x-moat-error` for a failure.
    #[must_use]
    pub fn header(&self) -> (HeaderName, HeaderValue) {
        let name = if self.status().is_server_error() { ERROR } else { BLOCKED };
        (name, HeaderValue::from_static(self.reason.as_str()))
    }

    /// Returns the JSON body; `rule` and `fix` are null when there is none.
    #[must_use]
    pub fn body(&self) -> Bytes {
        let body = json!({
            "reason": self.reason.as_str(),
            "message": self.to_string(),
            "rule": self.rule,
            "fix": self.fix,
        });
        Bytes::from(body.to_string())
    }

    /// Returns the whole answer, not to be cached.
    #[must_use]
    pub fn response(&self) -> Response<Bytes> {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.status();
        let (name, value) = self.header();
        let headers = response.headers_mut();
        headers.insert(name, value);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.message())?;
        match (&self.subject, self.because) {
            (None, None) => Ok(()),
            (Some(subject), None) => write!(f, ": {subject}"),
            (None, Some(problem)) => write!(f, ": it {problem}"),
            (Some(subject), Some(problem)) => write!(f, ": {subject} {problem}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Shows foreign bytes as printable ASCII of at most `limit` characters and three dots (law L18).
///
/// Everything else becomes an escape: control characters, those that change the direction of text,
/// bytes that are no UTF-8, and the backslash itself, so that no two texts look the same.
#[must_use]
pub fn escape(text: &[u8], limit: usize) -> String {
    let mut shown = String::new();
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid().chars().map(|char| match char {
            ' '..='[' | ']'..='~' => char.to_string(),
            _ => char.escape_default().to_string(),
        });
        let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
        for piece in valid.chain(invalid) {
            if shown.len() + piece.len() > limit {
                shown.push_str("...");
                return shown;
            }
            shown.push_str(&piece);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_in_kebab_case() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for code in codes {
            assert!(
                code.split('-')
                    .all(|word| !word.is_empty()
                        && word.bytes().all(|byte| byte.is_ascii_lowercase()))
            );
        }
    }

    #[test]
    fn every_reason_refuses() {
        for reason in Reason::ALL {
            let status = reason.status();
            assert!(status.is_client_error() || status.is_server_error(), "{reason}");
        }
    }

    #[test]
    fn a_refusal_answers_with_its_reason_rule_and_fix() {
        let refusal = Refusal::new(Reason::Denied)
            .about("POST a.example/x")
            .rule(&"POST a.example/x")
            .fix("start the run without --deny 'POST a.example/x'");
        let response = refusal.response();
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()["x-moat-blocked"], "denied");
        assert!(!response.headers().contains_key("x-moat-error"));
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(
            body,
            json!({
                "reason": "denied",
                "message": "an entry of the policy denies this: POST a.example/x",
                "rule": "POST a.example/x",
                "fix": "start the run without --deny 'POST a.example/x'",
            })
        );
    }

    #[test]
    fn a_failure_is_marked_as_one() {
        let response = Refusal::new(Reason::NameNotFound).response();
        assert_eq!(response.status(), 502);
        assert_eq!(response.headers()["x-moat-error"], "name-not-found");
        assert!(!response.headers().contains_key("x-moat-blocked"));
    }

    #[test]
    fn foreign_text_is_escaped_and_bounded() {
        let reversed = "\u{202e}".repeat(40);
        let cases: [(&[u8], &str); 6] = [
            (b"plain 'text'", "plain 'text'"),
            (b"\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
            ("a\u{202e}b\u{9b}".as_bytes(), "a\\u{202e}b\\u{9b}"),
            (b"\xff\n\\n", "\\xff\\n\\\\n"),
            (&[b'a'; 40], "aaaaaaaaaaaaaaaaaaaaaaaa..."),
            (reversed.as_bytes(), "\\u{202e}\\u{202e}\\u{202e}..."),
        ];
        for (raw, shown) in cases {
            assert_eq!(escape(raw, 24), shown);
        }
        let refusal = Refusal::new(Reason::PathMalformed).about([0x1b; 4000]);
        assert!(refusal.to_string().len() < 300);
        assert!(refusal.body().is_ascii());
    }
}
