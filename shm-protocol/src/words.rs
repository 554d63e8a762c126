//! Words of shared memory, and the copies in and out of them.
//!
//! Every word is an atomic, so that a peer that writes at any moment causes torn values, never
//! undefined behaviour; whoever copies out checks the copy. A word is a trait here, twice: what may
//! be read, and what may also be written. A mapping that the kernel made read-only has words of the
//! first kind only, so that a store into it does not compile; loom's atomics are another kind.

use std::sync::atomic::{AtomicU64, Ordering};

/// A word that may be read.
pub trait Load {
    /// Loads it.
    fn load(&self, order: Ordering) -> u64;

    /// A fence among atomics of this kind.
    fn fence(order: Ordering);
}

/// A word that may be written too.
pub trait Store: Load {
    /// Stores into it.
    fn store(&self, value: u64, order: Ordering);

    /// Adds one, wrapping, in one step: any number of threads of the writing process may.
    fn add_one(&self, order: Ordering);
}

impl Load for AtomicU64 {
    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        AtomicU64::load(self, order)
    }

    #[inline]
    fn fence(order: Ordering) {
        std::sync::atomic::fence(order);
    }
}

impl Store for AtomicU64 {
    #[inline]
    fn store(&self, value: u64, order: Ordering) {
        AtomicU64::store(self, value, order);
    }

    #[inline]
    fn add_one(&self, order: Ordering) {
        self.fetch_add(1, order);
    }
}

/// Adds one to a word that this side writes: a heartbeat, a stop, a count. Real time.
#[inline]
pub fn count_up<W: Store>(word: &W) {
    // Release pairs with the Acquire in `counted`: what was written before the count went up is there.
    word.add_one(Ordering::Release);
}

/// The other side's count: a claim, of which only the change counts. Real time.
#[inline]
pub fn counted<R: Load>(word: &R) -> u64 {
    // Acquire pairs with the Release in `count_up`.
    word.load(Ordering::Acquire)
}

/// Stores values one by one, unordered: a later Release store publishes them. Values past the last
/// word are left out.
#[inline]
pub fn copy_in<W: Store>(words: &[W], values: &[u64]) {
    let common = words.len().min(values.len());
    let (Some(words), Some(values)) = (words.get(..common), values.get(..common)) else { return };
    let ((eights, last), (of_eights, of_last)) = (words.as_chunks::<8>(), values.as_chunks::<8>());
    for (words, values) in eights.iter().zip(of_eights) {
        store_each(words, values);
    }
    store_each(last, of_last);
}

#[inline]
fn store_each<W: Store>(words: &[W], values: &[u64]) {
    for (word, value) in words.iter().zip(values) {
        word.store(*value, Ordering::Relaxed);
    }
}

/// Loads values one by one, unordered: an earlier Acquire load makes what it published visible.
/// Values past the last word keep what they were.
#[inline]
pub fn copy_out<R: Load>(words: &[R], values: &mut [u64]) {
    let common = words.len().min(values.len());
    let (Some(words), Some(values)) = (words.get(..common), values.get_mut(..common)) else {
        return;
    };
    let ((eights, last), (to_eights, to_last)) =
        (words.as_chunks::<8>(), values.as_chunks_mut::<8>());
    for (words, values) in eights.iter().zip(to_eights) {
        load_each(words, values);
    }
    load_each(last, to_last);
}

#[inline]
fn load_each<R: Load>(words: &[R], values: &mut [u64]) {
    for (word, value) in words.iter().zip(values) {
        *value = word.load(Ordering::Relaxed);
    }
}
