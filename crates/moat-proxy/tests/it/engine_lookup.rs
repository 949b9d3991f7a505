//! Which rules a request finds: hosts, ports, paths, methods, and which rule goes first.

use http::Method;
use moat_proxy::Reason;
use moat_proxy::engine::{NotUsed, Place, Verdict};

use crate::engine_support::*;

#[test]
fn a_header_of_any_name_is_filled_and_marked_as_sensitive() {
    let mut world = World::new();
    let grant = world.grant("a");
    let header = name("x-api-key");
    let template = moat_provider_core::HeaderTemplate::Raw;
    moat_provider_core::ProxyConfigurer::credential(
        &mut world.rules,
        grant.rule(host("api.example.com"), header, template),
    );
    let mut head = request("GET https://api.example.com/v1", &[]);
    let plan = forward(&world.build(), &mut head);
    assert_eq!(only(&head, "x-api-key"), grant.secret());
    assert!(head.headers["x-api-key"].is_sensitive());
    let used = &plan.used()[0];
    assert_eq!((used.rule(), used.slot()), ("api.example.com/** x-api-key", "x-api-key"));
    assert_eq!(used.grant(), Some(&grant.key));
    assert_eq!(used.secrets(), [grant.token()]);
    assert_eq!(plan.not_used(), None);
    assert!(grant.canary.find_in_str(&format!("{plan:?} {head:?}")).is_none());
}

#[test]
fn rules_that_were_found_before_a_renewal_put_no_old_secret_in() {
    let mut world = World::new();
    let old = world.grant("a");
    world.bearer(&old, host("api.example.com"));
    let found = world.build().at("api.example.com", 443);
    let new = world.grant("a");
    let mut head = request("GET https://api.example.com/", &[]);
    let place = Place::new(&found, "/");
    assert!(matches!(world.build().apply(&mut head, &place, now()), Verdict::Forward(_)));
    assert_eq!(only(&head, "authorization"), new.expected_bearer());
}

#[test]
fn a_wildcard_covers_names_below_it_and_never_the_apex() {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("*.example.com"));
    let generation = world.build();
    for name in ["a.example.com", "a.b.c.example.com", "A.EXAMPLE.com", "a.example.com."] {
        let mut head = request(&format!("GET https://{name}/"), &[]);
        forward(&generation, &mut head);
        assert_eq!(only(&head, "authorization"), grant.expected_bearer(), "{name}");
        assert!(generation.covers(name, 443));
    }
    for name in ["example.com", "notexample.com", "a.example.com.evil.net", "example.com.a"] {
        let mut head = request(&format!("GET https://{name}/"), &[]);
        assert_eq!(left_alone(&generation, &mut head, &[&grant]), NotUsed::NoRule, "{name}");
        assert!(!generation.covers(name, 443));
    }
}

#[test]
fn the_host_is_found_in_any_case_and_with_a_trailing_dot() {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("API.example.com"));
    let generation = world.build();
    for name in ["api.example.com", "Api.Example.COM", "api.example.com."] {
        let mut head = request(&format!("GET https://{name}/"), &[]);
        forward(&generation, &mut head);
        assert!(holds(&head, &grant.canary), "{name}");
    }
}

/// A rule without a port is for 443, not for any.
#[test]
fn a_rule_is_for_one_port() {
    let mut world = World::new();
    let (plain, pinned) = (world.grant("a"), world.grant("b"));
    world.bearer(&plain, host("api.example.com"));
    world.bearer(&pinned, host("*.example.com:8443"));
    let generation = world.build();
    let mut head = request("GET https://api.example.com:8443/", &[]);
    forward(&generation, &mut head);
    assert!(holds(&head, &pinned.canary) && !holds(&head, &plain.canary));
    for port in [80, 444, 8080] {
        let mut head = request(&format!("GET https://api.example.com:{port}/"), &[]);
        left_alone(&generation, &mut head, &[&plain, &pinned]);
    }
}

/// An exact name lies within a wildcard, and a longer wildcard within a shorter one, whatever the
/// order in which they were stated.
#[test]
fn the_narrower_host_goes_first() {
    for reversed in [false, true] {
        let mut world = World::new();
        let (exact, near, far) = (world.grant("a"), world.grant("b"), world.grant("c"));
        let mut rules = vec![
            (&far, "*.example.com"),
            (&near, "*.eu.example.com"),
            (&exact, "api.eu.example.com"),
        ];
        if reversed {
            rules.reverse();
        }
        for (grant, pattern) in rules {
            world.bearer(grant, host(pattern));
        }
        let generation = world.build();
        for (name, grant) in
            [("api.eu.example.com", &exact), ("x.eu.example.com", &near), ("x.example.com", &far)]
        {
            let mut head = request(&format!("GET https://{name}/"), &[]);
            let plan = forward(&generation, &mut head);
            assert_eq!(only(&head, "authorization"), grant.expected_bearer(), "{name}");
            assert_eq!(plan.used().len(), 1);
        }
    }
}

