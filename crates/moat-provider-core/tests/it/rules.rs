//! Rules as data: templates, substitutions, answers, issuing endpoints, the record of them all.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, request, response};
use moat_provider_core::{
    Alphabet, AnswerRewrite, CannedAnswer, ClientCredential, Companion, CredentialRule, ErrorKind,
    HeaderTemplate, HeldField, Interest, IssuingEndpoint, IssuingEndpoints, IssuingHandling,
    LocalAnswer, PathPattern, PlaceholderShape, Position, ProviderName, ProxyConfigurer,
    ProxyRules, ResponseTransformer, Result, Secret, SecretRef, Substitution, Target,
    TransformRule,
};
use proptest::prelude::*;

use crate::support::{key, placeholder};

const NAME: ProviderName = ProviderName::from_static("vendor");

fn target() -> Target {
    Target::host("api.example").unwrap()
}

fn render(template: &HeaderTemplate, secret: &str) -> Result<HeaderValue> {
    template.render(&Secret::new(secret.to_owned()))
}

#[test]
fn templates_render() {
    let basic = HeaderTemplate::Basic { user: "x-access-token".into() };
    for (template, expected) in [
        (HeaderTemplate::Bearer, "Bearer s3cret".to_owned()),
        (HeaderTemplate::Raw, "s3cret".to_owned()),
        (HeaderTemplate::Prefix("token ".into()), "token s3cret".to_owned()),
        (basic, format!("Basic {}", STANDARD.encode("x-access-token:s3cret"))),
    ] {
        let value = render(&template, "s3cret").unwrap();
        assert_eq!(value.to_str().unwrap(), expected);
        assert!(value.is_sensitive() && !format!("{value:?}").contains("s3cret"));
    }
    let colon = HeaderTemplate::Basic { user: "a:b".into() };
    assert_eq!(render(&colon, "x").unwrap_err().kind(), ErrorKind::InvalidInput);
}

