//! The newest value, of any size, for readers that may only look.
//!
//! Several slots in turn. The writer never waits; a reader copies the newest slot and checks that it
//! was not overwritten meanwhile, a bounded number of times. The word `head` holds the number of the
//! newest complete value; 0: none yet.

use std::sync::atomic::Ordering;

use crate::shape::Shape;
use crate::stamp;
use crate::words::{Load, Store};

/// Slots of a board (measured: at most 23 retries under a writer at full speed, SHM.md).
pub const SLOTS: u64 = 8;
/// Tries of a reader before it keeps its last good value.
pub const TRIES_MAX: u32 = 32;

/// The writer's side.
#[derive(Debug, Default)]
pub struct Writer {
    number: u64,
}

impl Writer {
    /// Publishes a value. Real time.
    #[inline]
    pub fn publish<W: Store, const N: usize>(
        &mut self,
        shape: Shape,
        words: &[W],
        head: &W,
        value: &[u64; N],
    ) {
        self.number = self.number.wrapping_add(1);
        let Some(slot) = shape.slot(words, self.number) else { return };
        stamp::write(slot, self.number, value);
        // Release pairs with the Acquire in `read`: the slot is complete.
        head.store(self.number, Ordering::Release);
    }
}

/// Copies the newest value out; false when there is none, or none whole within `tries`. Real time.
#[must_use]
#[inline]
pub fn read<R: Load, const N: usize>(
    shape: Shape,
    words: &[R],
    head: &R,
    tries: u32,
    value: &mut [u64; N],
) -> bool {
    for _ in 0..tries {
        // Acquire pairs with the Release in `publish`.
        let number = head.load(Ordering::Acquire);
        if number == 0 {
            return false;
        }
        let Some(slot) = shape.slot(words, number) else { return false };
        if stamp::read(slot, number, value) {
            return true;
        }
        std::hint::spin_loop();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU64};

    const SHAPE: Shape = Shape::new(SLOTS, 16);

    fn page() -> (Vec<AtomicU64>, AtomicU64) {
        ((0..SHAPE.words()).map(|_| AtomicU64::new(0)).collect(), AtomicU64::new(0))
    }

    #[test]
    fn the_newest_value_is_read_and_none_before_the_first() {
        let (words, head) = page();
        let mut value = [0; 4];
        assert!(!read(SHAPE, &words, &head, TRIES_MAX, &mut value));
        let mut writer = Writer::default();
        for number in 1..100 {
            writer.publish(SHAPE, &words, &head, &[number, 2, 3, number]);
            assert!(read(SHAPE, &words, &head, TRIES_MAX, &mut value));
            assert_eq!(value, [number, 2, 3, number]);
        }
    }

    #[test]
    fn a_writer_that_died_in_the_middle_leaves_the_value_before_it() {
        let (words, head) = page();
        let mut writer = Writer::default();
        writer.publish(SHAPE, &words, &head, &[7; 4]);
        let (stamp, value) = SHAPE.slot::<_, 4>(&words, 2).unwrap();
        stamp.store(3, Ordering::Relaxed);
        value[0].store(99, Ordering::Relaxed);
        let mut value = [0; 4];
        assert!(read(SHAPE, &words, &head, TRIES_MAX, &mut value));
        assert_eq!(value, [7; 4]);
    }

    #[test]
    fn a_head_that_names_no_complete_slot_gives_stale_after_the_bound() {
        let (words, head) = page();
        for lie in [1, 5, u64::MAX, 1 << 63] {
            head.store(lie, Ordering::Relaxed);
            assert!(!read(SHAPE, &words, &head, TRIES_MAX, &mut [0; 4]));
        }
    }

    #[test]
    fn no_value_is_ever_torn_under_a_writer_at_full_speed() {
        let (words, head) = page();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = Writer::default();
                for number in 1..200_000 {
                    writer.publish(SHAPE, &words, &head, &[number; 15]);
                }
                done.store(true, Ordering::Release);
            });
            let mut last = 0;
            while !done.load(Ordering::Acquire) {
                let mut value = [0; 15];
                if read(SHAPE, &words, &head, TRIES_MAX, &mut value) {
                    assert!(value.iter().all(|word| *word == value[0]), "torn: {value:?}");
                    assert!(value[0] >= last, "went back from {last} to {}", value[0]);
                    last = value[0];
                }
            }
        });
    }
}
