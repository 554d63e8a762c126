//! How slots lie on a page.

/// `slots` (a power of two) slots of `stride` words each, one after the other on the page, used in
/// an order that keeps successive ones away from the hardware's prefetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    slots: u64,
    stride: usize,
}

impl Shape {
    /// Slots that are used before one is used again; the most there are.
    pub const SLOTS_MAX: u64 = 1 << 16;

    /// Made by the compiler.
    ///
    /// # Panics
    /// When compiled with a number of slots that is no power of two, or too large.
    #[must_use]
    #[allow(clippy::panic, reason = "evaluated by the compiler")]
    pub const fn new(slots: u64, stride: usize) -> Shape {
        assert!(slots.is_power_of_two() && slots <= Shape::SLOTS_MAX && stride > 0);
        Shape { slots, stride }
    }

    /// Slots.
    #[must_use]
    pub const fn slots(&self) -> u64 {
        self.slots
    }

    /// Words from one slot to its neighbour on the page.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// Words of all slots.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "at most SLOTS_MAX, asserted by `new`")]
    pub const fn words(&self) -> usize {
        self.slots as usize * self.stride
    }

    /// The slot of the record with this index. Any index has one; empty only if `words` is too
    /// short.
    #[inline]
    pub(crate) fn slot<'w, W>(&self, words: &'w [W], index: u64) -> &'w [W] {
        // 27 is odd: a permutation of any power of two of slots (measured, SHM.md).
        let place = index.wrapping_mul(27) & (self.slots - 1);
        let start = usize::try_from(place).unwrap_or(0).wrapping_mul(self.stride);
        words.get(start..start.wrapping_add(self.stride)).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn successive_records_use_every_slot_once() {
        for slots in [1, 2, 8, 64, 256] {
            let shape = Shape::new(slots, 2);
            let words: Vec<usize> = (0..shape.words()).collect();
            let seen: HashSet<usize> =
                (7..7 + slots).map(|index| shape.slot(&words, index)[0]).collect();
            assert_eq!(seen.len() as u64, slots);
        }
    }

    #[test]
    fn no_index_leaves_the_page() {
        let shape = Shape::new(64, 16);
        let words = vec![0u8; shape.words()];
        for index in [0, 63, 64, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            assert_eq!(shape.slot(&words, index).len(), 16);
        }
        assert!(shape.slot(&words[1..], 63).len() <= 16);
    }
}
