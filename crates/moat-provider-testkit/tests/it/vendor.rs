//! Vendors.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, HeaderName, LOCATION, WWW_AUTHENTICATE};
use moat_provider_core::HeaderTemplate;
use moat_provider_testkit::*;

fn get() -> Request<Bytes> {
    Request::get("https://api.example.com/v1").body(Bytes::new()).unwrap()
}

#[test]
fn an_echo_repeats_what_it_was_told() {
    let canary = Canary::new();
    let basic = STANDARD.encode(format!("user:{}", canary.text()));
    let percent: String = canary.text().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let requests = [
        Request::get("https://api.example.com/").header(AUTHORIZATION, format!("Basic {basic}")),
        Request::get("https://api.example.com/").header("x-api-key", canary.text()),
        Request::get(format!("https://api.example.com/?token={percent}")),
    ]
    .map(|request| request.body(Bytes::new()).unwrap())
    .into_iter()
    .chain([Request::post("https://api.example.com/")
        .body(canary.text().to_owned().into())
        .unwrap()]);
    for request in requests {
        for vendor in [EchoVendor::new(403), EchoVendor::new(403).in_text()] {
            let answer = vendor.answer(&request);
            assert_eq!(answer.status(), 403);
            assert!(canary.find_in(answer.body()).is_some());
            let location = answer.headers()[LOCATION].to_str().unwrap();
            assert!(canary.find_in_str(location).is_some());
        }
        let empty = EchoVendor::new(204).answer(&request);
        assert!(empty.body().is_empty());
    }
}

#[test]
fn an_echo_decodes_basic_credentials() {
    let canary = Canary::new();
    let basic = STANDARD.encode(format!("user:{}", canary.text()));
    let mut request = get();
    request.headers_mut().insert(AUTHORIZATION, format!("Basic {basic}").parse().unwrap());
    let answer = EchoVendor::new(401).answer(&request);
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let decoded = format!("user:{}", canary.text());
    assert!(body["error_description"].as_str().unwrap().contains(&decoded));
    assert!(answer.headers().contains_key(WWW_AUTHENTICATE));
}

#[test]
fn a_credential_is_asked_for_in_any_header_once() {
    let canary = Canary::new();
    let header = HeaderName::from_static("x-api-key");
    let vendor =
        requires(header.clone(), &HeaderTemplate::Raw, &canary.secret(), |_: &_| empty(200));
    assert_eq!(vendor.answer(&get()).status(), 401);
    let mut request = get();
    request.headers_mut().insert(header.clone(), canary.text().parse().unwrap());
    assert_eq!(vendor.answer(&request).status(), 200);
    request.headers_mut().append(header, canary.text().parse().unwrap());
    let refused = vendor.answer(&request);
    assert_eq!(refused.status(), 401);
    assert_eq!(canary.find_in(refused.body()), None);
    assert_eq!(canary.find_in_str(&format!("{vendor:?}")), None);
}

#[test]
fn a_sequence_answers_in_order() {
    let sequence = Arc::new(Sequence::new([empty(500), text(200, "ok")]));
    let http = FakeHttp::answered_by(Arc::clone(&sequence));
    drop(http);
    assert_eq!(sequence.answer(&get()).status(), 500);
    assert_eq!(sequence.answer(&get()).body(), "ok");
}

#[test]
#[should_panic(expected = "the vendor was asked for GET /v1, but its script has no answer left")]
fn a_sequence_has_no_answer_beyond_its_last() {
    Sequence::new([]).answer(&get());
}

#[test]
#[should_panic(expected = "the vendor's script has 1 answers that nobody asked for")]
fn a_sequence_wants_to_be_used_up() {
    drop(Sequence::new([empty(200)]));
}

#[test]
#[should_panic(expected = "99 is not an HTTP status")]
fn a_status_is_one_of_http() {
    let _ = empty(99);
}