/// Of three rules the third may lie within the first, while the second is not ranked against either:
/// the first stated of those within which no other lies goes first.
#[test]
fn rules_that_are_not_ranked_go_in_the_order_in_which_they_were_stated() {
    let mut world = World::new();
    let grant = world.grant("a");
    let template =
        |user: &'static str| moat_provider_core::HeaderTemplate::Basic { user: user.into() };
    let targets = [
        ("one", host("h.example.com").under("/api").unwrap()),
        ("two", host("h.example.com").methods([Method::GET]).unwrap()),
        ("three", host("h.example.com").under("/api/v3").unwrap()),
    ];
    for (user, target) in targets {
        let authorization = http::header::AUTHORIZATION;
        moat_provider_core::ProxyConfigurer::credential(
            &mut world.rules,
            grant.rule(target, authorization, template(user)),
        );
    }
    let generation = world.build();
    for (line, user) in [
        ("GET https://h.example.com/api/v3/x", "two"),
        ("POST https://h.example.com/api/v3/x", "three"),
        ("GET https://h.example.com/api/x", "one"),
        ("GET https://h.example.com/x", "two"),
    ] {
        let mut head = request(line, &[]);
        forward(&generation, &mut head);
        assert_eq!(only(&head, "authorization"), basic(user, grant.secret()), "{line}");
    }
}

#[test]
fn path_and_method_are_told_apart_as_the_reason() {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(
        &grant,
        host("h.example.com").under("/v1").unwrap().methods([Method::POST]).unwrap(),
    );
    let generation = world.build();
    for (line, reason) in [
        ("GET https://h.example.com/v1/x", NotUsed::NotThisMethod),
        ("POST https://h.example.com/v1beta", NotUsed::NotThisPath),
        ("POST https://other.example.com/v1", NotUsed::NoRule),
    ] {
        assert_eq!(left_alone(&generation, &mut request(line, &[]), &[&grant]), reason, "{line}");
    }
    assert!(generation.has_path_rules("h.example.com", 443));
    assert!(!generation.has_path_rules("other.example.com", 443));
}

#[test]
fn a_host_without_a_credential_is_no_reason_to_wonder_about_the_path() {
    let mut world = World::new();
    world.grant("a");
    moat_provider_core::ProxyConfigurer::reach(&mut world.rules, host("cdn.example.com"));
    let generation = world.build();
    assert!(!generation.covers("cdn.example.com", 443));
    let mut head = request("GET https://cdn.example.com/x", &[]);
    assert_eq!(left_alone(&generation, &mut head, &[]), NotUsed::NoRule);
}

/// Law L6: not even when a rule says so.
#[test]
fn an_address_never_gets_a_credential() {
    let mut world = World::new();
    let grant = world.grant("a");
    for pattern in ["192.0.2.1", "[2001:db8::1]:8443"] {
        world.bearer(&grant, host(pattern));
    }
    let generation = world.build();
    for line in ["GET https://192.0.2.1/", "GET https://[2001:db8:0::1]:8443/"] {
        let mut head = request(line, &[]);
        assert_eq!(left_alone(&generation, &mut head, &[&grant]), NotUsed::Address, "{line}");
    }
    assert!(generation.covers("[2001:DB8::1]", 8443) && generation.covers("2001:db8::1", 8443));
}

/// Law L8: `/a/../v1` is `/v1` to one server and a path of its own to another.
#[test]
fn a_path_with_two_readings_has_to_fit_in_both() {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("h.example.com").under("/v1").unwrap());
    let generation = world.build();
    let verdict = |path: &str, others: &[&str]| {
        let mut head = request(&format!("GET https://h.example.com{path}"), &[]);
        (apply_read_as(&generation, &mut head, others), holds(&head, &grant.canary))
    };
    for (path, others) in
        [("/v1/a%2f..", &["/v2"][..]), ("/v2", &["/v1"]), ("/v1", &["/v1/x", "/v2"])]
    {
        let (verdict, filled) = verdict(path, others);
        let Verdict::Refuse(refusal) = verdict else { panic!("{path} passed") };
        assert_eq!(refusal.reason(), Reason::PathAmbiguous);
        assert_eq!(refusal.reason().status(), 400);
        assert!(!filled);
    }
    assert!(matches!(verdict("/v1/a%2fb", &["/v1/a/b"]), (Verdict::Forward(_), true)));
    assert!(matches!(verdict("/v2/a%2fb", &["/v2/a/b"]), (Verdict::Forward(_), false)));
}

