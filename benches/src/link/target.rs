//! Promise P3 and the targets beside it: what is compared with what, floors and aims (SHM.md's own),
//! and whether a run held them.

use serde::Serialize;

use super::item::{Item, Kind, Load};
use super::reading::{Placement, Reading, agree};
use crate::stats::median;

/// Compared with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Under {
    /// The mean of the item's own two raw probes.
    Raw,
    /// Another item of the same repetition.
    Item(Item),
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The floor is not exceeded.
    AtMost,
    /// The floor is reached.
    AtLeast,
}

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// For the table.
    pub name: &'static str,
    over: Item,
    under: Under,
    /// Which way.
    pub bound: Bound,
    /// Missed: the run fails.
    pub floor: f64,
    /// Hoped for.
    pub aim: f64,
}

/// All.
pub const TARGETS: [Target; 7] = [
    Target {
        name: "ring 56 B, checked / R2",
        over: Item::Ring56,
        under: Under::Raw,
        bound: Bound::AtMost,
        floor: 1.15,
        aim: 1.0,
    },
    Target {
        name: "ring 248 B, checked / R2",
        over: Item::Ring248,
        under: Under::Raw,
        bound: Bound::AtMost,
        floor: 2.4,
        aim: 1.7,
    },
    Target {
        name: "iceoryx2 64 B / ring 56 B",
        over: Item::Iceoryx64,
        under: Under::Item(Item::Ring56),
        bound: Bound::AtLeast,
        floor: 5.0,
        aim: 7.0,
    },
    Target {
        name: "iceoryx2 256 B / ring 248 B",
        over: Item::Iceoryx256,
        under: Under::Item(Item::Ring248),
        bound: Bound::AtLeast,
        floor: 2.5,
        aim: 4.0,
    },
    Target {
        name: "records/s: ring / rtrb",
        over: Item::RingRate,
        under: Under::Item(Item::RtrbRate),
        bound: Bound::AtLeast,
        floor: 2.0,
        aim: 3.5,
    },
    Target {
        name: "records/s: ring / iceoryx2",
        over: Item::RingRate,
        under: Under::Item(Item::IceoryxRate),
        bound: Bound::AtLeast,
        floor: 12.0,
        aim: 25.0,
    },
    Target {
        name: "board 256 B after a publish / R2",
        over: Item::Value(Kind::Board, Load::Fresh),
        under: Under::Raw,
        bound: Bound::AtMost,
        floor: 1.5,
        aim: 1.0,
    },
];

/// What a run says about a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The aim, too.
    AimReached,
    /// The floor.
    FloorHeld,
    /// Not even the floor.
    FloorMissed,
    /// Too few repetitions stayed in one placement.
    TooFew,
}

impl Verdict {
    /// For the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verdict::AimReached => "aim reached",
            Verdict::FloorHeld => "floor held",
            Verdict::FloorMissed => "FLOOR MISSED",
            Verdict::TooFew => "TOO FEW STAYED",
        }
    }

    /// Whether the run shows the floor.
    #[must_use]
    pub fn holds(self) -> bool {
        matches!(self, Verdict::AimReached | Verdict::FloorHeld)
    }
}

/// A target, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// Of the target.
    pub name: &'static str,
    /// Which way.
    pub bound: Bound,
    /// Of the target.
    pub floor: f64,
    /// Of the target.
    pub aim: f64,
    /// The placement in which most repetitions stayed.
    pub placement: Option<Placement>,
    /// The ratio of each of those.
    pub ratios: Vec<f64>,
    /// Repetitions that moved.
    pub moved: usize,
    /// Repetitions that stayed in another placement.
    pub elsewhere: usize,
    /// The median of `ratios`.
    pub ratio: Option<f64>,
    /// What that means.
    pub verdict: Verdict,
}

impl Target {
    /// The ratio in one repetition, and the placement; none: it moved.
    fn ratio(&self, repetition: &[Reading]) -> Option<(Placement, f64)> {
        let reading = |item| repetition.iter().find(|reading| reading.item == item);
        let over = reading(self.over)?;
        let (under, probes) = match self.under {
            Under::Raw => (over.raw_ns(), over.probes_ns()),
            Under::Item(item) => {
                let under = reading(item)?;
                (under.found.value(), under.probes_ns())
            }
        };
        agree(over.probes_ns().into_iter().chain(probes))
            .then_some((over.placement, over.found.value() / under))
    }

