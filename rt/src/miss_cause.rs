//! What a miss is put down to, from the counters of the thread that was late.
//!
//! A thread that computed longer than it may without losing the CPU was late by its own work,
//! however often it was pushed aside besides; only where its own running time would have sufficed
//! are the switches to blame.

use crate::host::clock;
use crate::host::grants::{ThreadCounters, counters_of_current};
use crate::host::slots;

/// What made a tick late, in the order in which it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissCause {
    /// A page fault.
    PageFault,
    /// The thread gave the CPU away inside the tick, or wanted a lock and was refused the wait: a
    /// lock or a blocking call.
    Blocked,
    /// The thread was pushed off its CPU.
    InvoluntarySwitch,
    /// Nothing of the thread's own explains it: the host took the CPU, or woke it late.
    Steal,
    /// The bus was busy or refused a frame.
    Bus,
    /// The tick's own work, or that of the tick before.
    OwnStage,
}

impl MissCause {
    /// All of them.
    pub const ALL: [MissCause; 6] = [
        MissCause::PageFault,
        MissCause::Blocked,
        MissCause::InvoluntarySwitch,
        MissCause::Steal,
        MissCause::Bus,
        MissCause::OwnStage,
    ];
}

/// Where a late tick's time went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Control thread, from its wake-up: what the others have left, and injected faults.
    Gather,
    /// Control thread: the kernel's tick.
    Kernel,
    /// Control thread: orders, beat and verdicts.
    HandOut,
    /// Control thread, after the orders: bells, telemetry, status.
    Publish,
    /// The tick before ran into this one.
    PreviousTick,
    /// Bus thread: its frames.
    Send,
}

/// What a thread has used up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Faults and switches.
    pub counters: ThreadCounters,
    /// Time on a CPU, ns.
    pub ran_ns: u64,
    /// Refused system calls.
    pub calls_unlisted: u64,
    /// The last of them, by the kernel's number.
    pub last_call: Option<i32>,
}

impl Usage {
    /// The calling thread's: two system calls. Real time.
    pub fn now() -> Self {
        let slot = slots::counters_of_current();
        Self {
            counters: counters_of_current(),
            ran_ns: clock::thread_ns(),
            calls_unlisted: slot.calls_unlisted,
            last_call: slot.last_call,
        }
    }

    /// What was used since `earlier`. Real time.
    pub fn since(&self, earlier: &Usage) -> Self {
        let (now, then) = (&self.counters, &earlier.counters);
        let counters = ThreadCounters {
            faults_minor: now.faults_minor.saturating_sub(then.faults_minor),
            faults_major: now.faults_major.saturating_sub(then.faults_major),
            switches_voluntary: now.switches_voluntary.saturating_sub(then.switches_voluntary),
            switches_involuntary: now
                .switches_involuntary
                .saturating_sub(then.switches_involuntary),
        };
        let calls_unlisted = self.calls_unlisted.saturating_sub(earlier.calls_unlisted);
        Self {
            counters,
            ran_ns: self.ran_ns.saturating_sub(earlier.ran_ns),
            calls_unlisted,
            last_call: self.last_call.filter(|_| calls_unlisted > 0),
        }
    }
}

/// The kernel's number of the call that waits for a lock; it fits, as every number does.
#[allow(clippy::cast_possible_truncation, reason = "a constant below 2^31")]
const FUTEX: i32 = libc::SYS_futex as i32;

/// Why work that may take `limit_ns` took longer, from what the thread used meanwhile. Real time.
pub fn work_cause(used: &Usage, limit_ns: u64) -> MissCause {
    let counters = &used.counters;
    if counters.faults_minor > 0 || counters.faults_major > 0 {
        MissCause::PageFault
    } else if used.last_call == Some(FUTEX) {
        // The wait for a lock is refused to a real-time thread, which then spins for it.
        MissCause::Blocked
    } else if used.ran_ns > limit_ns {
        MissCause::OwnStage
    } else if counters.switches_voluntary > 0 {
        MissCause::Blocked
    } else if counters.switches_involuntary > 0 {
        MissCause::InvoluntarySwitch
    } else {
        MissCause::Steal
    }
}

/// The tick before, as a late wake-up looks back at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Previous {
    /// What the thread had used when that tick began.
    pub began: Usage,
    /// When its last order was handed over, CLOCK_MONOTONIC ns.
    pub computed_ns: u64,
    /// When all of it was done, CLOCK_MONOTONIC ns.
    pub done_ns: u64,
}

/// Why a tick that was due at `due_ns` began too late. A thread that slept was woken late: the
/// host, or a thread of higher priority, had the CPU. One that was still busy had a reason. Real
/// time.
pub fn wake_cause(
    previous: Option<&Previous>,
    began: &Usage,
    due_ns: u64,
    period_ns: u64,
) -> (MissCause, Option<Stage>) {
    match previous {
        Some(previous) if previous.computed_ns > due_ns => {
            (MissCause::OwnStage, Some(Stage::PreviousTick))
        }
        Some(previous) if previous.done_ns > due_ns => {
            (work_cause(&began.since(&previous.began), period_ns), Some(Stage::Publish))
        }
        _ => (MissCause::Steal, None),
    }
}

/// When a bus thread did what, CLOCK_MONOTONIC ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// It woke for the turn in which it found the order.
    pub woken_ns: u64,
    /// It began to execute the order.
    pub began_ns: u64,
    /// The latest end that is in time.
    pub end_ns: u64,
    /// Frames that it took in before it looked at its orders.
    pub heard: usize,
    /// The bus took a frame not.
    pub refused: bool,
}

