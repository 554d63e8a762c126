//! A seqlock, for comparison: the least to write, and a reader that a writer can send round without
//! end.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use shm_protocol::words::{copy_in, copy_out};

use super::{Cell, Look, Value};

/// A seqlock has no bound of its own; a benchmark must end.
const TRIES_MAX: u32 = 1_000_000;

/// One end: word 0 is the version, odd while the value behind it is being written.
#[derive(Debug)]
pub struct Seqlock<'m> {
    words: &'m [AtomicU64],
    version: u64,
}

impl<'m> Seqlock<'m> {
    /// Either end.
    #[must_use]
    pub fn new(words: &'m [AtomicU64]) -> Self {
        Seqlock { words, version: 0 }
    }
}

impl Cell for Seqlock<'_> {
    #[inline]
    fn publish(&mut self, value: &Value) {
        let Some((version, words)) = self.words.split_first() else { return };
        version.store(self.version.wrapping_add(1), Ordering::Relaxed);
        // Pairs with the Acquire fence in `read`: who copied a new word sees the odd version.
        fence(Ordering::Release);
        copy_in(words, value);
        self.version = self.version.wrapping_add(2);
        // Pairs with the Acquire load in `read`: who sees this version finds its value.
        version.store(self.version, Ordering::Release);
    }

    #[inline]
    fn read(&mut self, value: &mut Value) -> Look {
        let Some((version, words)) = self.words.split_first() else {
            return Look { whole: false, retries: 0 };
        };
        for retries in 0..TRIES_MAX {
            let before = version.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                copy_out(words, value);
                fence(Ordering::Acquire);
                if version.load(Ordering::Relaxed) == before {
                    return Look { whole: before != 0, retries };
                }
            }
            std::hint::spin_loop();
        }
        Look { whole: false, retries: TRIES_MAX }
    }
}
