//! A bounded ring for one sender and one receiver in two processes.
//!
//! A record carries its own sequence number in its own cache lines: the receiver polls the slot
//! that comes next and needs no index of the sender. Each side keeps its own index in private
//! memory; the receiver publishes how far it has come in a word of a page that it owns, and the
//! sender takes that word only if it is plausible.
//!
//! Slot: word 0 sequence (index + 1), word 1 checksum, then the payload. Slots lie a multiple of
//! 128 bytes apart, in an order that keeps neighbours away from the hardware's prefetch.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::words::{at, checksum, load, store};

/// Words before the payload.
pub const SLOT_HEAD: usize = 2;

/// Where a ring lies: `slots` (a power of two) slots of `stride` words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Slots, a power of two.
    pub slots: u64,
    /// Words from slot to slot, a multiple of 16.
    pub stride: usize,
}

impl Shape {
    /// Words of the whole ring.
    pub const fn words(&self) -> usize {
        self.slots as usize * self.stride
    }

    fn slot<'w>(&self, words: &'w [AtomicU64], index: u64) -> &'w [AtomicU64] {
        // 27 is odd, so that the order is a permutation of the slots.
        let place = index.wrapping_mul(27) & (self.slots - 1);
        let start = usize::try_from(place).unwrap_or(0) * self.stride;
        words.get(start..start + self.stride).unwrap_or(&[])
    }
}

/// The sender's side: its private index, and the last plausible index of the receiver.
#[derive(Debug, Default)]
pub struct Sender {
    index: u64,
    read: u64,
}

impl Sender {
    /// Slots that may be written now. `read` is the receiver's word: a claim. Real time.
    pub fn free(&mut self, shape: Shape, read: &AtomicU64) -> u64 {
        // Acquire pairs with the receiver's Release: it has copied out what it says.
        let claim = read.load(Ordering::Acquire);
        // Never ahead of what was sent, never further behind than the ring is long, never back.
        let behind = self.index.wrapping_sub(claim);
        if behind <= self.index.wrapping_sub(self.read) {
            self.read = claim;
        }
        shape.slots.saturating_sub(self.index.wrapping_sub(self.read))
    }

    /// Sends one record, or says that the ring is full. Real time.
    pub fn send(
        &mut self,
        shape: Shape,
        words: &[AtomicU64],
        read: &AtomicU64,
        payload: &[u64],
    ) -> bool {
        if shape.slots.saturating_sub(self.index.wrapping_sub(self.read)) == 0
            && self.free(shape, read) == 0
        {
            return false;
        }
        let slot = shape.slot(words, self.index);
        let (Some(sequence), Some(sum)) = (at(slot, 0), at(slot, 1)) else { return false };
        store(slot.get(SLOT_HEAD..).unwrap_or(&[]), payload);
        sum.store(u64::from(checksum(payload)), Ordering::Relaxed);
        self.index = self.index.wrapping_add(1);
        // Release pairs with the receiver's Acquire in `receive`: the payload is there.
        sequence.store(self.index, Ordering::Release);
        true
    }
}

/// The receiver's side: its private index.
#[derive(Debug, Default)]
pub struct Receiver {
    index: u64,
}

impl Receiver {
    /// Copies the next record out; tells whether its checksum matched. Real time.
    pub fn receive(
        &mut self,
        shape: Shape,
        words: &[AtomicU64],
        payload: &mut [u64],
    ) -> Option<bool> {
        let slot = shape.slot(words, self.index);
        let next = self.index.wrapping_add(1);
        // Acquire pairs with the sender's Release.
        if at(slot, 0)?.load(Ordering::Acquire) != next {
            return None;
        }
        load(slot.get(SLOT_HEAD..).unwrap_or(&[]), payload);
        let sum = at(slot, 1)?.load(Ordering::Relaxed);
        self.index = next;
        // Judged on the copy: what the sender does to the slot from here on changes nothing.
        Some(sum == u64::from(checksum(payload)))
    }

    /// Publishes how far it has come, in a word of the receiver's own page. Real time.
    pub fn publish(&self, read: &AtomicU64) {
        // Release pairs with the sender's Acquire in `free`: the copies are made.
        read.store(self.index, Ordering::Release);
    }

    /// Records received so far.
    pub fn received(&self) -> u64 {
        self.index
    }

    /// Records that wait, counted in the ring itself. Real time, at most one look a slot.
    pub fn waiting(&self, shape: Shape, words: &[AtomicU64]) -> u64 {
        let mut count = 0;
        while count < shape.slots {
            let index = self.index.wrapping_add(count);
            let sequence = at(shape.slot(words, index), 0).map(|s| s.load(Ordering::Relaxed));
            if sequence != Some(index.wrapping_add(1)) {
                break;
            }
            count += 1;
        }
        count
    }
}
