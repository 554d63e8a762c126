//! Clocks, and what the host grants: SCHED_FIFO for the bus thread, a CPU kept out of deep sleep.
//!
//! The thread is not pinned, so that it is scheduled beside a real-time process that loops for ever
//! on one CPU. No thread and no process is started after the policy is set, so that nothing can
//! inherit it (there is no safe call for SCHED_RESET_ON_FORK, and this package has no unsafe code).

use std::fs::{File, OpenOptions};
use std::io::Write;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id, thread_schedule_policy,
};

/// SCHED_FIFO priority of the bus thread: a device, below the robot's own threads.
pub const PRIORITY: u8 = 60;
/// Further readings of the clocks, if the first took longer than `CLOSE_NS`.
const READINGS_MAX: usize = 4;
const CLOSE_NS: u64 = 5_000;

/// ns of a time from the system; 0 for a time before its epoch.
pub fn nanoseconds(time: &TimeSpec) -> u64 {
    let whole = u64::try_from(time.tv_sec()).unwrap_or(0);
    whole * 1_000_000_000 + u64::try_from(time.tv_nsec()).unwrap_or(0)
}

/// CLOCK_MONOTONIC, ns.
pub fn now_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| nanoseconds(&time))
}

/// What CLOCK_REALTIME, with which the kernel stamps datagrams, is ahead of CLOCK_MONOTONIC, ns
/// (modulo 2^64). The closest of a few readings, so that being held up between two does not count.
pub fn wall_offset_ns() -> u64 {
    let reading = || {
        let before = now_ns();
        let wall = clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |time| nanoseconds(&time));
        let taken = now_ns().saturating_sub(before);
        (taken, wall.wrapping_sub(before + taken / 2))
    };
    let mut best = reading();
    for _ in 0..READINGS_MAX {
        if best.0 <= CLOSE_NS {
            break;
        }
        best = best.min(reading());
    }
    best.1
}

/// What was granted. Keep it: the CPU may sleep deeply again once it is dropped.
pub struct Grant {
    /// The calling thread runs under SCHED_FIFO, as read back.
    pub realtime: bool,
    /// `/dev/cpu_dma_latency` is held at 0.
    pub latency: Option<File>,
}

/// Asks for all of it for the calling thread; takes quietly what it gets.
pub fn ask() -> Grant {
    let _ = nix::sys::prctl::set_timerslack(1);
    Grant { realtime: ask_fifo(PRIORITY), latency: hold_latency() }
}

/// Asks for SCHED_FIFO for the calling thread; whether it was granted, as read back. A priority
/// that is refused leaves the policy as it was.
pub fn ask_fifo(priority: u8) -> bool {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let Ok(value) = ThreadPriorityValue::try_from(priority) else { return false };
    let priority = ThreadPriority::Crossplatform(value);
    set_thread_priority_and_policy(thread_native_id(), priority, policy).is_ok()
        && thread_schedule_policy().is_ok_and(|read_back| read_back == policy)
}

fn hold_latency() -> Option<File> {
    let mut file = OpenOptions::new().write(true).open("/dev/cpu_dma_latency").ok()?;
    file.write_all(&0_u32.to_ne_bytes()).ok()?;
    Some(file)
}
