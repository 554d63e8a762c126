//! The fixed schedule of ticks: which tick it is, how many were skipped, and which stage was late.
//!
//! Tick `k` starts nominally at `start + k * period`. The schedule never shifts: a late process
//! skips ticks and says so, and `elapsed / period == run + skipped` holds at every moment.

/// Half of the shortest period of the kernel's own timer tick (CONFIG_HZ up to 1000), ns.
const KERNEL_TICK_HALF_NS: u64 = 500_000;

/// When tick 0 starts for a schedule begun at `now_ns`: one to two periods later, and off the whole
/// milliseconds of CLOCK_MONOTONIC, where the kernel's timer tick fires. On them its interrupt would
/// delay every n-th wake-up by its own length, for ever, because neither schedule moves.
pub fn first_start_ns(now_ns: u64, period_ns: u64) -> u64 {
    let period_ns = period_ns.max(1);
    let offset_ns = (period_ns / 2).min(KERNEL_TICK_HALF_NS);
    (now_ns / period_ns + 1).saturating_mul(period_ns).saturating_add(offset_ns)
}

/// Ticks of a fixed length from a fixed start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    start_ns: u64,
    period_ns: u64,
    next: u64,
    run: u64,
    skipped: u64,
}

/// One tick that is to run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Its number since the schedule's start, skipped ones counted.
    pub number: u64,
    /// Its nominal start, CLOCK_MONOTONIC ns.
    pub nominal_ns: u64,
    /// Ticks that were passed over right before it.
    pub skipped_before: u64,
}

impl Schedule {
    /// A schedule whose tick 0 starts at `start_ns`; a period of 0 counts as 1 ns.
    pub fn new(start_ns: u64, period_ns: u64) -> Self {
        Self { start_ns, period_ns: period_ns.max(1), next: 0, run: 0, skipped: 0 }
    }

    /// When the next tick starts, CLOCK_MONOTONIC ns. Real time.
    pub fn next_ns(&self) -> u64 {
        self.start_of(self.next)
    }

    /// Nominal start of tick `number`. Real time.
    pub fn start_of(&self, number: u64) -> u64 {
        self.start_ns.saturating_add(number.saturating_mul(self.period_ns))
    }

    /// Woken at `now_ns`: the tick whose time it is. Ticks whose whole period has passed are
    /// counted as skipped. Real time.
    pub fn begin(&mut self, now_ns: u64) -> Tick {
        let current = now_ns.saturating_sub(self.start_ns) / self.period_ns;
        let skipped_before = current.saturating_sub(self.next);
        let number = self.next + skipped_before;
        self.skipped += skipped_before;
        self.run += 1;
        self.next = number + 1;
        Tick { number, nominal_ns: self.start_of(number), skipped_before }
    }

    /// Ticks that ran.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Ticks that were passed over.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// In which part of its way a tick was late; the first that was is the one that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Woken when the time left did not suffice for the tick's budget.
    LateWake,
    /// Woken in time, computed past the end of the period, or longer than the tick's budget.
    LateCompute,
    /// Computed in time, handed to the bus past the end of the period.
    LateSend,
}

/// What a tick may take, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Length of a tick.
    pub period_ns: u64,
    /// Budget for computing.
    pub execution_ns: u64,
}

/// Judges what the control thread sees itself. Whoever
/// wakes with less of the period left is late, and so is whoever takes longer. What was woken in
/// time and keeps to its budget ends inside the period, so that the budget alone decides. Real
/// time.
pub fn judge(tick: &Tick, allowed: Allowed, woken_ns: u64, computed_ns: u64) -> Option<Miss> {
    let Allowed { period_ns, execution_ns } = allowed;
    let end_ns = tick.nominal_ns.saturating_add(period_ns);
    if tick.skipped_before > 0 || woken_ns.saturating_add(execution_ns) > end_ns {
        Some(Miss::LateWake)
    } else if computed_ns.saturating_sub(woken_ns) > execution_ns {
        Some(Miss::LateCompute)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALLOWED: Allowed = Allowed { period_ns: 100, execution_ns: 50 };

    #[test]
    fn a_tick_on_time_skips_nothing() {
        let mut schedule = Schedule::new(1_000, 100);
        assert_eq!(schedule.begin(1_003).number, 0);
        assert_eq!(schedule.next_ns(), 1_100);
        assert_eq!(schedule.begin(1_101).number, 1);
        assert_eq!(schedule.skipped(), 0);
    }

    #[test]
    fn a_late_tick_skips_whole_periods_and_keeps_the_schedule() {
        let mut schedule = Schedule::new(0, 100);
        schedule.begin(0);
        let tick = schedule.begin(450);
        assert_eq!((tick.number, tick.nominal_ns, tick.skipped_before), (4, 400, 3));
        assert_eq!(schedule.next_ns(), 500);
    }

    #[test]
    fn the_first_late_stage_is_the_one_counted() {
        let tick = Tick { number: 5, nominal_ns: 500, skipped_before: 0 };
        assert_eq!(judge(&tick, ALLOWED, 510, 540), None);
        assert_eq!(judge(&tick, ALLOWED, 550, 600), None);
        assert_eq!(judge(&tick, ALLOWED, 560, 650), Some(Miss::LateWake));
        assert_eq!(judge(&tick, ALLOWED, 520, 650), Some(Miss::LateCompute));
    }

    #[test]
    fn a_tick_over_its_budget_is_late_also_when_the_period_is_not_over() {
        let tick = Tick { number: 5, nominal_ns: 500, skipped_before: 0 };
        assert_eq!(judge(&tick, ALLOWED, 510, 561), Some(Miss::LateCompute));
    }

    #[test]
    fn no_tick_starts_on_the_kernels_own_whatever_its_rate() {
        const MS: u64 = 1_000_000;
        for period_ns in [MS / 4, MS / 2, MS, 2 * MS, 4 * MS, 5 * MS, 8 * MS, 20 * MS] {
            let now_ns = 123_456_789_012;
            let start_ns = first_start_ns(now_ns, period_ns);
            assert!(start_ns > now_ns && start_ns <= now_ns + 2 * period_ns);
            let first_ms = (start_ns..).step_by(usize::try_from(period_ns).unwrap()).take(100);
            let aside = first_ms.map(|t| (t % MS).min(MS - t % MS)).min().unwrap();
            let spread = period_ns.min(MS) / 2;
            assert!(period_ns < MS || aside == spread, "{period_ns}: {aside}");
        }
    }

    proptest! {
        #[test]
        fn a_tick_without_a_miss_ends_inside_its_period(
            wake in 0u64..200, work in 0u64..200, execution in 1u64..100
        ) {
            let tick = Tick { number: 5, nominal_ns: 500, skipped_before: 0 };
            let allowed = Allowed { period_ns: 100, execution_ns: execution };
            let (woken, computed) = (500 + wake, 500 + wake + work);
            if judge(&tick, allowed, woken, computed).is_none() {
                prop_assert!(computed <= 600);
            }
        }

        #[test]
        fn elapsed_periods_equal_run_plus_skipped(
            gaps in proptest::collection::vec(0u64..2_000, 1..200), period in 1u64..500
        ) {
            let mut schedule = Schedule::new(7, period);
            let mut now = 7;
            for gap in gaps {
                now = schedule.next_ns().max(now) + gap;
                let tick = schedule.begin(now);
                prop_assert_eq!(schedule.run() + schedule.skipped(), tick.number + 1);
                prop_assert_eq!((now - 7) / period, tick.number);
            }
        }
    }
}
