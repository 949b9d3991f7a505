//! Tries to have a secret written to the log, and to write there what was not.

use std::sync::{Arc, Mutex};

use moat_provider_core::Position;
use moat_proxy::Mode;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::engine_support::host;
use crate::grants::*;
use crate::support::client::Http;

/// Writes down everything that the proxy says of itself.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<String>>);

impl Visit for Diary {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push_str(&format!("{field}={value:?} "));
    }
}

impl Subscriber for Diary {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("moat")
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn no_record_and_no_message_holds_a_secret_or_a_placeholder_in_a_query() {
    let diary = Diary::default();
    let _guard = tracing::subscriber::set_default(diary.clone());
    let mut grants = Grants::new();
    let grant = grant(&mut grants, "vendor");
    grants.bearer(&grant, host(VENDOR));
    grants.substitute(&grant, host(VENDOR), Position::PathSegment { prefix: "bot".into() });
    let target = host(VENDOR).under("/query").unwrap();
    grants.substitute(&grant, target, Position::QueryKey("key".into()));
    let mut world = world(&grants, policy(Mode::Strict)).await;
    let vendor = Vendor::tls(&world, VENDOR, &["h2", "http/1.1"], |seen| {
        !seen.head.uri.path().contains("fail")
    })
    .await;
    let placeholder = &grant.placeholder;
    let bearer = format!("Bearer {placeholder}");
    for version in Http::BOTH {
        for (line, auth) in [
            (format!("GET /x?t={placeholder}&password=hunter2"), Some(bearer.as_str())),
            (format!("GET /bot{placeholder}/fail"), None),
            (format!("GET /query?key={placeholder}"), None),
            ("GET /x?password=hunter2".to_owned(), Some("Bearer hunter2")),
            (format!("GET /a/..%2fbot{placeholder}"), None),
        ] {
            let headers: Vec<_> = auth.iter().map(|auth| ("authorization", *auth)).collect();
            send(&world, VENDOR, version, &line, &headers).await;
            let record = world.record(|record| record.method != "CONNECT").await;
            let all = format!("{} {record:?}", record.to_json());
            assert!(grant.canary.find_in_str(&all).is_none(), "{all}");
            assert!(!all.contains("hunter2") && !all.contains('?'), "{all}");
        }
    }
    assert!(vendor.holds(&grant.canary));
    // Something fails at each place where the proxy has something to say.
    let (socket, _) = world.tunnel(&format!("{VENDOR}:443")).await;
    let wrong = world.origin_connector();
    assert!(wrong.connect(VENDOR.try_into().unwrap(), socket).await.is_err());
    world.record(|record| record.reason == Some("client-tls")).await;
    let said = diary.0.lock().unwrap().clone();
    assert!(said.contains("handshake failed"), "{said}");
    assert!(grant.canary.find_in_str(&said).is_none(), "{said}");
    assert!(!said.contains("hunter2") && !said.contains(placeholder.as_str()), "{said}");
}

#[tokio::test]
async fn a_record_is_one_line_whatever_the_client_wrote() {
    let (grants, _) = bearer();
    let mut world = world(&grants, policy(Mode::Permissive)).await;
    Vendor::tls(&world, VENDOR, &["http/1.1"], |_| true).await;
    for (method, path) in [
        ("GET", "/%0a%0d%1b[2J"),
        ("GET", "/\",\"reason\":\"forged"),
        ("G'{}^|~", "/x"),
        ("GET", "/\u{202e}\u{2028}\u{85}"),
        ("GET", "/\u{1b}]0;title"),
    ] {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {VENDOR}\r\nConnection: close\r\n\r\n");
        let answer = world.wire(VENDOR, &request).await;
        if answer.contains("400 Bad Request") && !answer.contains("x-moat") {
            // Not even read as a request.
            continue;
        }
        let record = world.record(|record| record.method != "CONNECT").await;
        let line = record.to_json();
        assert!(!line.contains(|c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c)));
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["method"], method);
        assert_ne!(parsed["reason"], "forged", "{line}");
    }
}
