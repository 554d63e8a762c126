//! What happened, for readers that may miss some of it.

use super::{Cause, ModeCode};

/// What kind of event. The numbers are fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// The mode changed to `mode`, because of `cause`.
    ModeChanged = 1,
    /// Ticks were skipped; detail: how many.
    TicksSkipped = 2,
    /// An axis' drive changed its state; detail: axis in the low byte, state in the next.
    AxisChanged = 3,
    /// An operator took the machine: no planner's intent is admitted.
    ControlTaken = 4,
    /// The operator gave it back.
    ControlReturned = 5,
}

impl EventKind {
    /// Every kind, in the order of its number.
    pub const ALL: [EventKind; 5] = [
        EventKind::ModeChanged,
        EventKind::TicksSkipped,
        EventKind::AxisChanged,
        EventKind::ControlTaken,
        EventKind::ControlReturned,
    ];
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The tick in which it happened.
    pub tick: u64,
    /// When, CLOCK_MONOTONIC ns.
    pub time_ns: u64,
    /// What happened.
    pub kind: EventKind,
    /// The mode after it.
    pub mode: ModeCode,
    /// The latched cause after it.
    pub cause: Cause,
    /// The kind says what it is.
    pub detail: u32,
}
