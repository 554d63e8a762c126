//! Values in and out of words, one after the other.

use crate::records::{Cause, ModeCode};

/// Writes words in order; what does not fit is left out.
pub(super) struct Put<'w>(std::slice::IterMut<'w, u64>);

impl<'w> Put<'w> {
    pub(super) fn new(words: &'w mut [u64]) -> Self {
        Put(words.iter_mut())
    }

    pub(super) fn word(&mut self, value: u64) {
        if let Some(word) = self.0.next() {
            *word = value;
        }
    }

    pub(super) fn number(&mut self, value: f64) {
        self.word(value.to_bits());
    }

    pub(super) fn pair(&mut self, low: u32, high: u32) {
        self.word(u64::from(low) | u64::from(high) << 32);
    }

    /// So many words that are filled as one: their number known, nothing is asked for each.
    pub(super) fn block<const N: usize>(&mut self, fill: impl FnOnce(&mut [u64; N])) {
        let words = std::mem::take(&mut self.0).into_slice();
        if let Some((block, rest)) = words.split_first_chunk_mut() {
            fill(block);
            self.0 = rest.iter_mut();
        }
    }

    /// A single-precision number of each of twice so many, two a word.
    pub(super) fn singles<const N: usize, T>(&mut self, of: &[T], single: impl Fn(&T) -> f32) {
        self.block::<N>(|words| {
            for (word, two) in words.iter_mut().zip(of.chunks_exact(2)) {
                if let [low, high] = two {
                    let bits = |one| u64::from(single(one).to_bits());
                    *word = bits(low) | bits(high) << 32;
                }
            }
        });
    }

    /// Bytes, eight a word.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        for eight in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(eight) {
                *to = *from;
            }
            self.word(u64::from_le_bytes(word));
        }
    }
}

/// Reads words in order; past the end there are zeros.
pub(super) struct Take<'w>(std::slice::Iter<'w, u64>);

impl<'w> Take<'w> {
    pub(super) fn new(words: &'w [u64]) -> Self {
        Take(words.iter())
    }

    pub(super) fn word(&mut self) -> u64 {
        self.0.next().copied().unwrap_or(0)
    }

    pub(super) fn number(&mut self) -> f64 {
        f64::from_bits(self.word())
    }

    pub(super) fn pair(&mut self) -> (u32, u32) {
        let word = self.word();
        (low(word), low(word >> 32))
    }

    /// So many words, read as one; zeros where they are not all there.
    pub(super) fn block<const N: usize>(&mut self) -> &'w [u64; N] {
        let (block, rest) = self.0.as_slice().split_first_chunk().unwrap_or((&[0; N], &[]));
        self.0 = rest.iter();
        block
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for eight in bytes.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            for (to, from) in eight.iter_mut().zip(word) {
                *to = from;
            }
        }
        bytes
    }
}

pub(super) const fn low(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}

/// Byte `at` of the word, 0 the lowest.
pub(super) const fn byte(word: u64, at: u32) -> u8 {
    (word >> (8 * at) & 0xff) as u8
}

/// 16-bit half `at` of the word, 0 the lowest.
pub(super) const fn half(word: u64, at: u32) -> u16 {
    (word >> (16 * at) & 0xffff) as u16
}

const MODES: [ModeCode; 5] =
    [ModeCode::Disarmed, ModeCode::Arming, ModeCode::Armed, ModeCode::Stopping, ModeCode::Halted];

/// A mode that is not known reads as Halted: whoever plans must not take it for a permission.
pub(super) fn mode(number: u8) -> ModeCode {
    MODES.into_iter().find(|mode| *mode as u8 == number).unwrap_or(ModeCode::Halted)
}

/// A cause that is not known reads as none.
pub(super) fn cause(number: u16) -> Cause {
    Cause::from_number(number).unwrap_or_default()
}
