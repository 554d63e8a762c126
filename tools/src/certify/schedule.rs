//! When and how each trial's fault comes: drawn from the seed alone, so that one trial of a
//! campaign can be drawn again without the others.

use mechos_robot::Robot;

use super::faults::Fault;

/// Longest time from the begin of the motion to the fault, ns. By then the axes have come to their
/// speed; more only makes a campaign longer.
const MOMENT_MAX_NS: u64 = 100_000_000;
/// Shortest, ns.
const MOMENT_MIN_NS: u64 = 10_000_000;
const MS_NS: u64 = 1_000_000;

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of one trial.
    pub fn of_trial(seed: u64, fault: Fault, trial: u32) -> Random {
        let mut mixed = Random(seed);
        mixed.0 = mixed.next().wrapping_add(fault.number());
        mixed.0 = mixed.next().wrapping_add(u64::from(trial));
        Random(mixed.next())
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number of `low..=high`.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low).saturating_add(1);
        // The bias of the remainder is below 2^-30 for spans of up to seconds in ns.
        low.saturating_add(self.next() % span.max(1))
    }
}

/// What was drawn for one trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// From the begin of the motion to the fault at the earliest, ns.
    pub moment_ns: u64,
    /// From the begin of a tick to the fault, ns.
    pub phase_ns: u64,
    /// How long the control thread is stalled, ms.
    pub stall_ms: u32,
    /// Which bus or axis is hit.
    pub bus: usize,
    /// Which axis is hit.
    pub axis: usize,
}

/// Draws a trial.
pub fn draw(robot: &Robot, seed: u64, fault: Fault, trial: u32) -> Draw {
    let mut random = Random::of_trial(seed, fault, trial);
    let budgets = &robot.budgets;
    // From just past the deadline to three times it.
    let low_ms = (budgets.deadline_ns + budgets.period_ns).div_ceil(MS_NS);
    let high_ms = low_ms + (2 * budgets.deadline_ns).div_ceil(MS_NS);
    let mut index = |len: usize| {
        let last = u64::try_from(len.saturating_sub(1)).unwrap_or(0);
        usize::try_from(random.within(0, last)).unwrap_or(0)
    };
    let (bus, axis) = (index(robot.buses.len()), index(robot.axes.len()));
    Draw {
        moment_ns: random.within(MOMENT_MIN_NS, MOMENT_MAX_NS),
        phase_ns: random.within(0, budgets.period_ns.saturating_sub(1)),
        stall_ms: u32::try_from(random.within(low_ms, high_ms)).unwrap_or(u32::MAX),
        bus,
        axis,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm6() -> Robot {
        Robot::parse(crate::up::ARM6, "arm6.toml").unwrap()
    }

    #[test]
    fn a_seed_replays_and_another_one_does_not() {
        let all = |seed| -> Vec<Draw> {
            let robot = arm6();
            let one = |fault| (0..50).map(|trial| draw(&robot, seed, fault, trial)).collect();
            Fault::ALL.into_iter().flat_map(|fault| -> Vec<Draw> { one(fault) }).collect()
        };
        assert_eq!(all(7), all(7));
        let same = all(7).iter().zip(&all(8)).filter(|(a, b)| a == b).count();
        assert_eq!(same, 0);
    }

    #[test]
    fn what_is_drawn_covers_its_ranges_and_stays_inside() {
        let robot = arm6();
        let draws: Vec<Draw> =
            (0..2_000).map(|trial| draw(&robot, 1, Fault::ControlStalled, trial)).collect();
        let (period_ns, deadline_ns) = (robot.budgets.period_ns, robot.budgets.deadline_ns);
        for d in &draws {
            assert!(d.phase_ns < period_ns && d.bus < 2 && d.axis < 6, "{d:?}");
            assert!((MOMENT_MIN_NS..=MOMENT_MAX_NS).contains(&d.moment_ns), "{d:?}");
            assert!(u64::from(d.stall_ms) * MS_NS > deadline_ns, "no stall past the deadline");
        }
        for tenth in 0..10 {
            let hit = |d: &&Draw| d.phase_ns * 10 / period_ns == tenth;
            assert!(draws.iter().filter(hit).count() > 100, "tenth {tenth} of the tick");
        }
        for axis in 0..6 {
            assert!(draws.iter().any(|d| d.axis == axis));
        }
    }
}
