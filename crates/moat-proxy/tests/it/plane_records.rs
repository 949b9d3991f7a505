//! Records: of whom nobody knows, of what never became a request, and in files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::Response;
use moat_provider_testkit::Canary;
use moat_proxy::plane::seam::{Action, Note, Verdict};
use moat_proxy::plane::{Limits, RecordFile, Records, channel};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::support::client::{Http, basic, head, rest};
use crate::support::{Rules, World, soon};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("moat-records-{name}-{}", std::process::id()));
        _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes a proxy that answers by itself, and takes its records.
async fn answering(limits: Limits) -> (World, Records) {
    let rules = Rules::default().on_request(|_, _| Verdict {
        action: Action::Answer(Response::new(Bytes::from_static(b"ok"))),
        note: Note::default(),
    });
    let mut world = World::with(rules, limits, |builder| builder).await;
    let records = std::mem::replace(&mut world.records, channel(1).1);
    (world, records)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Ends the run, so that every record is there.
async fn end(world: World) {
    let World { run, .. } = world;
    soon(run.stop()).await;
}

fn stopped() -> CancellationToken {
    let stop = CancellationToken::new();
    stop.cancel();
    stop
}

#[tokio::test]
async fn records_go_to_private_files_that_are_rotated_and_all_are_there_at_the_end() {
    let folder = Folder::new("rotated");
    let path = folder.file("log");
    fs::write(&path, "{}\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let (world, records) = answering(Limits::default()).await;
    let file = RecordFile::open(&path).unwrap().max_bytes(1000).files(3);
    let stop = CancellationToken::new();
    let writing = tokio::spawn(records.write_to_file(file, stop.clone()));
    let mut client = world.client("a.test", Http::Two).await;
    for n in 0..40 {
        assert_eq!(soon(client.get(&format!("/{n}"))).await.body(), "ok");
    }
    end(world).await;
    stop.cancel();
    let done = soon(writing).await.unwrap();
    assert_eq!((done.written, done.lost), (40, 0));
    let mut urls = Vec::new();
    for name in ["log.2", "log.1", "log"] {
        let path = folder.file(name);
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
        assert!(metadata.len() <= 1000, "{name}");
        urls.extend(lines(&path).into_iter().map(|line| line["url"].as_str().unwrap().to_owned()));
    }
    assert!(!folder.file("log.3").exists());
    let expected: Vec<_> = (40 - urls.len()..40).map(|n| format!("https://a.test/{n}")).collect();
    assert_eq!(urls, expected);
}

#[tokio::test]
async fn a_failing_disk_loses_records_and_says_how_many() {
    let folder = Folder::new("failing");
    let path = folder.file("log");
    let (world, records) = answering(Limits::default()).await;
    let file = RecordFile::open(&path).unwrap().max_bytes(1).files(2);
    // A file cannot take the place of a folder.
    let obstacle = folder.file("log.1");
    fs::create_dir(&obstacle).unwrap();
    fs::write(obstacle.join("x"), "").unwrap();
    let stop = CancellationToken::new();
    let writing = tokio::spawn(records.write_to_file(file, stop.clone()));
    let mut client = world.client("a.test", Http::One).await;
    for n in 0..3 {
        assert_eq!(soon(client.get(&format!("/{n}"))).await.body(), "ok");
    }
    // The first is there; the others cannot be, whenever they are tried.
    soon(async {
        while lines(&path).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    end(world).await;
    stop.cancel();
    let done = soon(writing).await.unwrap();
    assert_eq!((done.written, done.lost), (1, 2));
    fs::remove_dir_all(&obstacle).unwrap();

    let (world, records) = answering(Limits::default()).await;
    let file = RecordFile::open(&path).unwrap();
    let mut client = world.client("a.test", Http::One).await;
    soon(client.get("/again")).await;
    end(world).await;
    let done = soon(records.write_to_file(file, stopped())).await;
    assert_eq!((done.written, done.lost), (1, 0));
    assert_eq!(lines(&path).len(), 2);
}

#[tokio::test]
async fn what_a_full_channel_drops_is_told_in_the_file() {
    let folder = Folder::new("full");
    let (recorder, records) = channel(2);
    let rules = Rules::default().on_request(|_, _| Verdict {
        action: Action::Answer(Response::new(Bytes::new())),
        note: Note::default(),
    });
    let world = World::with(rules, Limits::default(), |builder| builder.recorder(recorder)).await;
    let mut client = world.client("a.test", Http::One).await;
    for _ in 0..6 {
        soon(client.get("/")).await;
    }
    end(world).await;
    let path = folder.file("log");
    let file = RecordFile::open(&path).unwrap();
    let done = soon(records.write_to_file(file, stopped())).await;
    assert_eq!((done.written, done.lost), (2, 4));
    let lines = lines(&path);
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["lost", "request", "request"]);
    assert_eq!(lines[0]["records"], 4);
}

#[test]
fn no_link_is_followed() {
    let folder = Folder::new("link");
    symlink(folder.file("elsewhere"), folder.file("log")).unwrap();
    assert!(RecordFile::open(folder.file("log")).is_err());
    assert!(!folder.file("elsewhere").exists());
}

async fn connect(world: &World, authorization: &str) -> (tokio::net::TcpStream, String) {
    let mut socket = world.socket().await;
    let request = format!("CONNECT a.test:443 HTTP/1.1\r\nHost: x\r\n{authorization}\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let answer = soon(head(&mut socket)).await;
    (socket, answer)
}

#[tokio::test]
async fn wrong_tokens_are_recorded_and_bounded_and_a_right_one_works_all_the_same() {
    let mut limits = Limits::default();
    limits.wrong_tokens = 3;
    let mut world = World::with(Rules::default(), limits, |builder| builder).await;
    let wrong = Canary::new();
    let header = format!("Proxy-Authorization: Bearer {}\r\n", wrong.text());
    for expected in ["407", "407", "407", "429", "429"] {
        // A request without a token counts for nothing.
        assert!(connect(&world, "").await.1.starts_with("HTTP/1.1 407"));
        let missing = world.record(|_| true).await;
        assert_eq!(missing.reason, Some("proxy-auth"));
        let (mut socket, answer) = connect(&world, &header).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{answer}");
        let record = world.record(|_| true).await;
        let reason = if expected == "407" { "proxy-auth" } else { "too-many-attempts" };
        assert_eq!((record.reason, record.run.is_none()), (Some(reason), true));
        assert_eq!(record.peer, Some([127, 0, 0, 1].into()));
        assert_eq!(record.url, "a.test:443");
        assert!(wrong.find_in_str(&format!("{record:?} {}", record.to_json())).is_none());
        if expected == "429" {
            assert!(answer.contains("retry-after: "), "{answer}");
            assert!(!answer.contains("proxy-authenticate"), "{answer}");
            soon(rest(&mut socket)).await;
        }
    }
    let right = format!("Proxy-Authorization: {}\r\n", basic());
    assert!(connect(&world, &right).await.1.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_full_listener_and_a_failed_handshake_leave_a_record() {
    let mut limits = Limits::default();
    limits.connections = 1;
    let mut world = World::with(Rules::default(), limits, |builder| builder).await;
    let (mut socket, _) = world.tunnel("a.test:443").await;
    // A handshake that is none.
    socket.write_all(b"\x16\x03\x01\x00\x05hello").await.unwrap();
    soon(rest(&mut socket)).await;
    let records = [world.record(|_| true).await, world.record(|_| true).await];
    let reasons = records.map(|record| record.reason.unwrap());
    assert!(reasons.contains(&"client-tls"), "{reasons:?}");
    assert!(reasons.contains(&"too-many-connections"), "{reasons:?}");
    let mut byte = [0];
    let mut socket = world.tunnel("a.test:443").await.0;
    drop(world);
    _ = soon(socket.read(&mut byte)).await;
}
