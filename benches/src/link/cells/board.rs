//! The link's board, with the link's own bound on tries.

use std::sync::atomic::AtomicU64;

use shm_protocol::board::{self, TRIES_MAX, Writer};

use super::{Cell, Look, Value};
use crate::link::area::BOARD;

/// One end.
#[derive(Debug)]
pub struct Board<'m> {
    words: &'m [AtomicU64],
    head: &'m AtomicU64,
    writer: Writer,
}

impl<'m> Board<'m> {
    /// Either end.
    #[must_use]
    pub fn new((words, head): (&'m [AtomicU64], &'m AtomicU64)) -> Self {
        Board { words, head, writer: Writer::default() }
    }
}

impl Cell for Board<'_> {
    #[inline]
    fn publish(&mut self, value: &Value) {
        self.writer.publish(BOARD, self.words, self.head, value);
    }

    #[inline]
    fn read(&mut self, value: &mut Value) -> Look {
        // One try at a time, to be counted; the tries and the pauses between them are the same.
        for retries in 0..TRIES_MAX {
            if board::read(BOARD, self.words, self.head, 1, value) {
                return Look { whole: true, retries };
            }
        }
        Look { whole: false, retries: TRIES_MAX }
    }
}
