//! The seven distributions: fixed histograms, filled from the real-time threads' rings.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
use mechos_operator::{
    LATENCY_DIGITS, LATENCY_MAX_NS, LATENCY_MIN_NS, LINE_MAX, Latency, LatencyPath, Percentiles,
};

use crate::timing::{Lost, Timing};

/// Longest histogram in base64; the rest of a line is for what stands beside it.
const ENCODED_MAX: usize = LINE_MAX - 1024;

/// Why a distribution cannot be handed out.
#[derive(Debug, thiserror::Error)]
pub enum LatencyError {
    /// So many different values that it does not fit a line.
    #[error(
        "the distribution is {found} bytes, {ENCODED_MAX} fit a line; ask more often, with reset"
    )]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// The library's.
    #[error("the distribution cannot be written: {0}")]
    Encode(#[from] hdrhistogram::serialization::V2DeflateSerializeError),
}

/// One distribution, twice: since the start for the status, since it was emptied for whoever asks.
struct Distribution {
    whole: Histogram<u64>,
    since: Histogram<u64>,
    /// Exact, which the histogram's are not.
    min_ns: u64,
    max_ns: u64,
    lost_before: u64,
}

impl Distribution {
    fn new() -> Result<Self, hdrhistogram::CreationError> {
        let empty = Histogram::new_with_bounds(LATENCY_MIN_NS, LATENCY_MAX_NS, LATENCY_DIGITS)?;
        let since = empty.clone();
        Ok(Self { whole: empty, since, min_ns: u64::MAX, max_ns: 0, lost_before: 0 })
    }

    fn add(&mut self, ns: u64) {
        let ns = ns.clamp(LATENCY_MIN_NS, LATENCY_MAX_NS);
        self.whole.saturating_record(ns);
        self.since.saturating_record(ns);
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
    }
}

/// Every distribution.
pub struct LatencyBook {
    distributions: [Distribution; LatencyPath::ALL.len()],
    lost: Arc<Lost>,
    serializer: V2DeflateSerializer,
}

impl LatencyBook {
    /// Empty ones. `lost` counts what the real-time threads could not hand over.
    ///
    /// # Errors
    /// The histogram library's, for bounds that it does not take.
    pub fn new(lost: Arc<Lost>) -> Result<Self, hdrhistogram::CreationError> {
        let one = Distribution::new;
        let distributions = [one()?, one()?, one()?, one()?, one()?, one()?, one()?];
        Ok(Self { distributions, lost, serializer: V2DeflateSerializer::new() })
    }

    /// Adds one duration.
    pub fn add(&mut self, timing: Timing) {
        if let Some(distribution) = self.distributions.get_mut(timing.path as usize) {
            distribution.add(timing.ns);
        }
    }

    /// Samples that the percentiles of the status lack.
    pub fn lost_of_status(&self) -> u64 {
        let shown = [LatencyPath::Wake, LatencyPath::Compute, LatencyPath::Send];
        shown.iter().map(|path| self.lost.of(*path)).sum()
    }

    /// For the status: since the start.
    pub fn percentiles(&self, path: LatencyPath) -> Percentiles {
        let whole = self.distributions.get(path as usize).map(|found| &found.whole);
        whole.map(percentiles).unwrap_or_default()
    }

    /// One distribution since it was last emptied.
    ///
    /// # Errors
    /// [`LatencyError`].
    pub fn take(&mut self, path: LatencyPath, reset: bool) -> Result<Latency, LatencyError> {
        let lost = self.lost.of(path);
        let [wake, compute, send, wire, seen, intent_wire, feedback] = &mut self.distributions;
        let found = match path {
            LatencyPath::Wake => wake,
            LatencyPath::Compute => compute,
            LatencyPath::Send => send,
            LatencyPath::Wire => wire,
            LatencyPath::IntentSeen => seen,
            LatencyPath::IntentWire => intent_wire,
            LatencyPath::FeedbackPublished => feedback,
        };
        let mut bytes = Vec::new();
        self.serializer.serialize(&found.since, &mut bytes)?;
        let histogram = STANDARD.encode(&bytes);
        let too_long = histogram.len() > ENCODED_MAX;
        let latency = Latency {
            path,
            count: found.since.len(),
            min_ns: if found.since.is_empty() { 0 } else { found.min_ns },
            max_ns: found.max_ns,
            samples_lost: lost.saturating_sub(found.lost_before),
            histogram,
        };
        if reset {
            found.since.reset();
            (found.min_ns, found.max_ns, found.lost_before) = (u64::MAX, 0, lost);
        }
        if too_long {
            return Err(LatencyError::TooLong { found: latency.histogram.len() });
        }
        Ok(latency)
    }
}

fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    #[allow(clippy::cast_precision_loss, reason = "for the status only")]
    let us = |ns: u64| ns as f64 / 1_000.0;
    Percentiles {
        p50: us(histogram.value_at_quantile(0.5)),
        p99: us(histogram.value_at_quantile(0.99)),
        p99_9: us(histogram.value_at_quantile(0.999)),
        max: us(histogram.max()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;

    fn book() -> (LatencyBook, Arc<Lost>) {
        let lost = Arc::new(Lost::default());
        (LatencyBook::new(Arc::clone(&lost)).unwrap(), lost)
    }

    fn decode(latency: &Latency) -> Histogram<u64> {
        let bytes = STANDARD.decode(&latency.histogram).unwrap();
        Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap()
    }

    #[test]
    fn what_was_recorded_comes_back_with_its_exact_extremes() {
        let (mut book, _) = book();
        for ns in [1_234_567, 89, 4_000, 4_000] {
            book.add(Timing { path: LatencyPath::Wire, ns });
        }
        let latency = book.take(LatencyPath::Wire, false).unwrap();
        assert_eq!((latency.count, latency.min_ns, latency.max_ns), (4, 89, 1_234_567));
        let histogram = decode(&latency);
        assert_eq!((histogram.len(), histogram.count_at(4_000)), (4, 2));
        assert_eq!(book.take(LatencyPath::Wake, false).unwrap().count, 0, "a path of its own");
    }

    #[test]
    fn a_reset_empties_after_answering_and_leaves_the_status_alone() {
        let (mut book, lost) = book();
        book.add(Timing { path: LatencyPath::Wake, ns: 5_000 });
        lost.add(LatencyPath::Wake, 3);
        let first = book.take(LatencyPath::Wake, true).unwrap();
        assert_eq!((first.count, first.samples_lost), (1, 3));
        let second = book.take(LatencyPath::Wake, false).unwrap();
        assert_eq!((second.count, second.min_ns, second.max_ns, second.samples_lost), (0, 0, 0, 0));
        assert!(book.percentiles(LatencyPath::Wake).max >= 5.0);
        assert_eq!(book.lost_of_status(), 3);
    }

    #[test]
    fn values_outside_the_range_count_as_its_ends() {
        let (mut book, _) = book();
        book.add(Timing { path: LatencyPath::Send, ns: u64::MAX });
        book.add(Timing { path: LatencyPath::Send, ns: 0 });
        let latency = book.take(LatencyPath::Send, false).unwrap();
        assert_eq!((latency.min_ns, latency.max_ns), (LATENCY_MIN_NS, LATENCY_MAX_NS));
        assert_eq!(latency.count, 2);
    }

    #[test]
    fn a_broad_distribution_fits_a_line_and_one_that_does_not_is_refused_and_can_be_emptied() {
        let (mut book, _) = book();
        let mut word = 1u64;
        let mut random = || {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            word >> 33
        };
        for _ in 0..1_000_000 {
            // From 1 us to a second, as many in each octave.
            let ns = 1_000 << (random() % 20);
            book.add(Timing { path: LatencyPath::Wire, ns: ns + random() % ns });
        }
        let latency = book.take(LatencyPath::Wire, false).unwrap();
        assert_eq!(decode(&latency).len(), 1_000_000);
        for _ in 0..20_000_000 {
            let ns = 1 << (random() % 35);
            book.add(Timing { path: LatencyPath::Wake, ns: ns + random() % ns });
        }
        if let Err(error) = book.take(LatencyPath::Wake, true) {
            assert!(matches!(error, LatencyError::TooLong { .. }), "{error}");
        }
        assert_eq!(book.take(LatencyPath::Wake, false).unwrap().count, 0);
    }
}
