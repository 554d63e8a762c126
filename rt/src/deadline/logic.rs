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

    /// The earliest deadline that is still open. `control` and `buses` are the first ticks not yet
    /// completed by each. Real time.
    pub fn next_ns(&self, control: u64, buses: impl Iterator<Item = u64>) -> u64 {
        self.of(buses.fold(control, u64::min))
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
        assert_eq!(relaxed.next_ns(10, [9, 10].into_iter()), 1_000 + 900 + 5_000);
    }
}
