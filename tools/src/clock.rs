//! CLOCK_MONOTONIC: the clock of every time that leaves the machine.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

/// Now, ns.
pub fn now_ns() -> u64 {
    let Ok(time) = clock_gettime(ClockId::CLOCK_MONOTONIC) else { return 0 };
    u64::try_from(Duration::from(time).as_nanos()).unwrap_or(u64::MAX)
}

/// Sleeps until that time, ns; not at all where it is over.
pub fn sleep_until(at_ns: u64) {
    let until = TimeSpec::from_duration(Duration::from_nanos(at_ns));
    let flags = ClockNanosleepFlags::TIMER_ABSTIME;
    while clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &until) == Err(Errno::EINTR) {}
}
