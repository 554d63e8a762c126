//! What the targets share: bytes as words, as a page and as what a hostile writer does to it.

use std::sync::atomic::{AtomicU64, Ordering};

use shm_protocol::shape::Shape;

/// Few slots and short ones, so that everything on the page is soon met.
pub const SHAPE: Shape = Shape::new(4, 4);
/// Words of a slot after its head.
pub const VALUE_WORDS: usize = 3;

/// Bytes as little-endian words; what is missing is zero.
pub fn words(bytes: &[u8]) -> Vec<u64> {
    let word = |eight: &[u8]| {
        let mut whole = [0; 8];
        whole[..eight.len()].copy_from_slice(eight);
        u64::from_le_bytes(whole)
    };
    bytes.chunks(8).map(word).collect()
}

/// A page of zeros: the slots, and one word beside them.
pub fn page() -> (Vec<AtomicU64>, AtomicU64) {
    ((0..SHAPE.words()).map(|_| AtomicU64::new(0)).collect(), AtomicU64::new(0))
}

/// One step: what is done, to which word, with which value.
pub struct Step {
    pub what: u8,
    pub place: u8,
    pub value: u64,
}

impl Step {
    /// Overwrites a word of the page.
    pub fn scribble(&self, page: &[AtomicU64]) {
        page[usize::from(self.place) % page.len()].store(self.value, Ordering::Relaxed);
    }
}

/// Ten bytes a step.
pub fn steps(bytes: &[u8]) -> impl Iterator<Item = Step> {
    bytes.chunks_exact(10).map(|ten| Step {
        what: ten[0],
        place: ten[1],
        value: u64::from_le_bytes(std::array::from_fn(|byte| ten[2 + byte])),
    })
}

/// The slot of a record, as the README says where it lies.
pub fn slot(page: &[AtomicU64], index: u64) -> Vec<u64> {
    let place = (index.wrapping_mul(91) % SHAPE.slots()) as usize * SHAPE.stride();
    page[place..place + SHAPE.stride()].iter().map(|word| word.load(Ordering::Relaxed)).collect()
}
