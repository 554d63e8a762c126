//! One item between two raw probes.

use serde::{Serialize, Serializer};

use super::item::Item;
use super::near::LookCounts;
use crate::stats::Summary;

/// Two raw probes that differ by more than this factor were not taken in one placement, or not on a
/// quiet host: what stands between them is shown, and not compared.
pub const MOVED_FACTOR: f64 = 1.25;
/// Below: both processors are threads of one core, ns.
const ONE_CORE_MAX_NS: f64 = 32.0;
/// Below: two cores of one cache, ns.
const ONE_CACHE_MAX_NS: f64 = 110.0;

/// Where the two processors lie to each other, told from the raw hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Two cores of one cache.
    OneCache,
    /// Two threads of one core.
    OneCore,
    /// Two caches.
    Far,
}

impl Placement {
    /// Of a raw one-way time.
    #[must_use]
    pub fn of(raw_ns: f64) -> Placement {
        if raw_ns < ONE_CORE_MAX_NS {
            Placement::OneCore
        } else if raw_ns < ONE_CACHE_MAX_NS {
            Placement::OneCache
        } else {
            Placement::Far
        }
    }

    /// For the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Placement::OneCache => "one cache",
            Placement::OneCore => "one core",
            Placement::Far => "far",
        }
    }
}

/// What a measurement gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// One way of a record, or one look at a cell.
    Times {
        /// The times.
        times: Summary,
        /// What became of the looks, for a cell.
        looks: Option<LookCounts>,
    },
    /// Records a second.
    Rate {
        /// So many.
        per_s: f64,
    },
}

impl Found {
    /// So many records in that time.
    #[must_use]
    pub fn rate(records: u64, ns: f64) -> Found {
        Found::Rate { per_s: records as f64 * 1e9 / ns.max(1.0) }
    }

    /// What is compared: the middle time, or the rate.
    #[must_use]
    pub fn value(&self) -> f64 {
        match self {
            Found::Times { times, .. } => times.middle_ns,
            Found::Rate { per_s } => *per_s,
        }
    }
}

/// The reading.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// Of what.
    #[serde(serialize_with = "by_name")]
    pub item: Item,
    /// Where, told from both probes.
    pub placement: Placement,
    /// The probes differ by more than [`MOVED_FACTOR`].
    pub moved: bool,
    /// One way of the raw hand-over right before, its middle, ns.
    pub raw_before_ns: f64,
    /// Right after, ns.
    pub raw_after_ns: f64,
    /// What was measured between them.
    pub found: Found,
}

fn by_name<S: Serializer>(item: &Item, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(item)
}

impl Reading {
    /// Judges the probes.
    #[must_use]
    pub fn new(item: Item, raw_before_ns: f64, raw_after_ns: f64, found: Found) -> Reading {
        let placement = Placement::of(f64::midpoint(raw_before_ns, raw_after_ns));
        let moved = !agree([raw_before_ns, raw_after_ns]);
        Reading { item, placement, moved, raw_before_ns, raw_after_ns, found }
    }

    /// Both probes.
    #[must_use]
    pub fn probes_ns(&self) -> [f64; 2] {
        [self.raw_before_ns, self.raw_after_ns]
    }

    /// The mean of both probes, ns.
    #[must_use]
    pub fn raw_ns(&self) -> f64 {
        f64::midpoint(self.raw_before_ns, self.raw_after_ns)
    }
}

/// Whether all these probes were taken in one placement.
pub fn agree(probes_ns: impl IntoIterator<Item = f64>) -> bool {
    let (low, high) = probes_ns
        .into_iter()
        .fold((f64::INFINITY, 0.0), |(low, high), ns| (ns.min(low), ns.max(high)));
    high <= low * MOVED_FACTOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_between_two_probes_that_differ_has_moved() {
        let found = Found::rate(10, 1.0);
        assert!(!Reading::new(Item::Ring56, 50.0, 60.0, found).moved);
        assert!(Reading::new(Item::Ring56, 50.0, 70.0, found).moved);
        assert!(Reading::new(Item::Ring56, 70.0, 50.0, found).moved);
    }
}
