//! One way through the machine and how long it took, over all of the measured time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use mechos_operator::{LATENCY_DIGITS, LATENCY_MAX_NS, LATENCY_MIN_NS, Latency, LatencyPath};
use serde::{Deserialize, Serialize};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// One that the daemon measures itself.
    Daemon(LatencyPath),
    /// A position frame's arrival to its first sight in the planner's process.
    FeedbackSeen,
    /// cyclictest's wake-up.
    Cyclictest,
}

impl Path {
    /// Its name in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Path::Daemon(LatencyPath::Wake) => "wake",
            Path::Daemon(LatencyPath::Compute) => "compute",
            Path::Daemon(LatencyPath::Send) => "send",
            Path::Daemon(LatencyPath::Wire) => "wire",
            Path::Daemon(LatencyPath::IntentSeen) => "intent-seen",
            Path::Daemon(LatencyPath::IntentWire) => "intent-wire",
            Path::Daemon(LatencyPath::FeedbackPublished) => "feedback-published",
            Path::FeedbackSeen => "feedback-seen",
            Path::Cyclictest => "cyclictest",
        }
    }

    /// From where to where, for people.
    pub fn words(self) -> &'static str {
        match self {
            Path::Daemon(LatencyPath::Wake) => "tick start to awake",
            Path::Daemon(LatencyPath::Compute) => "awake to computed",
            Path::Daemon(LatencyPath::Send) => "tick start to frame sent",
            Path::Daemon(LatencyPath::Wire) => "tick start to frame on the bus",
            Path::Daemon(LatencyPath::IntentSeen) => "intent written to seen",
            Path::Daemon(LatencyPath::IntentWire) => "intent written to frame on the bus",
            Path::Daemon(LatencyPath::FeedbackPublished) => "frame received to published",
            Path::FeedbackSeen => "frame received to seen by planner",
            Path::Cyclictest => "cyclictest's wake-up",
        }
    }
}

/// A distribution came that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the distribution `{key}` cannot be read ({what}); do mechos and mechos-rt come from one build?"
)]
pub struct Unreadable {
    key: &'static str,
    what: String,
}

/// How long it took: everything measured, nothing removed.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Which way.
    pub path: Path,
    /// Every sample, ns, to three digits.
    pub histogram: Histogram<u64>,
    /// The smallest, exactly; 0 without samples.
    pub min_ns: u64,
    /// The largest, exactly; 0 without samples.
    pub max_ns: u64,
    /// Samples that are known to be missing.
    pub samples_lost: u64,
}

impl Distribution {
    /// One without samples, as the daemon keeps them.
    ///
    /// # Errors
    /// [`Unreadable`]: never with the bounds of this version.
    pub fn empty(path: Path) -> Result<Distribution, Unreadable> {
        let histogram = Histogram::new_with_bounds(LATENCY_MIN_NS, LATENCY_MAX_NS, LATENCY_DIGITS)
            .map_err(|error| Unreadable { key: path.key(), what: error.to_string() })?;
        Ok(Distribution { path, histogram, min_ns: 0, max_ns: 0, samples_lost: 0 })
    }

    /// As the daemon told it.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn from_daemon(told: &Latency) -> Result<Distribution, Unreadable> {
        let path = Path::Daemon(told.path);
        let carried = Carried {
            min_ns: told.min_ns,
            max_ns: told.max_ns,
            samples_lost: told.samples_lost,
            histogram: told.histogram.clone(),
        };
        let distribution = carried.unpack(path)?;
        if distribution.count() == told.count {
            return Ok(distribution);
        }
        let what = format!("{} samples, announced {}", distribution.count(), told.count);
        Err(Unreadable { key: path.key(), what })
    }

    /// One sample.
    pub fn record(&mut self, ns: u64) {
        self.record_n(ns, 1);
    }

    /// So many samples of one length.
    pub fn record_n(&mut self, ns: u64, count: u64) {
        if count == 0 {
            return;
        }
        self.min_ns = if self.histogram.is_empty() { ns } else { self.min_ns.min(ns) };
        self.max_ns = self.max_ns.max(ns);
        let kept = ns.clamp(LATENCY_MIN_NS, LATENCY_MAX_NS);
        self.histogram.saturating_record_n(kept, count);
    }

    /// Takes the samples of another turn.
    pub fn add(&mut self, other: &Distribution) {
        self.samples_lost += other.samples_lost;
        if other.histogram.is_empty() {
            return;
        }
        let before = self.histogram.is_empty();
        self.min_ns = if before { other.min_ns } else { self.min_ns.min(other.min_ns) };
        self.max_ns = self.max_ns.max(other.max_ns);
        for step in other.histogram.iter_recorded() {
            self.histogram.saturating_record_n(step.value_iterated_to(), step.count_at_value());
        }
    }

    /// Samples.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The value at a percentile, ns; none with fewer than ten samples past it. Never outside what
    /// was seen.
    pub fn percentile_ns(&self, percent: f64) -> Option<u64> {
        let value = crate::plot::quantile::value_ns(&self.histogram, percent)?;
        Some(value.clamp(self.min_ns, self.max_ns))
    }
}

