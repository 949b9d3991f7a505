//! Entries of a policy, and what they decide.
//!
//! Lines of the input: `strict` or anything else; then entries, `+` in front of what is allowed and
//! `-` of what is denied; `?METHOD authority path` is a request.

use http::Method;
use moat_provider_core::Target;
use moat_proxy::{Authority, Basis, Mode, Policy, RequestPath};

struct Request {
    method: Method,
    authority: Authority,
    path: RequestPath,
}

/// An entry that decides reads back as it is written; a denial never allows and an entry never
/// denies; and what is judged by host alone is judged alike for every request.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mode = if lines.next() == Some("strict") { Mode::Strict } else { Mode::Permissive };
    let (mut entries, mut requests) = (Vec::new(), Vec::new());
    for line in lines.take(16) {
        match line.split_at_checked(1) {
            Some(("?", request)) => requests.extend(read(request)),
            Some(("+", entry)) => entries.push((true, entry)),
            Some(("-", entry)) => entries.push((false, entry)),
            _ => {}
        }
    }
    entries.retain(|entry| build(mode, &[*entry]).is_some());
    let policy = build(mode, &entries).expect("each entry alone is one");
    for request in &requests {
        decide(&policy, mode, &entries, request);
    }
    for (one, other) in requests.iter().zip(requests.iter().skip(1)) {
        alike(&policy, one, other);
    }
}

fn read(line: &str) -> Option<Request> {
    let mut words = line.splitn(3, ' ');
    let method = Method::from_bytes(words.next()?.as_bytes()).ok()?;
    let authority = Authority::parse(words.next()?.as_bytes(), 443).ok()?;
    let path = RequestPath::parse(words.next()?.as_bytes()).ok()?;
    Some(Request { method, authority, path })
}

fn build(mode: Mode, entries: &[(bool, &str)]) -> Option<Policy> {
    let mut builder = Policy::builder(mode);
    for (allows, text) in entries {
        builder = if *allows { builder.allow(text) } else { builder.deny(text) }.ok()?;
    }
    Some(builder.build())
}

fn judge<'a>(policy: &'a Policy, request: &Request) -> Result<Basis<'a>, moat_proxy::Refusal> {
    policy.judge(&request.authority, &request.method, &request.path, [])
}

fn decide(policy: &Policy, mode: Mode, entries: &[(bool, &str)], request: &Request) {
    let verdict = judge(policy, request);
    if let Err(refusal) = &verdict {
        let text = refusal.to_string();
        assert!(text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{text:?}");
    }
    if verdict.is_ok() {
        let tunnel = policy.judge_connect(&request.authority, []);
        assert!(tunnel.is_ok(), "a request passes for which there is no tunnel");
    }
    if let Ok(Basis::Entry(target)) = verdict {
        reads_back(target, request);
    }
    // One entry less: what was allowed by a denial less is allowed still, and so on.
    for (at, (allows, _)) in entries.iter().enumerate() {
        let fewer: Vec<_> = entries
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != at)
            .map(|(_, it)| *it)
            .collect();
        let fewer = build(mode, &fewer).expect("fewer entries");
        let before = judge(&fewer, request).is_ok();
        assert!(
            if *allows { !before || verdict.is_ok() } else { before || verdict.is_err() },
            "an entry did the opposite of what it says: {:?} of {entries:?}",
            entries[at]
        );
    }
    // The request itself, written as an entry, denies it.
    let entry = format!("{} {}{}", request.method, request.authority, request.path.canonical());
    if let Ok(denying) = Policy::builder(Mode::Permissive).deny(&entry) {
        assert!(judge(&denying.build(), request).is_err(), "{entry}");
    }
}

fn reads_back(target: &Target, request: &Request) {
    let text = target.to_string();
    let text = text.strip_suffix("/**").filter(|text| !text.contains('/')).unwrap_or(&text);
    let alone = build(Mode::Strict, &[(true, text)]).expect("the entry reads back");
    match judge(&alone, request) {
        Ok(Basis::Entry(again)) => assert_eq!(again, target),
        other => panic!("{text} does not allow what it allowed: {other:?}"),
    }
}

/// A tunnel whose requests are not looked at must not carry what would have been refused.
fn alike(policy: &Policy, one: &Request, other: &Request) {
    if one.authority != other.authority || policy.depends_on_requests(&one.authority, []) {
        return;
    }
    let refused = moat_proxy::is_refused_method;
    if refused(&one.method) || refused(&other.method) {
        return;
    }
    let verdicts = [one, other].map(|request| judge(policy, request).is_ok());
    assert_eq!(verdicts[0], verdicts[1], "a raw tunnel to {} is open to more", one.authority);
    assert_eq!(verdicts[0], policy.judge_connect(&one.authority, []).is_ok());
}
