//! What a program in the container gets from the endpoints.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER};
use http::{Request, Response};
use moat_provider_aws::Aws;
use moat_provider_core::{
    BoxFuture, Credential, CredentialProvider, EndpointCall, EndpointProvider, EndpointRouter,
    Error, ErrorKind, Result, Secret, SecretName, SecretSource, Secrets,
};
use moat_provider_testkit::{Canary, FakeClock, block_on};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::support::{granted, run, time};

#[derive(Debug)]
enum Source {
    Has(Secrets),
    Fails(ErrorKind),
    Hangs,
}

impl SecretSource for Source {
    fn current(&self) -> BoxFuture<'_, Result<(Secrets, Option<OffsetDateTime>)>> {
        Box::pin(async move {
            match self {
                Self::Has(secrets) => Ok((secrets.clone(), Some(time("2026-11-28T11:35:27Z")))),
                Self::Fails(kind) => {
                    Err(Error::new(*kind, "arn:aws:iam::1:user/person is refused"))
                }
                Self::Hangs => std::future::pending().await,
            }
        })
    }
}

fn session() -> Source {
    let secrets = [
        ("session_access_key_id", "ASIDEXAMPLEEXAMPLE"),
        ("session_secret_access_key", "EXAMPLE-SECRET"),
        ("session_token", "EXAMPLE-TOKEN"),
    ];
    let secret = |(name, text): (&str, &str)| {
        (name.parse::<SecretName>().unwrap(), Secret::new(text.to_owned()))
    };
    Source::Has(secrets.into_iter().map(secret).collect())
}

fn get(credential: &Credential, path: &str, source: &Source) -> Response<Bytes> {
    let aws = Aws::new();
    let run = run([credential.info()], None);
    let mut router = EndpointRouter::default();
    aws.register_endpoints(&mut router, credential.info(), &run).unwrap();
    let (_, token) = router.tokens().next().unwrap();
    let request = Request::get(path).header(AUTHORIZATION, token.as_str());
    let request = request.body(Bytes::new()).unwrap();
    let handler = router.find(&request).unwrap();
    let clock = FakeClock::new();
    let response = block_on(handler.call(EndpointCall::new(request, source, &clock)));
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    response
}

fn body(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn endpoint() -> Credential {
    granted("aws", &Canary::new().secret(), &[("mode", "endpoint")])
}

#[test]
fn each_format_is_what_its_readers_expect() {
    let credential = endpoint();
    let answer = get(&credential, "/credentials", &session());
    assert_eq!(
        body(&answer),
        json!({
            "AccessKeyId": "ASIDEXAMPLEEXAMPLE", "SecretAccessKey": "EXAMPLE-SECRET",
            "Token": "EXAMPLE-TOKEN", "Expiration": "2026-11-28T11:35:27Z",
        })
    );
    let answer = get(&credential, "/process", &session());
    assert_eq!(
        body(&answer),
        json!({
            "Version": 1, "AccessKeyId": "ASIDEXAMPLEEXAMPLE", "SecretAccessKey": "EXAMPLE-SECRET",
            "SessionToken": "EXAMPLE-TOKEN", "Expiration": "2026-11-28T11:35:27Z",
        })
    );
}

#[test]
fn where_the_proxy_signs_the_dummies_are_handed_out() {
    let credential = granted("aws", &Canary::new().secret(), &[]);
    let answer = get(&credential, "/process", &session());
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    assert!(text.contains(r#""AccessKeyId":"AKIA"#), "{text}");
    assert!(!text.contains("EXAMPLE") && !text.contains("SessionToken"), "{text}");
    // No container gets to know whether a session could be made when none can be used.
    assert_eq!(get(&credential, "/process", &Source::Fails(ErrorKind::Offline)).status(), 503);
}

#[test]
fn failures_say_whether_to_ask_again_and_nothing_of_the_host() {
    let credential = endpoint();
    for (source, status, code) in [
        (Source::Fails(ErrorKind::Offline), 503, "Unavailable"),
        (Source::Fails(ErrorKind::RateLimited), 503, "Unavailable"),
        (Source::Hangs, 503, "Unavailable"),
        (Source::Fails(ErrorKind::PermissionDenied), 500, "AccessDenied"),
        (Source::Fails(ErrorKind::Unauthenticated), 500, "ExpiredToken"),
        (Source::Fails(ErrorKind::Io), 500, "InternalError"),
    ] {
        let answer = get(&credential, "/credentials", &source);
        assert_eq!(answer.status(), status, "{source:?}");
        assert_eq!(body(&answer)["code"], code, "{source:?}");
        assert_eq!(answer.headers().contains_key(RETRY_AFTER), status == 503, "{source:?}");
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        assert!(!text.contains("arn:"), "{text}");
    }
}

#[test]
fn no_rule_signs_for_a_container_that_has_the_keys() {
    let credential = endpoint();
    let mut rules = moat_provider_core::ProxyRules::default();
    let run = run([credential.info()], None);
    Aws::new().configure_proxy(&mut rules, credential.info(), &run).unwrap();
    assert!(rules.signers().is_empty());
    assert_eq!(rules.reachable().len(), 3);
}
