//! Policies from text, and requests from `METHOD host:port/path`.

use moat_provider_core::Target;
use moat_proxy::{Authority, Mode, Policy, Reason, Refusal, RequestPath};

pub(crate) fn policy(mode: Mode, allow: &[&str], deny: &[&str]) -> Policy {
    let mut builder = Policy::builder(mode);
    for text in allow {
        builder = builder.allow(text).unwrap();
    }
    for text in deny {
        builder = builder.deny(text).unwrap();
    }
    builder.build()
}

/// Splits `METHOD host:port/path` and judges it, without any grant.
pub(crate) fn judge(policy: &Policy, request: &str) -> Result<(), Refusal> {
    judge_granted(policy, request, &[])
}

pub(crate) fn judge_granted(
    policy: &Policy,
    request: &str,
    granted: &[Target],
) -> Result<(), Refusal> {
    let (method, rest) = request.split_once(' ').unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let authority = Authority::parse(host.as_bytes(), 443).unwrap();
    let path = RequestPath::parse(path.as_bytes()).unwrap();
    policy.judge(&authority, &method.parse().unwrap(), &path, granted).map(|_| ())
}

pub(crate) fn reason(policy: &Policy, request: &str) -> Option<Reason> {
    judge(policy, request).err().map(|refusal| refusal.reason())
}

pub(crate) fn connect(policy: &Policy, host: &str, granted: &[Target]) -> Option<Reason> {
    let authority = Authority::parse_connect(host.as_bytes()).unwrap();
    policy.judge_connect(&authority, granted).err().map(|refusal| refusal.reason())
}
