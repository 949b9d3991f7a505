//! Tries to have a secret put where the container can read it again: in text, in another part of
//! the path, in another field.

use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, StreamBody};
use moat_provider_core::Position;
use moat_proxy::Mode;

use crate::engine_support::host;
use crate::grants::*;
use crate::support::client::{Http, full, whole};
use crate::support::{World, soon};

/// A bot whose token stands in the path, in a form, in JSON and in a query.
async fn bot() -> (World, Vendor, crate::engine_support::Grant) {
    let mut grants = Grants::new();
    let grant = grant(&mut grants, "vendor");
    let messages = || host(VENDOR).under("/token").unwrap();
    for (target, position) in [
        (host(VENDOR), Position::PathSegment { prefix: "bot".into() }),
        (messages(), Position::QueryKey("key".into())),
        (messages(), Position::FormField("client_secret".into())),
        (messages(), Position::JsonField("/auth/token".into())),
    ] {
        grants.substitute(&grant, target, position);
    }
    let world = world(&grants, policy(Mode::Permissive)).await;
    let vendor = Vendor::tls(&world, VENDOR, &["h2", "http/1.1"], |_| true).await;
    (world, vendor, grant)
}

#[tokio::test]
async fn a_placeholder_in_the_head_is_replaced_where_it_was_declared_alone() {
    let (world, vendor, grant) = bot().await;
    let placeholder = &grant.placeholder;
    for version in Http::BOTH {
        for line in [
            format!("GET /send/{placeholder}"),
            format!("GET /{placeholder}/bot"),
            format!("GET /x/bot{placeholder}suffix"),
            format!("GET /x?text=bot{placeholder}"),
            format!("GET /x?key={placeholder}"),
            format!("GET /token?text=key={placeholder}"),
            format!("GET /token?text={placeholder}&key=x"),
        ] {
            let headers = [
                ("x-note", placeholder.as_str()),
                ("referer", &format!("https://{VENDOR}/bot{placeholder}")),
            ];
            let answer = send(&world, VENDOR, version, &line, &headers).await;
            assert!(answer.status() == 200, "{line}: {:?}", answer.body());
            assert!(!vendor.holds(&grant.canary), "{line}");
            assert_eq!(vendor.last().head.uri.path_and_query().unwrap(), &line[4..]);
        }
        // And where it was, it is.
        let count = vendor.seen().len();
        for line in
            [format!("GET /bot{placeholder}/me"), format!("GET /token?a=1&key={placeholder}")]
        {
            send(&world, VENDOR, version, &line, &[]).await;
        }
        let seen = vendor.seen();
        assert!(seen[count..].iter().all(|seen| seen.holds(&grant.canary)));
        vendor.forget();
    }
}

#[tokio::test]
async fn a_placeholder_in_the_text_of_a_body_stays_one() {
    let (mut world, vendor, grant) = bot().await;
    let p = &grant.placeholder;
    let form = "application/x-www-form-urlencoded";
    let json = "application/json";
    let cases = [
        ("/message", json, format!(r#"{{"text":"{p}"}}"#), false),
        ("/token", json, format!(r#"{{"text":"{p}"}}"#), false),
        ("/token", json, format!(r#"{{"auth":{{"token":"my {p}"}}}}"#), false),
        ("/token", json, format!(r#"{{"auth":{{"other":"{p}"}}}}"#), false),
        ("/token", json, format!(r#"{{"auth":"/auth/token {p}"}}"#), false),
        ("/token", form, format!("text={p}&client_secret="), false),
        ("/token", form, format!("client_secret=x{p}"), false),
        ("/token", "text/plain", format!("client_secret={p}"), false),
        ("/token", form, format!("a=1&client_secret={p}"), true),
        ("/token", json, format!(r#"{{"auth":{{"token":"{p}"}}}}"#), true),
    ];
    for version in Http::BOTH {
        for (path, kind, body, replaced) in &cases {
            // With a length, and in pieces without one.
            for whole_body in [true, false] {
                let mut client = world.client(VENDOR, version).await;
                let request = client.request("POST", path).header(CONTENT_TYPE, *kind);
                let body = if whole_body { full(body.clone()) } else { pieces(body) };
                let answer = soon(client.send(request.body(body).unwrap())).await.unwrap();
                let answer = whole(answer).await;
                assert_eq!(answer.status(), 200, "{path} {kind}: {:?}", answer.body());
                let seen = vendor.last();
                assert_eq!(seen.holds(&grant.canary), *replaced, "{path} {kind} {seen:?}");
                let record = world.record(|record| record.method == "POST").await;
                let rule = record.rule.as_deref().unwrap_or_default();
                let slot = if *kind == form { "form client_secret" } else { "json /auth/token" };
                assert_eq!(rule.ends_with(slot), *replaced, "{path} {kind} {record:?}");
                assert_eq!(record.grant.as_deref() == Some("vendor"), *replaced, "{record:?}");
                assert_eq!(record.reason.is_none(), *replaced, "{record:?}");
                assert_eq!(grant.canary.find_in_str(&record.to_json()), None);
                assert_eq!(grant.canary.find_in_str(&format!("{record:?}")), None);
            }
        }
    }
}

/// A body without a length, three bytes at a time.
fn pieces(text: &str) -> crate::support::client::Payload {
    let frames: Vec<_> = text
        .as_bytes()
        .chunks(3)
        .map(|chunk| Ok(http_body::Frame::data(bytes::Bytes::copy_from_slice(chunk))))
        .collect();
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    for frame in frames {
        send.send(frame).unwrap();
    }
    BodyExt::boxed_unsync(StreamBody::new(Queue(receive)))
}

pub(crate) struct Queue<T>(pub(crate) tokio::sync::mpsc::UnboundedReceiver<T>);

impl<T> futures_core::Stream for Queue<T> {
    type Item = T;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<T>> {
        self.0.poll_recv(cx)
    }
}

#[tokio::test]
async fn a_placeholder_of_another_run_is_worth_nothing() {
    let (world, vendor, grant) = bot().await;
    let mut other = Grants::of_run("other");
    let theirs = crate::grants::grant(&mut other, "vendor").placeholder;
    assert_ne!(theirs, grant.placeholder);
    for version in Http::BOTH {
        for line in [format!("GET /bot{theirs}/me"), format!("GET /token?key={theirs}")] {
            let answer = send(&world, VENDOR, version, &line, &[]).await;
            assert_eq!(reason(&answer), Some("stale-placeholder"), "{line}");
        }
    }
    assert_eq!(vendor.origin.requests(), 0);
}
