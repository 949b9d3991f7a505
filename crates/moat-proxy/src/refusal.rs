//! The answer to what is refused or fails.

use std::fmt;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderName, PROXY_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use moat_provider_core::RefusalBody;
use serde_json::json;

use crate::Reason;

/// The header of an answer that refuses; its value is the reason.
pub const BLOCKED: HeaderName = HeaderName::from_static("x-moat-blocked");
/// The header of an answer to what failed; its value is the reason.
pub const FAILED: HeaderName = HeaderName::from_static("x-moat-error");

/// How many characters of foreign text a message shows.
const SHOWN: usize = 200;

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
    /// Boxed, because hardly any has one and all are returned by value.
    form: Option<Box<RefusalBody>>,
}

impl Refusal {
    /// Makes a refusal that says nothing but its reason.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason, subject: None, because: None, rule: None, fix: None, form: None }
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
    pub fn rule(mut self, rule: impl fmt::Display) -> Self {
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

    /// Answers in the form of a vendor's errors.
    #[must_use]
    pub fn in_form(mut self, body: RefusalBody) -> Self {
        self.form = Some(Box::new(body));
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
        self.fix.as_deref().or(self.reason.usual_fix())
    }

    /// Returns the header that marks the answer as the proxy's: [`BLOCKED`] or [`FAILED`].
    #[must_use]
    pub fn header(&self) -> (HeaderName, HeaderValue) {
        let name = if self.status().is_server_error() { FAILED } else { BLOCKED };
        (name, HeaderValue::from_static(self.reason.as_str()))
    }

    /// Returns the body: that of [`in_form`](Self::in_form), else JSON.
    ///
    /// Clients of vendors show `message` or `error.message`, so that both say it. `rule` and `fix`
    /// are null when there is none.
    #[must_use]
    pub fn body(&self) -> Bytes {
        if let Some(form) = &self.form {
            return form.content().clone();
        }
        let message = self.to_string();
        let body = json!({
            "message": message,
            "error": {
                "reason": self.reason.as_str(),
                "message": message,
                "rule": self.rule,
                "fix": self.remedy(),
            },
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
        let json = HeaderValue::from_static("application/json");
        let media_type = self.form.as_ref().map(|form| form.media_type().clone());
        headers.insert(CONTENT_TYPE, media_type.unwrap_or(json));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"moat\""));
        }
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

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

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
    use super::*;

    #[test]
    fn a_refusal_answers_with_its_reason_rule_and_fix() {
        let refusal = Refusal::new(Reason::Denied)
            .about("POST a.example/x")
            .rule("POST a.example/x")
            .fix("start the run without --deny 'POST a.example/x'");
        let response = refusal.response();
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()["x-moat-blocked"], "denied");
        assert!(!response.headers().contains_key("x-moat-error"));
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(
            body,
            json!({
                "message": "an entry of the policy denies this: POST a.example/x",
                "error": {
                    "reason": "denied",
                    "message": "an entry of the policy denies this: POST a.example/x",
                    "rule": "POST a.example/x",
                    "fix": "start the run without --deny 'POST a.example/x'",
                },
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
    fn only_a_missing_token_is_challenged() {
        let challenged =
            |reason| Refusal::new(reason).response().headers().contains_key(PROXY_AUTHENTICATE);
        assert!(challenged(Reason::ProxyAuth));
        assert!(!challenged(Reason::NameNotFound));
    }

    #[test]
    fn what_usually_helps_is_said_unless_something_else_does() {
        let usual = Refusal::new(Reason::DuplicateKey);
        assert_eq!(usual.remedy(), Some("name each key once"));
        assert_eq!(usual.fix("try again").remedy(), Some("try again"));
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
