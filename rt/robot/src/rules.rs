//! What each number in the file may be. One row a key; the key's name carries the unit.

use serde::Deserialize;
use toml::Spanned;

use crate::certificate::TRIALS_MIN_MAX;
use crate::error::Objection;

/// The range of a number, both ends allowed.
struct Rule {
    key: &'static str,
    low: f64,
    high: f64,
    unit: &'static str,
}

const fn rule(key: &'static str, low: f64, high: f64, unit: &'static str) -> Rule {
    Rule { key, low, high, unit }
}

const U32_MAX: f64 = u32::MAX as f64;
const TRIALS_MAX: f64 = TRIALS_MIN_MAX as f64;

const RULES: &[Rule] = &[
    rule("rate_hz", 50.0, 10_000.0, "Hz"),
    rule("standstill_rad_s", 1e-4, 0.5, "rad/s"),
    rule("certificate_trials_min", 1.0, TRIALS_MAX, "trials of each fault"),
    rule("host_node", 1.0, 127.0, ""),
    // CiA 301: 000h is NMT, 001h to 07Fh and 101h to 180h are reserved, 100h is TIME.
    rule("stop_cob_id", 129.0, 255.0, "(0x081 to 0x0FF)"),
    rule("sync_cob_id", 128.0, 255.0, "(0x080 to 0x0FF)"),
    // 99 is the kernel's own (migration, watchdog).
    rule("priority", 1.0, 98.0, ""),
    rule("cpu", 0.0, 1023.0, ""),
    rule("housekeeping_cpu", 0.0, 1023.0, ""),
    rule("spin_margin_us", 1.0, 10_000.0, "us"),
    rule("uid", 0.0, U32_MAX, ""),
    rule("agents", 0.0, 63.0, "for each agent in the list"),
    rule("intents_per_second_max", 1.0, 10_000.0, "1/s"),
    rule("intent_age_max_ms", 1.0, 60_000.0, "ms"),
    rule("lease_max_ms", 10.0, 60_000.0, "ms"),
    rule("bitrate", 10_000.0, 1_000_000.0, "bit/s"),
    rule("node", 1.0, 127.0, ""),
    rule("position_min_rad", -1e6, 1e6, "rad"),
    rule("position_max_rad", -1e6, 1e6, "rad"),
    rule("velocity_max_rad_s", 1e-3, 1e3, "rad/s"),
    rule("acceleration_max_rad_s2", 1e-3, 1e5, "rad/s2"),
    rule("jerk_max_rad_s3", 1e-3, 1e7, "rad/s3"),
    rule("effort_max_nm", 1e-3, 1e5, "Nm"),
    rule("following_error_max_rad", 1e-6, 10.0, "rad"),
    rule("quick_stop_deceleration_rad_s2", 1e-3, 1e6, "rad/s2"),
    rule("home_rad", -1e6, 1e6, "rad"),
    rule("hazard_ms", 1.0, 60_000.0, "ms"),
    rule("vendor_id", 0.0, U32_MAX, ""),
    rule("product_code", 0.0, U32_MAX, ""),
    // A negative scale turns the axis around; too small a one is found against the limits.
    rule("counts_per_rad", -1e9, 1e9, "counts/rad"),
    rule("zero_offset_rad", -1e6, 1e6, "rad"),
    rule("effort_per_mille_nm", 1e-6, 1e3, "Nm"),
    rule("torque_pdo_every", 1.0, 240.0, "SYNC"),
    rule("inertia_kg_m2", 1e-6, 1e4, "kg m2"),
    rule("viscous_friction_nm_s_rad", 0.0, 1e4, "Nm s/rad"),
    rule("coulomb_friction_nm", 0.0, 1e4, "Nm"),
    rule("torque_max_nm", 1e-3, 1e6, "Nm"),
    rule("start_rad", -1e6, 1e6, "rad"),
    rule("budgets", 0.001, 60_000.0, "ms"),
];

