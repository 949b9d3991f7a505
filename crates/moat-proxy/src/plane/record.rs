//! The request log: one record for each request and each tunnel.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use moat_provider_core::RunId;
use serde_core::ser::{Serialize, SerializeMap, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::Reason;
use crate::plane::sample::{BodySample, is_text};

/// What the proxy saw of one request or tunnel. It holds no header and no query, and of bodies
/// only samples that were asked for.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// The run; `None` when the client did not say which, or was not believed.
    pub run: Option<RunId>,
    /// The client's address, when it is not known which run it belongs to.
    pub peer: Option<IpAddr>,
    /// The method; `CONNECT` for a tunnel.
    pub method: String,
    /// The URL as the client wrote it, without what could be a secret.
    pub url: String,
    /// The status of the answer, when there was one.
    pub status: Option<u16>,
    /// When the request's head had arrived.
    pub started: OffsetDateTime,
    /// How long after that the answer's head came.
    pub first_byte: Option<Duration>,
    /// How long after the start the last byte passed.
    pub total: Duration,
    /// Bytes of bodies that went to the host.
    pub up: u64,
    /// Bytes of bodies that went to the client.
    pub down: u64,
    /// How the client spoke: `http/1.0`, `http/1.1`, `h2`, `tls`.
    pub client_protocol: &'static str,
    /// How the host spoke; `None` when it was not asked.
    pub upstream_protocol: Option<&'static str>,
    /// Why it was refused, failed or cut.
    pub reason: Option<&'static str>,
    /// The grant whose secret was sent, `github` or `github:work`.
    pub grant: Option<Arc<str>>,
    /// The rule that filled in a credential or refused.
    pub rule: Option<Arc<str>>,
    /// Where placeholders of the run stood in the request that did not belong there: a header,
    /// `query KEY`, `path`.
    pub strays: Vec<String>,
    /// The beginning of the request's body, where the run [samples
    /// bodies](crate::plane::RunRegistration::sample_bodies) and it is text.
    pub request_sample: Option<BodySample>,
    /// The beginning of the answer's body, likewise.
    pub answer_sample: Option<BodySample>,
}

impl RequestRecord {
    /// Writes the record as one line of JSON, in which no control character is left.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and a map with strings as keys: nothing that JSON cannot have.
        escape_beyond_json(serde_json::to_string(&Line(self)).unwrap_or_default())
    }
}

/// A record as it is written. What is not known is left out.
struct Line<'a>(&'a RequestRecord);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.0;
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("ts", &timestamp(record.started))?;
        line.serialize_entry("kind", "request")?;
        known(&mut line, "run", record.run.as_ref().map(RunId::as_str))?;
        known(&mut line, "peer", record.peer.map(|peer| peer.to_string()))?;
        line.serialize_entry("method", &record.method)?;
        line.serialize_entry("url", &record.url)?;
        known(&mut line, "status", record.status)?;
        known(&mut line, "first_byte_ms", record.first_byte.map(millis))?;
        line.serialize_entry("total_ms", &millis(record.total))?;
        line.serialize_entry("up", &record.up)?;
        line.serialize_entry("down", &record.down)?;
        line.serialize_entry("client", record.client_protocol)?;
        known(&mut line, "upstream", record.upstream_protocol)?;
        known(&mut line, "reason", record.reason)?;
        known(&mut line, "grant", record.grant.as_deref())?;
        known(&mut line, "rule", record.rule.as_deref())?;
        known(&mut line, "strays", Some(&record.strays).filter(|strays| !strays.is_empty()))?;
        let sample = |sample: &Option<BodySample>| sample.as_ref().map(BodySample::to_json);
        known(&mut line, "request_sample", sample(&record.request_sample))?;
        known(&mut line, "answer_sample", sample(&record.answer_sample))?;
        line.end()
    }
}

fn known<M: SerializeMap>(
    line: &mut M,
    name: &str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| line.serialize_entry(name, &value))
}

