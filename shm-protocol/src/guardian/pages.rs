//! The two pages: who writes what, who reads it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::board;
use crate::layout::{BEAT_WORDS, BEATS, FencePage, HeartbeatPage};
use crate::memory::{Mapped, ReadWord};
use crate::records::{Cause, ModeCode};
use crate::words::{Load, count_up, counted};

/// One beat of mechos-rt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtBeat {
    /// Its tick.
    pub tick: u64,
    /// When, CLOCK_MONOTONIC ns.
    pub t_ns: u64,
    /// The mode's number ([`ModeCode`]).
    pub mode: u64,
    /// Any axis is or may be powered.
    pub energised: bool,
}

/// mechos-rt's writer of the heartbeat page. Real time.
#[derive(Debug)]
pub struct HeartbeatWriter {
    page: Mapped<HeartbeatPage<AtomicU64>>,
    board: board::Writer,
}

impl HeartbeatWriter {
    pub(super) fn new(page: Mapped<HeartbeatPage<AtomicU64>>) -> Self {
        Self { page, board: board::Writer::default() }
    }

    /// One beat. Real time.
    pub fn beat(&mut self, tick: u64, t_ns: u64, mode: ModeCode, energised: bool) {
        let beat = [tick, t_ns, mode as u64, u64::from(energised)];
        self.board.publish(BEATS, &self.page.beats, &self.page.newest.word, &beat);
    }
}

/// The guardian's view of the heartbeat page.
#[derive(Debug)]
pub(super) struct HeartbeatReader {
    page: Mapped<HeartbeatPage<ReadWord>>,
    last: Option<RtBeat>,
}

impl HeartbeatReader {
    pub(super) fn new(page: Mapped<HeartbeatPage<ReadWord>>) -> Self {
        Self { page, last: None }
    }

    /// The newest beat; the last good one when none can be read whole within the bound: it ages.
    pub(super) fn newest(&mut self) -> Option<RtBeat> {
        let mut words = [0; BEAT_WORDS];
        let (newest, tries) = (&self.page.newest.word, board::TRIES_MAX);
        if board::read(BEATS, &self.page.beats, newest, tries, &mut words) {
            let [tick, t_ns, mode, energised] = words;
            self.last = Some(RtBeat { tick, t_ns, mode, energised: energised != 0 });
        }
        self.last
    }
}

/// The guardian's writer of the fence page. Real time.
#[derive(Debug)]
pub(super) struct FenceWriter {
    page: Mapped<FencePage<AtomicU64>>,
}

impl FenceWriter {
    pub(super) fn new(page: Mapped<FencePage<AtomicU64>>) -> Self {
        Self { page }
    }

    pub(super) fn beat(&self) {
        count_up(&self.page.heartbeat.word);
    }

    /// Puts the fence up with its cause and time, or takes it down.
    pub(super) fn set(&self, latched: Option<(Cause, u64)>) {
        let cause = match latched {
            // A fence without a cause would be none.
            Some((Cause::None, _)) => Cause::RtLost as u64,
            Some((cause, _)) => cause as u64,
            None => 0,
        };
        if let Some((_, since_ns)) = latched {
            // Relaxed: the store of the cause publishes it.
            self.page.since.word.store(since_ns, Ordering::Relaxed);
        }
        // Release pairs with the Acquire in `FenceReader`: who sees the fence finds its time, and
        // who sees it down finds what was done before.
        self.page.cause.word.store(cause, Ordering::Release);
    }

    pub(super) fn set_proved(&self, proved: bool) {
        // Release pairs with the Acquire in `FenceReader::socket_proved`.
        self.page.proved.word.store(u64::from(proved), Ordering::Release);
    }
}

/// mechos-rt's view of the fence page; cheap to copy to every thread that must look before it
/// sends. Real time.
#[derive(Clone, Debug)]
pub struct FenceReader {
    page: Mapped<FencePage<ReadWord>>,
}

impl FenceReader {
    pub(super) fn new(page: Mapped<FencePage<ReadWord>>) -> Self {
        Self { page }
    }

    /// Whether the fence is up: then this process sends nothing.
    #[must_use]
    pub fn is_up(&self) -> bool {
        // Acquire pairs with the Release in `FenceWriter::set`.
        self.page.cause.word.load(Ordering::Acquire) != 0
    }

    /// The latched cause, while the fence is up.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        // Acquire pairs with the Release in `FenceWriter::set`.
        cause_of(self.page.cause.word.load(Ordering::Acquire))
    }

    /// When it was latched, CLOCK_MONOTONIC ns; of use while the fence is up.
    #[must_use]
    pub fn since_ns(&self) -> u64 {
        // Relaxed: the load of the cause came before.
        self.page.since.word.load(Ordering::Relaxed)
    }

    /// The guardian's beat: counts up.
    #[must_use]
    pub fn guardian_beat(&self) -> u64 {
        counted(&self.page.heartbeat.word)
    }

    /// Every stop socket of the guardian was proved by a frame and its echo.
    #[must_use]
    pub fn socket_proved(&self) -> bool {
        // Acquire pairs with the Release in `FenceWriter::set_proved`.
        self.page.proved.word.load(Ordering::Acquire) == 1
    }
}

/// The cause of a number; 0 is none. A number that nobody knows is a fence all the same.
pub(super) fn cause_of(number: u64) -> Option<Cause> {
    if number == 0 {
        return None;
    }
    let known = u16::try_from(number).ok().and_then(Cause::from_number);
    Some(known.unwrap_or(Cause::RtLost))
}
