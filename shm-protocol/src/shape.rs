//! How slots lie on a page.

/// From the slot of one record to that of the next, modulo the slots.
///
/// Odd: a permutation of any power of two of them. About 3/8 of 8, 64 and 256, so that never more than
/// two steps in a row are equally long: a processor that finds such a row fetches the next slot before
/// it is written, and the sender must take its line back (27 has rows of nine among 256 slots; they
/// cost half a hand-over, `benches`).
pub(crate) const STEP: u64 = 91;

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

    /// Where the slot of the record with this index begins on the page, in words. Any index has one.
    #[inline]
    pub(crate) fn place(&self, index: u64) -> usize {
        let slot = index.wrapping_mul(STEP) & (self.slots - 1);
        usize::try_from(slot).unwrap_or(0).wrapping_mul(self.stride)
    }

    /// The slot of the record with this index; none only if `words` or a slot are too short.
    #[inline]
    pub(crate) fn slot<'w, W, const N: usize>(
        &self,
        words: &'w [W],
        index: u64,
    ) -> Option<(&'w W, &'w [W; N])> {
        self.slot_at(words, self.place(index))
    }

    /// The slot that begins there: its first word and `N` that follow it.
    #[inline]
    pub(crate) fn slot_at<'w, W, const N: usize>(
        &self,
        words: &'w [W],
        place: usize,
    ) -> Option<(&'w W, &'w [W; N])> {
        if N >= self.stride {
            return None;
        }
        let (first, rest) = words.get(place..place.wrapping_add(1 + N))?.split_first()?;
        Some((first, rest.first_chunk()?))
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
                (7..7 + slots).map(|index| *shape.slot::<_, 1>(&words, index).unwrap().0).collect();
            assert_eq!(seen.len() as u64, slots);
        }
    }

    #[test]
    fn never_more_than_two_steps_in_a_row_are_equally_long() {
        for slots in [8, 64, 256] {
            let shape = Shape::new(slots, 2);
            let place = |index| i64::try_from(shape.place(index)).unwrap();
            let distance = |index| place(index + 1) - place(index);
            for index in 0..slots {
                let three = [distance(index), distance(index + 1), distance(index + 2)];
                assert!(three[0] != three[1] || three[1] != three[2], "{slots} slots: {three:?}");
            }
        }
    }

    #[test]
    fn no_index_leaves_the_page() {
        let shape = Shape::new(64, 16);
        let words = vec![0u8; shape.words()];
        for index in [0, 63, 64, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            assert!(shape.slot::<_, 15>(&words, index).is_some());
            assert!(shape.slot::<_, 16>(&words, index).is_none(), "into the next slot");
        }
        let of_all = (0..64).filter(|index| shape.slot::<_, 15>(&words[1..], *index).is_none());
        assert_eq!(of_all.count(), 1, "the last slot of a page that is too short");
    }
}
