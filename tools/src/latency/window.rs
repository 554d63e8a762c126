//! What else happened while it was measured: ticks, misses, skips, steal.

use mechos_operator::{IntentSums, MissCauses, Misses, Status};
use serde::Serialize;

/// The kernel counts steal in these, proc_stat(5).
const STEAL_TICK_MS: u64 = 10;

/// The measured time, added up over the turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Window {
    /// Its length, s.
    pub seconds: f64,
    /// Ticks run.
    pub ticks: u64,
    /// Ticks skipped.
    pub skipped: u64,
    /// Misses against the period.
    pub misses: Misses,
    /// What they were put down to.
    pub miss_causes: MissCauses,
    /// Timing samples that the daemon could not keep.
    pub samples_lost: u64,
    /// The planner's intents.
    pub intents: IntentSums,
    /// CPU time that the host took from all CPUs together, ms.
    pub steal_ms: u64,
}

/// One end of a window.
#[derive(Clone, Debug)]
pub struct Mark {
    status: Status,
    steal_ticks: u64,
}

impl Mark {
    /// Now, with what the daemon says now.
    pub fn new(status: Status) -> Mark {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        Mark { status, steal_ticks: steal_ticks(&stat) }
    }

    /// Ticks run so far.
    pub fn ticks(&self) -> u64 {
        self.status.ticks
    }

    /// What happened until `later`.
    pub fn until(&self, later: &Mark) -> Window {
        let (before, after) = (&self.status, &later.status);
        let (from, to) = (before.misses, after.misses);
        let (was, is) = (before.miss_causes, after.miss_causes);
        let (old, new) = (before.intents, after.intents);
        // A counter that ran backwards would be another daemon's: then nothing is claimed.
        let grown = |after: u64, before: u64| after.saturating_sub(before);
        Window {
            seconds: grown(after.t_ns, before.t_ns) as f64 / 1e9,
            ticks: grown(after.ticks, before.ticks),
            skipped: grown(after.skipped, before.skipped),
            misses: Misses {
                late_wake: grown(to.late_wake, from.late_wake),
                late_compute: grown(to.late_compute, from.late_compute),
                late_send: grown(to.late_send, from.late_send),
            },
            miss_causes: MissCauses {
                own_stage: grown(is.own_stage, was.own_stage),
                page_fault: grown(is.page_fault, was.page_fault),
                involuntary_switch: grown(is.involuntary_switch, was.involuntary_switch),
                steal: grown(is.steal, was.steal),
                bus: grown(is.bus, was.bus),
                blocked: grown(is.blocked, was.blocked),
            },
            samples_lost: grown(after.samples_lost, before.samples_lost),
            intents: IntentSums {
                submitted: grown(new.submitted, old.submitted),
                accepted: grown(new.accepted, old.accepted),
                clamped: grown(new.clamped, old.clamped),
                refused: grown(new.refused, old.refused),
                queued: new.queued,
                returned: grown(new.returned, old.returned),
                lost: grown(new.lost, old.lost),
                preempted: grown(new.preempted, old.preempted),
                completed: grown(new.completed, old.completed),
                expired: grown(new.expired, old.expired),
                aborted: grown(new.aborted, old.aborted),
                active: new.active,
            },
            steal_ms: grown(later.steal_ticks, self.steal_ticks) * STEAL_TICK_MS,
        }
    }
}

impl Window {
    /// Takes another turn's.
    pub fn add(&mut self, other: &Window) {
        self.seconds += other.seconds;
        let sums = [
            (&mut self.ticks, other.ticks),
            (&mut self.skipped, other.skipped),
            (&mut self.misses.late_wake, other.misses.late_wake),
            (&mut self.misses.late_compute, other.misses.late_compute),
            (&mut self.misses.late_send, other.misses.late_send),
            (&mut self.miss_causes.own_stage, other.miss_causes.own_stage),
            (&mut self.miss_causes.page_fault, other.miss_causes.page_fault),
            (&mut self.miss_causes.involuntary_switch, other.miss_causes.involuntary_switch),
            (&mut self.miss_causes.steal, other.miss_causes.steal),
            (&mut self.miss_causes.bus, other.miss_causes.bus),
            (&mut self.miss_causes.blocked, other.miss_causes.blocked),
            (&mut self.samples_lost, other.samples_lost),
            (&mut self.intents.submitted, other.intents.submitted),
            (&mut self.intents.accepted, other.intents.accepted),
            (&mut self.intents.clamped, other.intents.clamped),
            (&mut self.intents.refused, other.intents.refused),
            (&mut self.intents.queued, other.intents.queued),
            (&mut self.intents.returned, other.intents.returned),
            (&mut self.intents.lost, other.intents.lost),
            (&mut self.intents.preempted, other.intents.preempted),
            (&mut self.intents.completed, other.intents.completed),
            (&mut self.intents.expired, other.intents.expired),
            (&mut self.intents.aborted, other.intents.aborted),
            (&mut self.intents.active, other.intents.active),
            (&mut self.steal_ms, other.steal_ms),
        ];
        for (sum, part) in sums {
            *sum += part;
        }
    }
}

/// The eighth number of the line of all CPUs.
fn steal_ticks(stat: &str) -> u64 {
    let line = stat.lines().find(|line| line.starts_with("cpu "));
    let number = line.and_then(|line| line.split_whitespace().nth(8));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(ticks: u64, steal_ticks: u64) -> Mark {
        let status = Status { ticks, t_ns: ticks * 1_000_000, ..Status::default() };
        Mark { status, steal_ticks }
    }

    #[test]
    fn turns_add_up() {
        let mut sum = Window::default();
        sum.add(&mark(1_000, 5).until(&mark(3_000, 7)));
        sum.add(&mark(50, 9).until(&mark(1_050, 9)));
        assert_eq!((sum.ticks, sum.steal_ms), (3_000, 20));
        assert!((sum.seconds - 3.0).abs() < 1e-9);
    }

    #[test]
    fn steal_is_read_from_all_cpus() {
        let stat = "cpu  1 2 3 4 5 6 7 88 9 10\ncpu0 1 2 3 4 5 6 7 44 9 10\n";
        assert_eq!(steal_ticks(stat), 88);
        assert_eq!(steal_ticks(""), 0);
    }
}