    /// Judges it by all repetitions, of which `wanted` must have stayed in one placement.
    #[must_use]
    pub fn judge(&self, repetitions: &[Vec<Reading>], wanted: usize) -> Judgement {
        let stayed: Vec<(Placement, f64)> =
            repetitions.iter().filter_map(|repetition| self.ratio(repetition)).collect();
        let in_one = |placement: Placement| {
            stayed.iter().filter(move |(found, _)| *found == placement).map(|(_, ratio)| *ratio)
        };
        let placement = [Placement::OneCore, Placement::Far, Placement::OneCache]
            .into_iter()
            .filter(|placement| in_one(*placement).next().is_some())
            .max_by_key(|placement| in_one(*placement).count());
        let ratios: Vec<f64> = placement.map(|found| in_one(found).collect()).unwrap_or_default();
        let ratio = median(ratios.iter().copied());
        let reaches = |value: f64, limit: f64| match self.bound {
            Bound::AtMost => value <= limit,
            Bound::AtLeast => value >= limit,
        };
        let verdict = match ratio {
            Some(ratio) if ratios.len() >= wanted => {
                if reaches(ratio, self.aim) {
                    Verdict::AimReached
                } else if reaches(ratio, self.floor) {
                    Verdict::FloorHeld
                } else {
                    Verdict::FloorMissed
                }
            }
            _ => Verdict::TooFew,
        };
        Judgement {
            name: self.name,
            bound: self.bound,
            floor: self.floor,
            aim: self.aim,
            placement,
            moved: repetitions.len().saturating_sub(stayed.len()),
            elsewhere: stayed.len().saturating_sub(ratios.len()),
            ratios,
            ratio,
            verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::reading::Found;
    use crate::stats::Summary;

    fn repetition(before_ns: f64, after_ns: f64, middle_ns: f64) -> Vec<Reading> {
        let times = Summary { middle_ns, ..Summary::default() };
        let found = Found::Times { times, looks: None };
        vec![Reading::new(Item::Ring56, before_ns, after_ns, found)]
    }

    #[test]
    fn the_median_of_those_that_stayed_is_judged_and_the_others_are_counted() {
        let ratios = [1.0, 1.1, 1.14, 1.3, 1.0];
        let mut all: Vec<_> =
            ratios.iter().map(|ratio| repetition(50.0, 50.0, 50.0 * ratio)).collect();
        all.push(repetition(50.0, 200.0, 900.0));
        all.push(repetition(20.0, 20.0, 60.0));
        let found = TARGETS[0].judge(&all, 5);
        assert_eq!((found.ratios.len(), found.moved, found.elsewhere), (5, 1, 1));
        assert_eq!(found.placement, Some(Placement::OneCache));
        assert!((found.ratio.unwrap() - 1.1).abs() < 1e-9);
        assert_eq!(found.verdict, Verdict::FloorHeld);
        assert_eq!(TARGETS[0].judge(&all, 6).verdict, Verdict::TooFew);
        assert_eq!(TARGETS[0].judge(&[], 1).verdict, Verdict::TooFew);
    }

    #[test]
    fn a_floor_is_missed_on_the_side_that_is_worse() {
        let found = TARGETS[0].judge(&[repetition(50.0, 50.0, 58.0)], 1);
        assert_eq!(found.verdict, Verdict::FloorMissed);
        assert!(!found.verdict.holds());
    }

    #[test]
    fn two_items_are_compared_only_where_all_four_probes_agree() {
        let of = |item, raw_ns, middle_ns| {
            let times = Summary { middle_ns, ..Summary::default() };
            Reading::new(item, raw_ns, raw_ns, Found::Times { times, looks: None })
        };
        let stayed = vec![of(Item::Ring56, 50.0, 50.0), of(Item::Iceoryx64, 51.0, 360.0)];
        let found = TARGETS[2].judge(&[stayed], 1);
        assert_eq!(found.verdict, Verdict::AimReached);
        let moved = vec![of(Item::Ring56, 50.0, 50.0), of(Item::Iceoryx64, 80.0, 360.0)];
        assert_eq!(TARGETS[2].judge(&[moved], 1).moved, 1);
    }
}
