//! Motion of the setpoints: what is planned, what is executed, and from what one can still stop.
//!
//! Outside in: [`trajectory`] moves all axes together, [`course`] takes one axis from here to there,
//! [`transition`] takes one axis from one velocity to another, [`profile`] is the resulting list of
//! constant-jerk segments, [`stoppable`] says whether the limits hold even if it is cut short.
//!
//! Only `+ - * /`, `sqrt` and comparisons are used: each is exactly rounded by IEEE 754, so that
//! the same inputs give the same bits on every CPU.

pub mod course;
pub mod profile;
pub mod stoppable;
pub mod trajectory;
pub mod transition;

use crate::config::AxisLimits;

/// Setpoint of one axis. Units rad, or m for a linear axis, and seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Motion {
    /// Position, rad (m).
    pub position_rad: f64,
    /// Velocity, rad/s (m/s).
    pub velocity_rad_s: f64,
    /// Acceleration, rad/s² (m/s²).
    pub acceleration_rad_s2: f64,
}

impl Motion {
    /// At rest.
    pub fn rest(position_rad: f64) -> Motion {
        Motion { position_rad, velocity_rad_s: 0.0, acceleration_rad_s2: 0.0 }
    }

    /// Whether the setpoint stands.
    pub fn is_rest(&self) -> bool {
        self.velocity_rad_s == 0.0 && self.acceleration_rad_s2 == 0.0
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.position_rad.is_finite()
            && self.velocity_rad_s.is_finite()
            && self.acceleration_rad_s2.is_finite()
    }

    /// The state after `duration_s` of constant `jerk`.
    pub fn after(&self, duration_s: f64, jerk: f64) -> Motion {
        let (t, p, v, a) =
            (duration_s, self.position_rad, self.velocity_rad_s, self.acceleration_rad_s2);
        Motion {
            position_rad: p + t * (v + t * (a / 2.0 + t * (jerk / 6.0))),
            velocity_rad_s: v + t * (a + t * (jerk / 2.0)),
            acceleration_rad_s2: a + t * jerk,
        }
    }
}

/// Planning stays this much (relative) under a limit, so that rounding never carries an emitted
/// setpoint past it.
const DERATE: f64 = 1.0 - 1e-9;

/// What one axis may use on its way: velocity, acceleration, jerk; all positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Highest speed, rad/s (m/s).
    pub velocity: f64,
    /// Highest acceleration, rad/s² (m/s²).
    pub acceleration: f64,
    /// Highest jerk, rad/s³ (m/s³).
    pub jerk: f64,
}

impl Bounds {
    /// The bounds that an axis' own limits give.
    pub fn of(limits: &AxisLimits) -> Bounds {
        Bounds {
            velocity: limits.velocity_max_rad_s * DERATE,
            acceleration: limits.acceleration_max_rad_s2 * DERATE,
            jerk: limits.jerk_max_rad_s3 * DERATE,
        }
    }

    /// The tighter of both, each by each.
    pub fn within(&self, other: &Bounds) -> Bounds {
        Bounds {
            velocity: self.velocity.min(other.velocity),
            acceleration: self.acceleration.min(other.acceleration),
            jerk: self.jerk.min(other.jerk),
        }
    }
}
