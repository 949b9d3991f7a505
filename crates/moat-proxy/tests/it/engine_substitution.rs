//! Placeholders at declared positions of the head.

use moat_provider_core::{Alphabet, HeaderTemplate, Position, ProxyConfigurer, Substitution};
use moat_provider_testkit::Canary;
use moat_proxy::Reason;
use moat_proxy::engine::{How, NotUsed};
use percent_encoding::percent_decode_str;

use crate::engine_support::*;

fn bot() -> Position {
    Position::PathSegment { prefix: "bot".into() }
}

fn with(position: Position) -> (World, Grant) {
    let mut world = World::new();
    let grant = world.grant("a");
    world.substitute(&grant, host("api.example.com"), position);
    (world, grant)
}

#[test]
fn a_segment_of_the_path_is_replaced_and_the_rest_keeps_its_bytes() {
    let (world, grant) = with(bot());
    let placeholder = &grant.placeholder;
    let line = format!("GET https://api.example.com/%66ile/b%6ft{placeholder}/a%2Fb?x=%zz;y=+");
    let mut head = request(&line, &[]);
    let plan = forward(&world.build(), &mut head);
    let path = head.uri.path();
    let segment = path.strip_prefix("/%66ile/b%6ft").unwrap().strip_suffix("/a%2Fb").unwrap();
    assert_eq!(percent_decode_str(segment).decode_utf8().unwrap(), grant.secret());
    assert_eq!(head.uri.query(), Some("x=%zz;y=+"));
    assert_eq!(head.uri.host(), Some("api.example.com"));
    assert_eq!(plan.used()[0].how(), How::Substituted);
    assert_eq!(plan.used()[0].slot(), "path");
}

/// What common tokens hold stays as people write it: `/bot123:ABC/getMe`.
#[test]
fn a_colon_stays_as_it_is_in_a_path() {
    let mut world = World::new();
    let canary = Canary::of(&secret("123456789:AAF-x_y~z.SECRET-secret"));
    let grant = world.grant_with("a", canary);
    world.substitute(&grant, host("api.example.com"), bot());
    let line = format!("GET https://api.example.com/bot{}/getMe", grant.placeholder);
    let mut head = request(&line, &[]);
    forward(&world.build(), &mut head);
    assert_eq!(head.uri.path(), format!("/bot{}/getMe", grant.secret()));
}

#[test]
fn an_escaped_placeholder_is_the_placeholder() {
    let (world, grant) = with(bot());
    let escaped: String =
        grant.placeholder.as_str().bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut head = request(&format!("GET https://api.example.com/bot{escaped}/x"), &[]);
    forward(&world.build(), &mut head);
    assert!(holds(&head, &grant.canary));
}

/// Whoever can have a text sent somewhere must not get the secret sent there.
#[test]
fn a_placeholder_anywhere_else_stays_a_placeholder() {
    let (world, grant) = with(bot());
    let placeholder = grant.placeholder.as_str();
    let lines = [
        format!("/{placeholder}/x"),
        format!("/bot{placeholder}x/x"),
        format!("/xbot{placeholder}/x"),
        format!("/BOT{placeholder}"),
        format!("/x?bot={placeholder}"),
        format!("/x/bot%2F{placeholder}"),
        "/botown/x".to_owned(),
    ];
    for line in lines {
        let mut head =
            request(&format!("GET https://api.example.com{line}"), &[("x-text", placeholder)]);
        let before = head.uri.clone();
        let reason = left_alone(&world.build(), &mut head, &[&grant]);
        assert_eq!(reason, NotUsed::NoPlaceholder);
        assert_eq!(head.uri, before);
        assert_eq!(only(&head, "x-text"), placeholder);
    }
    let line = format!("GET https://evil.example.net/bot{placeholder}/x");
    left_alone(&world.build(), &mut request(&line, &[]), &[&grant]);
}

