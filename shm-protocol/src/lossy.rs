//! A ring that never waits for its readers: the oldest record is overwritten, and a reader counts
//! what it missed.
//!
//! Readers keep their index to themselves and may only look. The word `written` holds the number of
//! the newest complete record.

use std::sync::atomic::Ordering;

use crate::shape::Shape;
use crate::stamp;
use crate::words::{Load, Store};

/// Tries of a reader that is being overtaken before it comes back another time.
const TRIES_MAX: u32 = 32;

/// The writer's side.
#[derive(Debug, Default)]
pub struct Writer {
    number: u64,
}

impl Writer {
    /// Writes a record over the oldest one. Real time.
    pub fn push<W: Store, const N: usize>(
        &mut self,
        shape: Shape,
        words: &[W],
        written: &W,
        value: &[u64; N],
    ) {
        self.number = self.number.wrapping_add(1);
        let Some(slot) = shape.slot(words, self.number) else { return };
        stamp::write(slot, self.number, value);
        // Release pairs with the Acquire in `Reader::next`: the record is complete.
        written.store(self.number, Ordering::Release);
    }
}

/// A reader's side: how far it has come, and what it missed.
#[derive(Debug, Default)]
pub struct Reader {
    read: u64,
    missed: u64,
}

impl Reader {
    /// Copies the oldest record out that is still there and was not read before; false when there
    /// is none now.
    #[must_use]
    pub fn next<R: Load, const N: usize>(
        &mut self,
        shape: Shape,
        words: &[R],
        written: &R,
        value: &mut [u64; N],
    ) -> bool {
        for _ in 0..TRIES_MAX {
            // Acquire pairs with the Release in `Writer::push`.
            let newest = written.load(Ordering::Acquire);
            if newest <= self.read {
                return false;
            }
            let wanted = self.read.saturating_add(1);
            let oldest = newest.saturating_sub(shape.slots() - 1);
            let number = wanted.max(oldest);
            self.missed = self.missed.saturating_add(number - wanted);
            self.read = number;
            let Some(slot) = shape.slot(words, number) else { return false };
            if stamp::read(slot, number, value) {
                return true;
            }
            self.missed = self.missed.saturating_add(1);
        }
        false
    }

    /// Records that were overwritten before they were read.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    const SHAPE: Shape = Shape::new(8, 4);

    fn page() -> (Vec<AtomicU64>, AtomicU64) {
        ((0..SHAPE.words()).map(|_| AtomicU64::new(0)).collect(), AtomicU64::new(0))
    }

    #[test]
    fn a_reader_that_keeps_up_misses_nothing() {
        let (words, written) = page();
        let (mut writer, mut reader) = (Writer::default(), Reader::default());
        let mut value = [0; 3];
        assert!(!reader.next(SHAPE, &words, &written, &mut value));
        for number in 1..=100 {
            writer.push(SHAPE, &words, &written, &[number; 3]);
            assert!(reader.next(SHAPE, &words, &written, &mut value));
            assert_eq!(value, [number; 3]);
        }
        assert_eq!(reader.missed(), 0);
    }

    #[test]
    fn a_reader_that_falls_behind_counts_what_it_missed() {
        let (words, written) = page();
        let (mut writer, mut reader) = (Writer::default(), Reader::default());
        for number in 1..=20 {
            writer.push(SHAPE, &words, &written, &[number; 3]);
        }
        let mut value = [0; 3];
        for number in 13..=20 {
            assert!(reader.next(SHAPE, &words, &written, &mut value));
            assert_eq!(value, [number; 3]);
        }
        assert!(!reader.next(SHAPE, &words, &written, &mut value));
        assert_eq!(reader.missed(), 12);
    }

    #[test]
    fn read_and_missed_are_all_that_was_written_under_a_writer_at_full_speed() {
        const WRITTEN_MAX: u64 = 100_000;
        let (words, written) = page();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = Writer::default();
                for number in 1..=WRITTEN_MAX {
                    writer.push(SHAPE, &words, &written, &[number; 3]);
                }
            });
            let (mut reader, mut read, mut last) = (Reader::default(), 0, 0);
            while last < WRITTEN_MAX {
                let mut value = [0; 3];
                if reader.next(SHAPE, &words, &written, &mut value) {
                    assert!(value == [value[0]; 3] && value[0] > last, "{value:?} after {last}");
                    (read, last) = (read + 1, value[0]);
                }
            }
            assert_eq!(read + reader.missed(), WRITTEN_MAX);
        });
    }

    #[test]
    fn a_number_that_makes_no_sense_ends_the_look() {
        let (words, written) = page();
        written.store(u64::MAX, Ordering::Relaxed);
        let mut reader = Reader::default();
        assert!(!reader.next(SHAPE, &words, &written, &mut [0; 3]));
        assert!(!reader.next(SHAPE, &words, &written, &mut [0; 3]));
    }
}
