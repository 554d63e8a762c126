//! How many intents a second: a bucket that refills evenly and holds one second's worth.

const SECOND_NS: u64 = 1_000_000_000;

/// Counts intents against a rate. One intent weighs 1e9, and every ns refills by the rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateMeter {
    level: u64,
    filled_ns: Option<u64>,
}

impl RateMeter {
    /// A full bucket.
    pub fn new() -> RateMeter {
        RateMeter { level: 0, filled_ns: None }
    }

    /// Takes one intent's worth; false when there is none.
    pub fn take(&mut self, now_ns: u64, per_second_max: u32) -> bool {
        let rate = u64::from(per_second_max);
        let full = rate.saturating_mul(SECOND_NS);
        let passed_ns = match self.filled_ns {
            Some(filled_ns) => now_ns.saturating_sub(filled_ns).min(SECOND_NS),
            None => SECOND_NS,
        };
        self.filled_ns = Some(now_ns);
        let level = self.level.saturating_add(passed_ns.saturating_mul(rate)).min(full);
        self.level = level.checked_sub(SECOND_NS).unwrap_or(level);
        level >= SECOND_NS
    }
}

impl Default for RateMeter {
    fn default() -> RateMeter {
        RateMeter::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_as_many_as_the_rate_and_refills_evenly() {
        let mut meter = RateMeter::new();
        assert_eq!((0..20).filter(|_| meter.take(5, 10)).count(), 10);
        assert!(!meter.take(99_000_000, 10));
        assert!(meter.take(100_000_005, 10));
        assert!(!meter.take(100_000_005, 10));
    }

    #[test]
    fn a_rate_of_zero_admits_nothing() {
        assert!(!RateMeter::new().take(u64::MAX, 0));
    }
}
