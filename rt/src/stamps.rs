//! When a control tick did what, and what follows for a miss: kind, cause and stage.

use crate::miss_cause::{MissCause, Previous, Stage, Usage, wake_cause, work_cause};
use crate::schedule::{Allowed, Miss, Tick, judge};

/// One tick's times, CLOCK_MONOTONIC ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// The thread was awake.
    pub woken_ns: u64,
    /// What the thread had used until then.
    pub began: Usage,
    /// The inputs were complete.
    pub gathered_ns: u64,
    /// The kernel had decided.
    pub decided_ns: u64,
    /// The last order was handed over.
    pub computed_ns: u64,
}

/// A miss with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// In which part of its way the tick was late.
    pub miss: Miss,
    /// What it is put down to.
    pub cause: MissCause,
    /// Where the time went, if it went after the wake-up.
    pub stage: Option<Stage>,
    /// End of the late part after the tick's nominal start, and for a late wake-up after that of the
    /// first tick that it skipped, ns.
    pub late_ns: u64,
    /// The last system call that was refused inside the tick, by the kernel's number.
    pub call: Option<i32>,
}

impl Stamps {
    /// The stage that took the most time. Real time.
    pub fn longest_stage(&self) -> Stage {
        let gather_ns = self.gathered_ns.saturating_sub(self.woken_ns);
        let kernel_ns = self.decided_ns.saturating_sub(self.gathered_ns);
        let hand_out_ns = self.computed_ns.saturating_sub(self.decided_ns);
        if gather_ns >= kernel_ns.max(hand_out_ns) {
            Stage::Gather
        } else if kernel_ns >= hand_out_ns {
            Stage::Kernel
        } else {
            Stage::HandOut
        }
    }

    /// Judges the tick. `now` reads what the thread has used by now, and is asked only for a miss.
    /// Real time.
    pub fn judge(
        &self,
        tick: &Tick,
        allowed: Allowed,
        previous: Option<&Previous>,
        now: impl FnOnce() -> Usage,
    ) -> Option<Judged> {
        let Allowed { period_ns, execution_ns } = allowed;
        let miss = judge(tick, allowed, self.woken_ns, self.computed_ns)?;
        let (cause, stage, late_ns, call) = if miss == Miss::LateWake {
            // The tick that was to come, of which this one is the first that could.
            let passed_ns = tick.skipped_before.saturating_mul(period_ns);
            let due_ns = tick.nominal_ns.saturating_sub(passed_ns);
            let (cause, stage) = wake_cause(previous, &self.began, due_ns, period_ns);
            (cause, stage, self.woken_ns.saturating_sub(due_ns), None)
        } else {
            let used = now().since(&self.began);
            let cause = work_cause(&used, execution_ns);
            let late_ns = self.computed_ns.saturating_sub(tick.nominal_ns);
            (cause, Some(self.longest_stage()), late_ns, used.last_call)
        };
        Some(Judged { miss, cause, stage, late_ns, call })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Allowed = Allowed { period_ns: 1_000, execution_ns: 500 };
    const QUIET: Stamps = Stamps {
        woken_ns: 5_010,
        began: Usage {
            counters: crate::host::grants::ThreadCounters {
                faults_minor: 0,
                faults_major: 0,
                switches_voluntary: 0,
                switches_involuntary: 0,
            },
            ran_ns: 0,
            calls_unlisted: 0,
            last_call: None,
        },
        gathered_ns: 5_020,
        decided_ns: 5_040,
        computed_ns: 5_050,
    };

    fn tick(number: u64, skipped_before: u64) -> Tick {
        Tick { number, nominal_ns: number * 1_000, skipped_before }
    }

    fn ran(ran_ns: u64) -> Usage {
        Usage { ran_ns, ..Usage::default() }
    }

    #[test]
    fn a_tick_in_time_is_not_asked_for_its_usage() {
        assert_eq!(QUIET.judge(&tick(5, 0), ALLOWED, None, || panic!("asked")), None);
    }

    #[test]
    fn own_work_names_the_stage_that_took_the_time() {
        let stamps = Stamps { decided_ns: 5_620, computed_ns: 5_640, ..QUIET };
        let judged = stamps.judge(&tick(5, 0), ALLOWED, None, || ran(630)).unwrap();
        assert_eq!(judged.miss, Miss::LateCompute);
        assert_eq!((judged.cause, judged.stage), (MissCause::OwnStage, Some(Stage::Kernel)));
        assert_eq!(judged.late_ns, 640);
        let stamps = Stamps { computed_ns: 5_900, ..QUIET };
        assert_eq!(stamps.longest_stage(), Stage::HandOut);
        let stamps = Stamps { gathered_ns: 5_900, decided_ns: 5_910, computed_ns: 5_920, ..QUIET };
        assert_eq!(stamps.longest_stage(), Stage::Gather);
    }

    #[test]
    fn a_tick_that_overruns_whole_periods_is_a_late_computing_and_the_next_one_says_whose_it_was() {
        let long = Stamps { gathered_ns: 8_300, decided_ns: 8_310, computed_ns: 8_320, ..QUIET };
        let judged = long.judge(&tick(5, 0), ALLOWED, None, || ran(3_300)).unwrap();
        assert_eq!((judged.miss, judged.cause), (Miss::LateCompute, MissCause::OwnStage));
        let previous =
            Previous { began: QUIET.began, computed_ns: long.computed_ns, done_ns: 8_400 };
        let next = Stamps { woken_ns: 8_410, computed_ns: 8_430, ..QUIET };
        let judged = next.judge(&tick(8, 2), ALLOWED, Some(&previous), || ran(0)).unwrap();
        assert_eq!((judged.miss, judged.cause), (Miss::LateWake, MissCause::OwnStage));
        assert_eq!((judged.stage, judged.late_ns), (Some(Stage::PreviousTick), 2_410));
    }

    #[test]
    fn a_thread_that_slept_through_whole_periods_was_not_its_own_fault() {
        let previous = Previous { began: QUIET.began, computed_ns: 5_050, done_ns: 5_060 };
        let next = Stamps { woken_ns: 8_410, computed_ns: 8_430, ..QUIET };
        let judged = next.judge(&tick(8, 2), ALLOWED, Some(&previous), || ran(0)).unwrap();
        assert_eq!((judged.cause, judged.stage), (MissCause::Steal, None));
        assert_eq!(judged.late_ns, 2_410, "as of the tick that was to come first");
    }
}
