//! What a heap of samples says.

use serde::Serialize;

use crate::clock::Clock;

/// Successive samples whose mean is one value of [`Summary::middle_ns`].
const BLOCK: usize = 16;

/// One measurement, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Samples.
    pub count: usize,
    /// The median over blocks of 16 successive samples of their mean: a median that is finer than
    /// the steps of the clock, and what is compared.
    pub middle_ns: f64,
    /// Half of the samples were not longer.
    pub p50_ns: f64,
    /// 99 percent.
    pub p99_ns: f64,
    /// 99.9 percent.
    pub p99_9_ns: f64,
    /// The longest.
    pub max_ns: f64,
}

impl Summary {
    /// Of samples in the order in which they were taken, counts of the clock; they are sorted. From
    /// each `cost` is subtracted, and `parts` make one (a round trip has two ways).
    pub fn of(samples: &mut [u64], cost: f64, parts: u32, clock: &Clock) -> Summary {
        let ns = |counts: f64| clock.ns((counts - cost).max(0.0)) / f64::from(parts);
        let mean = |block: &[u64]| block.iter().sum::<u64>() as f64 / block.len().max(1) as f64;
        let middle_ns = median(samples.chunks(BLOCK).map(mean)).map_or(0.0, ns);
        samples.sort_unstable();
        let at = |share: f64| {
            // The smallest sample that so many are not longer than.
            let rank = (samples.len() as f64 * share).ceil() as usize;
            samples.get(rank.saturating_sub(1)).map_or(0.0, |counts| ns(*counts as f64))
        };
        Summary {
            count: samples.len(),
            middle_ns,
            p50_ns: at(0.5),
            p99_ns: at(0.99),
            p99_9_ns: at(0.999),
            max_ns: at(1.0),
        }
    }
}

/// The middle of some values; of an even number the lower of the two, so that it is one that was
/// found. None of none.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples_and_the_last_is_the_longest() {
        let clock = Clock::new();
        let mut samples: Vec<u64> = (1..=1000).rev().collect();
        let found = Summary::of(&mut samples, 0.0, 2, &clock);
        let way = |counts: f64| clock.ns(counts) / 2.0;
        assert_eq!(found.count, 1000);
        assert_eq!(found.p50_ns, way(500.0));
        assert_eq!(found.p99_ns, way(990.0));
        assert_eq!(found.p99_9_ns, way(999.0));
        assert_eq!(found.max_ns, way(1000.0));
        assert_eq!(Summary::of(&mut [], 0.0, 1, &clock), Summary::default());
    }

    #[test]
    fn the_middle_is_finer_than_the_clock_s_steps() {
        let clock = Clock::new();
        // 105 by a clock with steps of 20.
        let mut samples: Vec<u64> =
            (0..1600).map(|index| if index % 4 == 0 { 120 } else { 100 }).collect();
        let found = Summary::of(&mut samples, 5.0, 1, &clock);
        assert_eq!((found.p50_ns, found.middle_ns), (clock.ns(95.0), clock.ns(100.0)));
    }

    #[test]
    fn a_median_is_one_of_the_values() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 3.0, 2.0]), Some(2.0));
    }
}
