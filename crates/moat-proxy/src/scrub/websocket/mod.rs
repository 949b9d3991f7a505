//! Messages of WebSockets (RFC 6455), from the server to the client.

mod extensions;
mod frame;

use std::fmt;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use self::extensions::Compression;
pub use self::extensions::{UnscannableExtension, acceptable_extensions};
use self::frame::{Head, Kind, MOST_HEAD, Malformed};
use super::coded::CodedScrub;
use super::decode::Decoder;
use super::{Cut, Found, Output, Place, ScrubStream, Scrubber};
use crate::Reason;

/// What a sender takes away from the end of each message (RFC 7692, section 7.2.1).
const DEFLATE_TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Scrubs the bytes that a server sends behind its 101.
///
/// Frames keep their borders and lengths. Text and binary messages are masked, over the borders of
/// their fragments too; what is held at the end of a message is given out. Of messages compressed
/// with `permessage-deflate` a decoded copy is scanned, and a match closes the connection with code
/// 1008, as does with 1002 whatever is not a frame, for it could not be scanned.
///
/// Control frames are masked like everything else.
pub struct WebSocketScrub {
    scrubber: Scrubber,
    text: ScrubStream,
    deflate: Option<CodedScrub>,
    at: At,
    message: Message,
    /// Where the current frame began, and how much came out, in bytes of the whole stream.
    frame_begin: u64,
    came_in: u64,
    came_out: u64,
    cut: Option<Reason>,
}

enum At {
    Head { bytes: [u8; MOST_HEAD], have: usize },
    Payload { left: u64, fin: bool },
    Control { frame: BytesMut, left: usize },
}

const NEXT: At = At::Head { bytes: [0; MOST_HEAD], have: 0 };

/// The message that has begun and not ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    None,
    Text,
    Compressed,
}

impl Scrubber {
    /// Begins to scrub a WebSocket that was opened by an answer with this head.
    ///
    /// # Errors
    ///
    /// When the server agreed to an extension other than `permessage-deflate`. The connection has
    /// to be refused; [`acceptable_extensions`] keeps honest servers from that.
    pub fn websocket(&self, head: &HeaderMap) -> Result<WebSocketScrub, UnscannableExtension> {
        let deflate = match extensions::agreed(head)? {
            Compression::None => None,
            Compression::Deflate => {
                let decoders = vec![Decoder::messages()];
                Some(CodedScrub::with_decoders(self, Place::Message, decoders))
            }
        };
        Ok(WebSocketScrub {
            scrubber: self.clone(),
            text: ScrubStream::new(self, Place::Message),
            deflate,
            at: NEXT,
            message: Message::None,
            frame_begin: 0,
            came_in: 0,
            came_out: 0,
            cut: None,
        })
    }
}

impl WebSocketScrub {
    /// Takes bytes from the server and returns what may be passed on.
    ///
    /// # Errors
    ///
    /// A [`Cut`]: after its last bytes the connection is closed on both sides. They end in a Close
    /// frame unless the frame that was to be stopped had begun to pass.
    pub fn push(&mut self, piece: Bytes) -> Result<Output, Cut> {
        if let Some(reason) = self.cut {
            return Err(Cut::new(reason));
        }
        let before = (self.held_len(), self.found().total());
        let mut rest = piece.clone();
        let mut output = Output::default();
        while !rest.is_empty() {
            let len = rest.len();
            let step = self.step(&mut rest, &mut output);
            self.came_in += (len - rest.len()) as u64;
            if let Err(reason) = step {
                return Err(self.close(reason, output));
            }
        }
        let unchanged = before == (0, self.found().total());
        self.came_out += output.len() as u64;
        Ok(output.or_whole(piece, unchanged))
    }

    /// Gives out what is held, for a moment in which nothing came; see [`ScrubStream::flush`].
    pub fn flush(&mut self) -> Output {
        let output = self.text.flush();
        self.came_out += output.len() as u64;
        output
    }

    /// Ends the stream: what is held comes back as it is.
    pub fn finish(&mut self) -> Output {
        if self.cut.is_some() {
            return Output::default();
        }
        let mut output = self.text.finish();
        if let Some(deflate) = &mut self.deflate {
            output.append(deflate.finish());
        }
        let rest = match std::mem::replace(&mut self.at, NEXT) {
            At::Head { bytes, have } => Bytes::copy_from_slice(&bytes[..have]),
            At::Control { frame, .. } => frame.freeze(),
            At::Payload { .. } => Bytes::new(),
        };
        let masked = self.scrubber.mask(&rest, Place::Message, self.text.found_mut());
        output.push(masked.map_or(rest, Bytes::from));
        output
    }

    /// Returns how many bytes are held back. When there are some, and nothing comes for a moment,
    /// the caller flushes once; it may get nothing.
    #[must_use]
    pub fn held_len(&self) -> usize {
        let head = match &self.at {
            At::Head { have, .. } => *have,
            At::Control { frame, .. } => frame.len(),
            At::Payload { .. } => 0,
        };
        let coded = self.deflate.as_ref().map_or(0, CodedScrub::held_len);
        head + coded + self.text.held_len()
    }

