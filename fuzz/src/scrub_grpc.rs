//! Length-prefixed messages.

use arbitrary::{Arbitrary, Unstructured};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::codings::Coding;
use crate::pieces::{self, SECRET, holds};

#[derive(Arbitrary, Debug)]
struct Input {
    lengths: Vec<u8>,
    coding: u8,
    level: u8,
    messages: Vec<Message>,
    tail: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct Message {
    flags: u8,
    raw: bool,
    parts: Vec<Vec<u8>>,
}

/// Messages keep their bytes unless they hold a secret, which no reader of the messages gets.
pub fn check(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let coding = Coding::ALL[usize::from(input.coding) % Coding::ALL.len()];
    let mut body = Vec::new();
    let mut clean = true;
    let mut well_formed = true;
    for message in &input.messages {
        let parts: Vec<_> = message.parts.iter().map(|part| pieces::fill(part, SECRET)).collect();
        let compressed = message.flags & 1 != 0;
        well_formed &= !(message.raw && compressed);
        let coded = match compressed && !message.raw {
            true => coding.encode(&parts, input.level),
            false => parts.concat(),
        };
        clean &= !holds(&parts.concat(), SECRET);
        body.push(message.flags);
        body.extend(u32::try_from(coded.len()).expect("a short message").to_be_bytes());
        body.extend(coded);
    }
    let tail = pieces::fill(&input.tail, SECRET);
    well_formed &= tail.is_empty();
    body.extend(&tail);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
    let name = HeaderName::from_static("grpc-encoding");
    headers.insert(name, HeaderValue::from_static(coding.name()));
    let scrubber = pieces::scrubber(SECRET, 0);
    let pass = |lengths: &[u8]| {
        let mut stream = scrubber.body(StatusCode::OK, &headers);
        pieces::pass(&mut stream, &pieces::cut(&body, lengths))
    };
    let (whole, passed) = (pass(&[]), pass(&input.lengths));
    for passed in [&whole, &passed] {
        assert!(!holds(&passed.bytes, SECRET), "the secret passed as it is");
        for message in read(&passed.bytes, coding) {
            assert!(!holds(&message, SECRET), "the secret is in a message");
        }
        if clean && well_formed {
            assert_eq!(passed.cut, None);
            assert!(passed.bytes == body || holds(&body, SECRET));
        }
        assert!(passed.cut.is_some() || passed.bytes.len() == body.len());
    }
    assert_eq!(whole.cut.is_some(), passed.cut.is_some(), "pieces decide");
}

/// Reads messages as a client does, the last one as far as it came.
fn read(body: &[u8], coding: Coding) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut rest = body;
    while let Some(([flags, len @ ..], after)) = rest.split_first_chunk::<5>() {
        let len = u32::from_be_bytes(*len) as usize;
        let (message, after) = after.split_at(len.min(after.len()));
        messages.push(if flags & 1 != 0 { coding.read(message) } else { message.to_vec() });
        rest = after;
    }
    messages
}
