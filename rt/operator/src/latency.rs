//! One distribution of the daemon's latencies, whole.

use serde::{Deserialize, Serialize};

use crate::command::LatencyPath;

/// Values outside are kept as the nearest of the two, ns.
pub const LATENCY_MIN_NS: u64 = 1;
/// See [`LATENCY_MIN_NS`].
pub const LATENCY_MAX_NS: u64 = 60_000_000_000;
/// Significant decimal digits of a value in the histogram; minimum and maximum beside it are exact.
pub const LATENCY_DIGITS: u8 = 3;

/// A distribution since it was last emptied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Which one.
    pub path: LatencyPath,
    /// Samples in it.
    pub count: u64,
    /// The smallest, ns; 0 without samples.
    pub min_ns: u64,
    /// The largest, ns; nothing is removed. 0 without samples.
    pub max_ns: u64,
    /// Samples that it lacks: housekeeping was behind, or a frame's echo never came.
    pub samples_lost: u64,
    /// An HDR histogram of ns, [`LATENCY_MIN_NS`] to [`LATENCY_MAX_NS`], [`LATENCY_DIGITS`] digits,
    /// in the V2 format, deflated, in standard base64.
    pub histogram: String,
}
