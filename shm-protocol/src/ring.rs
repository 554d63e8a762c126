//! A bounded ring for one sender and one receiver in two processes.
//!
//! A record carries its own sequence number in its own cache lines: the receiver polls the slot
//! that comes next and needs no index of the sender. Each side keeps its own index in private
//! memory. The receiver publishes how far it has come in a word of a page that it owns; the sender
//! takes that word only if it is plausible.
//!
//! Slot: word 0 holds the low half of the record's sequence number (index + 1) in its low half and the
//! checksum of the whole sequence number and the payload in its high half, the payload follows. A
//! record of seven words thus fills one line.
//!
//! The half of the sequence number that is on the page wraps after 2³² records; what a slot held
//! before is `slots` records older, so that the two never look alike. The checksum covers the number
//! too, so that an older record whose number was damaged into the one that is due does not pass.

use std::sync::atomic::Ordering;

use crate::checksum::checksum;
use crate::shape::Shape;
use crate::words::{Load, Store, copy_in, copy_out};

/// Words before the payload.
pub const HEAD: usize = 1;

/// So many records after the next one the receiver asks for the line of a slot: where it follows a
/// sender at full speed the line is there when its turn comes (twice as many records a second,
/// `benches`). Where the sender is not there yet, the receiver holds the line from the round before, and
/// asking for it changes nothing.
const AHEAD: u64 = 6;

/// The fields of a slot in their order.
pub const FIELDS: &str =
    "ring 3: slot:91 index; sequence:32 crc32c in 3 lanes(sequence:64, payload):32@32; payload";

/// The sender's side: its private index, and the last plausible index of the receiver.
#[derive(Debug, Default)]
pub struct Sender {
    index: u64,
    read: u64,
    /// Where the next record goes, found while there is time.
    place: usize,
}

impl Sender {
    /// Slots that may be written now, at the most all. `read` is the receiver's word: a claim.
    ///
    /// What was free once stays free until it is used, whatever the receiver writes. Real time.
    pub fn free<R: Load>(&mut self, shape: Shape, read: &R) -> u64 {
        // Acquire pairs with the Release in `Receiver::publish`: it has copied out what it says.
        let claim = read.load(Ordering::Acquire);
        // Never ahead of what was sent, never back behind what it said before.
        let unread = self.index.wrapping_sub(claim);
        if unread <= self.index.wrapping_sub(self.read) {
            self.read = claim;
        }
        self.known_free(shape)
    }

    #[inline]
    fn known_free(&self, shape: Shape) -> u64 {
        shape.slots().saturating_sub(self.index.wrapping_sub(self.read))
    }

    /// Sends one record; false when the ring is full. Real time.
    ///
    /// The receiver's word is looked at only when the ring was full at the last look.
    #[inline]
    #[must_use]
    pub fn send<W: Store, R: Load, const N: usize>(
        &mut self,
        shape: Shape,
        words: &[W],
        read: &R,
        payload: &[u64; N],
    ) -> bool {
        let unread = self.index.wrapping_sub(self.read);
        if unread >= shape.slots() && self.free(shape, read) == 0 {
            return false;
        }
        let Some((head, room)) = shape.slot_at::<_, N>(words, self.place) else { return false };
        copy_in(room, payload);
        self.index = self.index.wrapping_add(1);
        // Release pairs with the Acquire in `Receiver::receive`: the payload is there.
        head.store(head_word(self.index, payload), Ordering::Release);
        self.place = shape.place(self.index);
        true
    }

    /// Records sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.index
    }
}

/// The receiver's side: its private index.
#[derive(Debug, Default)]
pub struct Receiver {
    index: u64,
    /// Where the next record will be, found while there is time.
    place: usize,
}

impl Receiver {
    /// Copies the next record out and tells whether its checksum matched; none when none is there.
    ///
    /// Judged on the copy: what the sender does to the slot from here on changes nothing. Real time.
    #[inline]
    pub fn receive<R: Load, const N: usize>(
        &mut self,
        shape: Shape,
        words: &[R],
        payload: &mut [u64; N],
    ) -> Option<bool> {
        let (head, room) = shape.slot_at::<_, N>(words, self.place)?;
        let next = self.index.wrapping_add(1);
        // Acquire pairs with the Release in `Sender::send`.
        let found = head.load(Ordering::Acquire);
        if low(found) != low(next) {
            return None;
        }
        copy_out(room, payload);
        self.index = next;
        self.place = shape.place(next);
        if let Some(later) = words.get(shape.place(next.wrapping_add(AHEAD))) {
            later.prefetch();
        }
        Some(found == head_word(next, payload))
    }

    /// Publishes how far it has come, in a word of the receiver's own page: the slots before may be
    /// used again. Real time.
    pub fn publish<W: Store>(&self, read: &W) {
        // Release pairs with the Acquire in `Sender::free`: the copies are made.
        read.store(self.index, Ordering::Release);
    }

    /// Records received so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.index
    }

    /// Records that wait, counted in the ring itself: at most one look a slot. Real time.
    pub fn waiting<R: Load>(&self, shape: Shape, words: &[R]) -> u64 {
        let mut count = 0;
        while count < shape.slots() {
            let index = self.index.wrapping_add(count);
            let Some((head, [])) = shape.slot(words, index) else { break };
            // Relaxed: nothing is read on the strength of it.
            if low(head.load(Ordering::Relaxed)) != low(index.wrapping_add(1)) {
                break;
            }
            count += 1;
        }
        count
    }
}

#[inline]
fn head_word(sequence: u64, payload: &[u64]) -> u64 {
    u64::from(low(sequence)) | u64::from(checksum(sequence, payload)) << 32
}

const fn low(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
