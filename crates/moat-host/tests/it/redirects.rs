//! OAuth redirects.

use std::time::Duration;

use moat_host::LoopbackRedirects;
use moat_provider_core::{ErrorKind, PendingRedirect, RedirectListener, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{exposed, url_canary};

async fn listen() -> (Box<dyn PendingRedirect>, String) {
    let pending = LoopbackRedirects.listen("/callback").await.unwrap();
    let uri = pending.redirect_uri().to_owned();
    let place = uri.strip_prefix("http://").unwrap().strip_suffix("/callback").unwrap();
    assert!(place.starts_with("127.0.0.1:"));
    (pending, place.to_owned())
}

/// Sends bytes, and returns what comes until the end.
async fn exchange(place: &str, request: &str) -> String {
    let mut tcp = TcpStream::connect(place).await.unwrap();
    // A listener that has read enough may close before everything was sent.
    let _ = tcp.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tcp.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn get(place: &str, target: &str) -> String {
    exchange(place, &format!("GET {target} HTTP/1.1\r\nHost: {place}\r\n\r\n")).await
}

#[tokio::test]
async fn the_redirect_with_the_right_state_ends_the_wait() {
    let (pending, place) = listen().await;
    let (state, code) = (url_canary(), url_canary());
    let target = format!("/callback?code={}&state={}", code.text(), state.text());
    assert_eq!(state.find_in_str(&format!("{pending:?}")), None);
    let (query, page) = tokio::join!(
        pending.receive(state.secret(), Duration::from_secs(60)),
        get(&place, &target)
    );
    let query = query.unwrap();
    assert_eq!(exposed(&query), target.strip_prefix("/callback?").unwrap());
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.contains("You can close this tab."), "{page}");
    assert!(page.contains("Cache-Control: no-store\r\n"), "{page}");
    assert_eq!(state.find_in_str(&page).or(code.find_in_str(&page)), None);
}

#[tokio::test]
async fn an_error_of_the_vendor_is_a_redirect_too() {
    let (pending, place) = listen().await;
    let state = Secret::new("right".to_owned());
    let target = "/callback?error=access_denied&state=right";
    let waited = pending.receive(state, Duration::from_secs(60));
    let (query, _) = tokio::join!(waited, get(&place, target));
    assert_eq!(exposed(&query.unwrap()), "error=access_denied&state=right");
}

#[tokio::test]
async fn strangers_are_sent_away_and_do_not_end_the_wait() {
    let (pending, place) = listen().await;
    let waited =
        tokio::spawn(pending.receive(Secret::new("right".into()), Duration::from_secs(60)));
    for (target, status) in [
        ("/callback?code=1&state=wrong", 400),
        ("/callback?code=1", 400),
        ("/callback?state=right&state=right", 400),
        ("/callback", 400),
        ("/favicon.ico", 404),
        ("/callback/?state=right", 404),
        ("/other?state=right", 404),
        ("http://127.0.0.1/callback?state=right", 404),
    ] {
        let answer = get(&place, target).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {answer}");
    }
    for odd in [
        "POST /callback?state=right HTTP/1.1\r\n\r\n",
        "nonsense\r\n\r\n",
        "\0\0\r\n\r\n",
        &format!("GET /callback?state=right HTTP/1.1\r\nX: {}", "x".repeat(20_000)),
    ] {
        let answer = exchange(&place, odd).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert!(!waited.is_finished());
    assert!(get(&place, "/callback?state=right").await.starts_with("HTTP/1.1 200 "));
    assert_eq!(exposed(&waited.await.unwrap().unwrap()), "state=right");
}

#[tokio::test]
async fn slow_clients_do_not_stand_in_the_way() {
    let (pending, place) = listen().await;
    let waited =
        tokio::spawn(pending.receive(Secret::new("right".into()), Duration::from_secs(60)));
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut tcp = TcpStream::connect(&place).await.unwrap();
        // The oldest have been closed by now.
        let _ = tcp.write_all(b"GET /callback?state=ri").await;
        slow.push(tcp);
    }
    // Closed for one that came later, not at its own time limit.
    let mut answer = [0; 64];
    let closed = tokio::time::timeout(Duration::from_secs(5), slow[0].read(&mut answer));
    let closed = closed.await.unwrap();
    assert!(!closed.is_ok_and(|read| read > 0));
    assert!(get(&place, "/callback?state=right").await.starts_with("HTTP/1.1 200 "));
    waited.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_browser_that_was_faster_is_not_lost() {
    let (pending, place) = listen().await;
    let mut tcp = TcpStream::connect(&place).await.unwrap();
    tcp.write_all(b"GET /callback?state=right HTTP/1.1\r\n\r\n").await.unwrap();
    pending.receive(Secret::new("right".into()), Duration::from_secs(60)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_wait_has_an_end() {
    let (pending, place) = listen().await;
    let waited = pending.receive(Secret::new("right".into()), Duration::from_secs(300)).await;
    let error = waited.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.message(), "the browser did not come back within 300 seconds");
    // Nobody listens any more.
    assert!(TcpStream::connect(&place).await.is_err());
}

#[tokio::test]
async fn an_odd_path_is_refused() {
    for path in ["", "callback", "/a b", "/a?b", "/a\r\nX: y", "/%41"] {
        let error = LoopbackRedirects.listen(path).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path:?}");
        assert!(!error.message().contains('\n'));
    }
}