    /// Returns what was found so far.
    #[must_use]
    pub fn found(&self) -> &Found {
        self.text.found()
    }

    /// Takes what belongs together from the beginning of a piece.
    fn step(&mut self, rest: &mut Bytes, output: &mut Output) -> Result<(), Reason> {
        match &mut self.at {
            At::Head { bytes, have } => {
                if *have == 0 {
                    self.frame_begin = self.came_in;
                }
                let wanted = if *have < 2 { 2 } else { frame::head_len(bytes[1]) };
                let taken = rest.split_to(rest.len().min(wanted - *have));
                let whole = *have == 0;
                bytes[*have..][..taken.len()].copy_from_slice(&taken);
                *have += taken.len();
                if *have < 2 || *have < frame::head_len(bytes[1]) {
                    return Ok(());
                }
                let head = if whole { taken } else { Bytes::copy_from_slice(&bytes[..*have]) };
                self.begin(head, output)
            }
            At::Payload { left, fin } => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let taken = rest.split_to(rest.len().min(most));
                *left -= taken.len() as u64;
                let (left, fin) = (*left, *fin);
                self.payload(taken, output)?;
                if left == 0 { self.end(fin, output) } else { Ok(()) }
            }
            At::Control { frame, left } => {
                let taken = rest.split_to(rest.len().min(*left));
                *left -= taken.len();
                frame.extend_from_slice(&taken);
                if *left == 0 {
                    let frame = std::mem::take(frame).freeze();
                    self.at = NEXT;
                    self.control(frame, output);
                }
                Ok(())
            }
        }
    }

    fn begin(&mut self, bytes: Bytes, output: &mut Output) -> Result<(), Reason> {
        let head = Head::read(&bytes).map_err(|Malformed| Reason::MalformedWebSocketFrame)?;
        match (head.kind, self.message) {
            (Kind::Control, _) => {
                self.at = NEXT;
                match usize::try_from(head.len) {
                    Ok(left @ 1..) => self.at = At::Control { frame: BytesMut::from(bytes), left },
                    _ => self.control(bytes, output),
                }
                return Ok(());
            }
            (Kind::First { compressed: false }, Message::None) => self.message = Message::Text,
            (Kind::First { compressed: true }, Message::None) if self.deflate.is_some() => {
                self.message = Message::Compressed;
            }
            (Kind::Continuation, Message::Text | Message::Compressed) => {}
            _ => return Err(Reason::MalformedWebSocketFrame),
        }
        self.framing(bytes, output);
        self.at = At::Payload { left: head.len, fin: head.fin };
        if head.len == 0 { self.end(head.fin, output) } else { Ok(()) }
    }

    fn payload(&mut self, bytes: Bytes, output: &mut Output) -> Result<(), Reason> {
        match (&mut self.deflate, self.message) {
            (Some(deflate), Message::Compressed) => {
                output.append(deflate.push(bytes).map_err(|cut| cut.reason())?);
            }
            _ => output.append(self.text.push(bytes)),
        }
        Ok(())
    }

    /// Puts the bytes of a frame that are no payload behind the payload that is held.
    fn framing(&mut self, bytes: Bytes, output: &mut Output) {
        match (&mut self.deflate, self.message) {
            (Some(deflate), Message::Compressed) => {
                output.append(deflate.push_framing(bytes));
            }
            _ => output.append(self.text.push_framing(bytes)),
        }
    }

    fn control(&mut self, frame: Bytes, output: &mut Output) {
        let (head, payload) = frame.split_at(2);
        let masked = self.scrubber.mask(payload, Place::Message, self.text.found_mut());
        let frame = masked.map_or(frame.clone(), |masked| [head, &masked].concat().into());
        self.framing(frame, output);
    }

    /// Ends a frame of a message.
    fn end(&mut self, fin: bool, output: &mut Output) -> Result<(), Reason> {
        self.at = NEXT;
        if !fin {
            return Ok(());
        }
        match (&mut self.deflate, self.message) {
            (Some(deflate), Message::Compressed) => {
                output.append(deflate.end_message(&DEFLATE_TAIL)?)
            }
            _ => output.append(self.text.flush()),
        }
        self.message = Message::None;
        Ok(())
    }

    fn close(&mut self, reason: Reason, mut output: Output) -> Cut {
        self.cut = Some(reason);
        let code = match reason {
            Reason::MalformedWebSocketFrame => 1002,
            Reason::UndecodableAnswer => 1007,
            Reason::AnswerExpandsTooFar => 1009,
            _ => 1008,
        };
        if let Some(deflate) = &self.deflate {
            self.text.found_mut().merge(deflate.found().clone());
        }
        output.append(self.text.flush());
        // A Close frame fits only between two frames (RFC 6455, section 5.4).
        match self.frame_begin.checked_sub(self.came_out).map(usize::try_from) {
            Some(Ok(before)) if before <= output.len() => {
                output.truncate(before);
                output.push(frame::close(code, reason.as_str()).into());
            }
            Some(_) => {}
            None => output = Output::default(),
        }
        Cut::with_last(reason, output)
    }
}

impl fmt::Debug for WebSocketScrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketScrub").field("found", self.found()).finish_non_exhaustive()
    }
}
