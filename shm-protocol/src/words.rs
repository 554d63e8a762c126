//! Words of shared memory, and the copies in and out of them.
//!
//! Every word is an atomic, so that a peer that writes at any moment causes torn values, never
//! undefined behaviour; whoever copies out checks the copy.

use std::sync::atomic::{AtomicU64, Ordering};

/// The word at `index`, or none past the end.
pub fn at(words: &[AtomicU64], index: usize) -> Option<&AtomicU64> {
    words.get(index)
}

/// Stores values one by one, unordered: a later Release store publishes them.
pub fn store(words: &[AtomicU64], values: &[u64]) {
    for (word, value) in words.iter().zip(values) {
        word.store(*value, Ordering::Relaxed);
    }
}

/// Loads values one by one, unordered: an earlier Acquire load makes what it published visible.
pub fn load(words: &[AtomicU64], values: &mut [u64]) {
    for (word, value) in words.iter().zip(values) {
        *value = word.load(Ordering::Relaxed);
    }
}

/// CRC-32 (ISO-HDLC) over words in little-endian order. Finds accidents, not forgery.
pub fn checksum(words: &[u64]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for word in words {
        hasher.update(&word.to_le_bytes());
    }
    hasher.finalize()
}
