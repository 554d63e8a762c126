//! The clock of intents and telemetry.

use nix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC, ns; 0 where it cannot be read, and an intent made then is refused as stale.
pub fn now_ns() -> u64 {
    let Ok(time) = clock_gettime(ClockId::CLOCK_MONOTONIC) else { return 0 };
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}
