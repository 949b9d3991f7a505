//! Host and path patterns, and how two targets relate.
//!
//! Lines of the input: two targets (`METHOD,METHOD host path`, the path with `/**` at its end for
//! everything below), a host, a port, a path.

use http::Method;
use moat_provider_core::{HostPattern, PathPattern, Relation, Target};

/// What is written back reads the same, and the relation of two targets is what matching says.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (first, second, host, port, path) = (line(), line(), line(), line(), line());
    for text in [first, second, host] {
        reads_back(text);
    }
    let (Some(one), Some(other)) = (target(first), target(second)) else { return };
    assert_eq!(one.relation(&one), Relation::Same);
    assert_eq!(one.relation(&other), mirrored(other.relation(&one)), "{one} {other}");
    if one == other {
        assert_eq!(one.relation(&other), Relation::Same);
    }
    let port = port.parse().unwrap_or(443);
    for host in hosts(&one, &other, host) {
        for port in [port, one.host_pattern().port(), other.host_pattern().port()] {
            for path in paths(&one, &other, path) {
                for method in methods(&one, &other) {
                    judge(&one, &other, &host, port, &method, &path);
                }
            }
        }
    }
}

fn judge(one: &Target, other: &Target, host: &str, port: u16, method: &Method, path: &str) {
    let both = [one, other].map(|target| target.matches(host, port, method, path));
    let holds = match one.relation(other) {
        Relation::Disjoint => both != [true, true],
        Relation::Same => both[0] == both[1],
        Relation::Narrower => both != [true, false],
        Relation::Wider => both != [false, true],
        Relation::Partial => true,
    };
    assert!(holds, "{one} and {other}: {method} {host}:{port}{path} is matched {both:?}");
}

fn mirrored(relation: Relation) -> Relation {
    match relation {
        Relation::Narrower => Relation::Wider,
        Relation::Wider => Relation::Narrower,
        other => other,
    }
}

fn reads_back(text: &str) {
    if let Ok(pattern) = text.parse::<HostPattern>() {
        let shown = pattern.to_string();
        assert_eq!(shown.parse().ok().as_ref(), Some(&pattern), "{shown}");
        assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{shown:?}");
        assert!(!pattern.is_wildcard() || !pattern.matches(&pattern.host()[2..], pattern.port()));
    }
    for pattern in [PathPattern::exact(text), PathPattern::under(text)].into_iter().flatten() {
        let shown = pattern.to_string();
        let again = match shown.strip_suffix("/**") {
            Some("") => Ok(PathPattern::any()),
            Some(prefix) => PathPattern::under(prefix),
            None => PathPattern::exact(&shown),
        };
        assert_eq!(again.ok().as_ref(), Some(&pattern), "{shown}");
    }
}

fn target(text: &str) -> Option<Target> {
    let (methods, place) = text.split_once(' ').unwrap_or(("", text));
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let mut target = Target::host(host).ok()?;
    if !path.is_empty() {
        target = match path.strip_suffix("/**") {
            Some(prefix) => target.under(prefix).ok()?,
            None => target.exact(path).ok()?,
        };
    }
    if methods.is_empty() {
        return Some(target);
    }
    let methods = methods.split(',').map(|name| Method::from_bytes(name.as_bytes()));
    target.methods(methods.collect::<Result<Vec<_>, _>>().ok()?).ok()
}

fn hosts(one: &Target, other: &Target, host: &str) -> Vec<String> {
    let mut hosts = vec![host.to_owned()];
    for target in [one, other] {
        let own = target.host_pattern().host();
        match own.strip_prefix("*.") {
            Some(domain) => {
                hosts.extend(["", "x.", "x.y.", "."].map(|label| format!("{label}{domain}")))
            }
            None => hosts.extend([format!("{own}."), format!("x.{own}"), own.to_uppercase(), own]),
        }
    }
    hosts
}

fn paths(one: &Target, other: &Target, path: &str) -> Vec<String> {
    let mut paths = vec![path.to_owned(), "/".to_owned()];
    for target in [one, other] {
        let pattern = target.path_pattern().to_string().replace("/**", "");
        for word in ["x", "y"] {
            let filled = pattern.replace('*', word);
            paths.extend(["", "/", "/z", "z"].map(|tail| format!("{filled}{tail}")));
        }
    }
    paths
}

fn methods(one: &Target, other: &Target) -> Vec<Method> {
    let mut methods = vec![Method::GET];
    for target in [one, other] {
        let names = target.method_names().unwrap_or_default();
        methods.extend(names.iter().take(3).filter_map(|name| name.parse().ok()));
    }
    methods
}
