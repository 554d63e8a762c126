//! One process' ends of everything that is measured, made once a run.

use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicU64;

use super::area::Area;
use super::cells::{Board, Seqlock, Triple};
use super::channels::{Bytes, FOUR_LINES, Iceoryx, Intents, LINE, Large, Raw, Short, Small};
use super::record::Side;
use crate::failure::Failure;

/// What the two processes tell each other while they measure a cell or a rate. Each order has a
/// sequence number of its own, so that no word needs to be cleared.
#[derive(Debug)]
pub struct Signals<'m> {
    /// What the measuring process asks for.
    pub request: &'m AtomicU64,
    /// What its peer has done.
    pub answer: &'m AtomicU64,
    /// The sequence number of the newest order that is to end.
    pub stop: &'m AtomicU64,
}

/// The ends.
#[derive(Debug)]
pub struct Ends<'m> {
    /// R2.
    pub raw: Raw<'m>,
    /// 56 bytes.
    pub small: Small<'m>,
    /// 56 bytes in fewer slots.
    pub short: Short<'m>,
    /// 248 bytes.
    pub large: Large<'m>,
    /// Intents.
    pub intents: Intents<'m>,
    /// 64 bytes.
    pub iceoryx_small: Iceoryx<LINE>,
    /// 256 bytes.
    pub iceoryx_large: Iceoryx<FOUR_LINES>,
    /// SEQPACKET.
    pub socket: Bytes,
    /// Two pipes.
    pub pipe: Bytes,
    /// The link's cell.
    pub board: Board<'m>,
    /// For comparison.
    pub triple: Triple<'m>,
    /// For comparison.
    pub seqlock: Seqlock<'m>,
    /// The signals.
    pub signals: Signals<'m>,
}

/// The kernel's ways of one side.
#[derive(Debug)]
pub struct Descriptors {
    /// SEQPACKET.
    pub socket: OwnedFd,
    /// The pipe that comes here.
    pub pipe_in: OwnedFd,
    /// The pipe that goes there.
    pub pipe_out: OwnedFd,
}

impl<'m> Ends<'m> {
    /// The ends of `side`.
    pub fn new(
        words: &'m [AtomicU64],
        descriptors: Descriptors,
        run: u64,
        side: Side,
    ) -> Result<Ends<'m>, Failure> {
        let area = Area::of(words)?;
        let Descriptors { socket, pipe_in, pipe_out } = descriptors;
        let socket_again = socket.try_clone().map_err(Failure::io("dup"))?;
        Ok(Ends {
            raw: Raw::new(area.raw, side),
            small: Small::new(area.small, side),
            short: Short::new(area.short, side),
            large: Large::new(area.large, side),
            intents: Intents::new(area.intents, side),
            iceoryx_small: Iceoryx::new(run, side)?,
            iceoryx_large: Iceoryx::new(run, side)?,
            socket: Bytes::new(socket, socket_again),
            pipe: Bytes::new(pipe_out, pipe_in),
            board: Board::new(area.board),
            triple: Triple::new(area.triple),
            seqlock: Seqlock::new(area.seqlock),
            signals: Signals { request: area.request, answer: area.answer, stop: area.stop },
        })
    }
}
