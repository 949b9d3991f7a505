//! Placeholders at declared positions of bodies.

use bytes::Bytes;
use moat_provider_core::{Position, ProxyConfigurer, Substitution};
use moat_proxy::Reason;
use moat_proxy::engine::{BodyNeed, How, NotUsed, Plan};

use crate::engine_support::*;

const LINE: &str = "POST https://api.example.com/token";
const JSON: &[(&str, &str)] = &[("content-type", "application/json; charset=UTF-8")];
const FORM: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded")];

fn with(position: Position) -> (World, Grant) {
    let mut world = World::new();
    let grant = world.grant("a");
    let target = host("api.example.com").exact("/token").unwrap();
    world.substitute(&grant, target, position);
    (world, grant)
}

fn json() -> (World, Grant) {
    with(Position::JsonField("/auth/refresh_token".into()))
}

fn form() -> (World, Grant) {
    with(Position::FormField("refresh_token".into()))
}

/// Applies to head and body.
fn finish(
    world: &World,
    headers: &[(&str, &str)],
    body: &str,
) -> (Result<Bytes, Reason>, Plan, http::request::Parts) {
    let mut head = request(LINE, headers);
    let mut plan = forward(&world.build(), &mut head);
    assert_eq!(plan.body(), BodyNeed::Hold { limit: 64 * 1024 });
    let body = plan.finish_body(Bytes::copy_from_slice(body.as_bytes()), &mut head);
    (body.map_err(|refusal| refusal.reason()), plan, head)
}

#[test]
fn a_json_string_is_replaced_and_everything_else_keeps_its_bytes() {
    let (world, grant) = json();
    let placeholder = grant.placeholder.as_str();
    let body = |value: &str| {
        format!(
            " {{\"x\":1.0e+2,\"auth\" : {{ \"refresh_token\":\t{value} }},\n\"text\":\"{placeholder}\"}} "
        )
    };
    let (sent, plan, head) = finish(&world, JSON, &body(&format!("\"{placeholder}\"")));
    let secret = serde_json::Value::from(grant.secret()).to_string();
    assert_eq!(sent.unwrap(), body(&secret));
    assert_eq!(only(&head, "content-length"), body(&secret).len().to_string());
    assert_eq!(plan.used()[0].how(), How::Substituted);
    assert_eq!(plan.used()[0].slot(), "json /auth/refresh_token");
    assert_eq!(plan.not_used(), None);
}

#[test]
fn a_form_field_is_replaced_and_everything_else_keeps_its_bytes() {
    let (world, grant) = form();
    let placeholder = grant.placeholder.as_str();
    let body = format!("a=%7e&refresh%5ftoken={placeholder}&b=+%20&text={placeholder}&&c");
    let headers = [FORM[0], ("transfer-encoding", "chunked")];
    let (sent, plan, head) = finish(&world, &headers, &body);
    let sent = sent.unwrap();
    let value = std::str::from_utf8(&sent)
        .unwrap()
        .strip_prefix("a=%7e&refresh%5ftoken=")
        .and_then(|rest| rest.strip_suffix(&format!("&b=+%20&text={placeholder}&&c")))
        .unwrap();
    let decoded = percent_encoding::percent_decode_str(value).decode_utf8().unwrap();
    assert_eq!(decoded, grant.secret());
    assert!(!head.headers.contains_key("transfer-encoding"));
    assert_eq!(only(&head, "content-length"), sent.len().to_string());
    assert_eq!(plan.used().len(), 1);
}

#[test]
fn a_body_without_the_placeholder_at_the_position_passes_byte_for_byte() {
    let (world, grant) = json();
    let placeholder = grant.placeholder.as_str();
    for body in [
        format!("{{\"text\":\"{placeholder}\"}}"),
        format!("{{\"auth\":{{\"refresh_token\":\"x{placeholder}\"}}}}"),
        format!("{{\"auth\":{{\"refresh_token\":[\"{placeholder}\"]}}}}"),
        format!("{{\"auth\":{{\"refresh_token\":{{\"a\":\"{placeholder}\"}}}}}}"),
        format!("{{\"auth\":{{\"Refresh_token\":\"{placeholder}\"}}}}"),
        format!("not JSON: \"refresh_token\":\"{placeholder}\""),
        String::new(),
        "{\"auth\":null}".to_owned(),
    ] {
        let (sent, plan, _) = finish(&world, JSON, &body);
        assert_eq!(sent.unwrap(), body);
        assert_eq!(plan.not_used(), Some(NotUsed::NoPlaceholder));
    }
    let (world, grant) = form();
    let placeholder = grant.placeholder.as_str();
    for body in
        [format!("text={placeholder}"), format!("refresh_token=a{placeholder}"), "x".to_owned()]
    {
        assert_eq!(finish(&world, FORM, &body).0.unwrap(), body);
    }
}

