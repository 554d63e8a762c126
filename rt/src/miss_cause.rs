//! What a miss is put down to, from the thread's own counters.

use crate::host::grants::ThreadCounters;
use crate::schedule::Miss;

/// What made a tick late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissCause {
    /// The tick's own work.
    OwnStage,
    /// A page fault.
    PageFault,
    /// The thread was pushed off its CPU.
    InvoluntarySwitch,
    /// Nothing of the thread's own explains it: the host took the CPU, or woke it late.
    Steal,
}

/// Names the cause of `miss` from what the thread's counters did between its wake-up and the end of
/// its computing, and from how much of that time the thread really ran. A late wake-up happened
/// before: the host, or a thread of higher priority, had the CPU. Real time.
pub fn cause_of(
    miss: Miss,
    before: &ThreadCounters,
    after: &ThreadCounters,
    computing_ns: u64,
    ran_ns: u64,
) -> MissCause {
    let faults = |c: &ThreadCounters| c.faults_minor.saturating_add(c.faults_major);
    if miss == Miss::LateWake {
        MissCause::Steal
    } else if faults(after) > faults(before) {
        MissCause::PageFault
    } else if after.switches_involuntary > before.switches_involuntary {
        MissCause::InvoluntarySwitch
    } else if ran_ns < computing_ns / 2 {
        MissCause::Steal
    } else {
        MissCause::OwnStage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: ThreadCounters = ThreadCounters {
        faults_minor: 5,
        faults_major: 0,
        switches_voluntary: 9,
        switches_involuntary: 2,
    };

    #[test]
    fn a_fault_comes_before_everything_else() {
        let after = ThreadCounters { faults_minor: 6, switches_involuntary: 3, ..QUIET };
        assert_eq!(cause_of(Miss::LateCompute, &QUIET, &after, 10, 10), MissCause::PageFault);
    }

    #[test]
    fn a_thread_pushed_off_its_cpu_says_so() {
        let after = ThreadCounters { switches_involuntary: 3, ..QUIET };
        assert_eq!(cause_of(Miss::LateCompute, &QUIET, &after, 9, 9), MissCause::InvoluntarySwitch);
    }

    #[test]
    fn work_that_really_ran_is_the_thread_s_own() {
        assert_eq!(cause_of(Miss::LateCompute, &QUIET, &QUIET, 900, 890), MissCause::OwnStage);
        assert_eq!(cause_of(Miss::LateCompute, &QUIET, &QUIET, 900, 20), MissCause::Steal);
        assert_eq!(cause_of(Miss::LateWake, &QUIET, &QUIET, 900, 890), MissCause::Steal);
    }
}
