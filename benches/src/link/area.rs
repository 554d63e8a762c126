//! What lies where in the shared words: the same order on both sides, every part on lines of its own.

use std::sync::atomic::AtomicU64;

use shm_protocol::layout::{INTENTS, LINE_WORDS};
use shm_protocol::shape::Shape;
use shm_protocol::{board, ring, stamp};

use super::cells::VALUE_WORDS;
use super::channels::{LARGE_WORDS, SMALL_WORDS};
use super::record::Side;
use crate::failure::Failure;

/// Rings of 56 byte payloads: 256 slots of 128 bytes, as the link's verdicts.
pub const SMALL: Shape = Shape::new(256, slot(ring::HEAD + SMALL_WORDS));
/// The same with 64 slots, as the link's intents.
pub const SHORT: Shape = Shape::new(64, SMALL.stride());
/// Rings of 248 byte payloads: 64 slots of 256 bytes.
pub const LARGE: Shape = Shape::new(64, slot(ring::HEAD + LARGE_WORDS));
/// The board of 256 byte values.
pub const BOARD: Shape = Shape::new(board::SLOTS, slot(stamp::HEAD + VALUE_WORDS));
/// Words of the seqlock, and of each of the triple buffer's three.
pub const CELL_WORDS: usize = slot(1 + VALUE_WORDS);

const _: () = assert!(SMALL.stride() == 16 && LARGE.stride() == 32);

const fn slot(words: usize) -> usize {
    words.next_multiple_of(LINE_WORDS)
}

/// Words of everything below, each part rounded up to lines.
pub const WORDS: usize = LINES * LINE_WORDS
    + 2 * (SMALL.words() + SHORT.words() + LARGE.words() + INTENTS.words())
    + BOARD.words()
    + 4 * CELL_WORDS;
/// Parts that are one word on a line: the raw hand-over's, rings' read indices, the cells' words,
/// the signals.
const LINES: usize = 2 + 2 * 4 + 2 + 3;

/// A ring, and the word in which its receiver says how far it has come.
#[derive(Clone, Copy, Debug)]
pub struct Way<'m> {
    /// The ring.
    pub words: &'m [AtomicU64],
    /// The receiver's word.
    pub read: &'m AtomicU64,
}

/// Both directions of something.
#[derive(Clone, Copy, Debug)]
pub struct Both<T> {
    /// From the process that measures to its peer.
    pub there: T,
    /// And back.
    pub back: T,
}

impl<T> Both<T> {
    /// What `side` writes into, and what it reads from.
    pub fn ends(self, side: Side) -> (T, T) {
        match side {
            Side::Near => (self.there, self.back),
            Side::Far => (self.back, self.there),
        }
    }
}

/// Everything.
#[derive(Clone, Copy, Debug)]
pub struct Area<'m> {
    /// One line a direction: the raw hand-over.
    pub raw: Both<&'m AtomicU64>,
    /// 56 byte payloads.
    pub small: Both<Way<'m>>,
    /// 56 byte payloads in fewer slots.
    pub short: Both<Way<'m>>,
    /// 248 byte payloads.
    pub large: Both<Way<'m>>,
    /// Intents.
    pub intents: Both<Way<'m>>,
    /// The board and its word.
    pub board: (&'m [AtomicU64], &'m AtomicU64),
    /// The seqlock: version, value.
    pub seqlock: &'m [AtomicU64],
    /// The triple buffer: which, and the three.
    pub triple: (&'m AtomicU64, [&'m [AtomicU64]; 3]),
    /// What the measuring process asks of its peer meanwhile.
    pub request: &'m AtomicU64,
    /// What the peer answers.
    pub answer: &'m AtomicU64,
    /// That the peer is to end what it does.
    pub stop: &'m AtomicU64,
}

impl<'m> Area<'m> {
    /// Divides the words.
    pub fn of(words: &'m [AtomicU64]) -> Result<Area<'m>, Failure> {
        let mut rest = Rest(words);
        Ok(Area {
            raw: Both { there: rest.line()?, back: rest.line()? },
            small: rest.ways(SMALL)?,
            short: rest.ways(SHORT)?,
            large: rest.ways(LARGE)?,
            intents: rest.ways(INTENTS)?,
            board: (rest.part(BOARD.words())?, rest.line()?),
            seqlock: rest.part(CELL_WORDS)?,
            triple: (
                rest.line()?,
                [rest.part(CELL_WORDS)?, rest.part(CELL_WORDS)?, rest.part(CELL_WORDS)?],
            ),
            request: rest.line()?,
            answer: rest.line()?,
            stop: rest.line()?,
        })
    }
}

struct Rest<'m>(&'m [AtomicU64]);

impl<'m> Rest<'m> {
    fn part(&mut self, words: usize) -> Result<&'m [AtomicU64], Failure> {
        let (part, rest) =
            self.0.split_at_checked(words).ok_or(Failure::Disagreement("too few shared words"))?;
        self.0 = rest;
        Ok(part)
    }

    fn line(&mut self) -> Result<&'m AtomicU64, Failure> {
        self.part(LINE_WORDS)?.first().ok_or(Failure::Disagreement("an empty line"))
    }

    fn ways(&mut self, shape: Shape) -> Result<Both<Way<'m>>, Failure> {
        let mut way = || Ok(Way { words: self.part(shape.words())?, read: self.line()? });
        Ok(Both { there: way()?, back: way()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_the_words_and_one_word_less_is_refused() {
        let words: Vec<AtomicU64> = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        let area = Area::of(&words).unwrap();
        let last = std::ptr::from_ref(area.stop);
        assert_eq!(last, std::ptr::from_ref(&words[WORDS - LINE_WORDS]));
        assert!(Area::of(&words[1..]).is_err());
    }
}
