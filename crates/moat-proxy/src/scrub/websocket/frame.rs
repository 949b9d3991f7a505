//! Heads of frames that a server sends (RFC 6455, section 5.2).

/// The longest payload of a control frame.
pub(super) const MOST_CONTROL: usize = 125;
/// The longest head of a frame that is not masked.
pub(super) const MOST_HEAD: usize = 10;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_3: u8 = 0x30;
const MASKED: u8 = 0x80;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    /// Whether the message ends with this frame.
    pub(super) fin: bool,
    pub(super) len: u64,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first frame of a message.
    First {
        /// Whether the message is compressed.
        compressed: bool,
    },
    Continuation,
    Control,
}

/// The frame breaks the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Returns how long the head is that begins with these two bytes.
pub(super) fn head_len(second: u8) -> usize {
    match second & !MASKED {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

impl Head {
    /// Reads a complete head.
    pub(super) fn read(head: &[u8]) -> Result<Self, Malformed> {
        let (first, second, extended) = match head {
            [first, second, extended @ ..] => (*first, *second, extended),
            _ => return Err(Malformed),
        };
        let len = match (second & !MASKED, extended) {
            (126, [high, low]) => u64::from(u16::from_be_bytes([*high, *low])),
            (127, bytes) => u64::from_be_bytes(bytes.try_into().map_err(|_| Malformed)?),
            (len, _) => u64::from(len),
        };
        let fin = first & FIN != 0;
        let kind = match first & 0x0f {
            0 => Kind::Continuation,
            1 | 2 => Kind::First { compressed: first & RSV1 != 0 },
            8..=10 => Kind::Control,
            _ => return Err(Malformed),
        };
        // Section 5.1: a server does not mask. Section 5.5: control frames are short and whole.
        let control = matches!(kind, Kind::Control);
        let broken = second & MASKED != 0
            || first & RSV2_AND_3 != 0
            || (first & RSV1 != 0 && !matches!(kind, Kind::First { .. }))
            || (control && (!fin || len > MOST_CONTROL as u64))
            || len > i64::MAX as u64;
        if broken { Err(Malformed) } else { Ok(Self { kind, fin, len }) }
    }
}

/// Makes a Close frame of a server (section 5.5.1).
pub(super) fn close(code: u16, reason: &str) -> Vec<u8> {
    let reason = &reason.as_bytes()[..reason.len().min(MOST_CONTROL - 2)];
    let len = u8::try_from(2 + reason.len()).unwrap_or(2);
    let mut frame = vec![FIN | 8, len];
    frame.extend(code.to_be_bytes());
    frame.extend(reason);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_all_lengths_are_read() {
        let first = Kind::First { compressed: false };
        assert_eq!(Head::read(&[0x81, 5]), Ok(Head { kind: first, fin: true, len: 5 }));
        assert_eq!(Head::read(&[0x02, 126, 1, 2]), Ok(Head { kind: first, fin: false, len: 258 }));
        let head = [0xc1, 127, 0, 0, 0, 1, 0, 0, 0, 0];
        let compressed = Kind::First { compressed: true };
        assert_eq!(Head::read(&head), Ok(Head { kind: compressed, fin: true, len: 1 << 32 }));
        assert_eq!(Head::read(&[0x89, 0]), Ok(Head { kind: Kind::Control, fin: true, len: 0 }));
        assert_eq!([head_len(125), head_len(126), head_len(127)], [2, 4, 10]);
    }

    #[test]
    fn what_no_server_may_send_is_malformed() {
        let masked: &[u8] = &[0x81, 0x85];
        let rsv2: &[u8] = &[0xa1, 5];
        let reserved: &[u8] = &[0x83, 5];
        let long_control: &[u8] = &[0x89, 126, 0, 126];
        let open_control: &[u8] = &[0x09, 1];
        let compressed_continuation: &[u8] = &[0xc0, 1];
        let negative: &[u8] = &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0];
        for head in
            [masked, rsv2, reserved, long_control, open_control, compressed_continuation, negative]
        {
            assert_eq!(Head::read(head), Err(Malformed), "{head:x?}");
        }
    }

    #[test]
    fn a_close_frame_carries_code_and_reason() {
        assert_eq!(close(1008, "no"), [0x88, 4, 0x03, 0xf0, b'n', b'o']);
        assert_eq!(close(1008, &"x".repeat(200)).len(), 2 + MOST_CONTROL);
    }
}
