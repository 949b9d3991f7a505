//! Bodies of length-prefixed messages: gRPC, gRPC-Web and Connect's streams.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::coded::CodedScrub;
use super::coding::{Coding, Codings};
use super::{Cut, Found, Output, Place, ScrubStream, Scrubber};
use crate::Reason;

/// Flag and length before each message.
const PREFIX: usize = 5;

/// Scrubs messages with five bytes before each: a flag, and the length.
///
/// What is not compressed is scanned prefixes and all, so bytes that only claim to be gRPC hide
/// nothing. Nothing is held at the end of a message. Compressed messages are decoded one by one.
pub(super) struct GrpcScrub {
    scrubber: Scrubber,
    codings: Codings,
    text: ScrubStream,
    at: At,
    cut: Option<Reason>,
}

enum At {
    Prefix { bytes: [u8; PREFIX], have: usize },
    Message { left: usize, coded: Option<Box<CodedScrub>> },
}

const NEXT: At = At::Prefix { bytes: [0; PREFIX], have: 0 };

impl GrpcScrub {
    /// Returns `None` when the answer's content type is none of the three.
    pub(super) fn of_answer(scrubber: &Scrubber, headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?.trim();
        let is = |family: &str| {
            let (start, rest) = content_type.split_at_checked(family.len()).unwrap_or_default();
            start.eq_ignore_ascii_case(family)
                && (rest.is_empty() || rest.starts_with(['+', ';', ' ']))
        };
        // `application/grpc-web-text` is base64 throughout, which is scanned as text.
        let coding = if is("application/grpc") || is("application/grpc-web") {
            "grpc-encoding"
        } else if is("application/connect") {
            "connect-content-encoding"
        } else {
            return None;
        };
        Some(Self {
            scrubber: scrubber.clone(),
            codings: Codings::of_message(headers.get(coding)),
            text: ScrubStream::new(scrubber, Place::Body),
            at: NEXT,
            cut: None,
        })
    }

    pub(super) fn push(&mut self, piece: Bytes) -> Result<Output, Cut> {
        if let Some(reason) = self.cut {
            return Err(Cut::new(reason));
        }
        let before = (self.held_len(), self.found().total());
        let mut rest = piece.clone();
        let mut output = Output::default();
        while !rest.is_empty() {
            output.append(self.step(&mut rest)?);
        }
        Ok(output.or_whole(piece, before == (0, self.found().total())))
    }

    pub(super) fn flush(&mut self) -> Output {
        self.text.flush()
    }

    pub(super) fn finish(&mut self) -> Output {
        let mut output = self.text.finish();
        if self.cut.is_some() {
            return Output::default();
        }
        if let At::Message { coded: Some(coded), .. } = &mut self.at {
            output.append(coded.finish());
        }
        self.at = NEXT;
        output
    }

    pub(super) fn held_len(&self) -> usize {
        match &self.at {
            At::Message { coded: Some(coded), .. } => coded.held_len(),
            _ => self.text.held_len(),
        }
    }

    pub(super) fn found(&self) -> &Found {
        self.text.found()
    }

    /// Takes what belongs together from the beginning of a piece.
    fn step(&mut self, rest: &mut Bytes) -> Result<Output, Cut> {
        match &mut self.at {
            At::Prefix { bytes, have } => {
                let taken = rest.split_to(rest.len().min(PREFIX - *have));
                bytes[*have..][..taken.len()].copy_from_slice(&taken);
                *have += taken.len();
                let complete = (*have == PREFIX).then_some(*bytes);
                let mut output = self.text.push(taken);
                if let Some(prefix) = complete {
                    output.append(self.begin(prefix));
                }
                Ok(output)
            }
            At::Message { left, coded } => {
                let taken = rest.split_to(rest.len().min(*left));
                *left -= taken.len();
                let ends = *left == 0;
                let mut output = match coded {
                    None => self.text.push(taken),
                    Some(coded) => coded.push(taken).inspect_err(|cut| {
                        self.cut = Some(cut.reason());
                        self.text.found_mut().merge(coded.found().clone());
                    })?,
                };
                if ends {
                    output.append(self.end());
                }
                Ok(output)
            }
        }
    }

    fn begin(&mut self, prefix: [u8; PREFIX]) -> Output {
        let [flags, len @ ..] = prefix;
        let left = u32::from_be_bytes(len) as usize;
        if left == 0 {
            return self.end();
        }
        let mut coded = None;
        let mut output = Output::default();
        if flags & 1 != 0 {
            match &self.codings {
                Codings::Known(codings) => {
                    output = self.text.flush();
                    let codings: &[Coding] = codings;
                    let scrub = CodedScrub::new(&self.scrubber, Place::Body, codings);
                    coded = Some(Box::new(scrub));
                }
                Codings::Unknown(name) => self.text.found_mut().add_unscanned(name),
                Codings::Identity => self.text.found_mut().add_unscanned("no coding named"),
            }
        }
        self.at = At::Message { left, coded };
        output
    }

    fn end(&mut self) -> Output {
        match std::mem::replace(&mut self.at, NEXT) {
            At::Message { coded: Some(mut coded), .. } => coded.finish(),
            _ => self.text.flush(),
        }
    }
}

impl fmt::Debug for GrpcScrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcScrub").field("found", self.found()).finish_non_exhaustive()
    }
}
