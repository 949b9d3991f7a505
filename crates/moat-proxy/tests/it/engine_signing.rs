//! Signing rules, with a signer that is simple enough to be seen through.

use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, request};
use moat_provider_core::{
    BodySigner, BodySigning, ClientCredential, Error, ErrorKind, Fill, Placeholder, Position,
    ProxyConfigurer, RefusalBody, RequestSigner, Result, SecretName, Secrets, SigningRule, Target,
};
use moat_proxy::Reason;
use moat_proxy::engine::{BodyNeed, How, NotUsed, Verdict};
use time::OffsetDateTime;

use crate::engine_support::*;

#[derive(Clone, Copy, Debug)]
enum How2Sign {
    Head,
    Whole,
    Stream,
    Fails(ErrorKind),
    FailsInForm,
    FailsWhole(ErrorKind),
}

/// "Signs" by writing the token and what it signs into the header.
#[derive(Debug)]
struct Signer {
    claims: [HeaderName; 2],
    how: How2Sign,
}

impl RequestSigner for Signer {
    fn claims(&self) -> &[HeaderName] {
        &self.claims
    }

    #[expect(clippy::disallowed_methods, reason = "a signature that a test can read")]
    fn sign(
        &self,
        head: &mut request::Parts,
        secrets: &Secrets,
        now: OffsetDateTime,
    ) -> Result<BodySigning> {
        assert_eq!(secrets.names().count(), 1);
        let token = secrets.require(&SecretName::TOKEN)?.expose().to_owned();
        let line = format!("SIG {token} {}", now.unix_timestamp());
        let set = move |head: &mut request::Parts, signed: &str| {
            let value = HeaderValue::from_str(&format!("{line} {signed}")).unwrap();
            head.headers.insert(AUTHORIZATION, value);
        };
        match self.how {
            How2Sign::FailsInForm => Err(no(ErrorKind::PermissionDenied)),
            How2Sign::Head => {
                set(head, "");
                Ok(BodySigning::HeadOnly)
            }
            How2Sign::Whole => Ok(BodySigning::Whole {
                limit: 1000,
                finish: Box::new(move |body, head| {
                    set(head, std::str::from_utf8(body).unwrap());
                    Ok(())
                }),
            }),
            How2Sign::Stream => {
                set(head, "stream");
                Ok(BodySigning::Stream(Box::new(Chunks)))
            }
            How2Sign::Fails(kind) => Err(no(kind)),
            How2Sign::FailsWhole(kind) => {
                Ok(BodySigning::Whole { limit: 1000, finish: Box::new(move |_, _| Err(no(kind))) })
            }
        }
    }

    fn refusal(&self, head: &request::Parts, message: &str) -> Option<RefusalBody> {
        let text = format!("{} {message}", head.uri.path());
        let form = HeaderValue::from_static("text/x-vendor");
        matches!(self.how, How2Sign::FailsInForm).then(|| RefusalBody::new(form, text))
    }
}

fn no(kind: ErrorKind) -> Error {
    Error::new(kind, "not \u{1b}here").with_hint("sign --there")
}

struct Chunks;

impl BodySigner for Chunks {
    fn data(&mut self, chunk: Bytes) -> Result<Bytes> {
        Ok([b"<", chunk.as_ref(), b">"].concat().into())
    }

    fn end(&mut self) -> Result<Bytes> {
        Ok(Bytes::from_static(b"end"))
    }
}

fn sign(world: &mut World, grant: &Grant, target: Target, how: How2Sign) -> Placeholder {
    let id = world.placeholder(&grant.key, "id");
    let signer = Signer { claims: [AUTHORIZATION, name("x-date")], how };
    world.rules.sign(SigningRule::new(
        target,
        &grant.key,
        [SecretName::TOKEN],
        id.clone(),
        Arc::new(signer),
    ));
    id
}

fn signing(how: How2Sign) -> (World, Grant, Placeholder) {
    let mut world = World::new();
    let grant = world.grant("a");
    let id = sign(&mut world, &grant, host("*.example.com"), how);
    (world, grant, id)
}

fn authorization(id: &Placeholder) -> String {
    format!("AWS4-HMAC-SHA256 Credential={id}/20231114/x/s3/aws4_request, Signature=0")
}

const LINE: &str = "PUT https://s3.example.com/bucket/key";

#[test]
fn a_request_with_the_dummy_key_is_signed_anew() {
    let (world, grant, id) = signing(How2Sign::Head);
    let generation = world.build();
    for (line, headers) in [
        (LINE.to_owned(), vec![("authorization", authorization(&id))]),
        (format!("{LINE}?X-Amz-Credential={id}%2F2023%2Fx&a=1"), vec![]),
        (format!("{LINE}?X-Amz-Credential={id}/2023/x"), vec![]),
        (format!("{LINE}?X-Amz-Credential={}/x", id.as_str().replace('_', "%5f")), vec![]),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut head = request(&line, &headers);
        let plan = forward(&generation, &mut head);
        assert_eq!(only(&head, "authorization"), format!("SIG {} 1700000000 ", grant.secret()));
        assert!(head.headers["authorization"].is_sensitive());
        assert_eq!(plan.used()[0].how(), How::Signed);
        assert_eq!(plan.used()[0].secrets(), [grant.token()]);
        assert_eq!(plan.body(), BodyNeed::Stream);
    }
}

