//! Faults that somebody injects: silent drives, destroyed frames. Seeded, so that a run repeats.

/// A drive that is cut off.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence {
    until_ns: u64,
    deaf: bool,
    feedback_only: bool,
}

impl Silence {
    /// Sends nothing before `until_ns`; with `deaf` hears nothing either.
    pub fn until(until_ns: u64, deaf: bool) -> Self {
        Self { until_ns, deaf, feedback_only: false }
    }

    /// Its positions alone stay away before `until_ns`: it lives, and says nothing of its motion.
    pub fn of_feedback(until_ns: u64) -> Self {
        Self { until_ns, deaf: false, feedback_only: true }
    }

    /// Whether what it sends is lost: everything, or process data alone.
    pub fn is_mute(&self, now_ns: u64, process_data: bool) -> bool {
        now_ns < self.until_ns && (process_data || !self.feedback_only)
    }

    /// Whether it hears nothing.
    pub fn is_deaf(&self, now_ns: u64) -> bool {
        self.deaf && self.is_mute(now_ns, false)
    }
}

/// Frames destroyed on the wire: nobody receives them, not even an echo comes, and none is repeated.
pub struct Faults {
    random: u64,
    rules: Vec<(f64, u64)>,
}

impl Faults {
    /// None yet, on `buses` buses.
    pub fn new(seed: u64, buses: usize) -> Self {
        Self { random: seed, rules: vec![(0.0, 0); buses] }
    }

    /// A rule for one bus, or all; it replaces the one before.
    pub fn drop_frames(&mut self, bus: Option<usize>, percent: f64, until_ns: u64) {
        for (index, rule) in self.rules.iter_mut().enumerate() {
            if bus.is_none_or(|chosen| chosen == index) {
                *rule = (percent.clamp(0.0, 100.0), until_ns);
            }
        }
    }

    /// Decides on one frame.
    pub fn destroys(&mut self, bus: usize, now_ns: u64) -> bool {
        let Some((percent, until_ns)) = self.rules.get(bus).copied() else { return false };
        now_ns < until_ns && self.next_percent() < percent
    }

    /// SplitMix64, as a number of 0 to below 100.
    fn next_percent(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        100.0 * (mixed >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_without_feedback_still_says_that_it_lives() {
        let silent = Silence::until(10, false);
        assert!(silent.is_mute(9, false) && silent.is_mute(9, true) && !silent.is_mute(10, true));
        let blind = Silence::of_feedback(10);
        assert!(!blind.is_mute(9, false) && blind.is_mute(9, true) && !blind.is_mute(10, true));
    }

    #[test]
    fn a_rule_holds_on_its_bus_for_its_time_and_repeats_with_its_seed() {
        let run = |seed| {
            let mut faults = Faults::new(seed, 2);
            faults.drop_frames(Some(1), 30.0, 1000);
            assert!(!(0..100).any(|_| faults.destroys(0, 0)));
            let pattern: Vec<_> = (0..1000).map(|now| faults.destroys(1, now)).collect();
            assert!(!(0..100).any(|_| faults.destroys(1, 1000)));
            pattern
        };
        let destroyed = run(7).iter().filter(|d| **d).count();
        assert!((250..350).contains(&destroyed), "{destroyed}");
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
