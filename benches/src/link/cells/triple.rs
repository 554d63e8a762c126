//! A triple buffer, for comparison: never a retry, but its reader writes, so that it cannot be mapped
//! read-only, and it has one reader only.

use std::sync::atomic::{AtomicU64, Ordering};

use shm_protocol::words::{copy_in, copy_out};

use super::{Cell, Look, Value};

/// In the shared word: the buffer in the middle holds a value that the reader has not had.
const FRESH: u64 = 4;
/// In the shared word: which buffer is in the middle.
const WHICH: u64 = 3;

/// One end. Of three buffers one is the writer's, one the reader's, and the shared word says which is
/// in the middle: number 0 at first, 1 the writer's, 2 the reader's.
#[derive(Debug)]
pub struct Triple<'m> {
    middle: &'m AtomicU64,
    buffers: [&'m [AtomicU64]; 3],
    writers: u64,
    readers: u64,
}

impl<'m> Triple<'m> {
    /// Either end.
    #[must_use]
    pub fn new((middle, buffers): (&'m AtomicU64, [&'m [AtomicU64]; 3])) -> Self {
        Triple { middle, buffers, writers: 1, readers: 2 }
    }

    #[inline]
    fn buffer(&self, which: u64) -> &'m [AtomicU64] {
        let which = usize::try_from(which).unwrap_or(usize::MAX);
        self.buffers.get(which).copied().unwrap_or(&[])
    }
}

impl Cell for Triple<'_> {
    #[inline]
    fn publish(&mut self, value: &Value) {
        copy_in(self.buffer(self.writers), value);
        // Release: who takes this buffer finds the value. Acquire: the reader that gave the other one
        // back has made its copy.
        self.writers = self.middle.swap(self.writers | FRESH, Ordering::AcqRel) & WHICH;
    }

    #[inline]
    fn read(&mut self, value: &mut Value) -> Look {
        if self.middle.load(Ordering::Relaxed) & FRESH != 0 {
            // Acquire and Release as above, the other way round.
            self.readers = self.middle.swap(self.readers, Ordering::AcqRel) & WHICH;
        }
        copy_out(self.buffer(self.readers), value);
        Look { whole: true, retries: 0 }
    }
}
