//! Who has missed a deadline, as a pure function of the board and the time.

use shm_protocol::records::Cause;

/// The latest permitted ends of all ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Nominal start of tick 0, CLOCK_MONOTONIC ns.
    pub start_ns: u64,
    /// Length of a tick, ns.
    pub period_ns: u64,
    /// Latest end of a tick's outputs after its nominal start, ns.
    pub deadline_ns: u64,
}

/// A passed deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// The cause to latch.
    pub cause: Cause,
    /// The bus, when a bus thread is late.
    pub detail: u32,
    /// The deadline that passed, CLOCK_MONOTONIC ns.
    pub deadline_ns: u64,
}

impl Deadlines {
    /// When the outputs of tick `number` must be out, CLOCK_MONOTONIC ns. Real time.
    pub fn of(&self, number: u64) -> u64 {
        self.start_ns
            .saturating_add(number.saturating_mul(self.period_ns))
            .saturating_add(self.deadline_ns)
    }

    /// When to look again after a look at `now_ns` that found nobody late: a quarter of a period
    /// ahead of the earliest deadline that is still open, and at that deadline if it is open then
    /// too. `control` and `buses` are the first ticks not yet completed by each. Real time.
    ///
    /// Under `strict` a tick's deadline is the next tick's start. A look exactly there would wake
    /// this thread beside the control thread, on the same timer interrupt, every period, for ticks
    /// that were over long before.
    pub fn next_look_ns(&self, now_ns: u64, control: u64, buses: impl Iterator<Item = u64>) -> u64 {
        let deadline_ns = self.of(buses.fold(control, u64::min));
        let ahead_ns = deadline_ns.saturating_sub(self.period_ns / 4);
        if now_ns < ahead_ns { ahead_ns } else { deadline_ns }
    }

    /// The next time after `now_ns` at which the control thread is not about to wake: three quarters
    /// into a period, or at a deadline that is earlier. So a tick that powers the drives is seen no
    /// later than its own deadline. Real time.
    pub fn quiet_ns(&self, now_ns: u64) -> u64 {
        let period_ns = self.period_ns.max(1);
        let into_ns = (period_ns / 4 * 3).min(self.deadline_ns);
        let first_ns = self.start_ns.saturating_add(into_ns);
        let passed = now_ns.saturating_sub(first_ns) / period_ns;
        if now_ns < first_ns {
            return first_ns;
        }
        first_ns.saturating_add((passed + 1).saturating_mul(period_ns))
    }

    /// Judges the board at `now_ns`. The control thread is named first: a bus thread has nothing
    /// to send while it hangs. Real time.
    pub fn judge(
        &self,
        now_ns: u64,
        control: u64,
        buses: impl Iterator<Item = u64>,
    ) -> Option<Late> {
        if now_ns >= self.of(control) {
            let deadline_ns = self.of(control);
            return Some(Late { cause: Cause::DeadlineControl, detail: 0, deadline_ns });
        }
        (0u32..).zip(buses).find(|(_, done)| now_ns >= self.of(*done)).map(|(bus, done)| Late {
            cause: Cause::DeadlineBus,
            detail: bus,
            deadline_ns: self.of(done),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Deadlines = Deadlines { start_ns: 1_000, period_ns: 100, deadline_ns: 100 };

    #[test]
    fn nobody_is_late_before_the_deadline() {
        assert_eq!(STRICT.judge(1_099, 0, [0, 0].into_iter()), None);
        assert_eq!(STRICT.judge(1_199, 1, [1, 1].into_iter()), None);
    }

    #[test]
    fn a_stuck_control_thread_is_named_at_its_deadline() {
        let late = STRICT.judge(1_100, 0, [0, 0].into_iter());
        assert_eq!(
            late,
            Some(Late { cause: Cause::DeadlineControl, detail: 0, deadline_ns: 1_100 })
        );
    }

    #[test]
    fn a_stuck_bus_thread_is_named_with_its_bus() {
        let late = STRICT.judge(1_200, 2, [2, 1].into_iter());
        assert_eq!(late, Some(Late { cause: Cause::DeadlineBus, detail: 1, deadline_ns: 1_200 }));
    }

    #[test]
    fn a_skipped_tick_is_no_miss_while_its_deadline_is_open() {
        let relaxed = Deadlines { deadline_ns: 5_000, ..STRICT };
        assert_eq!(relaxed.judge(3_000, 10, [9, 10].into_iter()), None);
        assert_eq!(relaxed.next_look_ns(3_000, 10, [9, 10].into_iter()), 1_000 + 900 + 5_000 - 25);
    }

    #[test]
    fn a_tick_that_is_over_early_wakes_nobody_at_its_deadline() {
        // Tick 0's deadline, 1,100, is tick 1's start.
        let look = |now, control| STRICT.next_look_ns(now, control, [control].into_iter());
        assert_eq!(look(1_010, 0), 1_075, "first ahead of the deadline");
        assert_eq!(look(1_075, 1), 1_175, "over: on to the next one");
        assert_eq!(look(1_075, 0), 1_100, "still open: at the deadline");
    }

    #[test]
    fn quiet_times_keep_away_from_the_ticks() {
        assert_eq!(STRICT.quiet_ns(0), 1_075);
        assert_eq!(STRICT.quiet_ns(1_074), 1_075);
        assert_eq!(STRICT.quiet_ns(1_075), 1_175);
        assert_eq!(STRICT.quiet_ns(5_000), 5_075);
        let short = Deadlines { deadline_ns: 60, ..STRICT };
        assert_eq!(short.quiet_ns(1_000), 1_060, "a tick's own deadline is not slept through");
    }
}
