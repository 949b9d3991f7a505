//! Rules in the shapes of real vendors' providers: GitHub Enterprise Server and Anthropic.

use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};
use moat_provider_core::{Companion, Fill, HeaderTemplate, ProxyConfigurer, SlotGroup, Target};
use moat_proxy::Reason;
use moat_proxy::engine::NotUsed;

use crate::engine_support::*;

const GHE: &str = "ghe.example.com:8443";

/// REST and GraphQL take a bearer token, git and LFS take Basic credentials, and pages take none;
/// all of it on one host, where `/api/v3/info/refs` has the form of a path of git.
fn github() -> (World, Grant) {
    let mut world = World::new();
    let grant = world.grant("github:ghe.example.com");
    world.bearer(&grant, host(GHE).under("/api/v3").unwrap());
    world.bearer(&grant, host(GHE).exact("/api/graphql").unwrap());
    let exact = |path: &str, method| -> Target {
        host(GHE).exact(path).unwrap().methods([method]).unwrap()
    };
    for target in [
        exact("/*/*/info/refs", Method::GET),
        exact("/*/*/git-upload-pack", Method::POST),
        exact("/*/*/git-receive-pack", Method::POST),
        host(GHE).under("/*/*/info/lfs").unwrap(),
    ] {
        let template = HeaderTemplate::Basic { user: "x-access-token".into() };
        world.rules.credential(grant.rule(target, AUTHORIZATION, template));
    }
    world.rules.reach(host(GHE));
    (world, grant)
}

#[test]
fn github_gets_the_kind_of_credential_that_each_path_takes() {
    let (world, grant) = github();
    let generation = world.build();
    let bearer = grant.expected_bearer();
    let git = basic("x-access-token", grant.secret());
    let placeholder = grant.placeholder.as_str();
    for (line, sent, expected) in [
        ("GET /api/v3/user", None, &bearer),
        ("GET /api/v3/user", Some(format!("token {placeholder}")), &bearer),
        ("GET /api/v3/info/refs", None, &bearer),
        ("POST /api/graphql", Some(format!("bearer {placeholder}")), &bearer),
        ("GET /o/r.git/info/refs", None, &git),
        ("GET /o/r/info/refs", Some(basic("x-access-token", placeholder)), &git),
        ("POST /o/r/git-receive-pack", Some(basic(placeholder, "x-oauth-basic")), &git),
        ("POST /o/r.git/info/lfs/objects/batch", None, &git),
    ] {
        let line = line.replacen(' ', &format!(" https://{GHE}"), 1);
        let headers: Vec<_> = sent.iter().map(|value| ("authorization", value.as_str())).collect();
        let mut head = request(&line, &headers);
        forward(&generation, &mut head);
        assert_eq!(only(&head, "authorization"), expected, "{line}");
    }
    for (line, reason) in [
        ("POST /o/r/info/refs", NotUsed::NotThisMethod),
        ("GET /o/r/settings", NotUsed::NotThisPath),
        ("GET /api/v30", NotUsed::NotThisPath),
        ("GET /o/r/info/refs/x", NotUsed::NotThisPath),
    ] {
        let line = line.replacen(' ', &format!(" https://{GHE}"), 1);
        let mut head = request(&line, &[]);
        assert_eq!(left_alone(&generation, &mut head, &[&grant]), reason, "{line}");
    }
}

/// An OAuth login and an API key for one host; both kinds of clients send either header.
fn anthropic() -> (World, Grant, Grant) {
    let mut world = World::new();
    let (claude, key) = (world.grant("claude"), world.grant("anthropic"));
    let group = || {
        let slots = [header_slot("authorization"), header_slot("x-api-key")];
        SlotGroup::new("anthropic-api", slots)
    };
    let beta = HeaderValue::from_static("oauth-2025-04-20");
    for path in ["/v1/messages", "/v1/models", "/api/oauth"] {
        let target = host("api.anthropic.com").under(path).unwrap();
        world.rules.credential(
            claude
                .bearer(target)
                .group(group())
                .when_used(Companion::AppendToList(name("anthropic-beta"), beta.clone()))
                .when_used(Companion::RemoveHeader(name("x-api-key"))),
        );
    }
    let target = host("api.anthropic.com").under("/v1").unwrap();
    let rule = key.rule(target, name("x-api-key"), HeaderTemplate::Raw);
    world.rules.credential(rule.group(group()).fill(Fill::PlaceholderOnly));
    (world, claude, key)
}

/// A placeholder chooses, also against the narrower rule of another grant; without one the default
/// goes.
#[test]
fn anthropic_clients_get_the_credential_whose_placeholder_they_hold() {
    let (world, claude, key) = anthropic();
    let generation = world.build();
    let line = "POST https://api.anthropic.com/v1/messages?beta=true";
    for (header, value, used, other) in [
        ("authorization", format!("Bearer {}", claude.placeholder), &claude, &key),
        ("authorization", format!("Bearer {}", key.placeholder), &key, &claude),
        ("x-api-key", key.placeholder.to_string(), &key, &claude),
        ("x-api-key", claude.placeholder.to_string(), &claude, &key),
        ("x-none", String::new(), &claude, &key),
    ] {
        let mut head = request(line, &[(header, &value), ("anthropic-beta", "a, b")]);
        forward(&generation, &mut head);
        assert!(holds(&head, &used.canary) && !holds(&head, &other.canary), "{header} {value}");
        let is_oauth = std::ptr::eq(used, &claude);
        assert_eq!(head.headers.contains_key("authorization"), is_oauth);
        assert_eq!(head.headers.contains_key("x-api-key"), !is_oauth);
        let beta = if is_oauth { "a, b, oauth-2025-04-20" } else { "a, b" };
        assert_eq!(only(&head, "anthropic-beta"), beta);
        assert_eq!(head.uri.query(), Some("beta=true"));
    }
    let mut head = request("POST https://api.anthropic.com/v1/files", &[]);
    let reason = left_alone(&generation, &mut head, &[&claude, &key]);
    assert_eq!(reason, NotUsed::NoPlaceholder);
    // The login's placeholder where only the key may go.
    let bearer = format!("Bearer {}", claude.placeholder);
    let line = "POST https://api.anthropic.com/v1/files";
    let mut head = request(line, &[("authorization", &bearer)]);
    let reason = left_alone(&generation, &mut head, &[&claude, &key]);
    assert_eq!(reason, NotUsed::OtherPlaceholder);
}

#[test]
fn both_anthropic_credentials_in_one_request_are_refused() {
    let (world, claude, key) = anthropic();
    let bearer = format!("Bearer {}", claude.placeholder);
    let headers = [("authorization", bearer.as_str()), ("x-api-key", key.placeholder.as_str())];
    let mut head = request("POST https://api.anthropic.com/v1/messages", &headers);
    assert_eq!(refused(&world.build(), &mut head), Reason::MixedCredentials);
}
