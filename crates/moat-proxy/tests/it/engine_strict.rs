//! Strict runs: a credential of the client's own does not pass on a granted host.

use moat_provider_core::{HeaderTemplate, Position, ProxyConfigurer};
use moat_proxy::Reason::ClientCredential;
use moat_proxy::engine::NotUsed;

use crate::engine_support::*;

#[test]
fn the_clients_own_credential_is_refused_in_every_slot_of_the_host() {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("h.example.com").under("/v1").unwrap());
    let rule = grant.rule(
        host("h.example.com").under("/v2").unwrap(),
        name("x-api-key"),
        HeaderTemplate::Raw,
    );
    world.rules.credential(rule);
    let generation = world.strict();
    for path in ["/v1", "/v2", "/v3"] {
        for header in ["authorization", "x-api-key"] {
            let line = format!("GET https://h.example.com{path}");
            let mut head = request(&line, &[(header, "Bearer own")]);
            assert_eq!(refused(&generation, &mut head), ClientCredential, "{path} {header}");
        }
    }
    let mut head = request("GET https://h.example.com/v3", &[("x_api_key", "own")]);
    left_alone(&generation, &mut head, &[&grant]);
    assert!(head.headers.is_empty(), "a variant that servers read as the header passed");
    let mut head = request("GET https://h.example.com/v3", &[("x-other", "own")]);
    assert_eq!(left_alone(&generation, &mut head, &[&grant]), NotUsed::NotThisPath);
    let mut head = request("GET https://other.example.com/", &[("authorization", "Bearer own")]);
    assert_eq!(left_alone(&generation, &mut head, &[&grant]), NotUsed::NoRule);
}

#[test]
fn placeholders_and_empty_slots_are_no_credentials_of_the_clients() {
    let mut world = World::new();
    let (a, b) = (world.grant("a"), world.grant("b"));
    world.bearer(&a, host("h.example.com"));
    world.bearer(&b, host("other.example.com"));
    let generation = world.strict();
    let mut head = request("GET https://h.example.com/", &[("authorization", "")]);
    forward(&generation, &mut head);
    assert!(holds(&head, &a.canary));
    let other = format!("Bearer {}", b.placeholder);
    let mut head = request("GET https://h.example.com/", &[("authorization", &other)]);
    assert_eq!(left_alone(&generation, &mut head, &[&a, &b]), NotUsed::OtherPlaceholder);
}

#[test]
fn a_declared_position_takes_no_other_value() {
    let mut world = World::new();
    let grant = world.grant("a");
    let target = || host("h.example.com");
    world.substitute(&grant, target(), Position::QueryKey("key".into()));
    world.substitute(&grant, target(), Position::Header(name("x-key")));
    let generation = world.strict();
    let mut head = request("GET https://h.example.com/?key=own", &[]);
    assert_eq!(refused(&generation, &mut head), ClientCredential);
    let mut head = request("GET https://h.example.com/", &[("x-key", "own")]);
    assert_eq!(refused(&generation, &mut head), ClientCredential);
    let mut head = request("GET https://h.example.com/?key=&k=1", &[("x-key", "")]);
    assert_eq!(left_alone(&generation, &mut head, &[&grant]), NotUsed::NoPlaceholder);
}
