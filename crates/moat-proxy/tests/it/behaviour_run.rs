//! Runs side by side: each has its own grants, policy and companions.

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use moat_provider_core::{Companion, HeaderTemplate, Position, ProxyConfigurer, Secret};
use moat_proxy::Mode;
use moat_proxy::plane::RunRegistration;
use tokio::io::AsyncWriteExt;

use crate::engine_support::{Grant, host, name};
use crate::grants::*;
use crate::support::client::{Http, rest};
use crate::support::{World, soon};

/// One request of a run, over a tunnel and in absolute form.
async fn ask(world: &World, auth: &str, path: &str, fields: &str) -> String {
    let (socket, head) = world.tunnel_as(&format!("{VENDOR}:443"), auth).await;
    if !head.starts_with("HTTP/1.1 200") {
        return head;
    }
    let connector = world.connector(&["http/1.1"]);
    let mut stream = soon(connector.connect(VENDOR.try_into().unwrap(), socket)).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {VENDOR}\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    soon(rest(&mut stream)).await
}

fn with_companions(id: &str) -> (Grants, Grant) {
    let mut grants = Grants::of_run(id);
    let grant = grant(&mut grants, "vendor");
    let tag = HeaderValue::from_str(id).unwrap();
    let rule = grant
        .bearer(host(VENDOR))
        .when_used(Companion::SetHeader(HeaderName::from_static("x-run"), tag.clone()))
        .when_used(Companion::AppendToList(HeaderName::from_static("x-list"), tag))
        .when_used(Companion::RemoveHeader(HeaderName::from_static("x-drop")));
    grants.rules.credential(rule);
    grants.substitute(&grant, host(VENDOR), Position::PathSegment { prefix: "bot".into() });
    (grants, grant)
}

#[tokio::test]
async fn two_runs_never_see_each_others_grants_policy_or_headers() {
    let (first, one) = with_companions("first");
    let (second, two) = with_companions("second");
    assert_ne!(one.placeholder, two.placeholder);
    let world = world(&first, policy(Mode::Strict)).await;
    let vendor = Vendor::tls(&world, VENDOR, &["h2", "http/1.1"], |_| true).await;
    let denied = policy(Mode::Strict).deny(&format!("{VENDOR}/first")).unwrap().build();
    let other = RunRegistration::new("second".parse().unwrap(), rules(&second, denied));
    let other = other.token(&Secret::new("other".to_owned()));
    let other = world.proxy.register(other).unwrap();
    let runs = [
        (crate::support::client::basic(), &one, "first"),
        ("Bearer other".to_owned(), &two, "second"),
    ];
    // All at once, each several times, in the same proxy.
    let mut asked = Vec::new();
    for _ in 0..4 {
        for (auth, grant, _) in &runs {
            let own = format!("Authorization: Bearer {}\r\n", grant.placeholder);
            asked.push((auth.clone(), own));
        }
    }
    let world_ref = &world;
    let all = asked.into_iter().map(|(auth, fields)| async move {
        let answer =
            ask(world_ref, &auth, "/x", &format!("X-Drop: 1\r\nX-List: a\r\n{fields}")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
    join_all(all).await;
    for (_, grant, id) in &runs {
        let of_run: Vec<_> =
            vendor.seen().into_iter().filter(|seen| seen.all("x-run") == [*id]).collect();
        assert_eq!(of_run.len(), 4);
        for seen in of_run {
            assert_eq!(seen.all(AUTHORIZATION.as_str()), [grant.expected_bearer()]);
            assert_eq!(seen.all("x-list").join(","), format!("a, {id}"));
            assert_eq!(seen.all("x-drop"), [""; 0]);
        }
    }
    // One run's placeholder is worth nothing in the other, at any position.
    let before = vendor.origin.requests();
    let theirs = format!("Authorization: Bearer {}\r\n", two.placeholder);
    for (path, fields) in [("/x", theirs), (&*format!("/bot{}/x", two.placeholder), String::new())]
    {
        let answer = ask(&world, &runs[0].0, path, &fields).await;
        assert!(answer.contains("stale-placeholder"), "{answer}");
    }
    assert!(ask(&world, &runs[1].0, "/first", "").await.starts_with("HTTP/1.1 403"));
    assert!(ask(&world, &runs[0].0, "/first", "").await.starts_with("HTTP/1.1 200"));
    assert_eq!(vendor.origin.requests(), before + 1);
    other.stop().await;
    assert!(ask(&world, "Bearer other", "/x", "").await.starts_with("HTTP/1.1 407"));
    assert!(ask(&world, &runs[0].0, "/x", "").await.starts_with("HTTP/1.1 200"));
}

/// Drives futures at the same time, on this task.
async fn join_all<F: Future<Output = ()>>(futures: impl Iterator<Item = F>) {
    let mut waiting: Vec<_> = futures.map(|future| Some(Box::pin(future))).collect();
    std::future::poll_fn(|cx| {
        for slot in &mut waiting {
            if slot.as_mut().is_some_and(|future| future.as_mut().poll(cx).is_ready()) {
                *slot = None;
            }
        }
        if waiting.iter().all(Option::is_none) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

#[tokio::test]
async fn the_client_chooses_among_the_credentials_of_a_host() {
    let mut grants = Grants::new();
    let (login, key) = (grant(&mut grants, "login"), grant(&mut grants, "key"));
    use moat_provider_core::{Fill, SlotGroup};
    let slots = || {
        let slots = ["authorization", "x-api-key"].map(crate::engine_support::header_slot);
        SlotGroup::new("vendor", slots)
    };
    grants.rules.credential(login.bearer(host(VENDOR)).group(slots()));
    let raw = key.rule(host(VENDOR), name("x-api-key"), HeaderTemplate::Raw);
    grants.rules.credential(raw.group(slots()).fill(Fill::PlaceholderOnly));
    let world = world(&grants, policy(Mode::Strict)).await;
    let vendor = Vendor::tls(&world, VENDOR, &["h2", "http/1.1"], |_| true).await;
    let bearer = format!("Bearer {}", login.placeholder);
    for version in Http::BOTH {
        for (headers, filled, other) in [
            (vec![], &login, &key),
            (vec![("authorization", bearer.as_str())], &login, &key),
            (vec![("x-api-key", key.placeholder.as_str())], &key, &login),
        ] {
            send(&world, VENDOR, version, "GET /", &headers).await;
            let seen = vendor.last();
            assert!(seen.holds(&filled.canary) && !seen.holds(&other.canary), "{headers:?}");
        }
    }
}
