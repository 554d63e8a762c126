//! The fixed-size records that cross the process boundary, as values.
//!
//! Each record is a plain value here and an array of `u64` words on a page. What a peer wrote is a
//! *claim*: decoding never fails and never trusts, the gate of the kernel judges.

mod cause;
mod event;
mod intent;
mod telemetry;
mod verdict;

pub use cause::Cause;
pub use event::{Event, EventKind};
pub use intent::{AxisRequest, Claim, INTENT_VERSION, Intent, IntentKind, TraceId};
pub use telemetry::{
    AxisDescription, AxisTelemetry, Description, IntentCounters, ModeCode, Telemetry,
};
pub use verdict::{AXIS_NONE, Rule, Verdict, VerdictKind};

/// Axes that one record has room for; an intent or a telemetry record names at most this many.
pub const AXES_MAX: usize = 32;
