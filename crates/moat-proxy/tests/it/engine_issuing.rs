//! Issuing endpoints (law L16): refused, read as GraphQL, or held.

use bytes::Bytes;
use http::{Method, Response, StatusCode, response};
use moat_provider_core::{
    CannedAnswer, HeldField, IssuingEndpoint, LocalAnswer, Placeholder, Position, ProxyConfigurer,
    Result,
};
use moat_provider_testkit::Canary;
use moat_proxy::Reason;
use moat_proxy::engine::{
    AnswerBody, BodyNeed, Collect, Collected, FieldToHold, Generation, Plan, Verdict,
};

use crate::engine_support::*;

fn graphql() -> (World, Grant) {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("api.example.com"));
    let target = host("api.example.com").exact("/graphql").unwrap();
    let endpoint = IssuingEndpoint::new(target, "a key").graphql(["createKey", "addOwner"]);
    world.issues(&grant, endpoint);
    (world, grant)
}

const GRAPHQL: &str = "POST https://api.example.com/graphql";
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

#[test]
fn an_issuing_endpoint_is_refused_with_what_it_issues() {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("api.example.com"));
    let keys =
        host("api.example.com").under("/user/keys").unwrap().methods([Method::POST]).unwrap();
    world.issues(&grant, IssuingEndpoint::new(keys, "an SSH key"));
    let generation = world.build();
    // Whoever's credential it is.
    for headers in [&[][..], &[("authorization", "Bearer own")]] {
        let mut head = request("POST https://api.example.com/user/keys/1", headers);
        let Verdict::Refuse(refusal) = apply(&generation, &mut head) else { panic!() };
        assert_eq!(refusal.reason(), Reason::IssuingEndpoint);
        assert_eq!(refusal.decided_by(), Some("a POST api.example.com/user/keys/**"));
        assert!(refusal.to_string().ends_with(": an SSH key"), "{refusal}");
        assert!(!holds(&head, &grant.canary));
    }
    forward(&generation, &mut request("GET https://api.example.com/user/keys", &[]));
    let mut head = request("POST https://api.example.com/user/x", &[]);
    let verdict = apply_read_as(&generation, &mut head, &["/user/keys"]);
    assert!(matches!(verdict, Verdict::Refuse(refusal)
        if refusal.reason() == Reason::PathAmbiguous));
}

#[test]
fn an_endpoint_that_is_answered_here_is_not_refused() {
    let mut world = World::new();
    let grant = world.grant("a");
    let target = || host("auth.example.com").under("/token").unwrap();
    world.issues(&grant, IssuingEndpoint::new(target(), "a token"));
    let answer = |text: &'static str| CannedAnswer::json(StatusCode::OK, text);
    let wide = LocalAnswer::new("a".parse().unwrap(), target(), answer("{\"wide\":1}"));
    let exact = host("auth.example.com").exact("/token").unwrap();
    let narrow = LocalAnswer::new("a".parse().unwrap(), exact, answer("{\"exact\":1}"));
    world.rules.answer(wide);
    world.rules.answer(narrow);
    let generation = world.build();
    for (path, body) in [("/token", "{\"exact\":1}"), ("/token/x", "{\"wide\":1}")] {
        let mut head = request(&format!("POST https://auth.example.com{path}"), &[]);
        let Verdict::Answer(answer) = apply(&generation, &mut head) else { panic!() };
        assert_eq!(answer.answer().body(), body);
    }
}

#[test]
fn the_narrower_endpoint_decides() {
    let mut world = World::new();
    let grant = world.grant("a");
    let at = |path: &str| host("auth.example.com").under(path).unwrap();
    world.issues(&grant, IssuingEndpoint::new(at("/"), "anything"));
    let held = IssuingEndpoint::new(at("/token"), "a token").hold([HeldField::new("/t", shape())]);
    world.issues(&grant, held);
    let generation = world.build();
    forward(&generation, &mut request("POST https://auth.example.com/token", &[]));
    let mut head = request("POST https://auth.example.com/other", &[]);
    assert_eq!(refused(&generation, &mut head), Reason::IssuingEndpoint);
}

