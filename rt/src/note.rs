//! What real-time threads tell housekeeping: fixed-size records over a ring, no strings, no waiting.
//!
//! A ring that is full drops the note and counts it; nobody waits for a logger.

use mechos_kernel::io::OperatorAnswer;
use mechos_kernel::mode::Mode;
use rtrb::{Consumer, Producer, RingBuffer};
use shm_protocol::records::{Cause, Verdict};

use crate::inject::Injection;
use crate::miss_cause::{MissCause, Stage};
use crate::schedule::Miss;

/// Notes that one thread may be ahead of housekeeping.
const NOTES_MAX: usize = 1024;

/// One note.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Note {
    /// The kernel changed the mode.
    Mode {
        /// When, CLOCK_MONOTONIC ns.
        t_ns: u64,
        /// Before.
        from: Mode,
        /// After.
        to: Mode,
        /// The epoch after.
        epoch: u32,
    },
    /// The kernel answered an intent.
    Verdict(Verdict),
    /// The kernel answered an operator.
    Answer(OperatorAnswer),
    /// The kernel took an operator's reset: fence and drive faults are to be cleared.
    Reset {
        /// When, CLOCK_MONOTONIC ns.
        t_ns: u64,
    },
    /// A tick was late.
    Missed {
        /// When it was noticed, CLOCK_MONOTONIC ns.
        t_ns: u64,
        /// Which tick.
        tick: u64,
        /// In which part of its way.
        miss: Miss,
        /// What it is put down to.
        cause: MissCause,
        /// Where the time went, if it went after the wake-up.
        stage: Option<Stage>,
        /// The bus, for a late send.
        bus: Option<u32>,
        /// The last system call that was refused inside the tick, by the kernel's number.
        call: Option<i32>,
        /// Ticks skipped right before it.
        skipped: u64,
        /// How late, ns after the nominal start.
        late_ns: u64,
    },
    /// The deadline thread stopped the drives.
    DeadlineStop {
        /// The cause it latched.
        cause: Cause,
        /// The bus, for a bus thread.
        detail: u32,
        /// The deadline that passed, CLOCK_MONOTONIC ns.
        deadline_ns: u64,
        /// When the last stop frame was handed over, CLOCK_MONOTONIC ns.
        sent_ns: u64,
    },
    /// A bus thread's first frame of a stop that the kernel ordered was handed over.
    StopSent {
        /// The tick that first ordered it began at this time, CLOCK_MONOTONIC ns.
        halt_ns: u64,
        /// When the send returned, CLOCK_MONOTONIC ns.
        sent_ns: u64,
    },
    /// The control tick carried an injected fault out.
    Injected {
        /// What.
        injection: Injection,
        /// Which tick.
        tick: u64,
        /// When it was over, CLOCK_MONOTONIC ns.
        t_ns: u64,
    },
    /// A bus was opened again.
    BusOpened {
        /// Which.
        bus: u32,
    },
    /// A bus was lost.
    BusLost {
        /// Which.
        bus: u32,
        /// When, CLOCK_MONOTONIC ns.
        t_ns: u64,
    },
    /// The planner's connection was retired; its counters as it left them.
    LinkRetired {
        /// Its generation.
        generation: u32,
        /// Intents its sender claims to have submitted.
        submitted: u64,
        /// Of those, returned to the sender because the ring was full.
        returned: u64,
        /// Taken from the ring.
        taken: u64,
    },
}

/// A thread's end of its ring.
pub struct Notes {
    ring: Producer<Note>,
    dropped: u64,
}

impl Notes {
    /// A ring: the thread's end and housekeeping's.
    pub fn ring() -> (Self, Consumer<Note>) {
        let (ring, consumer) = RingBuffer::new(NOTES_MAX);
        (Self { ring, dropped: 0 }, consumer)
    }

    /// Leaves a note. Real time.
    pub fn leave(&mut self, note: Note) {
        if self.ring.push(note).is_err() {
            self.dropped += 1;
        }
    }

    /// Notes that found the ring full.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}
