//! Random bytes that are the same in every run of a test.

use std::sync::atomic::{AtomicU64, Ordering};

use moat_provider_core::{Entropy, Result};

/// A source of bytes that follow from a seed: the same for one seed, others for another.
///
/// For the port alone. A secret of a test is a [`Canary`](crate::Canary), which is drawn anew.
#[derive(Debug)]
pub struct FakeEntropy(AtomicU64);

impl FakeEntropy {
    /// Starts at a seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Returns the next number of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom
    /// number generators", 2014).
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Default for FakeEntropy {
    fn default() -> Self {
        Self::seeded(0)
    }
}

impl Entropy for FakeEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}
