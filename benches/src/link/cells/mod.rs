//! Newest values of 256 bytes: the link's board, and two that it is compared with.

mod board;
mod seqlock;
mod triple;

pub use board::Board;
pub use seqlock::Seqlock;
pub use triple::Triple;

/// Words of a value: 256 bytes.
pub const VALUE_WORDS: usize = 32;

/// A value.
pub type Value = [u64; VALUE_WORDS];

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether it found a whole value; else the reader keeps its last one.
    pub whole: bool,
    /// Copies that were thrown away because the writer came in between.
    pub retries: u32,
}

/// A cell of which one process is the writer, the other the reader.
pub trait Cell {
    /// Overwrites the newest value.
    fn publish(&mut self, value: &Value);

    /// Copies the newest value out.
    fn read(&mut self, value: &mut Value) -> Look;
}