#[test]
fn the_dummy_key_chooses_among_several_grants() {
    let mut world = World::new();
    let (a, b) = (world.grant("a"), world.grant("b"));
    let a_id = sign(&mut world, &a, host("*.example.com"), How2Sign::Head);
    let b_id = sign(&mut world, &b, host("*.example.com"), How2Sign::Head);
    for (id, used, other) in [(a_id, &a, &b), (b_id, &b, &a)] {
        let mut head = request(LINE, &[("authorization", &authorization(&id))]);
        forward(&world.build(), &mut head);
        assert!(holds(&head, &used.canary) && !holds(&head, &other.canary));
    }
}

#[test]
fn a_request_without_the_dummy_key_is_not_signed() {
    let (world, grant, id) = signing(How2Sign::Head);
    for (headers, reason) in [
        (vec![], NotUsed::NoPlaceholder),
        (vec![("x-date", "20231114T000000Z".to_owned())], NotUsed::NoPlaceholder),
        (
            vec![("authorization", "AWS4 Credential=AKIAOWN/x".to_owned())],
            NotUsed::ClientCredential,
        ),
        (
            vec![("authorization", authorization(&id).replace(id.as_str(), &format!("{id}x")))],
            NotUsed::ClientCredential,
        ),
        (vec![("x-text", authorization(&id))], NotUsed::NoPlaceholder),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut head = request(LINE, &headers);
        assert_eq!(left_alone(&world.build(), &mut head, &[&grant]), reason, "{headers:?}");
    }
    let line = "GET https://elsewhere.example.net/";
    let mut head = request(line, &[("authorization", &authorization(&id))]);
    left_alone(&world.build(), &mut head, &[&grant]);
}

#[test]
fn a_stale_dummy_key_and_in_strict_runs_a_foreign_key_are_refused() {
    let (world, ..) = signing(How2Sign::Head);
    let stale = authorization(&world.stale());
    let mut head = request(LINE, &[("authorization", &stale)]);
    assert_eq!(refused(&world.build(), &mut head), Reason::StalePlaceholder);
    let mut head = request(&format!("{LINE}?X-Amz-Credential={}%2Fx", world.stale()), &[]);
    assert_eq!(refused(&world.build(), &mut head), Reason::StalePlaceholder);
    let mut head = request(LINE, &[("authorization", "AWS4 Credential=AKIAOWN/x")]);
    assert_eq!(refused(&world.strict(), &mut head), Reason::ClientCredential);
    forward(&world.strict(), &mut request(LINE, &[("x-date", "1")]));
}

#[test]
fn what_a_slot_group_lets_pass_is_no_foreign_signature() {
    let (mut world, grant, _) = signing(How2Sign::Head);
    let rule = grant.bearer(host("s3.example.com")).fill(Fill::PlaceholderOnly);
    world.rules.credential(rule.client_credential(ClientCredential::Passes));
    let mut head = request(LINE, &[("authorization", "Bearer session")]);
    let reason = left_alone(&world.strict(), &mut head, &[&grant]);
    assert_eq!(reason, NotUsed::ClientCredential);
}

#[test]
fn a_whole_body_is_held_and_signed() {
    let (mut world, grant, id) = signing(How2Sign::Whole);
    world.substitute(&grant, host("*.example.com"), Position::FormField("f".into()));
    let generation = world.build();
    let authorization = authorization(&id);
    let mut head = request(LINE, &[("authorization", &authorization)]);
    let mut plan = forward(&generation, &mut head);
    assert_eq!(plan.body(), BodyNeed::Hold { limit: 1000 });
    let body = plan.finish_body(Bytes::from_static(b"body"), &mut head).unwrap();
    assert_eq!(body, "body");
    assert_eq!(only(&head, "authorization"), format!("SIG {} 1700000000 body", grant.secret()));
    assert!(head.headers["authorization"].is_sensitive());

    // What is replaced in the body is replaced before it is signed.
    let form = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let mut head = request(LINE, &form);
    let mut plan = forward(&generation, &mut head);
    let body = plan.finish_body(format!("f={}", grant.placeholder).into(), &mut head).unwrap();
    let body = std::str::from_utf8(&body).unwrap();
    assert_ne!(body, format!("f={}", grant.placeholder));
    assert_eq!(only(&head, "authorization"), format!("SIG {} 1700000000 {body}", grant.secret()));

    let mut head = request(LINE, &[("authorization", &authorization), ("content-length", "1001")]);
    assert_eq!(refused(&generation, &mut head), Reason::BodyTooLong);
}

