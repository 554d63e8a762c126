//! The latched cause that any thread of the daemon can raise, in one word.
//!
//! The first cause stays; a later one changes nothing. The kernel, which alone assigns the mode,
//! reads it every tick; bus threads read it before every send. Only the control thread clears it,
//! on an operator's edge that the kernel took.

use std::sync::atomic::{AtomicU64, Ordering};

use shm_protocol::records::Cause;

/// One latched cause and its detail.
#[derive(Debug, Default)]
pub struct Latch {
    word: AtomicU64,
}

impl Latch {
    /// Raises a cause; returns whether it was the first. Real time, any thread.
    pub fn raise(&self, cause: Cause, detail: u32) -> bool {
        let word = (cause as u64) << 32 | u64::from(detail);
        // AcqRel pairs with the Acquire in `get`: who sees the cause sees what led to it.
        self.word.compare_exchange(0, word, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The latched cause and its detail. Real time, any thread.
    pub fn get(&self) -> Option<(Cause, u32)> {
        let word = self.word.load(Ordering::Acquire);
        let number = u16::try_from(word >> 32).ok()?;
        let cause = Cause::from_number(number).filter(|cause| *cause != Cause::None)?;
        let detail = u32::try_from(word & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Some((cause, detail))
    }

    /// Whether anything is latched. Real time, any thread.
    pub fn is_set(&self) -> bool {
        self.word.load(Ordering::Acquire) != 0
    }

    /// Forgets the cause `seen`; a cause raised since stays. Control thread only.
    pub fn clear(&self, seen: (Cause, u32)) {
        let word = (seen.0 as u64) << 32 | u64::from(seen.1);
        let _ = self.word.compare_exchange(word, 0, Ordering::AcqRel, Ordering::Acquire);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_stays() {
        let latch = Latch::default();
        assert!(latch.raise(Cause::DeadlineControl, 3));
        assert!(!latch.raise(Cause::BusFault, 1));
        assert_eq!(latch.get(), Some((Cause::DeadlineControl, 3)));
    }

    #[test]
    fn clearing_forgets_only_what_was_seen() {
        let latch = Latch::default();
        latch.raise(Cause::BusFault, 1);
        latch.clear((Cause::BusFault, 0));
        assert!(latch.is_set());
        latch.clear((Cause::BusFault, 1));
        assert!(!latch.is_set());
    }

    #[test]
    fn every_cause_survives_the_word() {
        for cause in Cause::ALL.into_iter().filter(|cause| *cause != Cause::None) {
            let latch = Latch::default();
            latch.raise(cause, u32::MAX);
            assert_eq!(latch.get(), Some((cause, u32::MAX)));
        }
    }
}
