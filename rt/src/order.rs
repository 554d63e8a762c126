//! What crosses between the control thread and a bus thread, each tick, by rtrb.

use arrayvec::ArrayVec;
use hal::drive::{DriveCommand, DriveFeedback};
use shm_protocol::records::AXES_MAX;

/// Orders that may wait; the bus thread takes the newest and forgets the others, so that nothing
/// stale is ever sent.
pub const ORDERS_MAX: usize = 8;
/// Reports that may wait; the control thread takes the newest.
pub const REPORTS_MAX: usize = 64;

/// Intents that the orders which may wait carry the times of.
pub const ISSUED_MAX: usize = ORDERS_MAX;

/// One tick's commands for the drives of one bus.
#[derive(Clone, Debug)]
pub struct Order {
    /// The tick.
    pub tick: u64,
    /// Its nominal start, CLOCK_MONOTONIC ns: the age of what is held is counted from here.
    pub nominal_ns: u64,
    /// When it was handed over, CLOCK_MONOTONIC ns.
    pub computed_ns: u64,
    /// The tick is a miss already; sent late it is none of another kind.
    pub late: bool,
    /// The kernel orders the fastest stop.
    pub halt: bool,
    /// The tick that first ordered this stop began at this time, CLOCK_MONOTONIC ns.
    pub halt_ns: u64,
    /// Any axis is or may be powered.
    pub energised: bool,
    /// When the intent that the tick admitted was issued, CLOCK_MONOTONIC ns.
    pub issued_ns: Option<u64>,
    /// One command a drive, in the bus' order.
    pub commands: ArrayVec<DriveCommand, AXES_MAX>,
}

/// What a bus thread knows of its drives.
#[derive(Clone, Debug)]
pub struct Report {
    /// One entry a drive, in the bus' order.
    pub drives: ArrayVec<DriveFeedback, AXES_MAX>,
}
