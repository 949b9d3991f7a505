//! Verdicts that wait for something.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use moat_proxy::FAILED;
use moat_proxy::plane::Limits;
use moat_proxy::plane::seam::{Action, ForwardPlan, Note, Verdict};
use tokio::sync::{Notify, Semaphore};

use crate::support::client::{Client, Http, empty};
use crate::support::origin::{Origin, text};
use crate::support::{Rules, World, forward, soon};

fn defer(until: impl Future<Output = ()> + Send + 'static) -> Verdict {
    Verdict { action: Action::Defer(Box::pin(until)), note: Note::default() }
}

#[tokio::test]
async fn the_handler_that_is_in_force_then_is_asked_again() {
    for version in Http::BOTH {
        let (asked, minted) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let (tell, wait) = (Arc::clone(&asked), Arc::clone(&minted));
        let early = Rules::default().on_request(move |_, _| {
            tell.notify_one();
            let wait = Arc::clone(&wait);
            defer(async move { wait.acquire().await.unwrap().forget() })
        });
        let world = World::new(early).await;
        Origin::tls(&world.origins, &world.net, "a.test", &["h2"], |request| async move {
            let key = request.headers()["x-key"].to_str().unwrap();
            text(format!("{} {key}", request.uri().path()))
        })
        .await;
        let mut client = world.client("a.test", version).await;
        let waiting = tokio::spawn(async move { client.post("/path", "body").await });
        soon(asked.notified()).await;
        world.run.swap(Arc::new(Rules::default().on_request(|head, _| {
            head.headers.insert("x-key", HeaderValue::from_static("minted"));
            forward(ForwardPlan::default())
        })));
        minted.add_permits(1);
        assert_eq!(soon(waiting).await.unwrap().body(), "/path minted");
    }
}

#[tokio::test]
async fn a_request_does_not_wait_for_ever() {
    let count = Arc::new(AtomicUsize::new(0));
    let asks = Arc::clone(&count);
    let rules = Rules::default().on_request(move |head, _| {
        asks.fetch_add(1, Ordering::SeqCst);
        if head.uri.path() == "/never" { defer(std::future::pending()) } else { defer(async {}) }
    });
    let mut limits = Limits::default();
    limits.defer = Duration::from_millis(20);
    let mut world = World::with(rules, limits, |builder| builder).await;
    for version in Http::BOTH {
        let mut client = world.client("a.test", version).await;
        for (path, expected) in [("/never", 1), ("/again", 3)] {
            count.store(0, Ordering::SeqCst);
            let answer = soon(client.get(path)).await;
            assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
            assert_eq!(answer.headers()[FAILED], "not-ready");
            assert_eq!(count.load(Ordering::SeqCst), expected);
            assert_eq!(world.record(|_| true).await.reason, Some("not-ready"));
        }
    }
    assert_eq!(world.net.dials(), 0);
}

/// Notifies when it is dropped.
struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_wait_and_so_does_the_run() {
    for version in Http::BOTH {
        let (asked, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (ask, drop) = (Arc::clone(&asked), Arc::clone(&gone));
        let rules = Rules::default().on_request(move |_, _| {
            ask.notify_one();
            let tell = Tell(Arc::clone(&drop));
            defer(async move {
                let _tell = tell;
                std::future::pending::<()>().await;
            })
        });
        let world = World::new(rules).await;
        let get = |mut client: Client| {
            let request = client.request("GET", "/").body(empty()).unwrap();
            tokio::spawn(async move { client.send(request).await })
        };
        let waiting = get(world.client("a.test", version).await);
        soon(asked.notified()).await;
        waiting.abort();
        soon(gone.notified()).await;
        let waiting = get(world.client("a.test", version).await);
        soon(asked.notified()).await;
        world.run.stop().await;
        soon(gone.notified()).await;
        _ = soon(waiting).await.unwrap();
    }
}
