//! What the real-time side publishes: the newest state, and once, what the machine is.

use super::{AXES_MAX, Cause};

/// The mode as a number on the page. The kernel's own type carries each state's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ModeCode {
    /// Drives without power.
    #[default]
    Disarmed = 0,
    /// Drives being enabled.
    Arming = 1,
    /// Setpoints are executed.
    Armed = 2,
    /// A controlled stop is under way.
    Stopping = 3,
    /// Stopped; `cause` is latched until an operator resets it.
    Halted = 4,
}

/// One axis, now. Units rad, or m for a linear axis.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AxisTelemetry {
    /// Measured position, rad (m).
    pub position_rad: f64,
    /// Measured velocity, rad/s (m/s).
    pub velocity_rad_s: f64,
    /// Measured effort, Nm (N).
    pub effort_nm: f64,
    /// Commanded position, rad (m).
    pub setpoint_rad: f64,
    /// Age of the feedback, ns.
    pub age_ns: u64,
    /// The drive's state, as the kernel's `AxisState` numbers it.
    pub state: u8,
    /// The drive's error code (CiA 402 603Fh), 0: none.
    pub fault_code: u16,
}

/// The sums of the protocol as the kernel counts them, over all connections since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IntentCounters {
    /// Executed as asked.
    pub accepted: u64,
    /// Executed, clamped.
    pub clamped: u64,
    /// Refused.
    pub refused: u64,
    /// Ended by a later intent.
    pub preempted: u64,
    /// Reached their goal.
    pub completed: u64,
    /// Ended by their lease.
    pub expired: u64,
    /// Ended by a stop.
    pub aborted: u64,
    /// Being executed: 0 or 1.
    pub active: u64,
}

/// The newest state, published once per tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Telemetry {
    /// The tick it belongs to.
    pub tick: u64,
    /// When it was published, CLOCK_MONOTONIC ns.
    pub published_ns: u64,
    /// The mode.
    pub mode: ModeCode,
    /// Why it is Stopping or Halted.
    pub cause: Cause,
    /// The cause's axis, bus, thread or bits.
    pub cause_detail: u32,
    /// The epoch that intents must carry.
    pub epoch: u32,
    /// Whether an operator has the machine, so that no planner's intent is taken.
    pub operator_has_control: bool,
    /// The number of the intent being executed, 0: none.
    pub active_intent: u64,
    /// The sums.
    pub counters: IntentCounters,
    /// Axes in use, 1 to [`AXES_MAX`].
    pub axis_count: u8,
    /// One entry an axis.
    pub axes: [AxisTelemetry; AXES_MAX],
}

/// What a planner must know of one axis; written once, before the page is handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AxisDescription {
    /// UTF-8, zero-padded.
    pub name: [u8; 24],
    /// Lower position limit, rad (m).
    pub position_min_rad: f64,
    /// Upper position limit, rad (m).
    pub position_max_rad: f64,
    /// Velocity limit, rad/s (m/s).
    pub velocity_max_rad_s: f64,
    /// Acceleration limit, rad/s² (m/s²).
    pub acceleration_max_rad_s2: f64,
    /// Jerk limit, rad/s³ (m/s³).
    pub jerk_max_rad_s3: f64,
    /// Effort limit, Nm (N).
    pub effort_max_nm: f64,
    /// The home pose, rad (m).
    pub home_rad: f64,
}

/// What a planner must know of the machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Description {
    /// The robot's name, UTF-8, zero-padded.
    pub name: [u8; 24],
    /// Length of a tick, ns.
    pub period_ns: u64,
    /// Longest lease that is granted, ns; a longer one is cut to this.
    pub lease_max_ns: u64,
    /// The planner's heartbeat must move at least this often, ns.
    pub heartbeat_timeout_ns: u64,
    /// Intents allowed per second.
    pub intents_per_second_max: u32,
    /// Axes in use, 1 to [`AXES_MAX`].
    pub axis_count: u8,
    /// One entry an axis.
    pub axes: [AxisDescription; AXES_MAX],
}