/// A distribution on its way between two processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// See [`Distribution::min_ns`].
    pub min_ns: u64,
    /// See [`Distribution::max_ns`].
    pub max_ns: u64,
    /// See [`Distribution::samples_lost`].
    pub samples_lost: u64,
    /// HDR histogram, V2, deflated, in base64.
    pub histogram: String,
}

impl Carried {
    /// Packs one.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn pack(from: &Distribution) -> Result<Carried, Unreadable> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&from.histogram, &mut bytes)
            .map_err(|error| Unreadable { key: from.path.key(), what: error.to_string() })?;
        Ok(Carried {
            min_ns: from.min_ns,
            max_ns: from.max_ns,
            samples_lost: from.samples_lost,
            histogram: STANDARD.encode(bytes),
        })
    }

    /// Unpacks one.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn unpack(&self, path: Path) -> Result<Distribution, Unreadable> {
        let wrong = |what: String| Unreadable { key: path.key(), what };
        let bytes = STANDARD.decode(&self.histogram).map_err(|error| wrong(error.to_string()))?;
        let read: Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| wrong(error.to_string()))?;
        let Carried { min_ns, max_ns, samples_lost, .. } = *self;
        Ok(Distribution { path, histogram: read, min_ns, max_ns, samples_lost })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Distribution {
        let mut all = Distribution::empty(Path::FeedbackSeen).unwrap();
        values.iter().for_each(|value| all.record(*value));
        all
    }

    #[test]
    fn turns_add_up_and_keep_their_extremes() {
        let mut all = of(&[]);
        all.add(&of(&[]));
        assert_eq!((all.min_ns, all.max_ns), (0, 0));
        all.add(&of(&[5_003, 9_000]));
        all.add(&of(&[4_001, 70_007]));
        assert_eq!((all.min_ns, all.max_ns, all.count()), (4_001, 70_007, 4));
    }

    #[test]
    fn a_percentile_never_passes_what_was_seen() {
        let all = of(&vec![1_000_001; 1_000]);
        assert_eq!(all.percentile_ns(50.0), Some(1_000_001));
        assert_eq!(all.percentile_ns(99.9), None);
    }

    #[test]
    fn the_way_between_processes_loses_nothing() {
        let there = of(&[0, 3_000, 3_000, 90_000_000_000]);
        let back = Carried::pack(&there).unwrap().unpack(Path::FeedbackSeen).unwrap();
        assert_eq!(back.histogram, there.histogram);
        assert_eq!((back.min_ns, back.max_ns), (0, 90_000_000_000));
    }

    #[test]
    fn what_the_daemon_announced_must_be_there() {
        let carried = Carried::pack(&of(&[3_000])).unwrap();
        let mut told = Latency {
            path: LatencyPath::Wire,
            count: 1,
            min_ns: 3_000,
            max_ns: 3_000,
            samples_lost: 0,
            histogram: carried.histogram,
        };
        assert_eq!(Distribution::from_daemon(&told).unwrap().count(), 1);
        told.count = 2;
        let error = Distribution::from_daemon(&told).unwrap_err().to_string();
        assert!(error.contains("`wire`") && error.contains("announced 2"), "{error}");
        told.histogram = "???".into();
        assert!(Distribution::from_daemon(&told).is_err());
    }
}
