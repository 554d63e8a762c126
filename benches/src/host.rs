//! What a measurement asks of the host: a processor, a priority, processors that stay awake. What is
//! refused is kept, to be said.

use std::fs::{File, OpenOptions};
use std::io::Write;

use core_affinity::CoreId;
use serde::Serialize;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::failure::Failure;

/// Below what a robot's control thread runs at, so that a benchmark beside one does it no harm.
const PRIORITY: u8 = 10;

/// The processors of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cores {
    /// Of the process that measures.
    pub near: usize,
    /// Of its peer.
    pub far: usize,
}

impl Cores {
    /// Those that were asked for as `NEAR,FAR`, or the last two of this process' own: the first ones
    /// serve most interrupts.
    pub fn choose(wanted: Option<&str>) -> Result<Cores, Failure> {
        let found: Vec<usize> =
            core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
        if let Some(wanted) = wanted {
            let refused = || Failure::Cores { wanted: wanted.to_owned(), found: found.clone() };
            let (near, far) = wanted.split_once(',').ok_or_else(refused)?;
            let number = |text: &str| text.trim().parse().map_err(|_| refused());
            return Ok(Cores { near: number(near)?, far: number(far)? });
        }
        match found.as_slice() {
            [.., near, far] => Ok(Cores { near: *near, far: *far }),
            // A smoke run is content; a measurement asks `are_two`.
            [only] => Ok(Cores { near: *only, far: *only }),
            [] => Err(Failure::Cores { wanted: "NEAR,FAR".to_owned(), found }),
        }
    }

    /// Whether each process has one of its own.
    #[must_use]
    pub fn are_two(&self) -> bool {
        self.near != self.far
    }
}

/// Pins this thread; false when the host refuses.
#[must_use]
pub fn pin(core: usize) -> bool {
    core_affinity::set_for_current(CoreId { id: core })
}

/// SCHED_FIFO for this thread and those that it starts; false when the host refuses.
#[must_use]
pub fn real_time() -> bool {
    let Ok(value) = ThreadPriorityValue::try_from(PRIORITY) else { return false };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let priority = ThreadPriority::Crossplatform(value);
    set_thread_priority_and_policy(thread_native_id(), priority, policy).is_ok()
}

/// Keeps every processor out of idle states that take time to leave, for as long as the file is
/// open; none when the host refuses.
#[must_use]
pub fn stay_awake() -> Option<File> {
    let mut file = OpenOptions::new().write(true).open("/dev/cpu_dma_latency").ok()?;
    // A signed 32-bit number of microseconds, in the host's byte order (kernel, power/pm_qos).
    file.write_all(&0i32.to_ne_bytes()).ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_those_that_were_named_or_there_are() {
        assert_eq!(Cores::choose(Some("2, 5")).unwrap(), Cores { near: 2, far: 5 });
        assert!(Cores::choose(Some("2")).is_err());
        assert!(Cores::choose(Some("a,b")).is_err());
        assert!(Cores::choose(None).is_ok());
    }

    #[test]
    fn a_priority_that_is_granted_is_read_back() {
        let thread = std::thread::spawn(|| {
            let granted = real_time();
            let found = thread_priority::thread_schedule_policy().unwrap();
            let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
            (granted, found == fifo)
        });
        let (granted, is_fifo) = thread.join().unwrap();
        assert_eq!(granted, is_fifo);
    }
}