#[test]
fn a_body_is_signed_while_it_streams() {
    let (mut world, grant, id) = signing(How2Sign::Stream);
    world.substitute(&grant, host("*.example.com"), Position::FormField("f".into()));
    let generation = world.build();
    let authorization = authorization(&id);
    let mut head = request(LINE, &[("authorization", &authorization)]);
    let mut plan = forward(&generation, &mut head);
    assert_eq!(plan.body(), BodyNeed::Sign);
    let mut signer = plan.take_body_signer().unwrap();
    assert_eq!(signer.data(Bytes::from_static(b"a")).unwrap(), "<a>");
    assert_eq!(signer.end().unwrap(), "end");
    assert!(plan.take_body_signer().is_none());

    let form = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let mut head = request(LINE, &form);
    let mut plan = forward(&generation, &mut head);
    assert!(plan.take_body_signer().is_none());
    assert_eq!(plan.finish_body(Bytes::from_static(b"f=x"), &mut head).unwrap(), "<f=x>end");
    assert_eq!(only(&head, "content-length"), "8");
}

#[test]
fn what_the_signer_refuses_is_refused() {
    for (kind, reason) in [
        (ErrorKind::Unauthenticated, Reason::BadSignature),
        (ErrorKind::Unsupported, Reason::UnsupportedSignature),
        (ErrorKind::PermissionDenied, Reason::SigningRefused),
        (ErrorKind::CredentialExpired, Reason::SigningFailed),
    ] {
        let (world, _, id) = signing(How2Sign::Fails(kind));
        let mut head = request(LINE, &[("authorization", &authorization(&id))]);
        let Verdict::Refuse(refusal) = apply(&world.build(), &mut head) else { panic!() };
        assert_eq!(refusal.reason(), reason);
        // What the signer says is for the client, unless it is the host's own trouble.
        let is_told = reason != Reason::SigningFailed;
        assert_eq!(refusal.to_string().contains("not \\u{1b}here"), is_told, "{refusal}");
        assert_eq!(refusal.remedy() == Some("sign --there"), is_told);

        let (world, _, id) = signing(How2Sign::FailsWhole(kind));
        let mut head = request(LINE, &[("authorization", &authorization(&id))]);
        let mut plan = forward(&world.build(), &mut head);
        let later = plan.finish_body(Bytes::new(), &mut head).unwrap_err();
        assert_eq!(later, refusal);
    }
}

#[test]
fn a_refusal_has_the_form_that_the_vendors_programs_read() {
    let (world, _, id) = signing(How2Sign::FailsInForm);
    let mut head = request(LINE, &[("authorization", &authorization(&id))]);
    let Verdict::Refuse(refusal) = apply(&world.build(), &mut head) else { panic!() };
    let response = refusal.response();
    assert_eq!(response.status(), 403);
    assert_eq!(response.headers()["x-moat-blocked"], "signing-refused");
    assert_eq!(response.headers()["content-type"], "text/x-vendor");
    let said = "the grant does not sign this request: not \\u{1b}here; sign --there";
    assert_eq!(response.body(), &format!("/bucket/key {said}"));
    // So do those of keys that are not this run's.
    let own = "AWS4 Credential=AKIAOWN/x".to_owned();
    for (generation, key, status, reason) in [
        (world.build(), authorization(&world.stale()), 401, "stale-placeholder"),
        (world.strict(), own, 403, "client-credential"),
    ] {
        let mut head = request(LINE, &[("authorization", &key)]);
        let Verdict::Refuse(refusal) = apply(&generation, &mut head) else { panic!() };
        let response = refusal.response();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["x-moat-blocked"], reason);
        assert_eq!(response.headers()["content-type"], "text/x-vendor", "{refusal}");
    }
}

#[test]
fn a_signed_request_is_not_filled_as_well() {
    let (mut world, grant, id) = signing(How2Sign::Head);
    let other = world.grant("b");
    world.rules.credential(other.bearer(host("s3.example.com")).fill(Fill::PlaceholderOnly));
    let generation = world.build();
    let mut head = request(LINE, &[("authorization", &authorization(&id))]);
    let plan = forward(&generation, &mut head);
    assert_eq!(plan.used().len(), 1);
    assert!(holds(&head, &grant.canary) && !holds(&head, &other.canary));
    let bearer = format!("Bearer {}", other.placeholder);
    let mut head = request(LINE, &[("authorization", &bearer)]);
    forward(&generation, &mut head);
    assert!(holds(&head, &other.canary) && !holds(&head, &grant.canary));
    // A presigned URL of the dummy key beside another credential.
    let mut head =
        request(&format!("{LINE}?X-Amz-Credential={id}/x"), &[("authorization", &bearer)]);
    forward(&generation, &mut head);
    assert!(!holds(&head, &other.canary));
}