#[test]
fn a_json_escape_does_not_hide_the_placeholder() {
    let (world, grant) = json();
    let escaped: String =
        grant.placeholder.as_str().chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let body = format!("{{\"\\u0061uth\":{{\"refresh_token\":\"{escaped}\"}}}}");
    let (sent, ..) = finish(&world, JSON, &body);
    assert!(grant.canary.find_in(&sent.unwrap()).is_some());
}

#[test]
fn two_readings_of_a_body_are_refused() {
    let (world, grant) = json();
    let placeholder = grant.placeholder.as_str();
    for body in [
        format!("{{\"auth\":{{\"refresh_token\":\"{placeholder}\",\"refresh_token\":\"x\"}}}}"),
        format!("{{\"auth\":{{\"refresh_token\":\"{placeholder}\"}},\"\\u0061uth\":1}}"),
    ] {
        assert_eq!(finish(&world, JSON, &body).0, Err(Reason::DuplicateKey), "{body}");
    }
    let (world, grant) = form();
    let placeholder = grant.placeholder.as_str();
    for (body, reason) in [
        (format!("refresh_token={placeholder}&refresh_token=x"), Reason::MixedCredentials),
        (format!("a=1;refresh_token={placeholder}"), Reason::QueryAmbiguous),
    ] {
        assert_eq!(finish(&world, FORM, &body).0, Err(reason), "{body}");
    }
}

#[test]
fn a_stale_placeholder_in_a_body_is_refused() {
    let (world, _) = json();
    let body = format!("{{\"auth\":{{\"refresh_token\":\"{}\"}}}}", world.stale());
    assert_eq!(finish(&world, JSON, &body).0, Err(Reason::StalePlaceholder));
    let (world, _) = form();
    let body = format!("refresh_token={}", world.stale());
    assert_eq!(finish(&world, FORM, &body).0, Err(Reason::StalePlaceholder));
}

/// It is not passed on with the placeholder in it.
#[test]
fn a_body_above_the_limit_is_refused() {
    let (world, _) = json();
    let mut head = request(LINE, &[JSON[0], ("content-length", "65537")]);
    assert_eq!(refused(&world.build(), &mut head), Reason::BodyTooLong);
    let long = " ".repeat(64 * 1024 + 1);
    assert_eq!(finish(&world, JSON, &long).0, Err(Reason::BodyTooLong));
    assert_eq!(finish(&world, JSON, &long[1..]).0.unwrap(), long[1..]);
    assert_eq!(Reason::BodyTooLong.status(), 413);
}

#[test]
fn the_least_of_several_limits_counts() {
    let (mut world, grant) = json();
    world.rules.substitute(
        Substitution::new(
            host("api.example.com"),
            Position::JsonField("/x".into()),
            grant.placeholder.clone(),
            grant.token(),
        )
        .body_limit(100),
    );
    let plan = forward(&world.build(), &mut request(LINE, JSON));
    assert_eq!(plan.body(), BodyNeed::Hold { limit: 100 });
}

/// Its bytes do not show whether the placeholder is there.
#[test]
fn a_compressed_body_is_refused() {
    let (world, _) = json();
    for coding in ["gzip", "zstd", "identity, br"] {
        let mut head = request(LINE, &[JSON[0], ("content-encoding", coding)]);
        assert_eq!(refused(&world.build(), &mut head), Reason::CompressedBody, "{coding}");
    }
    forward(&world.build(), &mut request(LINE, &[JSON[0], ("content-encoding", "Identity")]));
}

#[test]
fn a_body_that_cannot_hold_the_position_streams() {
    let (world, _) = json();
    for headers in [
        &[][..],
        FORM,
        &[("content-type", "text/plain")],
        &[("content-type", "application/json; charset=utf-16")],
        &[("content-type", "application/octet-stream"), ("content-encoding", "gzip")],
        &[("content-type", "application/json"), ("content-type", "text/plain")],
    ] {
        let plan = forward(&world.build(), &mut request(LINE, headers));
        assert_eq!(plan.body(), BodyNeed::Stream, "{headers:?}");
    }
    let other = "POST https://api.example.com/other";
    assert_eq!(forward(&world.build(), &mut request(other, JSON)).body(), BodyNeed::Stream);
    for media in ["application/json", "application/vnd.api+json", "APPLICATION/JSON;charset=utf-8"]
    {
        let plan = forward(&world.build(), &mut request(LINE, &[("content-type", media)]));
        assert_ne!(plan.body(), BodyNeed::Stream, "{media}");
    }
}

#[test]
fn head_and_body_of_one_request_are_both_replaced() {
    let (mut world, grant) = json();
    world.substitute(&grant, host("api.example.com"), Position::QueryKey("key".into()));
    let placeholder = &grant.placeholder;
    let mut head = request(&format!("{LINE}?key={placeholder}"), JSON);
    let mut plan = forward(&world.build(), &mut head);
    assert!(holds(&head, &grant.canary));
    let body = format!("{{\"auth\":{{\"refresh_token\":\"{placeholder}\"}}}}");
    let body = plan.finish_body(body.into(), &mut head).unwrap();
    assert!(grant.canary.find_in(&body).is_some());
    assert_eq!(plan.used().len(), 2);
}
