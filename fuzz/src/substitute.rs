//! Placeholders at declared positions, and everywhere else.
//!
//! The input is a request: `METHOD path`, header lines, an empty line, a body. `{P}` in it stands
//! for the placeholder of the secret that goes into headers, `{Q}` for that of the one that goes
//! into path, query and body, `{S}` for a placeholder of another run.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use http::{HeaderName, HeaderValue, Request, request};
use moat_provider_core::{
    Alphabet, CredentialKey, PlaceholderKey, PlaceholderShape, Position, ProxyConfigurer,
    ProxyRules, RunContext, Secret, SecretName, SecretRef, Substitution, Target,
};
use moat_proxy::Mode;
use moat_proxy::engine::{Generation, Place, Verdict};
use serde_json::Value;
use time::OffsetDateTime;

use crate::naive;

/// Goes into headers, as every character of it may.
const PLAIN: &str = "Zq7-fuzzed.secret~of_headers";
/// Has to be encoded wherever it goes.
const ODD: &str = "Zq7/fuzzed+secret&\"of%bodies=é";
const HOST: &str = "api.vendor.test";

struct Setup {
    generation: Generation,
    plain: String,
    odd: String,
    stale: String,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let key = PlaceholderKey::from_bytes([7; 32]);
    let grants: [CredentialKey; 2] = ["plain", "odd"].map(|name| name.parse().unwrap());
    let shape = PlaceholderShape::prefixed("tok_", Alphabet::Alphanumeric, 24);
    let placeholder = |run: &str, grant: &CredentialKey| {
        let home = "/home/agent".parse().unwrap();
        let run = RunContext::builder(run.parse().unwrap(), home, key.clone()).build();
        run.placeholder(grant, "token", &shape).unwrap()
    };
    let mut rules = ProxyRules::default();
    let positions = [
        (0, Position::Header(HeaderName::from_static("x-sub"))),
        (0, Position::Subprotocol { prefix: "p.".into() }),
        (1, Position::QueryKey("k".into())),
        (1, Position::PathSegment { prefix: "bot".into() }),
        (1, Position::FormField("f".into())),
        (1, Position::JsonField("/a/b".into())),
    ];
    for (grant, position) in positions {
        let target = Target::host(HOST).unwrap();
        let own = placeholder("this", &grants[grant]);
        let secret = SecretRef::token(&grants[grant]);
        rules.substitute(Substitution::new(target, position, own, secret));
    }
    let secrets: BTreeMap<_, _> = grants
        .iter()
        .zip([PLAIN, ODD])
        .map(|(grant, text)| {
            let secret = [(SecretName::TOKEN, Secret::new(text.to_owned()))];
            (grant.clone(), secret.into_iter().collect())
        })
        .collect();
    let stale = placeholder("other", &grants[1]).to_string();
    let [plain, odd] = grants.map(|grant| placeholder("this", &grant).to_string());
    let generation = Generation::new(&rules, &[], &secrets, key, Mode::Permissive).unwrap();
    Setup { generation, plain, odd, stale }
});

/// Whole values at declared positions become the secret, and no other byte changes.
pub fn check(data: &[u8]) {
    let Some((before, body)) = request(data) else { return };
    let mut head = before.clone();
    let uri = before.uri.clone();
    let rules = SETUP.generation.at(HOST, 443);
    let place = Place::new(&rules, uri.path());
    let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
    let mut plan = match SETUP.generation.apply(&mut head, &place, now) {
        Verdict::Forward(plan) => plan,
        Verdict::Answer(_) => panic!("no rule answers"),
        Verdict::Refuse(_) => return,
    };
    let Ok(sent) = plan.finish_body(body.clone().into(), &mut head) else { return };
    path(before.uri.path(), head.uri.path());
    pairs(before.uri.query().unwrap_or_default(), head.uri.query().unwrap_or_default(), "k");
    headers(&before, &head);
    let media = media(&before);
    match media.as_deref() {
        Some("application/x-www-form-urlencoded") => {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
            match (text(&body), text(&sent)) {
                (Ok(body), Ok(sent)) => pairs(&body, &sent, "f"),
                _ => assert!(!holds(&sent, ODD) && !holds(&sent, PLAIN)),
            }
        }
        Some("application/json") => json(&body, &sent),
        _ => assert_eq!(body, sent, "a body that no rule reads"),
    }
}

fn request(data: &[u8]) -> Option<(request::Parts, Vec<u8>)> {
    let setup = &*SETUP;
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = data.split_at(end.unwrap_or(data.len()));
    let fill = |text: &[u8]| {
        let tokens = [("{P}", &setup.plain), ("{Q}", &setup.odd), ("{S}", &setup.stale)];
        tokens.iter().fold(text.to_vec(), |text, (token, full)| {
            replace(&text, token.as_bytes(), full.as_bytes())
        })
    };
    let (head, body) = (fill(head), fill(body.get(2..).unwrap_or_default()));
    // A client that knows a secret has nothing to gain here.
    if [PLAIN, ODD].iter().any(|secret| holds(&head, secret) || holds(&body, secret)) {
        return None;
    }
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (method, path) = first.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(format!("https://{HOST}{path}"));
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..]);
        request = request.header(name, HeaderValue::from_bytes(value).ok()?);
    }
    let parts = request.body(()).ok()?.into_parts().0;
    (parts.uri.host() == Some(HOST)).then_some((parts, body))
}

