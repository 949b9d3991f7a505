//! HTTP/1.1 on a stream, as much of it as a double and its client need.

use std::io::{self, ErrorKind, Read, Write};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};

const HEAD_LIMIT: usize = 64 * 1024;
/// What the port allows an answer, and a double a request.
const BODY_LIMIT: usize = 1024 * 1024;

/// A stream and what was read of it beyond the message before.
pub(super) struct Wire<S> {
    stream: S,
    buffer: Vec<u8>,
}

/// Where the body of a message ends.
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl<S: Read + Write> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Reads a request; `None` when the client has closed the connection after the last one.
    pub(super) fn read_request(&mut self, scheme: &str) -> io::Result<Option<Request<Bytes>>> {
        let Some(head) = self.read_head()? else {
            return Ok(None);
        };
        let mut lines = [httparse::EMPTY_HEADER; 128];
        let mut parsed = httparse::Request::new(&mut lines);
        parsed.parse(&head).map_err(malformed)?;
        let headers = headers(parsed.headers)?;
        let method: Method = parsed.method.unwrap_or_default().parse().map_err(malformed)?;
        let host = match headers.get_all(HOST).iter().collect::<Vec<_>>()[..] {
            [host] => host.to_str().map_err(malformed)?,
            _ => return Err(malformed("a request has exactly one Host")),
        };
        let path = parsed.path.unwrap_or_default();
        if !path.starts_with('/') {
            return Err(malformed("a request to a vendor is in origin-form"));
        }
        let uri = format!("{scheme}://{host}{path}");
        let version = match parsed.version {
            Some(0) => Version::HTTP_10,
            _ => Version::HTTP_11,
        };
        let waits = headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        if waits {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            self.stream.flush()?;
        }
        let framing = framing(&headers)?.unwrap_or(Framing::Length(0));
        let body = self.read_body(framing)?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().map_err(malformed)?;
        *request.version_mut() = version;
        *request.headers_mut() = headers;
        Ok(Some(request))
    }

    /// Writes an answer, with the length of its body.
    pub(super) fn write_response(
        &mut self,
        response: &Response<Bytes>,
        to: &Method,
        connection: Connection,
    ) -> io::Result<()> {
        let status = response.status();
        let body = response.body();
        let reason = status.canonical_reason().unwrap_or("Status");
        let mut message = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
        write_headers(&mut message, response.headers());
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if !bodiless {
            message.extend(format!("content-length: {}\r\n", body.len()).bytes());
        }
        if connection == Connection::Close {
            message.extend(b"connection: close\r\n");
        }
        message.extend(b"\r\n");
        if !bodiless && to != Method::HEAD {
            message.extend(body);
        }
        self.stream.write_all(&message)?;
        self.stream.flush()
    }

    /// Writes a request in origin-form, the last one on its connection.
    pub(super) fn write_request(&mut self, request: &Request<Bytes>) -> io::Result<()> {
        let uri = request.uri();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let mut message = format!("{} {path} HTTP/1.1\r\n", request.method()).into_bytes();
        if !request.headers().contains_key(HOST) {
            message.extend(format!("host: {authority}\r\n").bytes());
        }
        write_headers(&mut message, request.headers());
        let body = request.body();
        let expects_length = !matches!(*request.method(), Method::GET | Method::HEAD);
        if expects_length || !body.is_empty() {
            message.extend(format!("content-length: {}\r\n", body.len()).bytes());
        }
        message.extend(b"connection: close\r\n\r\n");
        message.extend(body);
        self.stream.write_all(&message)?;
        self.stream.flush()
    }

    /// Reads the answer to a request, past any interim ones.
    pub(super) fn read_response(&mut self, to: &Method) -> io::Result<Response<Bytes>> {
        loop {
            let head = self.read_head()?.ok_or(ErrorKind::UnexpectedEof)?;
            let mut lines = [httparse::EMPTY_HEADER; 128];
            let mut parsed = httparse::Response::new(&mut lines);
            parsed.parse(&head).map_err(malformed)?;
            let headers = headers(parsed.headers)?;
            let status =
                StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(malformed)?;
            if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                continue;
            }
            let bodiless = to == Method::HEAD
                || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
            let framing = if bodiless {
                Framing::Length(0)
            } else {
                framing(&headers)?.unwrap_or(Framing::UntilClose)
            };
            let mut response = Response::new(self.read_body(framing)?);
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            return Ok(response);
        }
    }

    /// Reads up to and including the empty line; `None` when the stream ends before it begins.
    fn read_head(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                return Ok(Some(self.buffer.drain(..end + 4).collect()));
            }
            if self.buffer.len() > HEAD_LIMIT {
                return Err(malformed("the head is longer than 64 KiB"));
            }
            if self.read_more()? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    fn read_body(&mut self, framing: Framing) -> io::Result<Bytes> {
        match framing {
            Framing::Length(length) if length > BODY_LIMIT => Err(too_long()),
            Framing::Length(length) => self.take(length).map(Bytes::from),
            Framing::Chunked => self.read_chunks().map(Bytes::from),
            Framing::UntilClose => {
                while self.read_more()? > 0 {
                    if self.buffer.len() > BODY_LIMIT {
                        return Err(too_long());
                    }
                }
                Ok(Bytes::from(std::mem::take(&mut self.buffer)))
            }
        }
    }

    /// RFC 9112, section 7.1. Extensions and trailers are dropped.
    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line()?;
            let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
            let digits = str::from_utf8(digits).map_err(malformed)?.trim();
            let length = usize::from_str_radix(digits, 16).map_err(malformed)?;
            if length == 0 {
                while !self.read_line()?.is_empty() {}
                return Ok(body);
            }
            if length > BODY_LIMIT || body.len() + length > BODY_LIMIT {
                return Err(too_long());
            }
            body.extend(self.take(length)?);
            if !self.read_line()?.is_empty() {
                return Err(malformed("a chunk is longer than it says"));
            }
        }
    }

    fn read_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = self.take(end)?;
                self.take(2)?;
                return Ok(line);
            }
            if self.buffer.len() > HEAD_LIMIT {
                return Err(malformed("a line is longer than 64 KiB"));
            }
            if self.read_more()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if self.read_more()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn read_more(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 8 * 1024];
        let count = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(count)
    }
}

