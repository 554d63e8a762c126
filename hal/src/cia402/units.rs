//! Radians, rad/s, Nm to a drive's counts and per mille, and back. Nothing is ever saturated: what
//! does not fit is an error.

use super::Config;
use crate::drive::ConfigError;

/// A drive's configuration in its own units, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scaled {
    pub counts_per_rad: f64,
    pub zero_offset_rad: f64,
    pub effort_per_mille_nm: f64,
    pub quick_stop_deceleration: u32,
    pub position_min: i32,
    pub position_max: i32,
    pub velocity_max: u32,
    pub following_error_max: u32,
    pub torque_max: u16,
    pub period_mantissa: u8,
    pub period_exponent: i8,
}

/// The nearest integer, if it is finite and an `i32` holds it.
pub(super) fn to_i32(value: f64) -> Option<i32> {
    let rounded = value.round();
    #[allow(clippy::cast_possible_truncation, reason = "an integer inside the range of i32")]
    (rounded >= f64::from(i32::MIN) && rounded <= f64::from(i32::MAX)).then_some(rounded as i32)
}

/// The nearest integer above zero, if a `u32` holds it.
fn to_u32(value: f64) -> Option<u32> {
    let rounded = value.round();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an integer inside the range of u32"
    )]
    (rounded >= 1.0 && rounded <= f64::from(u32::MAX)).then_some(rounded as u32)
}

impl Scaled {
    /// Checks every value of a configuration and scales it.
    pub fn new(config: &Config) -> Result<Scaled, ConfigError> {
        let wrong = |field: &'static str, found: f64, allowed: &'static str| ConfigError::Value {
            node: config.node,
            field,
            found,
            allowed,
        };
        if config.node == 0 || config.node > crate::canopen::NODE_MAX {
            return Err(wrong("node", config.node.into(), "1 to 127"));
        }
        let scale = config.counts_per_rad;
        if !scale.is_finite() || scale == 0.0 {
            return Err(wrong("counts_per_rad", scale, "finite and not 0"));
        }
        if !config.zero_offset_rad.is_finite() {
            return Err(wrong("zero_offset_rad", config.zero_offset_rad, "finite"));
        }
        let per_mille = config.effort_per_mille_nm;
        if !(per_mille.is_finite() && per_mille > 0.0) {
            return Err(wrong("effort_per_mille_nm", per_mille, "finite and above 0"));
        }
        let size = "finite, above 0, and 1 to 4294967295 in counts";
        let unsigned = |field, value: f64| {
            to_u32(value * scale.abs()).ok_or_else(|| wrong(field, value, size))
        };
        let place = "finite and within 32 signed bits in counts; position_min_rad below \
                     position_max_rad";
        let signed = |field, value: f64| {
            to_i32((value - config.zero_offset_rad) * scale)
                .ok_or_else(|| wrong(field, value, place))
        };
        let low = signed("position_min_rad", config.position_min_rad)?;
        let high = signed("position_max_rad", config.position_max_rad)?;
        if config.position_min_rad >= config.position_max_rad {
            return Err(wrong("position_min_rad", config.position_min_rad, place));
        }
        // Rounded down: the drive's limit is never above the one asked for.
        let torque_max = to_u32((config.effort_max_nm / per_mille).floor())
            .and_then(|value| u16::try_from(value).ok())
            .ok_or_else(|| {
                wrong("effort_max_nm", config.effort_max_nm, "1 to 65535 per mille of rated torque")
            })?;
        if config.torque_pdo_every == 0 || config.torque_pdo_every > 240 {
            return Err(wrong("torque_pdo_every", config.torque_pdo_every.into(), "1 to 240"));
        }
        if config.heartbeat_ms == 0 {
            return Err(wrong("heartbeat_ms", 0.0, "1 and more: a drive's life sign is required"));
        }
        if config.heartbeat_timeout_ns <= u64::from(config.heartbeat_ms) * 1_000_000 {
            let found = nanoseconds(config.heartbeat_timeout_ns);
            return Err(wrong("heartbeat_timeout_ns", found, "longer than heartbeat_ms"));
        }
        let (period_mantissa, period_exponent) = period(config.period_ns).ok_or_else(|| {
            let allowed = "1 us to 255 ms, expressible as 1 to 255 times a power of ten to 1/1000";
            wrong("period_ns", nanoseconds(config.period_ns), allowed)
        })?;
        let braking = config.quick_stop_deceleration_rad_s2;
        Ok(Scaled {
            counts_per_rad: scale,
            zero_offset_rad: config.zero_offset_rad,
            effort_per_mille_nm: per_mille,
            quick_stop_deceleration: unsigned("quick_stop_deceleration_rad_s2", braking)?,
            position_min: low.min(high),
            position_max: low.max(high),
            velocity_max: unsigned("velocity_max_rad_s", config.velocity_max_rad_s)?,
            following_error_max: unsigned(
                "following_error_max_rad",
                config.following_error_max_rad,
            )?,
            torque_max,
            period_mantissa,
            period_exponent,
        })
    }

    /// Counts of a position; `None` where the drive cannot count it, or it is not finite.
    pub fn counts(&self, position_rad: f64) -> Option<i32> {
        to_i32((position_rad - self.zero_offset_rad) * self.counts_per_rad)
    }

    /// Position of a count, rad.
    pub fn position_rad(&self, counts: i32) -> f64 {
        f64::from(counts) / self.counts_per_rad + self.zero_offset_rad
    }

    /// Velocity of counts/s, rad/s.
    pub fn velocity_rad_s(&self, counts_per_s: f64) -> f64 {
        counts_per_s / self.counts_per_rad
    }

    /// Torque at the axis of a drive's per mille, Nm. It turns with the axis' direction.
    pub fn effort_nm(&self, per_mille: i16) -> f64 {
        f64::from(per_mille) * self.effort_per_mille_nm * self.counts_per_rad.signum()
    }
}

/// 60C2: a period as `mantissa * 10^exponent` s, within a thousandth.
fn period(period_ns: u64) -> Option<(u8, i8)> {
    let mut unit_ns = 1_000_000_000_u64;
    for exponent in (-6..=0).rev() {
        let mantissa = (period_ns + unit_ns / 2) / unit_ns;
        let error_ns = (mantissa * unit_ns).abs_diff(period_ns);
        if mantissa >= 1 && error_ns * 1_000 <= period_ns {
            return u8::try_from(mantissa).ok().map(|mantissa| (mantissa, exponent));
        }
        unit_ns /= 10;
    }
    None
}

#[allow(clippy::cast_precision_loss, reason = "for a message only")]
fn nanoseconds(value: u64) -> f64 {
    value as f64
}
