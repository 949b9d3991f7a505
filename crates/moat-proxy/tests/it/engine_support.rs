//! A run with grants, rules and secrets, and requests to put through them.

use std::collections::BTreeMap;

use http::header::AUTHORIZATION;
use http::{HeaderName, Request, request};
use moat_provider_core::{
    Alphabet, CredentialKey, CredentialRule, HeaderTemplate, IssuingEndpoint, IssuingEndpoints,
    Placeholder, PlaceholderKey, PlaceholderShape, Position, ProxyConfigurer, ProxyRules, Result,
    RunContext, Secret, SecretName, SecretRef, Secrets, Slot, Substitution, Target,
};
use moat_provider_testkit::Canary;
use moat_proxy::engine::{Generation, NotUsed, Place, Plan, Verdict};
use moat_proxy::{Mode, Reason};
use time::OffsetDateTime;

/// Collects what a generation is made of.
pub(crate) struct World {
    key: PlaceholderKey,
    run: RunContext,
    pub(crate) rules: ProxyRules,
    pub(crate) issuing: Vec<(CredentialKey, IssuingEndpoints)>,
    secrets: BTreeMap<CredentialKey, Secrets>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of_run("this")
    }

    /// One of several runs of the same host.
    pub(crate) fn of_run(id: &str) -> Self {
        let key = PlaceholderKey::from_bytes([7; 32]);
        Self {
            run: run(&key, id),
            key,
            rules: ProxyRules::default(),
            issuing: Vec::new(),
            secrets: BTreeMap::new(),
        }
    }

    /// Adds a grant with a token, and returns it.
    pub(crate) fn grant(&mut self, name: &str) -> Grant {
        self.grant_with(name, Canary::new())
    }

    pub(crate) fn grant_with(&mut self, name: &str, canary: Canary) -> Grant {
        let key: CredentialKey = name.parse().unwrap();
        self.secrets
            .insert(key.clone(), [(SecretName::TOKEN, canary.secret())].into_iter().collect());
        Grant { placeholder: self.placeholder(&key, "token"), canary, key }
    }

    pub(crate) fn context(&self) -> RunContext {
        self.run.clone()
    }

    pub(crate) fn placeholder(&self, grant: &CredentialKey, label: &str) -> Placeholder {
        self.run.placeholder(grant, label, &shape()).unwrap()
    }

    /// A placeholder of another run of the same host.
    pub(crate) fn stale(&self) -> Placeholder {
        run(&self.key, "other").placeholder(&"a".parse().unwrap(), "token", &shape()).unwrap()
    }

    pub(crate) fn try_build(&self, mode: Mode) -> Result<Generation> {
        Generation::new(&self.rules, &self.issuing, &self.secrets, self.key.clone(), mode)
    }

    pub(crate) fn build(&self) -> Generation {
        self.try_build(Mode::Permissive).unwrap()
    }

    pub(crate) fn strict(&self) -> Generation {
        self.try_build(Mode::Strict).unwrap()
    }

    /// States a rule that fills `Authorization` with a bearer token, empty or not.
    pub(crate) fn bearer(&mut self, grant: &Grant, target: Target) {
        self.rules.credential(grant.bearer(target));
    }

    pub(crate) fn substitute(&mut self, grant: &Grant, target: Target, position: Position) {
        let placeholder = grant.placeholder.clone();
        self.rules.substitute(Substitution::new(target, position, placeholder, grant.token()));
    }

    pub(crate) fn issues(&mut self, grant: &Grant, endpoint: IssuingEndpoint) {
        self.issuing.push((grant.key.clone(), [endpoint].into_iter().collect()));
    }
}

/// A grant, what it must not give away, and what stands for it.
pub(crate) struct Grant {
    pub(crate) key: CredentialKey,
    pub(crate) canary: Canary,
    pub(crate) placeholder: Placeholder,
}

impl Grant {
    pub(crate) fn token(&self) -> SecretRef {
        SecretRef::token(&self.key)
    }

    pub(crate) fn secret(&self) -> &str {
        self.canary.text()
    }

