//! The time budgets: two profiles, scaled to the rate, and what the file overrides.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use crate::error::Objection;
use crate::rules;

const MS: u64 = 1_000_000;

/// Which set of budgets is in force; shown wherever a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// For hosts with real time; the default on a real bus.
    Strict,
    /// For hosts that take the CPU away for tens of ms; simulated buses only.
    Relaxed,
}

impl Profile {
    /// `strict` or `relaxed`.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Strict => "strict",
            Profile::Relaxed => "relaxed",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Time budgets, ns. `execution < deadline < guardian < watchdog < hazard`, with the frames'
/// worst-case transmission between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Length of a tick.
    pub period_ns: u64,
    /// Longest execution of a tick.
    pub execution_ns: u64,
    /// Latest end of a tick's outputs after its nominal start; then the deadline thread stops.
    pub deadline_ns: u64,
    /// Age of the daemon's beat at which the guardian stops.
    pub guardian_ns: u64,
    /// Age of the host's heartbeat at which a drive stops by itself (1016h); whole ms.
    pub watchdog_ns: u64,
    /// From a fault to standstill, for axes that name no budget of their own.
    pub hazard_ns: u64,
    /// Feedback older than this is stale.
    pub feedback_age_ns: u64,
    /// Period of the drives' heartbeats (1017h); whole ms.
    pub drive_heartbeat_ns: u64,
    /// Age of a drive's heartbeat at which it counts as lost.
    pub drive_heartbeat_timeout_ns: u64,
    /// Period of the host's heartbeat.
    pub host_heartbeat_ns: u64,
    /// The planner's heartbeat must move at least this often.
    pub cognition_heartbeat_ns: u64,
    /// The guardian's and the deadline thread's beats must move at least this often.
    pub watcher_beat_ns: u64,
    /// The housekeeping thread's beat must move at least this often.
    pub housekeeping_beat_ns: u64,
    /// Arming must be complete within this.
    pub arming_ns: u64,
    /// A controlled stop that has not come to rest within this becomes a halt.
    pub stopping_ns: u64,
}

