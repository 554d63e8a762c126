//! The least that two processors can do: one word, on a line of its own in each direction.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::failure::Failure;
use crate::link::area::Both;
use crate::link::exchange::Channel;
use crate::link::record::{Bare, Side};

/// One end of the raw hand-over ("R2": two lines).
#[derive(Debug)]
pub struct Raw<'m> {
    out: &'m AtomicU64,
    inward: &'m AtomicU64,
    last: u64,
}

impl<'m> Raw<'m> {
    /// The end of `side`.
    #[must_use]
    pub fn new(both: Both<&'m AtomicU64>, side: Side) -> Self {
        let (out, inward) = both.ends(side);
        Raw { out, inward, last: 0 }
    }
}

impl Channel for Raw<'_> {
    type Record = Bare;

    #[inline]
    fn send(&mut self, record: &Bare) -> Result<bool, Failure> {
        // Release pairs with the Acquire below, as in any channel that carries more.
        self.out.store(record.0, Ordering::Release);
        Ok(true)
    }

    #[inline]
    fn receive(&mut self, record: &mut Bare) -> Result<bool, Failure> {
        // Acquire pairs with the Release above.
        let found = self.inward.load(Ordering::Acquire);
        let is_new = found != self.last;
        if is_new {
            self.last = found;
            record.0 = found;
        }
        Ok(is_new)
    }
}