/// What the keys that are no numbers may be.
const WORDS: &[(&str, &str)] = &[
    ("name", "1 to 24 characters of a-z, 0-9, - and _"),
    ("profile", "`strict` or `relaxed`"),
    ("kind", "`sim` or `socketcan`"),
    ("bus", "the name of one of the [[buses]]"),
    ("interface", "the name of a CAN interface, 1 to 15 characters, such as `can0`"),
    ("after_halt", "`power-off` or `brake`: what holds the axis once it has been halted"),
    ("limits", "a table [axes.limits] with every limit of the axis"),
    ("drive", "a table [axes.drive]"),
    ("sim", "a table [axes.sim]: what the simulator needs to know of the axis"),
    ("threads", "a table [threads] with control, bus, deadline, guardian and housekeeping_cpu"),
    ("reactions", "a table [reactions] that answers every group of faults"),
    ("gate", "a table [gate]"),
    ("cognition", "a table [cognition]"),
    ("buses", "at least one table [[buses]]"),
    ("axes", "1 to 32 tables [[axes]]"),
    ("shared_cpu", "true or false"),
    ("wake", "`sleep`, or `spin` with spin_margin_us"),
    ("require_certificate", "true or false"),
];

const REACTIONS: &str = "`halt` (fastest stop, power off), `stop` (controlled stop, power off) or \
                         `hold` (controlled stop, power on)";

/// What is allowed for `key`, where that is known from its name.
pub(crate) fn allowed(key: &str) -> Option<String> {
    if let Some(rule) = RULES.iter().find(|rule| rule.key == key) {
        let unit = if rule.unit.is_empty() { String::new() } else { format!(" {}", rule.unit) };
        return Some(format!("a number from {} to {}{unit}", rule.low, rule.high));
    }
    if crate::file::REACTION_KEYS.contains(&key) {
        return Some(REACTIONS.to_owned());
    }
    WORDS.iter().find(|(word, _)| *word == key).map(|(_, allowed)| (*allowed).to_owned())
}

/// A number inside its key's range. NaN and infinities are inside no range.
pub(crate) fn number(key: &str, raw: &Spanned<f64>) -> Result<f64, Objection> {
    let value = *raw.get_ref();
    let inside = |rule: &&Rule| rule.key == key && rule.low <= value && value <= rule.high;
    match RULES.iter().find(inside) {
        Some(_) => Ok(value),
        None => Err(Objection::at(raw.span(), value, allowed(key).unwrap_or_default())),
    }
}

/// A whole number inside its key's range.
pub(crate) fn whole<T: TryFrom<i64>>(key: &str, raw: &Spanned<i64>) -> Result<T, Objection> {
    let value = *raw.get_ref();
    #[expect(clippy::cast_precision_loss, reason = "ranges of whole numbers end below 2^53")]
    let fits = RULES
        .iter()
        .any(|rule| rule.key == key && rule.low <= value as f64 && value as f64 <= rule.high);
    let refused = || Objection::at(raw.span(), value, allowed(key).unwrap_or_default());
    if fits { T::try_from(value).map_err(|_| refused()) } else { Err(refused()) }
}

/// Milliseconds as nanoseconds, inside its key's range.
pub(crate) fn milliseconds(key: &str, raw: &Spanned<f64>) -> Result<u64, Objection> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive and at most 60,000 ms by its rule"
    )]
    Ok((number(key, raw)? * 1e6).round() as u64)
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReactionWord {
    Halt,
    Stop,
    Hold,
}

/// What the gate does with an excess.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExcessWord {
    #[default]
    Refuse,
    Clamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spanned(value: f64) -> Spanned<f64> {
        Spanned::new(0..1, value)
    }

    #[test]
    fn both_ends_are_inside() {
        for value in [50.0, 10_000.0] {
            assert_eq!(number("rate_hz", &spanned(value)).unwrap(), value);
        }
        for value in [49.999, 10_000.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(number("rate_hz", &spanned(value)).is_err(), "{value}");
        }
    }

    #[test]
    fn every_range_is_one() {
        for rule in RULES {
            assert!(rule.low < rule.high, "{}", rule.key);
        }
    }

    #[test]
    fn what_is_allowed_is_said_with_its_unit() {
        assert_eq!(allowed("velocity_max_rad_s").unwrap(), "a number from 0.001 to 1000 rad/s");
    }
}
