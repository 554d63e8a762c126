//! What a planner asks for.

use super::AXES_MAX;

/// The version of the intent's meaning; the gate refuses any other.
pub const INTENT_VERSION: u16 = 1;

/// Joins the model's answer, the intent, the verdict and the frames: 16 bytes as in W3C Trace
/// Context, never all zero for a traced intent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceId(pub [u8; 16]);

/// What an intent asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentKind {
    /// Move the axes of the mask to their positions, arriving together.
    MoveJoints,
    /// Come to rest in a controlled way and stay there, powered (IEC 60204-1 category 2).
    Hold,
    /// Come to rest in a controlled way, then power off; latched (category 1).
    Stop,
    /// The fastest stop that the drives have; latched (category 0).
    EStop,
    /// A number that this version does not know; the gate refuses it.
    Unknown(u8),
}

/// What an intent asks of one axis. Units are rad, or m for a linear axis, and seconds.
///
/// A zero in a `_peak` or `_max` field asks for the axis' own configured limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AxisRequest {
    /// Where to go, rad (m).
    pub position_rad: f64,
    /// Velocity on arrival, rad/s (m/s); zero for a move that ends at rest.
    pub velocity_end_rad_s: f32,
    /// Highest velocity on the way, rad/s (m/s), zero or positive.
    pub velocity_peak_rad_s: f32,
    /// Highest acceleration, rad/s² (m/s²), zero or positive.
    pub acceleration_peak_rad_s2: f32,
    /// Highest jerk, rad/s³ (m/s³), zero or positive.
    pub jerk_peak_rad_s3: f32,
    /// Highest effort, Nm (N), zero or positive.
    pub effort_max_nm: f32,
}

/// One intent, as its sender means it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intent {
    /// Counts up by at least one from intent to intent of one connection; never repeated.
    pub number: u64,
    /// [`INTENT_VERSION`] of the sender.
    pub version: u16,
    /// What is asked.
    pub kind: IntentKind,
    /// Which agent of the sending process asks; capabilities are granted to agents.
    pub agent: u16,
    /// The epoch (from telemetry) for which it was planned; a stop begins a new one.
    pub epoch: u32,
    /// When the sender made it, CLOCK_MONOTONIC ns.
    pub issued_ns: u64,
    /// Until when it may act, CLOCK_MONOTONIC ns.
    pub lease_until_ns: u64,
    /// The trace it belongs to.
    pub trace: TraceId,
    /// Bit `i` set: `axes[i]` counts.
    pub axes_mask: u32,
    /// What is asked of each axis of the mask.
    pub axes: [AxisRequest; AXES_MAX],
}

/// An intent as it was found on the page, before anything was believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Claim {
    /// The words as an intent.
    pub intent: Intent,
    /// Whether the record's checksum matched its words.
    pub intact: bool,
}
