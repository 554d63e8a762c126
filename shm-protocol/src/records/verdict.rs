//! The kernel's answer to an intent.

use super::{Cause, TraceId};

/// `axis` of a verdict that concerns no single axis.
pub const AXIS_NONE: u8 = 255;

/// What became of an intent. One admission, then, unless refused, one final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum VerdictKind {
    /// Admission: executed as asked.
    Accepted = 1,
    /// Admission: executed with a value brought inside its limit; rule, axis and values name it.
    Clamped = 2,
    /// Admission: not executed; rule, axis and values say why.
    Refused = 3,
    /// Final: a later intent took its place.
    Preempted = 4,
    /// Final: reached its goal.
    Completed = 5,
    /// Final: its lease ended first; a controlled stop followed.
    Expired = 6,
    /// Final: a stop ended it; `cause` says which.
    Aborted = 7,
}

/// The rule that refused or clamped. The order is the order in which the gate asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Rule {
    /// No rule objected.
    #[default]
    None = 0,
    /// The record's checksum did not match.
    Intact = 1,
    /// A number is NaN or infinite.
    Finite = 2,
    /// Another version, or a kind that this version does not know.
    Version = 3,
    /// Planned for another epoch: a stop lies between.
    Epoch = 4,
    /// The number does not count up.
    Sequence = 5,
    /// Made too long ago, or in the future.
    Freshness = 6,
    /// The lease is over.
    Lease = 7,
    /// The machine's mode takes no motion, or an operator has the machine.
    Mode = 8,
    /// The agent may not ask this, or not of this axis.
    Capability = 9,
    /// More intents than allowed per second.
    Rate = 10,
    /// No axis named, or one that does not exist.
    Axis = 11,
    /// A target position outside the axis' limits.
    Position = 12,
    /// A velocity past the axis' limit.
    Velocity = 13,
    /// An acceleration past the axis' limit.
    Acceleration = 14,
    /// A jerk past the axis' limit.
    Jerk = 15,
    /// An effort past the axis' limit.
    Effort = 16,
    /// Somewhere on the way the axis could not stop inside its limits.
    Stoppable = 17,
    /// No trajectory within the planner's bound.
    Planning = 18,
}

/// One verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The intent's number, as its sender wrote it.
    pub number: u64,
    /// Its trace.
    pub trace: TraceId,
    /// What became of it.
    pub kind: VerdictKind,
    /// Which rule refused or clamped.
    pub rule: Rule,
    /// Which axis, or [`AXIS_NONE`].
    pub axis: u8,
    /// Why it was aborted.
    pub cause: Cause,
    /// The epoch in force when it was decided.
    pub epoch: u32,
    /// The tick that decided.
    pub tick: u64,
    /// When it was decided, CLOCK_MONOTONIC ns.
    pub decided_ns: u64,
    /// The value found, in the rule's unit.
    pub value: f64,
    /// The limit it met, in the rule's unit.
    pub limit: f64,
    /// The nearest value that would have been admitted.
    pub nearest: f64,
}
