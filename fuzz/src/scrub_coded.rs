//! Bodies in content codings.

use arbitrary::{Arbitrary, Unstructured};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::codings::Coding;
use crate::pieces::{self, SECRET, holds};

#[derive(Arbitrary, Debug)]
struct Input {
    lengths: Vec<u8>,
    inner: u8,
    outer: u8,
    level: u8,
    raw: bool,
    parts: Vec<Vec<u8>>,
}

/// A coded body without a secret passes byte for byte, one with a secret is cut before a reader
/// could have it, and pieces change nothing of that.
pub fn check(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let [inner, outer] =
        [input.inner, input.outer].map(|at| Coding::ALL[usize::from(at) % Coding::ALL.len()]);
    let parts: Vec<_> = input.parts.iter().map(|part| pieces::fill(part, SECRET)).collect();
    let body = if input.raw {
        parts.concat()
    } else {
        outer.encode(&[inner.encode(&parts, input.level)], input.level)
    };
    let mut headers = HeaderMap::new();
    for coding in [inner, outer] {
        headers.append(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
    let scrubber = pieces::scrubber(SECRET, 0);
    let pass = |lengths: &[u8]| {
        let mut stream = scrubber.body(StatusCode::OK, &headers);
        pieces::pass(&mut stream, &pieces::cut(&body, lengths))
    };
    let (whole, passed) = (pass(&[]), pass(&input.lengths));
    let coded = [inner, outer].iter().any(|coding| *coding != Coding::Identity);
    for passed in [&whole, &passed] {
        if coded {
            assert!(body.starts_with(&passed.bytes));
            assert!(passed.cut.is_some() || passed.bytes == body);
        }
        assert!(!holds(&passed.bytes, SECRET), "the secret passed as it is");
        let read = inner.read(&outer.read(&passed.bytes));
        assert!(!holds(&read, SECRET), "the secret can be decoded: {:?}", passed.cut);
    }
    assert_eq!(whole.cut.is_some(), passed.cut.is_some(), "pieces decide");
    if !input.raw && !holds(&parts.concat(), SECRET) {
        assert!(!coded || whole.cut.is_none(), "{:?} of a body without a secret", whole.cut);
        assert_eq!(passed.bytes, body);
    }
}