pub(crate) fn timestamp(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Escapes what JSON leaves as it is and a terminal acts on: C1 controls, bidi marks, line ends of
/// Unicode.
fn escape_beyond_json(text: String) -> String {
    let acts = |c: char| {
        matches!(c, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let is_plain = text.is_ascii() && !text.contains('\u{7f}');
    if is_plain || !text.contains(acts) {
        return text;
    }
    text.chars().fold(String::with_capacity(text.len() + 16), |mut out, c| {
        if acts(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
        out
    })
}

/// Makes a bounded channel for records. When the reader is slow, new records are dropped and
/// counted: the log never holds traffic back.
#[must_use]
pub fn channel(capacity: usize) -> (Recorder, Records) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    let dropped = Arc::new(AtomicU64::new(0));
    (Recorder { sender, dropped: Arc::clone(&dropped) }, Records { receiver, dropped })
}

/// The end of the channel that the proxy writes to.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: mpsc::Sender<RequestRecord>,
    dropped: Arc<AtomicU64>,
}

impl Recorder {
    fn send(&self, record: RequestRecord) {
        if self.sender.try_send(record).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The end of the channel that the records come out of.
#[derive(Debug)]
pub struct Records {
    receiver: mpsc::Receiver<RequestRecord>,
    dropped: Arc<AtomicU64>,
}

impl Records {
    /// Returns the next record; `None` when the proxy is gone.
    pub async fn recv(&mut self) -> Option<RequestRecord> {
        self.receiver.recv().await
    }

    /// Takes the records that are there, and waits for one when there is none.
    pub(crate) async fn recv_many(&mut self, batch: &mut Vec<RequestRecord>, most: usize) {
        self.receiver.recv_many(batch, most).await;
    }

    /// Takes no further records.
    pub(crate) fn close(&mut self) {
        self.receiver.close();
    }

    /// Returns how many records were dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes each record as a line of JSON until the proxy is gone.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub async fn write_json_lines<W>(mut self, writer: &mut W) -> io::Result<()>
    where
        W: AsyncWrite + Unpin,
    {
        while let Some(record) = self.recv().await {
            let mut line = record.to_json();
            line.push('\n');
            writer.write_all(line.as_bytes()).await?;
            writer.flush().await?;
        }
        Ok(())
    }
}

/// One request while it is under way. What is counted here becomes the record when the last part
/// of the exchange lets go of it.
pub(crate) struct Exchange {
    begun: Instant,
    up: AtomicU64,
    down: AtomicU64,
    late: Mutex<Late>,
    sink: Option<Sink>,
}

/// What is known at the start, when there is a log at all.
pub(crate) struct Sink {
    pub(crate) recorder: Recorder,
    pub(crate) run: Option<RunId>,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) started: OffsetDateTime,
    pub(crate) client_protocol: &'static str,
    /// How much of bodies is kept, in bytes.
    pub(crate) samples: usize,
}

/// What becomes known on the way.
#[derive(Default)]
struct Late {
    url: Option<String>,
    status: Option<u16>,
    first_byte: Option<Duration>,
    upstream_protocol: Option<&'static str>,
    reason: Option<&'static str>,
    grant: Option<Arc<str>>,
    rule: Option<Arc<str>>,
    strays: Vec<String>,
    request_sample: Option<BodySample>,
    answer_sample: Option<BodySample>,
}

impl Late {
    fn sample(&mut self, direction: Direction) -> &mut Option<BodySample> {
        match direction {
            Direction::Up => &mut self.request_sample,
            Direction::Down => &mut self.answer_sample,
        }
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

impl Exchange {
    pub(crate) fn new(sink: Option<Sink>) -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            late: Mutex::default(),
            sink,
        })
    }

    pub(crate) fn count(&self, direction: Direction, bytes: usize) {
        let counter = if direction == Direction::Up { &self.up } else { &self.down };
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Begins a sample, when the run wants samples and the body is text.
    pub(crate) fn begin_sample(&self, direction: Direction, headers: &HeaderMap) {
        if self.samples() > 0 && is_text(headers) {
            self.late(|late| *late.sample(direction) = Some(BodySample::default()));
        }
    }

    /// Samples what passes, once a sample has begun.
    pub(crate) fn sample(&self, direction: Direction, data: &[u8]) {
        let limit = self.samples();
        if limit > 0 {
            self.late(|late| {
                if let Some(sample) = late.sample(direction) {
                    sample.take(data, limit);
                }
            });
        }
    }

    fn samples(&self) -> usize {
        self.sink.as_ref().map_or(0, |sink| sink.samples)
    }

    pub(crate) fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    /// Returns a number that changes whenever bytes pass.
    pub(crate) fn activity(&self) -> u64 {
        self.up().wrapping_add(self.down.load(Ordering::Relaxed))
    }

    /// Keeps the first reason: later ones follow from it.
    pub(crate) fn reason(&self, reason: &'static str) {
        self.late(|late| _ = late.reason.get_or_insert(reason));
    }

    pub(crate) fn grant(&self, grant: Option<Arc<str>>) {
        self.late(|late| late.grant = grant);
    }

    pub(crate) fn rule(&self, rule: Option<Arc<str>>) {
        self.late(|late| late.rule = rule);
    }

    pub(crate) fn strays(&self, strays: Vec<String>) {
        self.late(|late| late.strays = strays);
    }

    pub(crate) fn url(&self, url: String) {
        self.late(|late| late.url = Some(url));
    }

    pub(crate) fn answered(&self, status: http::StatusCode) {
        let elapsed = self.begun.elapsed();
        self.late(|late| {
            late.status = Some(status.as_u16());
            late.first_byte = Some(elapsed);
        });
    }

    pub(crate) fn upstream_protocol(&self, protocol: &'static str) {
        self.late(|late| late.upstream_protocol = Some(protocol));
    }

    fn late(&self, change: impl FnOnce(&mut Late)) {
        change(&mut self.late.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(sink) = self.sink.take() else { return };
        let mut late = std::mem::take(self.late.get_mut().unwrap_or_else(PoisonError::into_inner));
        if late.status.is_none() {
            // Nobody waited for the answer.
            late.reason.get_or_insert(Reason::ClientAborted.as_str());
        }
        sink.recorder.send(RequestRecord {
            run: sink.run,
            peer: sink.peer,
            method: sink.method,
            url: late.url.unwrap_or(sink.url),
            status: late.status,
            started: sink.started,
            first_byte: late.first_byte,
            total: self.begun.elapsed(),
            up: *self.up.get_mut(),
            down: *self.down.get_mut(),
            client_protocol: sink.client_protocol,
            upstream_protocol: late.upstream_protocol,
            reason: late.reason,
            grant: late.grant,
            rule: late.rule,
            strays: late.strays,
            request_sample: late.request_sample,
            answer_sample: late.answer_sample,
        });
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn sink(recorder: &Recorder, url: &str) -> Option<Sink> {
        Some(Sink {
            recorder: recorder.clone(),
            run: Some("r1".parse().unwrap()),
            peer: None,
            method: "GET".to_owned(),
            url: url.to_owned(),
            started: datetime!(2026-01-02 03:04:05 UTC),
            client_protocol: "h2",
            samples: 0,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_part_of_an_exchange_writes_its_record() {
        let (recorder, mut records) = channel(4);
        let exchange = Exchange::new(sink(&recorder, "https://h/a\u{1b}[2J\n\u{202e}"));
        let body = Arc::clone(&exchange);
        exchange.answered(http::StatusCode::OK);
        exchange.reason("upstream-reset");
        exchange.reason("client-aborted");
        drop(exchange);
        assert!(records.receiver.try_recv().is_err());
        body.count(Direction::Down, 7);
        tokio::time::advance(Duration::from_millis(5)).await;
        drop(body);
        let line = records.recv().await.unwrap().to_json();
        let expected = concat!(
            r#"{"ts":"2026-01-02T03:04:05Z","kind":"request","run":"r1","method":"GET","#,
            r#""url":"https://h/a\u001b[2J\n\u202e","status":200,"first_byte_ms":0,"#,
            r#""total_ms":5,"up":0,"down":7,"client":"h2","reason":"upstream-reset"}"#
        );
        assert_eq!(line, expected);
    }

    #[tokio::test]
    async fn a_slow_reader_loses_records_and_knows_how_many() {
        let (recorder, mut records) = channel(2);
        for _ in 0..5 {
            drop(Exchange::new(sink(&recorder, "u")));
        }
        assert_eq!(records.dropped(), 3);
        assert!(records.recv().await.is_some());
    }
}
