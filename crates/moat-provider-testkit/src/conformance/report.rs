//! Collects violations, and looks for secrets.

use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http::uri::Scheme;
use moat_provider_core::{Credential, CredentialInfo, Error, Provider, Secrets};

use super::subject::Sample;
use super::{Expect, Rule, Violation};
use crate::canary::find_any;
use crate::double::message_of;
use crate::{Canary, Encoding, Ports};

/// The secrets that are looked for.
#[derive(Clone, Default)]
pub(super) struct Search(Vec<Canary>);

impl Search {
    pub(super) fn of(canary: &Canary) -> Self {
        Self(vec![canary.clone()])
    }

    pub(super) fn and(mut self, canary: &Canary) -> Self {
        self.0.push(canary.clone());
        self
    }

    /// Adds the secrets of a credential or a mint. Of a canary it is known which part is public, such
    /// as the claims of a token (RFC 7519), which may stand in its placeholder as well.
    pub(super) fn and_all(mut self, secrets: &Secrets) -> Self {
        for (_, secret) in secrets.iter() {
            if !self.0.iter().any(|canary| canary.secret().same_as(secret)) {
                self.0.push(Canary::of(secret));
            }
        }
        self
    }

    fn found_in(&self, text: &[u8]) -> Option<Encoding> {
        find_any(&self.0, text)
    }
}

/// Everything that was found.
#[derive(Default)]
pub(super) struct Report {
    found: Vec<Violation>,
    /// Every canary that was drawn: a provider may keep what it saw in an earlier call.
    drawn: Vec<Canary>,
}

impl Report {
    pub(super) fn into_found(self) -> Vec<Violation> {
        self.found
    }

    /// Draws a canary, which from now on is looked for everywhere.
    pub(super) fn draw(&mut self, expect: &Expect) -> Canary {
        let canary = (expect.canary)();
        self.drawn.push(canary.clone());
        canary
    }

    pub(super) fn add(&mut self, rule: Rule, detail: impl Into<String>) {
        self.found.push(Violation::new(rule, detail.into()));
    }

    /// Adds a violation unless a condition holds.
    pub(super) fn demand(&mut self, holds: bool, rule: Rule, detail: impl FnOnce() -> String) {
        if !holds {
            self.add(rule, detail());
        }
    }

    /// Says that a check cannot be made.
    pub(super) fn expectation(&mut self, missing: impl Into<String>) {
        self.add(Rule::Expectation, missing);
    }

    /// Calls the provider; a panic is a violation.
    pub(super) fn call<T>(&mut self, what: &str, call: impl FnOnce() -> T) -> Option<T> {
        self.call_for(Rule::Panics, what, call)
    }