/// A budget by its key in `[budgets]`.
pub(crate) type Part = (&'static str, fn(&mut Budgets) -> &mut u64);

/// Every budget that `[budgets]` may name; the period follows from `rate_hz`.
pub(crate) const PARTS: [Part; 14] = [
    ("execution_ms", |budgets| &mut budgets.execution_ns),
    ("deadline_ms", |budgets| &mut budgets.deadline_ns),
    ("guardian_ms", |budgets| &mut budgets.guardian_ns),
    ("watchdog_ms", |budgets| &mut budgets.watchdog_ns),
    ("hazard_ms", |budgets| &mut budgets.hazard_ns),
    ("feedback_age_ms", |budgets| &mut budgets.feedback_age_ns),
    ("drive_heartbeat_ms", |budgets| &mut budgets.drive_heartbeat_ns),
    ("drive_heartbeat_timeout_ms", |budgets| &mut budgets.drive_heartbeat_timeout_ns),
    ("host_heartbeat_ms", |budgets| &mut budgets.host_heartbeat_ns),
    ("cognition_heartbeat_ms", |budgets| &mut budgets.cognition_heartbeat_ns),
    ("watcher_beat_ms", |budgets| &mut budgets.watcher_beat_ns),
    ("housekeeping_beat_ms", |budgets| &mut budgets.housekeeping_beat_ns),
    ("arming_ms", |budgets| &mut budgets.arming_ns),
    ("stopping_ms", |budgets| &mut budgets.stopping_ns),
];

impl Budgets {
    /// The profile's budgets at a rate. Strict follows the period, and below 1 kHz grows with it
    /// as a whole; relaxed is about the host and only its execution follows.
    pub fn of(profile: Profile, rate_hz: u32) -> Budgets {
        let period_ns = 1_000_000_000 / u64::from(rate_hz.max(1));
        // The drives count the watchdog and their heartbeats in whole ms.
        let scale = period_ns.div_ceil(MS).max(1);
        let (deadline_ns, guardian_ns, watchdog_ns, hazard_ns, feedback_age_ns) = match profile {
            Profile::Strict => {
                let guardian_ns = period_ns.max(MS) * 9 / 5;
                (period_ns, guardian_ns, 10 * MS * scale, 50 * MS * scale, 3 * period_ns.max(MS))
            }
            Profile::Relaxed => (50 * MS, 100 * MS, 200 * MS, 500 * MS, 100 * MS),
        };
        let (drive_heartbeat_ns, cognition_heartbeat_ns, housekeeping_beat_ns) = match profile {
            Profile::Strict => (20 * MS * scale, 50 * MS * scale, 1_000 * MS),
            Profile::Relaxed => (50 * MS, 250 * MS, 3_000 * MS),
        };
        Budgets {
            period_ns,
            execution_ns: period_ns / 2,
            deadline_ns,
            guardian_ns,
            watchdog_ns,
            hazard_ns,
            feedback_age_ns,
            drive_heartbeat_ns,
            drive_heartbeat_timeout_ns: 3 * drive_heartbeat_ns,
            host_heartbeat_ns: watchdog_ns * 2 / 5,
            cognition_heartbeat_ns,
            watcher_beat_ns: guardian_ns,
            housekeeping_beat_ns,
            arming_ns: 5_000 * MS,
            stopping_ns: 3_000 * MS,
        }
    }
}

/// Budgets together with where in the file each comes from.
pub(crate) struct Sourced {
    pub budgets: Budgets,
    profile: Range<usize>,
    written: BTreeMap<&'static str, Range<usize>>,
}

impl Sourced {
    /// The profile's budgets, then what the file writes out. `profile` is where the file chose it.
    pub fn new(
        mut budgets: Budgets,
        profile: Range<usize>,
        table: Option<&BTreeMap<String, Spanned<f64>>>,
    ) -> Result<Sourced, Objection> {
        let mut written = BTreeMap::new();
        for (key, value) in table.into_iter().flatten() {
            let Some((name, part)) = PARTS.iter().find(|(name, _)| name == key) else {
                let names: Vec<_> = PARTS.iter().map(|(name, _)| format!("`{name}`")).collect();
                let allowed = format!("one of {}", names.join(", "));
                return Err(Objection::at(value.span(), "an unknown key", allowed));
            };
            *part(&mut budgets) = rules::milliseconds("budgets", value)?;
            written.insert(*name, value.span());
        }
        Ok(Sourced { budgets, profile, written })
    }

    /// The first budget that the file does not write out.
    pub fn unwritten(&self) -> Option<&'static str> {
        PARTS.iter().map(|(name, _)| *name).find(|name| !self.written.contains_key(name))
    }

    /// An objection against a budget, wherever its value comes from.
    pub fn object(&self, key: &str, found: impl ToString, allowed: impl ToString) -> Objection {
        let span = self.written.get(key).unwrap_or(&self.profile).clone();
        Objection::at(span, found, allowed).named(format!("budgets.{key}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_1_khz_the_profiles_are_the_designs() {
        let table_us = |budgets: Budgets| {
            [
                budgets.execution_ns,
                budgets.deadline_ns,
                budgets.guardian_ns,
                budgets.watchdog_ns,
                budgets.hazard_ns,
            ]
            .map(|ns| ns / 1000)
        };
        let strict = Budgets::of(Profile::Strict, 1000);
        assert_eq!(table_us(strict), [500, 1_000, 1_800, 10_000, 50_000]);
        let relaxed = Budgets::of(Profile::Relaxed, 1000);
        assert_eq!(table_us(relaxed), [500, 50_000, 100_000, 200_000, 500_000]);
        assert_eq!(strict.host_heartbeat_ns, 4 * MS);
        assert_eq!(relaxed.host_heartbeat_ns, 80 * MS);
    }

    #[test]
    fn watchdog_and_heartbeats_are_whole_milliseconds_at_every_rate() {
        for profile in [Profile::Strict, Profile::Relaxed] {
            for rate_hz in [50, 64, 100, 125, 250, 400, 500, 800, 1000, 4000, 10_000] {
                let budgets = Budgets::of(profile, rate_hz);
                assert_eq!(budgets.watchdog_ns % MS, 0, "{profile} {rate_hz}");
                assert_eq!(budgets.drive_heartbeat_ns % MS, 0, "{profile} {rate_hz}");
            }
        }
    }
}
