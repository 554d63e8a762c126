//! What is counted together for the eye: logarithmic bins, no sample lost between them.

use hdrhistogram::Histogram;

use super::Series;

/// Bins over the whole width of a picture.
const BINS: u32 = 180;

/// What is shorter counts as this, ns: a logarithm has no zero, and no clock tells less.
const SHORTEST_NS: u64 = 10;

/// The part of the time axis that a picture shows, µs: whole thirds of a decade.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Left end, µs.
    pub from_us: f64,
    /// Right end, µs.
    pub to_us: f64,
}

/// A run of samples of about the same length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Left edge, µs.
    pub from_us: f64,
    /// Right edge, µs.
    pub to_us: f64,
    /// Samples.
    pub count: u64,
}

fn us(ns: u64) -> f64 {
    ns.max(SHORTEST_NS) as f64 / 1e3
}

impl Span {
    /// What holds every sample and every budget; none where there is no sample.
    pub fn of(series: &[Series]) -> Option<Span> {
        let full = || series.iter().filter(|series| !series.histogram.is_empty());
        let low = full().map(|series| series.histogram.min()).min()?;
        let high = full().map(|series| series.histogram.max()).max()?;
        let budgets = || series.iter().filter_map(|series| series.budget_ns);
        let low = budgets().min().map_or(low, |budget| budget.min(low));
        let high = budgets().max().map_or(high, |budget| budget.max(high));
        // Air to both sides, so that no mark stands on the frame.
        let from = ((us(low) / 1.25).log10() * 3.0).floor() / 3.0;
        let to = ((us(high) * 1.25).log10() * 3.0).ceil() / 3.0;
        Some(Span { from_us: 10f64.powf(from), to_us: 10f64.powf(to.max(from + 1.0)) })
    }

    /// How far right a value stands, 0 to 1.
    pub fn share(self, value_us: f64) -> f64 {
        (value_us / self.from_us).log10() / (self.to_us / self.from_us).log10()
    }

    /// The edge of that number.
    fn edge_us(self, index: u32) -> f64 {
        let share = f64::from(index) / f64::from(BINS);
        self.from_us * (self.to_us / self.from_us).powf(share)
    }
}

/// A histogram's samples in bins, the empty ones between too.
pub fn bins(histogram: &Histogram<u64>, span: Span) -> Vec<Bin> {
    let mut bins: Vec<Bin> = (0..BINS)
        .map(|index| Bin { from_us: span.edge_us(index), to_us: span.edge_us(index + 1), count: 0 })
        .collect();
    for step in histogram.iter_recorded() {
        let value = us(step.value_iterated_to().min(histogram.max()));
        let place = bins.iter().position(|bin| value < bin.to_us);
        let bin = match place {
            Some(place) => bins.get_mut(place),
            None => bins.last_mut(),
        };
        if let Some(bin) = bin {
            bin.count += step.count_at_value();
        }
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        for value in values {
            histogram.record(*value).unwrap();
        }
        histogram
    }

    #[test]
    fn no_sample_is_lost_between_bins() {
        let values: Vec<u64> = (0..3_000).map(|n| 1 + n * n * 11).collect();
        let histogram = histogram(&values);
        let series = Series { name: "", histogram: &histogram, budget_ns: None };
        let span = Span::of(&[series]).unwrap();
        let sum: u64 = bins(&histogram, span).iter().map(|bin| bin.count).sum();
        assert_eq!(sum, 3_000);
    }

    #[test]
    fn the_span_holds_samples_and_budget_with_air() {
        let histogram = histogram(&[5_000, 20_000]);
        let series = Series { name: "", histogram: &histogram, budget_ns: Some(500_000) };
        let span = Span::of(&[series]).unwrap();
        assert!(span.from_us < 4.1 && span.to_us > 620.0, "{span:?}");
        assert!(span.share(span.from_us).abs() < 1e-9);
        assert!((span.share(span.to_us) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_single_value_still_has_a_width() {
        let histogram = histogram(&[7_000; 3]);
        let series = Series { name: "", histogram: &histogram, budget_ns: None };
        let span = Span::of(&[series]).unwrap();
        assert!(span.to_us / span.from_us >= 9.9, "{span:?}");
    }

    #[test]
    fn a_zero_is_counted_and_does_not_stretch_the_axis() {
        let histogram = histogram(&[0, 20_000]);
        let series = Series { name: "", histogram: &histogram, budget_ns: None };
        let span = Span::of(&[series]).unwrap();
        assert!(span.from_us > 0.004, "{span:?}");
        assert_eq!(bins(&histogram, span).iter().map(|bin| bin.count).sum::<u64>(), 2);
    }
}