/// Whether a connection is used again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    Keep,
    Close,
}

impl Connection {
    /// What the client of a request wants (RFC 9112, section 9.3).
    pub(super) fn wanted<B>(request: &Request<B>) -> Self {
        let asks = |wanted: &str| {
            request.headers().get_all(CONNECTION).iter().any(|value| {
                value.to_str().is_ok_and(|value| {
                    value.split(',').any(|option| option.trim().eq_ignore_ascii_case(wanted))
                })
            })
        };
        match request.version() {
            Version::HTTP_10 if !asks("keep-alive") => Self::Close,
            _ if asks("close") => Self::Close,
            _ => Self::Keep,
        }
    }
}

fn headers(lines: &[httparse::Header<'_>]) -> io::Result<HeaderMap> {
    let line = |line: &httparse::Header<'_>| {
        let name: HeaderName = line.name.parse().map_err(malformed)?;
        let value = HeaderValue::from_bytes(line.value).map_err(malformed)?;
        Ok((name, value))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.iter().map(line).collect::<io::Result<Vec<_>>>()? {
        headers.append(name, value);
    }
    Ok(headers)
}

/// RFC 9112, section 6.3; both framings at once are refused.
fn framing(headers: &HeaderMap) -> io::Result<Option<Framing>> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (headers.get(TRANSFER_ENCODING), lengths.next(), lengths.next()) {
        (None, None, _) => Ok(None),
        (None, Some(length), None) => {
            let length = length.to_str().map_err(malformed)?.parse();
            Ok(Some(Framing::Length(length.map_err(malformed)?)))
        }
        (Some(coding), None, _) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Ok(Some(Framing::Chunked))
        }
        _ => Err(malformed("the length of a body can be read in two ways")),
    }
}

/// Writes what the caller gave, without the headers that frame the body and the connection.
fn write_headers(message: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        if [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].contains(name) {
            continue;
        }
        message.extend(name.as_str().bytes());
        message.extend(b": ");
        message.extend(value.as_bytes());
        message.extend(b"\r\n");
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn malformed(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

fn too_long() -> io::Error {
    malformed("the body is longer than 1 MiB")
}
