//! Words of shared memory, and the copies in and out of them.
//!
//! Every word is an atomic, so that a peer that writes at any moment causes torn values, never
//! undefined behaviour; whoever copies out checks the copy. A word is a trait here, twice: what may
//! be read, and what may also be written. A mapping that the kernel made read-only has words of the
//! first kind only, so that a store into it does not compile; loom's atomics are another kind.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::prefetch::prefetch;

/// A word that may be read.
pub trait Load {
    /// Loads it.
    fn load(&self, order: Ordering) -> u64;

    /// A fence among atomics of this kind.
    fn fence(order: Ordering);

    /// Asks for its line, which is needed soon; nothing where there is no such hint.
    #[inline]
    fn prefetch(&self) {}
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
    fn prefetch(&self) {
        prefetch(self);
    }

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

/// Stores values, unordered: a later Release store publishes them. Nothing where the words are fewer.
///
/// The last ones first: the line that the receiver looks at is the first one, and is taken from it once.
#[inline]
pub fn copy_in<W: Store, const N: usize>(words: &[W], values: &[u64; N]) {
    let Some(words) = words.first_chunk::<N>() else { return };
    // By eights, so that nothing is asked for each.
    let ((first, eights), (of_first, of_eights)) =
        (words.as_rchunks::<8>(), values.as_rchunks::<8>());
    for (words, values) in eights.iter().zip(of_eights).rev() {
        store_each(words, values);
    }
    store_each(first, of_first);
}

#[inline]
fn store_each<W: Store>(words: &[W], values: &[u64]) {
    for (word, value) in words.iter().zip(values).rev() {
        word.store(*value, Ordering::Relaxed);
    }
}

/// Loads values, unordered: an earlier Acquire load makes what it published visible. None where the
/// words are fewer.
#[inline]
pub fn copy_out<R: Load, const N: usize>(words: &[R], values: &mut [u64; N]) {
    let Some(words) = words.first_chunk::<N>() else { return };
    let ((first, eights), (to_first, to_eights)) =
        (words.as_rchunks::<8>(), values.as_rchunks_mut::<8>());
    load_each(first, to_first);
    for (words, values) in eights.iter().zip(to_eights) {
        load_each(words, values);
    }
}

#[inline]
fn load_each<R: Load>(words: &[R], values: &mut [u64]) {
    for (word, value) in words.iter().zip(values) {
        *value = word.load(Ordering::Relaxed);
    }
}
