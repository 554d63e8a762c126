//! What a heap of samples says.

use serde::Serialize;

use crate::clock::Clock;

/// Quantiles of one measurement, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Samples.
    pub count: usize,
    /// Half of them were shorter.
    pub p50_ns: f64,
    /// 99 percent.
    pub p99_ns: f64,
    /// 99.9 percent.
    pub p99_9_ns: f64,
    /// The longest.
    pub max_ns: f64,
}

impl Summary {
    /// Sorts the samples, counts of the clock, `parts` of which make one (a round trip has two ways).
    pub fn of(samples: &mut [u64], parts: u32, clock: &Clock) -> Summary {
        samples.sort_unstable();
        let at = |share: f64| {
            // The smallest sample that so many are not longer than.
            let rank = (samples.len() as f64 * share).ceil() as usize;
            let sample = samples.get(rank.saturating_sub(1)).copied().unwrap_or(0);
            clock.ns(sample) / f64::from(parts)
        };
        Summary {
            count: samples.len(),
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
        let found = Summary::of(&mut samples, 2, &clock);
        let way = |counts: u64| clock.ns(counts) / 2.0;
        assert_eq!(found.count, 1000);
        assert_eq!(found.p50_ns, way(500));
        assert_eq!(found.p99_ns, way(990));
        assert_eq!(found.p99_9_ns, way(999));
        assert_eq!(found.max_ns, way(1000));
        assert_eq!(Summary::of(&mut [], 1, &clock), Summary::default());
    }

    #[test]
    fn a_median_is_one_of_the_values() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 3.0, 2.0]), Some(2.0));
    }
}