    pub(crate) fn rule(
        &self,
        target: Target,
        header: HeaderName,
        template: HeaderTemplate,
    ) -> CredentialRule {
        CredentialRule::new(target, header, template, self.token())
            .placeholder(self.placeholder.clone())
    }

    pub(crate) fn bearer(&self, target: Target) -> CredentialRule {
        self.rule(target, AUTHORIZATION, HeaderTemplate::Bearer)
    }

    pub(crate) fn expected_bearer(&self) -> String {
        format!("Bearer {}", self.secret())
    }
}

fn run(key: &PlaceholderKey, id: &str) -> RunContext {
    let home = "/home/moatuser".parse().unwrap();
    RunContext::builder(id.parse().unwrap(), home, key.clone()).build()
}

pub(crate) fn shape() -> PlaceholderShape {
    PlaceholderShape::prefixed("tok_", Alphabet::Alphanumeric, 36)
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

pub(crate) fn host(pattern: &str) -> Target {
    Target::host(pattern).unwrap()
}

pub(crate) fn name(name: &str) -> HeaderName {
    name.parse().unwrap()
}

pub(crate) fn header_slot(header: &str) -> Slot {
    Slot::Header(name(header))
}

/// Makes a head: `GET https://host/path?query`, and headers as they come on the wire.
pub(crate) fn request(line: &str, headers: &[(&str, &str)]) -> request::Parts {
    let (method, uri) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// Applies a generation to a head; the path is taken as canonical.
pub(crate) fn apply(generation: &Generation, head: &mut request::Parts) -> Verdict {
    apply_read_as(generation, head, &[])
}

pub(crate) fn apply_read_as(
    generation: &Generation,
    head: &mut request::Parts,
    others: &[&str],
) -> Verdict {
    let uri = head.uri.clone();
    let port = uri.port_u16().unwrap_or(443);
    let rules = generation.at(uri.host().unwrap(), port);
    let place = Place::new(&rules, uri.path()).or_read_as(others);
    generation.apply(head, &place, now())
}

pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
}

/// Applies, and expects the request to go on.
#[track_caller]
pub(crate) fn forward(generation: &Generation, head: &mut request::Parts) -> Plan {
    match apply(generation, head) {
        Verdict::Forward(plan) => *plan,
        other => panic!("the request did not go on: {other:?}"),
    }
}

/// Applies, and expects a refusal.
#[track_caller]
pub(crate) fn refused(generation: &Generation, head: &mut request::Parts) -> Reason {
    match apply(generation, head) {
        Verdict::Refuse(refusal) => refusal.reason(),
        other => panic!("the request was not refused: {other:?}"),
    }
}

/// Applies, and expects the request to go on without any secret of these grants.
#[track_caller]
pub(crate) fn left_alone(
    generation: &Generation,
    head: &mut request::Parts,
    grants: &[&Grant],
) -> NotUsed {
    let plan = forward(generation, head);
    for grant in grants {
        assert!(!holds(head, &grant.canary), "{} got a secret", head.uri);
    }
    assert!(plan.used().is_empty());
    plan.not_used().expect("a reason")
}

/// Whether a head holds a canary.
pub(crate) fn holds(head: &request::Parts, canary: &Canary) -> bool {
    canary.find_in_str(&head.uri.to_string()).is_some()
        || head.headers.values().any(|value| canary.find_in(value.as_bytes()).is_some())
}

/// Returns the only value of a header.
#[track_caller]
pub(crate) fn only<'a>(head: &'a request::Parts, header: &str) -> &'a str {
    let mut values = head.headers.get_all(header).iter();
    let value = values.next().unwrap_or_else(|| panic!("there is no {header}"));
    assert!(values.next().is_none(), "there is more than one {header}");
    value.to_str().unwrap()
}

/// Encodes `user:password`.
pub(crate) fn basic(user: &str, password: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let pair = format!("{user}:{password}");
    let mut out = String::from("Basic ");
    for chunk in pair.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let sextet = bits >> (18 - 6 * at) & 63;
            out.push(if at > chunk.len() { '=' } else { char::from(ALPHABET[sextet as usize]) });
        }
    }
    out
}