#[test]
fn only_the_first_segment_is_replaced() {
    let (world, grant) = with(bot());
    let placeholder = grant.placeholder.as_str();
    let line = format!("GET https://api.example.com/bot{placeholder}/say/bot{placeholder}");
    let mut head = request(&line, &[]);
    forward(&world.build(), &mut head);
    assert!(head.uri.path().ends_with(&format!("/say/bot{placeholder}")));
    assert!(holds(&head, &grant.canary));
}

#[test]
fn a_value_of_the_query_is_replaced_and_the_rest_keeps_its_bytes() {
    let (world, grant) = with(Position::QueryKey("key".into()));
    let placeholder = grant.placeholder.as_str();
    let line = format!(
        "GET https://api.example.com/a%20b?b=%7E&%6bey={placeholder}&&a=+%2B&text={placeholder}"
    );
    let mut head = request(&line, &[]);
    let plan = forward(&world.build(), &mut head);
    let query = head.uri.query().unwrap();
    let value = query
        .strip_prefix("b=%7E&%6bey=")
        .and_then(|rest| rest.strip_suffix(&format!("&&a=+%2B&text={placeholder}")))
        .unwrap();
    assert_eq!(percent_decode_str(value).decode_utf8().unwrap(), grant.secret());
    assert_eq!(head.uri.path(), "/a%20b");
    assert_eq!(plan.used()[0].slot(), "query key");
}

#[test]
fn a_position_that_holds_the_placeholder_holds_nothing_else() {
    let mut world = World::new();
    let (a, b) = (world.grant("a"), world.grant("b"));
    for grant in [&a, &b] {
        world.substitute(grant, host("api.example.com"), Position::QueryKey("key".into()));
        world.substitute(grant, host("api.example.com"), Position::Header(name("x-key")));
    }
    let generation = world.build();
    let (a_text, b_text) = (a.placeholder.as_str(), b.placeholder.as_str());
    for query in [
        format!("key={a_text}&key=own"),
        format!("key=&key={a_text}"),
        format!("key={a_text}&key={b_text}"),
    ] {
        let mut head = request(&format!("GET https://api.example.com/?{query}"), &[]);
        assert_eq!(refused(&generation, &mut head), Reason::MixedCredentials, "{query}");
    }
    for headers in [[("x-key", a_text), ("x-key", "own")], [("x-key", a_text), ("x-key", b_text)]] {
        let mut head = request("GET https://api.example.com/", &headers);
        assert_eq!(refused(&generation, &mut head), Reason::MixedCredentials);
    }
    let mut head =
        request(&format!("GET https://api.example.com/?key={b_text}"), &[("x_key", "o")]);
    forward(&generation, &mut head);
    assert!(holds(&head, &b.canary) && !holds(&head, &a.canary));
    assert!(!head.headers.contains_key("x_key"));
    let mut head = request(&format!("GET https://api.example.com/?x=1;key={b_text}"), &[]);
    assert_eq!(refused(&generation, &mut head), Reason::QueryAmbiguous);
}

#[test]
fn a_placeholder_is_replaced_at_its_own_position_alone() {
    let mut world = World::new();
    let (a, b) = (world.grant("a"), world.grant("b"));
    world.substitute(&a, host("api.example.com"), Position::QueryKey("key".into()));
    world.substitute(&b, host("api.example.com"), Position::Header(name("x-key")));
    let line = format!("GET https://api.example.com/?key={}", b.placeholder);
    let mut head = request(&line, &[("x-key", a.placeholder.as_str())]);
    left_alone(&world.build(), &mut head, &[&a, &b]);
}

#[test]
fn a_header_is_replaced_bare_or_behind_one_scheme() {
    let (world, grant) = with(Position::Header(name("authorization")));
    let (placeholder, real) = (grant.placeholder.as_str(), grant.secret());
    for (sent, expected) in [
        (placeholder.to_owned(), Some(real.to_owned())),
        (format!("Session  {placeholder}"), Some(format!("Session {real}"))),
        (format!("Session a {placeholder}"), None),
        (basic("u", placeholder), None),
        (format!("{placeholder},"), None),
    ] {
        let mut head = request("GET https://api.example.com/", &[("authorization", &sent)]);
        let plan = forward(&world.build(), &mut head);
        assert_eq!(only(&head, "authorization"), expected.as_deref().unwrap_or(&sent));
        assert_eq!(plan.used().is_empty(), expected.is_none());
        assert_eq!(head.headers["authorization"].is_sensitive(), expected.is_some());
    }
}

