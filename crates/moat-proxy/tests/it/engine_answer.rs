//! Answers: replaced and transformed.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, request, response};
use moat_provider_core::{
    AnswerRewrite, CannedAnswer, Companion, Error, ErrorKind, Interest, PathPattern,
    ProxyConfigurer, ResponseTransformer, Result, TransformRule,
};
use moat_proxy::Reason;
use moat_proxy::engine::{AnswerBody, FieldToHold};

use crate::engine_support::*;

const LINE: &str = "GET https://api.example.com/api/profile";

fn answer(status: u16) -> response::Parts {
    Response::builder().status(status).body(()).unwrap().into_parts().0
}

fn unneeded(field: &FieldToHold<'_>) -> Result<moat_provider_core::Placeholder> {
    panic!("{field:?} is not held")
}

#[test]
fn an_answer_is_replaced_when_the_rule_was_used_and_status_and_path_fit() {
    let mut world = World::new();
    let grant = world.grant("a");
    let canned = CannedAnswer::json(StatusCode::OK, "{}");
    let rewrite = AnswerRewrite::new(
        PathPattern::exact("/api/profile").unwrap(),
        StatusCode::FORBIDDEN,
        canned.clone(),
    );
    let rule = grant.bearer(host("api.example.com"));
    world.rules.credential(rule.when_used(Companion::RewriteAnswer(rewrite)));
    let generation = world.build();
    let replaced = |line: &str, headers: &[(&str, &str)], status: u16| {
        let plan = forward(&generation, &mut request(line, headers));
        match plan.answer().on_head(&mut answer(status)).unwrap() {
            AnswerBody::Replace(answer) => Some(answer),
            AnswerBody::Stream => None,
            AnswerBody::Collect(collect) => panic!("{collect:?}"),
        }
    };
    assert_eq!(replaced(LINE, &[], 403), Some(canned));
    assert_eq!(replaced(LINE, &[], 404), None);
    assert_eq!(replaced("GET https://api.example.com/api/other", &[], 403), None);
    assert_eq!(replaced(LINE, &[("authorization", "Bearer own")], 403), None);
}

#[test]
fn a_header_that_leads_past_the_proxy_is_dropped() {
    let generation = World::new().build();
    let plan = forward(&generation, &mut request(LINE, &[]));
    let mut head = answer(200);
    head.headers.insert("alt-svc", HeaderValue::from_static("h3=\":443\""));
    assert!(matches!(plan.answer().on_head(&mut head), Ok(AnswerBody::Stream)));
    assert!(head.headers.is_empty());
}

/// Notes what it saw, and appends a letter to bodies.
#[derive(Debug)]
struct Appends {
    letter: &'static str,
    interest: Interest,
    fails: bool,
    saw: Mutex<Vec<String>>,
}

impl Appends {
    fn new(letter: &'static str, interest: Interest) -> Self {
        Self { letter, interest, fails: false, saw: Mutex::default() }
    }
}

impl ResponseTransformer for Appends {
    fn interest(&self, request: &request::Parts, _: &response::Parts) -> Interest {
        self.saw.lock().unwrap().push(format!("{} {:?}", request.uri, request.headers));
        self.interest
    }

    fn transform_head(&self, _: &request::Parts, response: &mut response::Parts) -> Result<()> {
        response.headers.append("x-transformed", HeaderValue::from_static(self.letter));
        Ok(())
    }

    fn transform_body(&self, _: &request::Parts, body: Bytes) -> Result<Bytes> {
        if self.fails {
            return Err(Error::new(ErrorKind::UnexpectedAnswer, "no"));
        }
        Ok([body, self.letter.into()].concat().into())
    }
}

fn transforming(
    transformers: impl IntoIterator<Item = Appends>,
) -> (World, Grant, Vec<Arc<Appends>>) {
    let mut world = World::new();
    let grant = world.grant("a");
    world.bearer(&grant, host("*.example.com"));
    let all: Vec<_> = transformers.into_iter().map(Arc::new).collect();
    // Patterns that nest: the order is the one in which the rules were stated all the same.
    for (transformer, pattern) in
        all.iter().zip(["*.example.com", "api.example.com"].iter().cycle())
    {
        let owner = "a".parse().unwrap();
        world.rules.transform(TransformRule::new(owner, host(pattern), transformer.clone()));
    }
    (world, grant, all)
}

/// All of them: the first that changes something does not end the chain.
#[test]
fn transformers_run_in_the_order_in_which_they_were_stated() {
    let body = |limit| Interest::Body { limit };
    let (world, _, _) = transforming([
        Appends::new("a", body(100)),
        Appends::new("b", Interest::None),
        Appends::new("c", Interest::Head),
        Appends::new("d", body(10)),
    ]);
    let plan = forward(&world.build(), &mut request(LINE, &[]));
    let run = |text: &'static str| {
        let mut head = answer(200);
        head.headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        head.headers.insert("content-md5", HeaderValue::from_static("x"));
        let Ok(AnswerBody::Collect(collect)) = plan.answer().on_head(&mut head) else { panic!() };
        assert_eq!((collect.limit(), collect.must_fit()), (100, false));
        let collected =
            collect.finish(plan.answer(), &mut head, text.into(), &mut unneeded).unwrap();
        let heads: Vec<_> = head.headers.get_all("x-transformed").iter().collect();
        assert_eq!(heads, ["a", "c", "d"]);
        assert!(!head.headers.contains_key("content-encoding"));
        assert!(!head.headers.contains_key("content-md5"));
        let length = collected.body.len().to_string();
        assert_eq!(head.headers["content-length"], length.as_str());
        collected.body
    };
    assert_eq!(run("x"), "xad");
    assert_eq!(run("more than ten"), "more than tena");
}

#[test]
fn a_transformer_sees_the_request_as_the_client_sent_it() {
    let (world, grant, all) = transforming([Appends::new("a", Interest::None)]);
    let headers = [("x-forwarded-for", "client"), ("connection", "x-gone"), ("x-gone", "1")];
    let plan = forward(&world.build(), &mut request(LINE, &headers));
    assert!(matches!(plan.answer().on_head(&mut answer(200)), Ok(AnswerBody::Stream)));
    let saw = all[0].saw.lock().unwrap().concat();
    assert!(grant.canary.find_in_str(&saw).is_none());
    assert!(
        saw.contains("x-forwarded-for") && saw.contains("x-gone") && saw.contains("/api/profile")
    );
}

#[test]
fn an_answer_without_a_body_is_not_collected() {
    let (world, _, _) = transforming([Appends::new("a", Interest::Body { limit: 10 })]);
    let generation = world.build();
    for (method, status) in [("GET", 204), ("GET", 304), ("GET", 101), ("HEAD", 200)] {
        let line = LINE.replace("GET", method);
        let plan = forward(&generation, &mut request(&line, &[]));
        let body = plan.answer().on_head(&mut answer(status)).unwrap();
        assert!(matches!(body, AnswerBody::Stream), "{method} {status}");
    }
}

#[test]
fn a_transformer_that_fails_is_a_refusal() {
    let mut failing = Appends::new("a", Interest::Body { limit: 10 });
    failing.fails = true;
    let (world, _, _) = transforming([failing]);
    let plan = forward(&world.build(), &mut request(LINE, &[]));
    let mut head = answer(200);
    let Ok(AnswerBody::Collect(collect)) = plan.answer().on_head(&mut head) else { panic!() };
    let refusal = collect.finish(plan.answer(), &mut head, "x".into(), &mut unneeded).unwrap_err();
    assert_eq!(refusal.reason(), Reason::TransformFailed);
    assert_eq!(refusal.reason().status(), 502);
}
