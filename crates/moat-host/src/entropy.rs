//! Random bytes of the system.

use moat_provider_core::{Entropy, Error, ErrorKind, Result};

/// The random number generator of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        getrandom::fill(buffer).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the system has no random bytes to give")
                .with_source(error)
        })
    }
}