#[test]
fn a_rule_for_every_path_does_not_care_how_a_path_is_read() {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("h.example.com"));
    let mut head = request("GET https://h.example.com/a%2fb", &[]);
    let verdict = apply_read_as(&world.build(), &mut head, &["/a/b"]);
    assert!(matches!(verdict, Verdict::Forward(_)) && holds(&head, &grant.canary));
}

#[test]
fn a_generation_without_rules_does_nothing() {
    let generation = World::new().build();
    let mut head = request("GET https://h.example.com/x?y", &[("accept", "*/*")]);
    assert_eq!(left_alone(&generation, &mut head, &[]), NotUsed::NoRule);
    assert_eq!(head.uri, "https://h.example.com/x?y");
    assert!(!generation.covers("h.example.com", 443));
}

/// Not when the first request comes.
#[test]
fn a_rule_whose_secret_is_missing_or_does_not_fit_is_refused_at_registration() {
    let mut world = World::new();
    let grant = world.grant("a");
    let target = host("h.example.com");
    let authorization = http::header::AUTHORIZATION;
    let missing: moat_provider_core::CredentialKey = "b".parse().unwrap();
    moat_provider_core::ProxyConfigurer::credential(
        &mut world.rules,
        moat_provider_core::CredentialRule::new(
            target.clone(),
            authorization,
            moat_provider_core::HeaderTemplate::Bearer,
            moat_provider_core::SecretRef::token(&missing),
        ),
    );
    let error = world.try_build(moat_proxy::Mode::Permissive).unwrap_err();
    assert!(error.message().contains("b/token"), "{error}");

    let mut world = World::new();
    let canary = moat_provider_testkit::Canary::of(&secret("two\nlines-of-a-secret"));
    let broken = world.grant_with("a", canary);
    world.bearer(&broken, target.clone());
    assert!(world.try_build(moat_proxy::Mode::Permissive).is_err());

    let mut world = World::new();
    let empty = world.grant_with("a", moat_provider_testkit::Canary::of(&secret("")));
    world.bearer(&empty, target);
    assert!(world.try_build(moat_proxy::Mode::Permissive).is_err());
    drop(grant);
}

#[test]
fn two_grants_that_would_fill_one_empty_slot_are_refused_at_registration() {
    let mut world = World::new();
    let (a, b) = (world.grant("a"), world.grant("b"));
    world.bearer(&a, host("h.example.com"));
    world.bearer(&b, host("h.example.com"));
    let error = world.try_build(moat_proxy::Mode::Permissive).unwrap_err();
    assert_eq!(error.kind(), moat_provider_core::ErrorKind::Conflict);
}

#[test]
fn what_may_be_sent_to_a_host_is_scrubbed_there_and_nowhere_else() {
    let mut world = World::new();
    let (a, b) = (world.grant("a"), world.grant("b"));
    world.bearer(&a, host("*.example.com"));
    world.bearer(&b, host("api.example.com").under("/b").unwrap());
    let position = moat_provider_core::Position::QueryKey("key".into());
    world.substitute(&a, host("api.example.com").exact("/q").unwrap(), position);
    let generation = world.build();
    let scrubbed = |name: &str| -> Vec<String> {
        let set = generation.scrub_set(name, 443);
        set.iter().for_each(|(_, _, placeholders)| assert_eq!(placeholders.len(), 1));
        set.iter().map(|(reference, ..)| reference.to_string()).collect()
    };
    assert_eq!(scrubbed("api.example.com"), ["a/token", "b/token"]);
    assert_eq!(scrubbed("x.example.com"), ["a/token"]);
    assert!(scrubbed("example.com").is_empty());
    assert!(generation.scrub_set("api.example.com", 8443).is_empty());
    let mut hosts: Vec<String> = generation.secret_hosts().map(ToString::to_string).collect();
    hosts.sort_unstable();
    assert_eq!(hosts, ["*.example.com", "api.example.com"]);
}

#[test]
fn a_strict_run_may_go_where_rules_say() {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("api.example.com").under("/v1").unwrap());
    moat_provider_core::ProxyConfigurer::reach(&mut world.rules, host("cdn.example.com"));
    let generation = world.strict();
    let at = |host, port| generation.targets_at(host, port);
    assert_eq!(at("api.example.com", 443), [&host("api.example.com").under("/v1").unwrap()]);
    assert_eq!(at("cdn.example.com", 443), [&host("cdn.example.com")]);
    assert!(at("cdn.example.com", 80).is_empty());
    assert!(at("example.com", 443).is_empty());
    assert_eq!(generation.granted_targets().count(), 2);
}
