//! Percentiles that say when there are too few samples for them.

use hdrhistogram::Histogram;

/// Samples that must lie past a percentile before it is more than a rumour of the maximum.
const BEYOND_MIN: f64 = 10.0;

/// How many samples a percentile needs; `percent` below 100.
#[must_use]
pub fn samples_needed(percent: f64) -> u64 {
    let needed = (BEYOND_MIN * 100.0 / (100.0 - percent)).round();
    // Saturates; a percentile of 100 needs more than there can be.
    if needed.is_finite() { needed as u64 } else { u64::MAX }
}

/// The value at a percentile, ns; none where fewer than ten samples lie past it.
#[must_use]
pub fn value_ns(histogram: &Histogram<u64>, percent: f64) -> Option<u64> {
    let enough = histogram.len() >= samples_needed(percent);
    // The upper end of the value's bucket may pass the largest value seen.
    enough.then(|| histogram.value_at_percentile(percent).min(histogram.max()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_needs_ten_samples_past_it() {
        assert_eq!(samples_needed(50.0), 20);
        assert_eq!(samples_needed(99.0), 1_000);
        assert_eq!(samples_needed(99.9), 10_000);
        assert_eq!(samples_needed(99.99), 100_000);
        assert_eq!(samples_needed(100.0), u64::MAX);
    }

    #[test]
    fn too_few_samples_give_no_value() {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        histogram.record_n(1_000, 999).unwrap();
        assert_eq!(value_ns(&histogram, 99.0), None);
        histogram.record(5_000).unwrap();
        assert_eq!(value_ns(&histogram, 99.0), Some(1_000));
        assert_eq!(value_ns(&histogram, 99.9), None);
    }
}