fn replace(text: &[u8], token: &[u8], full: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(token) {
            out.extend(full);
            at += token.len();
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}

fn holds(text: &[u8], secret: &str) -> bool {
    text.windows(secret.len()).any(|window| window == secret.as_bytes())
}

fn decoded(text: &str, form: bool) -> Vec<u8> {
    let text = if form { text.replace('+', " ") } else { text.to_owned() };
    naive::step(b'd', text.as_bytes())
}

/// Only the first segment that carries the placeholder changes.
fn path(before: &str, after: &str) {
    let carries = |segment: &str| decoded(segment, false) == format!("bot{}", SETUP.odd).as_bytes();
    let (old, new): (Vec<_>, Vec<_>) = (before.split('/').collect(), after.split('/').collect());
    assert_eq!(old.len(), new.len(), "{before} became {after}");
    let mut first = true;
    for (old, new) in old.into_iter().zip(new) {
        if first && carries(old) {
            first = false;
            assert_eq!(decoded(new, false), format!("bot{ODD}").as_bytes(), "{before} {after}");
            assert!(!new.contains(['?', '#', '/']), "{after}");
        } else {
            assert_eq!(old, new, "{before} became {after}");
        }
    }
}

fn pairs(before: &str, after: &str, key: &str) {
    let (old, new): (Vec<_>, Vec<_>) = (before.split('&').collect(), after.split('&').collect());
    assert_eq!(old.len(), new.len(), "{before} became {after}");
    for (old, new) in old.into_iter().zip(new) {
        let (name, value) = old.split_once('=').unwrap_or((old, ""));
        if decoded(name, true) == key.as_bytes() && decoded(value, true) == SETUP.odd.as_bytes() {
            let written = new.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
            let written = written.unwrap_or_else(|| panic!("{old} became {new}"));
            assert_eq!(decoded(written, true), ODD.as_bytes(), "{old} became {new}");
        } else {
            assert_eq!(old, new, "{before} became {after}");
        }
    }
}

fn headers(before: &request::Parts, after: &request::Parts) {
    // These belong to the framing, which follows the body.
    let framing = ["content-length", "transfer-encoding", "connection", "te", "expect"];
    for (name, value) in &after.headers {
        let (name, value) = (name.as_str(), value.as_bytes());
        let unchanged = || before.headers.get_all(name).iter().any(|old| old.as_bytes() == value);
        match name {
            "x-sub" | "sec-websocket-protocol" => {
                let left = replace(value, PLAIN.as_bytes(), SETUP.plain.as_bytes());
                let changed = left != value;
                let same = before
                    .headers
                    .get_all(name)
                    .iter()
                    .any(|old| spaceless(old.as_bytes()) == spaceless(&left));
                assert!(same || !changed && unchanged(), "{name}: {value:?}");
            }
            name if framing.contains(&name) => {}
            _ => assert!(unchanged(), "{name}: {value:?} is new"),
        }
        assert!(!holds(value, ODD), "{name} holds the other secret");
    }
    for name in before.headers.keys().filter(|name| !framing.contains(&name.as_str())) {
        // An empty line beside the one that is replaced goes with it.
        let counts =
            |value: &&HeaderValue| name != "x-sub" || !value.as_bytes().trim_ascii().is_empty();
        let count =
            |head: &request::Parts| head.headers.get_all(name).iter().filter(counts).count();
        let misleading = moat_proxy::is_misleading_header(name) || name.as_str().contains('_');
        let named = before.headers.get_all("connection").iter().next().is_some();
        let one_hop = ["keep-alive", "proxy", "upgrade"].contains(&name.as_str())
            || name.as_str().starts_with("proxy-");
        assert!(misleading || named || one_hop || count(before) == count(after), "{name} is gone");
    }
}

fn spaceless(value: &[u8]) -> Vec<u8> {
    let value = value.iter().copied().filter(|byte| !b" \t,".contains(byte));
    value.collect()
}

/// What a body is, `None` when it cannot be looked into: another charset, several types.
fn media(head: &request::Parts) -> Option<String> {
    let mut values = head.headers.get_all("content-type").iter();
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next()?.to_ascii_lowercase();
    let charsets = parts.filter_map(|part| part.split_once('='));
    let mut charsets = charsets.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let known = ["utf-8", "utf8", "us-ascii"];
    if !charsets.all(|(_, value)| {
        known.contains(&value.trim().trim_matches('"').to_ascii_lowercase().as_str())
    }) {
        return None;
    }
    Some(if essence == "text/json" || essence.ends_with("+json") {
        "application/json".to_owned()
    } else {
        essence
    })
}

/// One string of the text is another, and nothing else.
fn json(before: &[u8], after: &[u8]) {
    let written = Value::from(ODD).to_string();
    if before == after {
        let value: Result<Value, _> = serde_json::from_slice(before);
        let left = value.ok().and_then(|value| value.pointer("/a/b").cloned());
        // Of a key that is there twice this reader takes the last, and the request is refused.
        return assert_ne!(left, Some(Value::from(SETUP.odd.as_str())), "a placeholder is left");
    }
    let at = after.windows(written.len()).position(|window| window == written.as_bytes());
    let at = at.expect("what changed became the secret");
    let (start, end) = (&after[..at], &after[at + written.len()..]);
    assert!(before.starts_with(start) && before.ends_with(end));
    let old = &before[start.len()..before.len() - end.len()];
    let old: String = serde_json::from_slice(old).expect("a string was replaced");
    assert_eq!(old, SETUP.odd);
    let value: Value = serde_json::from_slice(after).expect("it is JSON still");
    assert_eq!(value.pointer("/a/b"), Some(&Value::from(ODD)));
}