fn operation(
    generation: &Generation,
    headers: &[(&str, &str)],
    body: &str,
) -> std::result::Result<Bytes, Reason> {
    let mut head = request(GRAPHQL, headers);
    let mut plan = forward(generation, &mut head);
    assert_eq!(plan.body(), BodyNeed::Hold { limit: 1024 * 1024 });
    let body = plan.finish_body(Bytes::copy_from_slice(body.as_bytes()), &mut head);
    body.map_err(|refusal| refusal.reason())
}

#[test]
fn mutations_that_issue_something_are_refused_and_others_pass() {
    let (world, _) = graphql();
    let generation = world.build();
    for (body, reason) in [
        (
            r#"{"query":"mutation M($i: I!) { a: createKey(input: $i) { id } }"}"#,
            Some("issuing-endpoint"),
        ),
        (r#"[{"query":"{ viewer }"},{"query":"mutation { addOwner }"}]"#, Some("issuing-endpoint")),
        (
            r#"{"operationName":"A","query":"query A { x } mutation B { createKey }"}"#,
            Some("issuing-endpoint"),
        ),
        (
            r#"{"query":"mutation { ...F } fragment F on Mutation { createKey }"}"#,
            Some("issuing-endpoint"),
        ),
        (
            r#"{"variables":{"body":"createKey"},"query":"mutation($b: S) { addComment(body: $b) }"}"#,
            None,
        ),
        (r##"{"query":"query createKey { search(q: \"createKey\") } # createKey"}"##, None),
        (r#"{"query":"mutation { createKeyring }"}"#, None),
        (r#"{"extensions":{"persistedQuery":{"sha256Hash":"0"}}}"#, Some("unreadable-graphql")),
        (r#"{"id":"0"}"#, Some("unreadable-graphql")),
        (r#"{"query":"mutation { a(b: \"" }"#, Some("unreadable-graphql")),
        ("not JSON", Some("unreadable-graphql")),
        ("", Some("unreadable-graphql")),
    ] {
        let verdict = operation(&generation, JSON, body);
        assert_eq!(verdict.as_ref().err().map(|reason| reason.as_str()), reason, "{body}");
        if let Ok(sent) = verdict {
            assert_eq!(sent, body);
        }
    }
}

#[test]
fn graphql_is_read_in_every_form_or_refused() {
    let (world, _) = graphql();
    let generation = world.build();
    let issuing = Err(Reason::IssuingEndpoint);
    let text = [("content-type", "application/graphql")];
    assert_eq!(operation(&generation, &text, "mutation { createKey }"), issuing);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(operation(&generation, &form, "query=mutation+%7BcreateKey%7D"), issuing);
    let unreadable = Err(Reason::UnreadableGraphql);
    for headers in [&[][..], &[("content-type", "multipart/form-data; boundary=x")]] {
        assert_eq!(operation(&generation, headers, r#"{"query":"{a}"}"#), unreadable);
    }
    for (line, reason) in [
        (
            "GET https://api.example.com/graphql?query=mutation{createKey}",
            Some(Reason::IssuingEndpoint),
        ),
        (
            "POST https://api.example.com/graphql?query=mutation%7BcreateKey%7D",
            Some(Reason::IssuingEndpoint),
        ),
        ("GET https://api.example.com/graphql?query={viewer}", None),
        ("GET https://api.example.com/graphql", None),
        ("GET https://api.example.com/graphql?id=0", Some(Reason::UnreadableGraphql)),
        (
            "GET https://api.example.com/graphql?query={a}&query={b}",
            Some(Reason::UnreadableGraphql),
        ),
    ] {
        let mut head = request(line, JSON);
        let refusal = match apply(&generation, &mut head) {
            Verdict::Refuse(refusal) => Some(refusal.reason()),
            Verdict::Forward(mut plan) => {
                plan.finish_body(Bytes::new(), &mut head).unwrap();
                None
            }
            Verdict::Answer(_) => panic!(),
        };
        assert_eq!(refusal, reason, "{line}");
    }
    // Only an answer that may have to be held has to come without a coding.
    let mut head = request(GRAPHQL, &[JSON[0], ("accept-encoding", "gzip")]);
    forward(&generation, &mut head);
    assert_eq!(only(&head, "accept-encoding"), "gzip");
    let mut head = request(GRAPHQL, &[JSON[0], ("content-encoding", "gzip")]);
    assert_eq!(refused(&generation, &mut head), Reason::CompressedBody);
    let mut head = request(GRAPHQL, &[JSON[0], ("content-length", "1048577")]);
    assert_eq!(refused(&generation, &mut head), Reason::BodyTooLong);
    let other = "POST https://api.example.com/other";
    assert_eq!(forward(&generation, &mut request(other, JSON)).body(), BodyNeed::Stream);
}

/// A token endpoint whose answer holds an access token, bound to the API host again.
fn holding() -> (World, Grant) {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("api.example.com").under("/other").unwrap());
    let header = Position::Header(name("authorization"));
    let access = HeldField::new("/access_token", shape())
        .used_at(host("api.example.com").under("/v1").unwrap(), header);
    let refresh = HeldField::new("/data/refresh_token", shape()).used_at(
        host("auth.example.com").exact("/token").unwrap(),
        Position::FormField("refresh_token".into()),
    );
    let target = host("auth.example.com").exact("/token").unwrap();
    world.issues(&grant, IssuingEndpoint::new(target, "a token").hold([access, refresh]));
    (world, grant)
}

fn answer(status: u16) -> response::Parts {
    let builder = Response::builder().status(status).header("content-type", "application/json");
    builder.body(()).unwrap().into_parts().0
}

fn collect(plan: &Plan, head: &mut response::Parts) -> Collect {
    match plan.answer().on_head(head) {
        Ok(AnswerBody::Collect(collect)) => collect,
        other => panic!("{other:?}"),
    }
}

fn token_plan(generation: &Generation) -> Plan {
    let mut head =
        request("POST https://auth.example.com/token", &[("accept-encoding", "gzip, br")]);
    let plan = forward(generation, &mut head);
    assert_eq!(only(&head, "accept-encoding"), "identity");
    plan
}

fn finish(
    world: &World,
    generation: &Generation,
    status: u16,
    body: &str,
) -> (std::result::Result<Collected, Reason>, response::Parts) {
    let plan = token_plan(generation);
    let mut head = answer(status);
    head.headers.insert("etag", "\"x\"".parse().unwrap());
    let collect = collect(&plan, &mut head);
    assert!(collect.must_fit());
    let mut minted = 0;
    let mut mint = |field: &FieldToHold<'_>| -> Result<Placeholder> {
        assert_eq!(field.shape(), &shape());
        if let Some(known) = generation.held_placeholder(field.secret()) {
            return Ok(known.clone());
        }
        minted += 1;
        Ok(world.placeholder(field.grant(), &format!("held {minted} {}", field.pointer())))
    };
    let body = Bytes::copy_from_slice(body.as_bytes());
    let collected = collect.finish(plan.answer(), &mut head, body, &mut mint);
    (collected.map_err(|refusal| refusal.reason()), head)
}

#[test]
fn what_an_answer_issues_stays_here_and_comes_back_where_it_belongs() {
    let (world, grant) = holding();
    let generation = world.build();
    let (access, refresh) = (Canary::new(), Canary::new());
    let text = |access: &str, refresh: &str| {
        let json = |text: &str| serde_json::Value::from(text).to_string();
        let (access, refresh) = (json(access), json(refresh));
        format!(
            "{{ \"access_token\": {access},\n \"n\":1.50, \"data\":{{\"refresh_token\":{refresh}}} }}"
        )
    };
    let (collected, head) = finish(&world, &generation, 200, &text(access.text(), refresh.text()));
    let collected = collected.unwrap();
    for canary in [&access, &refresh] {
        assert_eq!(canary.find_in(&collected.body), None);
        assert_eq!(canary.find_in_str(&format!("{collected:?}")), None);
    }
    let [first, second] = collected.held.as_slice() else { panic!() };
    let expected = text(first.placeholder().as_str(), second.placeholder().as_str());
    assert_eq!(collected.body, expected);
    assert_eq!(head.headers["content-length"], expected.len().to_string().as_str());
    assert!(!head.headers.contains_key("etag"));

    let next = generation.with_bindings(collected.held.clone()).unwrap();
    let bearer = format!("Bearer {}", first.placeholder());
    let mut sent = request("GET https://api.example.com/v1/x", &[("authorization", &bearer)]);
    let plan = forward(&next, &mut sent);
    assert_eq!(only(&sent, "authorization"), format!("Bearer {}", access.text()));
    assert_eq!(plan.used()[0].grant(), Some(&grant.key));
    // Neither elsewhere, nor by the generation before.
    for line in ["GET https://api.example.com/v2", "GET https://auth.example.com/token"] {
        let mut sent = request(line, &[("authorization", &bearer)]);
        let _ = apply(&next, &mut sent);
        assert!(!holds(&sent, &access), "{line}");
    }
    let mut sent = request("GET https://api.example.com/v1/x", &[("authorization", &bearer)]);
    assert_eq!(refused(&generation, &mut sent), Reason::StalePlaceholder);

    let form = [("content-type", "application/x-www-form-urlencoded")];
    let mut sent = request("POST https://auth.example.com/token", &form);
    let mut plan = forward(&next, &mut sent);
    let body = format!("refresh_token={}", second.placeholder());
    let body = plan.finish_body(body.into(), &mut sent).unwrap();
    assert!(refresh.find_in(&body).is_some());

    let scrubbed: Vec<_> = next.scrub_set("api.example.com", 443);
    assert!(scrubbed.iter().any(|(_, secret, _)| secret.same_as(&access.secret())));
    assert!(!scrubbed.iter().any(|(_, secret, _)| secret.same_as(&refresh.secret())));
    assert!(next.covers("auth.example.com", 443));
    assert_eq!(next.bindings().count(), 2);
    assert_eq!(
        access.find_in_str(&format!("{next:?} {:?}", next.bindings().collect::<Vec<_>>())),
        None
    );
}

#[test]
fn a_token_that_was_issued_before_keeps_its_placeholder() {
    let (world, _) = holding();
    let mut generation = world.build();
    let access = Canary::shaped("t_", moat_provider_core::Alphabet::Alphanumeric, 40);
    let body = format!("{{\"access_token\":\"{}\"}}", access.text());
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let collected = finish(&world, &generation, 200, &body).0.unwrap();
        generation = generation.with_bindings(collected.held).unwrap();
        bodies.push(collected.body);
    }
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(generation.bindings().count(), 1);
}

#[test]
fn bindings_survive_a_rotation_and_are_bounded() {
    let (world, grant) = holding();
    let mut generation = world.build();
    for at in 0..300 {
        let placeholder = world.placeholder(&grant.key, &format!("held {at}"));
        let uses = vec![(host("api.example.com"), Position::QueryKey("key".into()))];
        let secret = secret(&format!("secret-number-{at}"));
        let held =
            moat_proxy::engine::HeldSecret::new(grant.key.clone(), placeholder, secret, uses);
        generation = generation.with_bindings([held]).unwrap();
    }
    assert_eq!(generation.bindings().count(), 256);
    let rotated = world.build().with_bindings(generation.bindings().cloned()).unwrap();
    for (at, expected) in [(299, Some("key=secret-number-299")), (0, None)] {
        let placeholder = world.placeholder(&grant.key, &format!("held {at}"));
        let mut head = request(&format!("GET https://api.example.com/?key={placeholder}"), &[]);
        match expected {
            Some(query) => {
                forward(&rotated, &mut head);
                assert_eq!(head.uri.query(), Some(query));
            }
            None => assert_eq!(refused(&rotated, &mut head), Reason::StalePlaceholder),
        }
    }
}

#[test]
fn an_answer_that_cannot_be_held_does_not_pass() {
    let (world, _) = holding();
    let generation = world.build();
    let token = Canary::new();
    for body in [
        format!("access_token={}", token.text()),
        "{\"access_token\":[\"x\"]}".to_owned(),
        "{\"access_token\":17}".to_owned(),
        "{\"access_token\":\"a\",\"access_token\":\"b\"}".to_owned(),
        "{\"data\":{\"refresh_token\":{}}}".to_owned(),
    ] {
        let reason = finish(&world, &generation, 200, &body).0.err();
        assert_eq!(reason, Some(Reason::UnreadableAnswer), "{body}");
    }
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(1024 * 1024));
    let reason = finish(&world, &generation, 200, &long).0.err();
    assert_eq!(reason, Some(Reason::AnswerTooLong));
}

#[test]
fn an_answer_that_issues_nothing_passes() {
    let (world, _) = holding();
    let generation = world.build();
    for (status, body) in [
        (400, "{\"error\":\"authorization_pending\"}"),
        (200, "{\"access_token\":null}"),
        (200, "{\"access_token\":\"\"}"),
        (200, ""),
        (502, "<html>"),
    ] {
        let (collected, _) = finish(&world, &generation, status, body);
        let collected = collected.unwrap();
        assert_eq!(collected.body, body);
        assert!(collected.held.is_empty());
    }
    let plan = token_plan(&generation);
    assert!(matches!(plan.answer().on_head(&mut answer(204)), Ok(AnswerBody::Stream)));
}

/// Vendors say a token twice: in another field, in a cookie.
#[test]
fn a_held_secret_is_taken_out_of_the_rest_of_the_answer() {
    let (world, _) = holding();
    let generation = world.build();
    let access = Canary::shaped("t_", moat_provider_core::Alphabet::Alphanumeric, 40);
    let plan = token_plan(&generation);
    let mut head = answer(200);
    let cookie = format!("session={}; Path=/", access.text());
    head.headers.insert("set-cookie", cookie.parse().unwrap());
    let collect = collect(&plan, &mut head);
    let mut mint = |field: &FieldToHold<'_>| Ok(world.placeholder(field.grant(), "held"));
    let body = format!("{{\"access_token\":\"{0}\",\"url\":\"https://x/?t={0}\"}}", access.text());
    let collected = collect.finish(plan.answer(), &mut head, body.into(), &mut mint).unwrap();
    assert_eq!(access.find_in(&collected.body), None);
    assert_eq!(access.find_in(head.headers["set-cookie"].as_bytes()), None);
}

#[test]
fn graphql_mutations_can_be_held_too() {
    let mut world = World::new();
    let grant = world.grant("a");
    let target = host("api.example.com").exact("/graphql").unwrap();
    let field = HeldField::new("/data/createKey/token", shape());
    world
        .issues(&grant, IssuingEndpoint::new(target, "a key").graphql(["createKey"]).hold([field]));
    let generation = world.build();
    for (body, held) in
        [(r#"{"query":"mutation{createKey}"}"#, true), (r#"{"query":"{viewer}"}"#, false)]
    {
        let mut head = request(GRAPHQL, JSON);
        let mut plan = forward(&generation, &mut head);
        assert_eq!(only(&head, "accept-encoding"), "identity");
        plan.finish_body(Bytes::from_static(body.as_bytes()), &mut head).unwrap();
        let answer = plan.answer().on_head(&mut answer(200)).unwrap();
        assert_eq!(matches!(answer, AnswerBody::Collect(_)), held, "{body}");
    }
}