/// A client that marks its headers as never to be indexed (RFC 7541, section 6.2.3) gets no less.
#[test]
fn a_header_that_the_client_marked_as_sensitive_is_replaced_too() {
    let (world, grant) = with(Position::Header(name("x-key")));
    let mut head =
        request("GET https://api.example.com/", &[("x-key", grant.placeholder.as_str())]);
    head.headers.get_mut("x-key").unwrap().set_sensitive(true);
    forward(&world.build(), &mut head);
    assert_eq!(only(&head, "x-key"), grant.secret());
}

#[test]
fn a_subprotocol_is_replaced_and_turned_back_in_the_answer() {
    let mut world = World::new();
    let grant = world.grant_with("a", Canary::shaped("sk-", Alphabet::Base64Url, 40));
    let prefix = "insecure-api-key.";
    world.substitute(
        &grant,
        host("api.example.com"),
        Position::Subprotocol { prefix: prefix.into() },
    );
    let offered = format!("{prefix}{}", grant.placeholder);
    let line = format!("realtime,  {offered}, beta.v1");
    let mut head = request("GET https://api.example.com/", &[("sec-websocket-protocol", &line)]);
    let plan = forward(&world.build(), &mut head);
    let sent = format!("{prefix}{}", grant.secret());
    assert_eq!(only(&head, "sec-websocket-protocol"), format!("realtime,  {sent}, beta.v1"));
    assert!(!format!("{head:?}").contains(grant.secret()));
    for (selected, shown) in [(sent.as_str(), offered.as_str()), ("realtime", "realtime")] {
        let mut answer = http::Response::builder().status(101);
        answer = answer.header("sec-websocket-protocol", selected);
        let mut answer = answer.body(()).unwrap().into_parts().0;
        plan.answer().on_head(&mut answer).unwrap();
        assert_eq!(answer.headers["sec-websocket-protocol"], shown);
    }
}

#[test]
fn a_query_without_a_path_in_front_is_replaced_in_place() {
    let mut world = World::new();
    let grant = world.grant_with("a", Canary::shaped("sk-", Alphabet::Base64Url, 40));
    world.substitute(&grant, host("api.example.com"), Position::QueryKey("k".into()));
    let target = format!("GET https://api.example.com?a=1&k={}&b=2", grant.placeholder);
    let mut head = request(&target, &[]);
    forward(&world.build(), &mut head);
    assert_eq!(head.uri.query().unwrap(), format!("a=1&k={}&b=2", grant.secret()));
}

#[test]
fn a_header_with_a_placeholder_and_something_that_is_no_text_is_mixed() {
    let (world, grant) = with(Position::Header(name("x-key")));
    let mut head =
        request("GET https://api.example.com/", &[("x-key", grant.placeholder.as_str())]);
    head.headers.append("x-key", http::HeaderValue::from_bytes(b"\xff").unwrap());
    assert_eq!(refused(&world.build(), &mut head), Reason::MixedCredentials);
}

#[test]
fn what_stands_beside_a_subprotocol_keeps_its_bytes() {
    let mut world = World::new();
    let grant = world.grant_with("a", Canary::shaped("sk-", Alphabet::Base64Url, 40));
    let position = Position::Subprotocol { prefix: "key.".into() };
    world.substitute(&grant, host("api.example.com"), position);
    let mut head = request("GET https://api.example.com/", &[]);
    let line = |token: &str| [b"\xe9\t,, key.", token.as_bytes(), b" ,x"].concat();
    let value = http::HeaderValue::from_bytes(&line(grant.placeholder.as_str())).unwrap();
    head.headers.insert("sec-websocket-protocol", value);
    forward(&world.build(), &mut head);
    assert_eq!(head.headers["sec-websocket-protocol"].as_bytes(), line(grant.secret()));
}