    /// Calls the provider; a panic is a violation of this rule.
    pub(super) fn call_for<T>(
        &mut self,
        rule: Rule,
        what: &str,
        call: impl FnOnce() -> T,
    ) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(result) => Some(result),
            Err(panic) => {
                self.add(rule, format!("{what} panics: {}", message_of(&*panic)));
                None
            }
        }
    }

    /// Looks for secrets in bytes.
    pub(super) fn search(
        &mut self,
        rule: Rule,
        secrets: &Search,
        what: impl fmt::Display,
        text: impl AsRef<[u8]>,
    ) {
        let all = self.drawn.iter().chain(&secrets.0);
        if let Some(encoding) = find_any(all, text.as_ref()) {
            self.add(rule, format!("{what} holds a secret {encoding}"));
        }
    }

    /// Looks for secrets in an error and its chain.
    pub(super) fn search_error(&mut self, secrets: &Search, what: &str, error: &dyn StdError) {
        let text = chain(error);
        self.search(Rule::SecretInText, secrets, format_args!("the error of {what}"), text);
    }

    /// Looks for secrets in the printable parts of a credential.
    pub(super) fn search_credential(&mut self, secrets: &Search, what: &str, of: &Credential) {
        let before = self.found.len();
        self.search_info(secrets, what, of.info());
        // The Debug text repeats what is in the info.
        if self.found.len() == before {
            let debug = format_args!("the Debug text of the credential of {what}");
            self.search(Rule::SecretInText, secrets, debug, format!("{of:?}"));
        }
    }

    fn search_info(&mut self, secrets: &Search, what: &str, info: &CredentialInfo) {
        let rule = Rule::SecretInInfo;
        for (name, value) in info.all_metadata() {
            let before = self.found.len();
            self.search(rule, secrets, format_args!("a metadata name of {what}"), name);
            // A name is shown only once it is known not to be a secret itself.
            if self.found.len() == before {
                let entry = format_args!("the metadata {name:?} of {what}");
                self.search(rule, secrets, entry, value);
            }
        }
        for scope in info.scopes() {
            self.search(rule, secrets, format_args!("a scope of {what}"), scope);
        }
        for name in info.secret_names() {
            let text = name.as_str();
            self.search(rule, secrets, format_args!("the name of a secret of {what}"), text);
        }
    }

    /// Looks for secrets in what went through the ports, and at where it went.
    pub(super) fn search_ports(&mut self, secrets: &Search, what: &str, ports: &Ports) {
        let shown = format_args!("what {what} shows on the terminal");
        self.search(Rule::SecretInText, secrets, shown, ports.terminal().shown());
        for spec in ports.commands().specs() {
            let command = format_args!("a command of {what}");
            self.search(Rule::SecretInCommands, secrets, command, format!("{spec:?}"));
        }
        for request in ports.requests() {
            let uri = request.uri();
            let url = format_args!("the URL of a request of {what}");
            self.search(Rule::SecretInUrls, secrets, url, uri.to_string());
            let headers = format_args!("the Debug text of the headers of a request of {what}");
            let text = format!("{:?}", request.headers());
            self.search(Rule::SecretInText, secrets, headers, text);
            let authority = uri.authority().map_or("@", |authority| authority.as_str());
            let fine = uri.scheme() == Some(&Scheme::HTTPS) && !authority.contains('@');
            self.demand(fine, Rule::Https, || {
                format!("{what} sends a request that is not to an absolute https URL")
            });
        }
    }

    /// Looks for secrets in the provider itself, at the very end.
    pub(super) fn provider_keeps_nothing(&mut self, provider: &dyn Provider, samples: &[Sample]) {
        let mut secrets = Search::default();
        for sample in samples {
            secrets = secrets.and(&sample.canary).and_all(sample.credential.secrets());
        }
        if let Some(text) = self.call("Debug", || format!("{provider:?}")) {
            self.search(Rule::SecretInText, &secrets, "the Debug text of the provider", text);
        }
    }

    /// Checks that an error says what to do.
    pub(super) fn hint(&mut self, what: &str, hint: Option<&str>) {
        let says = hint.is_some_and(|hint| !hint.trim().is_empty());
        self.demand(says, Rule::Hints, || format!("the error of {what} has no hint"));
    }

    /// Takes a result, or reports the error under a rule.
    pub(super) fn require<T>(
        &mut self,
        rule: Rule,
        secrets: &Search,
        what: &str,
        result: Result<T, Error>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.search_error(secrets, what, &error);
                self.add(rule, format!("{what} fails: {}", shown(&error, secrets)));
                None
            }
        }
    }
}

/// The message of an error, unless it holds a secret.
pub(super) fn shown(error: &dyn fmt::Display, secrets: &Search) -> String {
    let text = error.to_string();
    match secrets.found_in(text.as_bytes()) {
        Some(_) => "(the message holds a secret)".to_owned(),
        None => text,
    }
}

/// Everything that can be printed of an error.
fn chain(error: &dyn StdError) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        text.push_str(&format!("{error}\n{error:?}\n"));
        next = error.source();
    }
    text
}
