//! The clock that intents, leases and verdicts are written in.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of one second.
pub const SECOND_NS: u64 = 1_000_000_000;
/// Nanoseconds of one millisecond.
pub const MILLISECOND_NS: u64 = 1_000_000;

/// CLOCK_MONOTONIC, ns. A clock that cannot be read gives 0: the gate refuses an intent made
/// then as stale, so the failure is on the safe side.
pub fn now_ns() -> u64 {
    let Ok(time) = clock_gettime(ClockId::CLOCK_MONOTONIC) else { return 0 };
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec()).unwrap_or(0);
    seconds.saturating_mul(SECOND_NS).saturating_add(nanoseconds)
}
