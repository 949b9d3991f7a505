//! Vendors that answer from a script.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;
use std::thread;

use bytes::Bytes;
use http::{Request, Response};

use super::Vendor;
use crate::fakes::lock;

/// A vendor that gives these answers in this order, whatever the requests are.
///
/// A request beyond the last answer, and an answer that nobody asked for, fail the test.
pub struct Sequence(Mutex<VecDeque<Response<Bytes>>>);

impl Sequence {
    /// Takes the answers.
    #[must_use]
    pub fn new(answers: impl IntoIterator<Item = Response<Bytes>>) -> Self {
        Self(Mutex::new(answers.into_iter().collect()))
    }
}

impl Vendor for Sequence {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let next = lock(&self.0).pop_front();
        match next {
            Some(answer) => answer,
            None => panic!(
                "the vendor was asked for {} {}, but its script has no answer left",
                request.method(),
                request.uri().path()
            ),
        }
    }
}

impl Drop for Sequence {
    fn drop(&mut self) {
        let left = lock(&self.0).len();
        if !thread::panicking() {
            assert!(left == 0, "the vendor's script has {left} answers that nobody asked for");
        }
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequence").finish_non_exhaustive()
    }
}
