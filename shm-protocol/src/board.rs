//! The newest value, of any size, for readers that may only look.
//!
//! Eight slots in turn. The writer never waits; a reader copies the newest slot and checks that it
//! was not overwritten meanwhile, a bounded number of times.
//!
//! Slot: word 0 sequence (odd while being written), then the value. Word `head` holds the number
//! of the newest complete value.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::words::{at, load, store};

/// Slots.
pub const SLOTS: u64 = 8;
/// Tries of a reader before it keeps its last good value.
pub const TRIES_MAX: u32 = 32;

/// The writer's side.
#[derive(Debug, Default)]
pub struct Writer {
    number: u64,
}

fn slot(words: &[AtomicU64], stride: usize, number: u64) -> &[AtomicU64] {
    let start = usize::try_from(number % SLOTS).unwrap_or(0) * stride;
    words.get(start..start + stride).unwrap_or(&[])
}

impl Writer {
    /// Publishes a value. Real time.
    pub fn publish(&mut self, words: &[AtomicU64], stride: usize, head: &AtomicU64, value: &[u64]) {
        self.number = self.number.wrapping_add(1);
        let slot = slot(words, stride, self.number);
        let Some(sequence) = at(slot, 0) else { return };
        sequence.store(self.number.wrapping_mul(2).wrapping_sub(1), Ordering::Relaxed);
        // Pairs with the reader's Acquire fence: who sees a word of the new value also sees that
        // the slot is being written.
        fence(Ordering::Release);
        store(slot.get(1..).unwrap_or(&[]), value);
        // Both Release stores pair with the reader's Acquire loads.
        sequence.store(self.number.wrapping_mul(2), Ordering::Release);
        head.store(self.number, Ordering::Release);
    }
}

/// Copies the newest value out; false when there is none, or none whole within the bound.
pub fn read(words: &[AtomicU64], stride: usize, head: &AtomicU64, value: &mut [u64]) -> bool {
    for _ in 0..TRIES_MAX {
        let number = head.load(Ordering::Acquire);
        if number == 0 {
            return false;
        }
        let slot = slot(words, stride, number);
        let Some(sequence) = at(slot, 0) else { return false };
        let before = sequence.load(Ordering::Acquire);
        if before == number.wrapping_mul(2) {
            load(slot.get(1..).unwrap_or(&[]), value);
            fence(Ordering::Acquire);
            if sequence.load(Ordering::Relaxed) == before {
                return true;
            }
        }
        std::hint::spin_loop();
    }
    false
}
