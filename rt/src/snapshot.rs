//! What the control thread hands to housekeeping for the operator's status: plain copies over
//! rtrb, newest wins, nothing waits.

use arrayvec::ArrayVec;
use hal::drive::SetupError;
use mechos_kernel::Mode;
use shm_protocol::records::{AXES_MAX, AxisTelemetry, IntentCounters};

/// Snapshots that may wait.
pub const SNAPSHOTS_MAX: usize = 4;

/// One axis for the status.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AxisSnapshot {
    /// As published in telemetry.
    pub now: AxisTelemetry,
    /// Where it stood when the machine was first armed, rad (m).
    pub start_rad: Option<f64>,
    /// Path measured while powered, rad (m).
    pub travel_rad: f64,
    /// Why its drive could not be configured.
    pub error: Option<SetupError>,
}

/// The planner's connection for the status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkSnapshot {
    /// Its generation.
    pub generation: u32,
    /// Intents that its sender claims to have submitted.
    pub submitted: u64,
    /// Of those, returned to it because the ring was full, as it claims.
    pub returned: u64,
    /// Taken from the ring.
    pub taken: u64,
    /// Waiting in the ring, as found there.
    pub queued: u64,
}

/// The whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// When, CLOCK_MONOTONIC ns.
    pub t_ns: u64,
    /// Ticks that ran.
    pub ticks: u64,
    /// Ticks that were skipped.
    pub skipped: u64,
    /// The mode.
    pub mode: Mode,
    /// The epoch.
    pub epoch: u32,
    /// An operator has the machine.
    pub operator_has_control: bool,
    /// Open interlocks.
    pub interlocks: u32,
    /// The kernel's sums.
    pub counters: IntentCounters,
    /// The intent being executed, 0: none.
    pub active_intent: u64,
    /// The planner's connection.
    pub link: Option<LinkSnapshot>,
    /// The daemon may leave.
    pub may_exit: bool,
    /// Notes that found their ring full.
    pub notes_lost: u64,
    /// One entry an axis.
    pub axes: ArrayVec<AxisSnapshot, AXES_MAX>,
}