/// Frames in one turn from which on the bus counts as busy.
const FLOOD_MIN: usize = 16;

/// Why a tick's frames were handed over late. Real time.
pub fn send_cause(sending: &Sending, used: &Usage) -> (MissCause, Option<Stage>) {
    if sending.refused {
        (MissCause::Bus, Some(Stage::Send))
    } else if sending.began_ns <= sending.end_ns {
        let left_ns = sending.end_ns.saturating_sub(sending.began_ns);
        (work_cause(used, left_ns), Some(Stage::Send))
    } else if sending.woken_ns <= sending.end_ns && sending.heard >= FLOOD_MIN {
        (MissCause::Bus, None)
    } else {
        (MissCause::Steal, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT_NS: u64 = 250;

    fn used(faults: u64, voluntary: u64, involuntary: u64, ran_ns: u64) -> Usage {
        let counters = ThreadCounters {
            faults_minor: faults,
            faults_major: 0,
            switches_voluntary: voluntary,
            switches_involuntary: involuntary,
        };
        Usage { counters, ran_ns, ..Usage::default() }
    }

    #[test]
    fn a_fault_comes_before_everything_else() {
        assert_eq!(work_cause(&used(1, 2, 3, 900), LIMIT_NS), MissCause::PageFault);
        assert_eq!(work_cause(&used(1, 0, 0, 10), LIMIT_NS), MissCause::PageFault);
    }

    #[test]
    fn work_that_really_ran_is_the_threads_own_however_often_it_was_pushed_aside() {
        assert_eq!(work_cause(&used(0, 0, 0, 251), LIMIT_NS), MissCause::OwnStage);
        assert_eq!(work_cause(&used(0, 0, 7, 251), LIMIT_NS), MissCause::OwnStage);
    }

    #[test]
    fn a_thread_that_gave_its_cpu_away_was_blocked() {
        assert_eq!(work_cause(&used(0, 1, 1, 20), LIMIT_NS), MissCause::Blocked);
    }

    #[test]
    fn a_thread_that_was_refused_the_wait_for_a_lock_was_blocked_although_it_ran() {
        let before = Usage { calls_unlisted: 3, last_call: Some(FUTEX), ..used(0, 0, 0, 0) };
        let spun = Usage { calls_unlisted: 9, ..used(0, 0, 0, 900) };
        let after = Usage { last_call: Some(FUTEX), ..spun };
        assert_eq!(work_cause(&after.since(&before), LIMIT_NS), MissCause::Blocked);
        let other = Usage { last_call: Some(1), ..spun };
        assert_eq!(work_cause(&other.since(&before), LIMIT_NS), MissCause::OwnStage);
        let earlier = Usage { calls_unlisted: 3, ..after };
        assert_eq!(work_cause(&earlier.since(&before), LIMIT_NS), MissCause::OwnStage, "not now");
    }

    #[test]
    fn a_thread_pushed_off_its_cpu_says_so_and_without_a_switch_the_host_took_it() {
        assert_eq!(work_cause(&used(0, 0, 1, 20), LIMIT_NS), MissCause::InvoluntarySwitch);
        assert_eq!(work_cause(&used(0, 0, 0, 20), LIMIT_NS), MissCause::Steal);
    }

    #[test]
    fn a_late_wake_up_looks_back_at_the_tick_before() {
        let before = Previous { began: used(5, 5, 5, 5), computed_ns: 900, done_ns: 950 };
        let wake = |previous: Previous, now: Usage| wake_cause(Some(&previous), &now, 1_000, 1_000);
        let slept = wake(before, used(5, 6, 6, 100));
        assert_eq!(slept, (MissCause::Steal, None), "it slept, and was woken late");
        let overrun = Previous { computed_ns: 1_500, done_ns: 1_600, ..before };
        let own = (MissCause::OwnStage, Some(Stage::PreviousTick));
        assert_eq!(wake(overrun, used(6, 9, 9, 100)), own, "whatever made that tick late");
        let published = Previous { done_ns: 1_600, ..before };
        let pushed = (MissCause::InvoluntarySwitch, Some(Stage::Publish));
        assert_eq!(wake(published, used(5, 5, 6, 100)), pushed);
        assert_eq!(wake_cause(None, &before.began, 0, 1_000), (MissCause::Steal, None));
    }

    #[test]
    fn a_late_send_is_the_bus_only_where_the_bus_was_in_the_way() {
        let in_time =
            Sending { woken_ns: 100, began_ns: 110, end_ns: 1_000, heard: 3, refused: false };
        let refused = Sending { refused: true, ..in_time };
        assert_eq!(send_cause(&refused, &used(1, 1, 1, 1)).0, MissCause::Bus);
        assert_eq!(send_cause(&in_time, &used(0, 0, 1, 50)).0, MissCause::InvoluntarySwitch);
        assert_eq!(send_cause(&in_time, &used(0, 0, 0, 950)).0, MissCause::OwnStage);
        let flooded = Sending { began_ns: 1_100, heard: 64, ..in_time };
        assert_eq!(send_cause(&flooded, &used(0, 0, 0, 1)).0, MissCause::Bus);
        let asleep = Sending { woken_ns: 1_050, ..flooded };
        assert_eq!(send_cause(&asleep, &used(0, 0, 0, 1)), (MissCause::Steal, None));
    }
}