proptest! {
    #[test]
    fn a_template_renders_the_secret_or_says_nothing_of_it(
        secret in "[\\x00-\\x7f]{8,40}|\\PC{8,40}",
        template in prop::sample::select(vec![
            HeaderTemplate::Bearer, HeaderTemplate::Raw, HeaderTemplate::Prefix("token ".into()),
        ]),
    ) {
        let fits = secret.bytes().all(|b| b == b'\t' || (b' '..0x7f).contains(&b));
        match render(&template, &secret) {
            Ok(value) => {
                prop_assert!(fits);
                prop_assert!(value.to_str().unwrap().ends_with(&secret));
            }
            Err(error) => {
                prop_assert!(!fits);
                prop_assert_eq!(error.kind(), ErrorKind::InvalidInput);
                let shown = format!("{error} {error:?}");
                prop_assert!(!shown.contains(&secret));
            }
        }
    }

    #[test]
    fn basic_carries_any_secret(secret in "\\PC{0,40}|[\\x00-\\x7f]{0,40}") {
        let value = render(&HeaderTemplate::Basic { user: "u".into() }, &secret).unwrap();
        let pair = STANDARD.decode(value.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        prop_assert_eq!(pair, format!("u:{secret}").into_bytes());
    }
}

#[derive(Debug)]
struct Upper;

impl ResponseTransformer for Upper {
    fn interest(&self, request: &request::Parts, response: &response::Parts) -> Interest {
        match (request.method == Method::GET, response.status.is_success()) {
            (true, true) => Interest::Body { limit: 1024 },
            (true, false) => Interest::Head,
            _ => Interest::None,
        }
    }

    fn transform_body(&self, _: &request::Parts, body: Bytes) -> Result<Bytes> {
        Ok(body.to_ascii_uppercase().into())
    }
}

#[test]
fn a_record_holds_what_was_stated_in_order() {
    let (one, two) = (key("one"), key("two"));
    let mut rules = ProxyRules::default();
    let proxy: &mut dyn ProxyConfigurer = &mut rules;
    let bearer = |grant| {
        let secret = SecretRef::token(grant);
        CredentialRule::new(target(), AUTHORIZATION, HeaderTemplate::Bearer, secret)
    };
    proxy.credential(bearer(&one).when_used(Companion::RemoveHeader(CONTENT_TYPE)));
    let secret = SecretRef::new(&one, "other".parse().unwrap());
    let position = Position::JsonField("/auth/token".into());
    proxy.substitute(
        Substitution::new(target(), position, placeholder("one"), secret).body_limit(10),
    );
    proxy.answer(LocalAnswer::new(
        NAME,
        target().exact("/token").unwrap(),
        CannedAnswer::json(StatusCode::OK, "{}"),
    ));
    proxy.transform(TransformRule::new(NAME, target(), std::sync::Arc::new(Upper)));
    proxy.reach(Target::host("cdn.example").unwrap());

    let mut more = ProxyRules::default();
    more.credential(bearer(&two));
    rules.extend(more);

    let grants: Vec<_> = rules.credentials().iter().map(|rule| rule.grant().to_string()).collect();
    assert_eq!(grants, ["one", "two"]);
    assert_eq!(rules.credentials()[0].companions().len(), 1);
    assert_eq!(rules.substitutions()[0].held_body(), Some(10));
    assert_eq!(rules.answers()[0].answer().headers()[CONTENT_TYPE], "application/json");
    assert_eq!(rules.targets().count(), 6);
    let secrets: Vec<_> = rules.secrets().map(|secret| secret.to_string()).collect();
    assert_eq!(secrets, ["one/token", "two/token", "one/other"]);
    assert_eq!(rules.reachable().len(), 1);
    rules.check_secrets(|_| true).unwrap();
    let error = rules.check_secrets(|secret| secret.name().as_str() == "token").unwrap_err();
    assert!(error.message().contains("one/other"), "{error}");
    assert_eq!(rules.credentials()[0].on_client_credential(), ClientCredential::PolicyDecides);

    let transformer = rules.transforms()[0].transformer();
    let (request, ()) = Request::new(()).into_parts();
    let (response, ()) = Response::new(()).into_parts();
    assert_eq!(transformer.interest(&request, &response), Interest::Body { limit: 1024 });
    assert_eq!(transformer.transform_body(&request, "abc".into()).unwrap(), "ABC");
}

#[test]
fn a_rewrite_applies_to_its_status_and_path() {
    let path = PathPattern::exact("/api/oauth/profile").unwrap();
    let answer = CannedAnswer::json(StatusCode::OK, "{}");
    let rewrite = AnswerRewrite::new(path, StatusCode::FORBIDDEN, answer);
    assert!(rewrite.applies("/api/oauth/profile", StatusCode::FORBIDDEN));
    assert!(!rewrite.applies("/api/oauth/profile", StatusCode::OK));
    assert!(!rewrite.applies("/api/oauth/usage", StatusCode::FORBIDDEN));
    assert_eq!(rewrite.answer().body(), "{}");
}

#[test]
fn a_position_in_the_head_holds_no_body() {
    let secret = SecretRef::token(&key("one"));
    for (position, held) in [
        (Position::PathSegment { prefix: "bot".into() }, None),
        (Position::QueryKey("key".into()), None),
        (Position::Header(AUTHORIZATION), None),
        (Position::Subprotocol { prefix: "".into() }, None),
        (Position::FormField("refresh_token".into()), Some(64 * 1024)),
        (Position::JsonField("/refresh_token".into()), Some(64 * 1024)),
    ] {
        let rule = Substitution::new(target(), position, placeholder("one"), secret.clone());
        assert_eq!(rule.held_body(), held, "{rule:?}");
    }
}

#[test]
fn issuing_endpoints_are_declared_or_their_absence_is_stated() {
    let shape = PlaceholderShape::prefixed("t_", Alphabet::LowerHex, 40);
    let held = HeldField::new("/access_token", shape.clone())
        .used_at(target(), Position::Header(AUTHORIZATION));
    let declared: IssuingEndpoints = [
        IssuingEndpoint::new(target().exact("/keys").unwrap(), "a deploy key"),
        IssuingEndpoint::new(target().exact("/graphql").unwrap(), "a key").graphql(["addKey"]),
        IssuingEndpoint::new(target().exact("/token").unwrap(), "a session").hold([held]),
    ]
    .into_iter()
    .collect();
    let [keys, graphql, token] = declared.as_slice() else { panic!("three endpoints") };
    assert_eq!((keys.issues(), keys.handling()), ("a deploy key", &IssuingHandling::Refuse));
    assert_eq!(graphql.graphql_fields(), ["addKey"]);
    let IssuingHandling::Hold(fields) = token.handling() else { panic!("held") };
    assert_eq!((fields[0].pointer(), fields[0].shape()), ("/access_token", &shape));
    assert_eq!(fields[0].uses().len(), 1);
    assert_eq!(declared.absence(), None);

    let none = IssuingEndpoints::none("keys are made on the vendor's pages alone");
    assert!(none.as_slice().is_empty());
    assert!(none.absence().unwrap().contains("pages"));
}