#[test]
fn a_secret_that_no_subprotocol_can_hold_is_refused_at_registration() {
    let (world, _) = with(Position::Subprotocol { prefix: "k.".into() });
    assert!(world.try_build(moat_proxy::Mode::Permissive).is_err());
}

#[test]
fn a_stale_placeholder_at_a_position_is_refused() {
    let mut world = World::new();
    let grant = world.grant_with("a", Canary::shaped("sk-", Alphabet::Base64Url, 40));
    for position in [
        bot(),
        Position::QueryKey("key".into()),
        Position::Header(name("x-key")),
        Position::Subprotocol { prefix: "k.".into() },
    ] {
        world.substitute(&grant, host("api.example.com"), position);
    }
    let generation = world.build();
    let stale = world.stale();
    for (line, headers) in [
        (format!("/bot{stale}/x"), vec![]),
        (format!("/?key={stale}"), vec![]),
        ("/".to_owned(), vec![("x-key", format!("Any {stale}"))]),
        ("/".to_owned(), vec![("sec-websocket-protocol", format!("a, k.{stale}"))]),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut head = request(&format!("GET https://api.example.com{line}"), &headers);
        assert_eq!(refused(&generation, &mut head), Reason::StalePlaceholder, "{line}");
    }
}

#[test]
fn of_two_rules_for_one_placeholder_the_narrower_one_is_used() {
    let mut world = World::new();
    let (wide, narrow) = (world.grant("a"), world.grant("b"));
    let position = || Position::QueryKey("key".into());
    world.substitute(&wide, host("api.example.com"), position());
    world.rules.substitute(Substitution::new(
        host("api.example.com").under("/v1").unwrap(),
        position(),
        wide.placeholder.clone(),
        narrow.token(),
    ));
    let line = |path: &str| format!("GET https://api.example.com{path}?key={}", wide.placeholder);
    let mut head = request(&line("/v1"), &[]);
    assert_eq!(forward(&world.build(), &mut head).used().len(), 1);
    assert!(holds(&head, &narrow.canary) && !holds(&head, &wide.canary));
    let mut head = request(&line("/v2"), &[]);
    forward(&world.build(), &mut head);
    assert!(holds(&head, &wide.canary));
}

/// One slot, two kinds of rules: a token that an answer issued comes back where grants go too.
#[test]
fn a_substitution_in_a_slot_of_a_group_excludes_the_groups_rules() {
    let mut world = World::new();
    let (group, other) = (world.grant("a"), world.grant("b"));
    world.bearer(&group, host("api.example.com"));
    let template = HeaderTemplate::Raw;
    let slots = [header_slot("authorization"), header_slot("x-key")];
    let rule = group
        .rule(host("api.example.com"), name("x-key"), template)
        .group(moat_provider_core::SlotGroup::new("g", slots));
    world.rules.credential(rule.fill(moat_provider_core::Fill::PlaceholderOnly));
    world.substitute(&other, host("api.example.com"), Position::Header(name("authorization")));
    let generation = world.build();
    let bearer = format!("Bearer {}", other.placeholder);
    let mut head = request("GET https://api.example.com/", &[("authorization", &bearer)]);
    let plan = forward(&generation, &mut head);
    assert_eq!(only(&head, "authorization"), other.expected_bearer());
    assert_eq!(plan.used().len(), 1);
    assert!(!holds(&head, &group.canary));
    let headers = [("authorization", bearer.as_str()), ("x-key", group.placeholder.as_str())];
    let mut head = request("GET https://api.example.com/", &headers);
    assert_eq!(refused(&generation, &mut head), Reason::MixedCredentials);
    let mut head = request("GET https://api.example.com/", &[]);
    forward(&generation, &mut head);
    assert_eq!(only(&head, "authorization"), group.expected_bearer());
}
