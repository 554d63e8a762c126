//! A thread's counters between two times. Pure.

use crate::host::grants::{ThreadCounters, ThreadGrant};
use crate::host::slots::SlotCounters;

/// One thread's counters at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    tid: i32,
    counters: ThreadCounters,
    slot: SlotCounters,
}

/// What was added between two marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// By the kernel's counters.
    pub counters: ThreadCounters,
    /// By the thread's own; the last call only where one was added.
    pub slot: SlotCounters,
}

impl Mark {
    /// The counters as just read.
    #[must_use]
    pub fn of(grant: &ThreadGrant) -> Self {
        Self { tid: grant.tid, counters: grant.counters, slot: grant.slot }
    }
}

/// What `now`'s thread added since its mark in `start`, a thread without one since it began. The
/// kernel's counters stop at `end`, where there is one; the thread's own go on: an unlisted call is
/// one at any time, and the heap is counted only while armed.
#[must_use]
pub fn between(start: &[Mark], end: Option<&[Mark]>, now: &Mark) -> Since {
    let of = |marks: &[Mark]| marks.iter().find(|mark| mark.tid == now.tid).copied();
    let first = of(start).unwrap_or_default();
    let last = end.and_then(of).unwrap_or(*now).counters;
    let calls_unlisted = now.slot.calls_unlisted.saturating_sub(first.slot.calls_unlisted);
    Since {
        counters: ThreadCounters {
            faults_minor: last.faults_minor.saturating_sub(first.counters.faults_minor),
            faults_major: last.faults_major.saturating_sub(first.counters.faults_major),
            switches_voluntary: last
                .switches_voluntary
                .saturating_sub(first.counters.switches_voluntary),
            switches_involuntary: last
                .switches_involuntary
                .saturating_sub(first.counters.switches_involuntary),
        },
        slot: SlotCounters {
            allocations: now.slot.allocations.saturating_sub(first.slot.allocations),
            calls_unlisted,
            last_call: now.slot.last_call.filter(|_| calls_unlisted > 0),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(faults_minor: u64, calls_unlisted: u64) -> Mark {
        Mark {
            tid: 7,
            counters: ThreadCounters { faults_minor, ..ThreadCounters::default() },
            slot: SlotCounters { allocations: 0, calls_unlisted, last_call: Some(39) },
        }
    }

    #[test]
    fn what_was_before_arming_does_not_count() {
        let since = between(&[mark(10, 3)], None, &mark(12, 3));
        assert_eq!((since.counters.faults_minor, since.slot.calls_unlisted), (2, 0));
        assert_eq!(since.slot.last_call, None);
    }

    #[test]
    fn faults_after_the_disarming_do_not_count_but_calls_do() {
        let since = between(&[mark(10, 3)], Some(&[mark(10, 3)]), &mark(99, 4));
        assert_eq!((since.counters.faults_minor, since.slot.calls_unlisted), (0, 1));
        assert_eq!(since.slot.last_call, Some(39));
    }

    #[test]
    fn a_thread_without_a_mark_counts_from_its_beginning() {
        assert_eq!(between(&[], None, &mark(4, 1)).counters.faults_minor, 4);
    }
}
