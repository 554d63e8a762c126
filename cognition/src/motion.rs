//! How long a move takes, and the lease and horizon that follow from it.

use shm_protocol::records::Telemetry;

use crate::clock::{MILLISECOND_NS, SECOND_NS};
use crate::machine::{Axis, Machine};
use crate::planner::Target;

/// No estimate is longer than this, ns.
pub const EXPECTED_MAX_NS: u64 = 600 * SECOND_NS;

/// Expected duration of a point-to-point move of one axis at jerk-limited velocity, s.
///
/// Cruise, velocity ramp and acceleration ramp add up exactly where all three limits are reached
/// and err on the long side where they are not.
pub fn axis_duration_s(axis: &Axis, distance_rad: f64, velocity_rad_s: f64) -> f64 {
    let acceleration = axis.acceleration_max_rad_s2;
    let jerk_ramp_s = acceleration / axis.jerk_max_rad_s3;
    if distance_rad * acceleration >= velocity_rad_s * velocity_rad_s {
        distance_rad / velocity_rad_s + velocity_rad_s / acceleration + jerk_ramp_s
    } else {
        2.0 * (distance_rad / acceleration).sqrt() + jerk_ramp_s
    }
}

/// Expected duration of a move from the present setpoints, ns: that of its slowest axis, as the
/// axes arrive together. At most [`EXPECTED_MAX_NS`].
pub fn expected_ns(machine: &Machine, telemetry: &Telemetry, targets: &[Target]) -> u64 {
    let slowest_s = targets
        .iter()
        .filter_map(|target| {
            let axis = machine.axes.get(target.axis)?;
            let now = telemetry.axes.get(target.axis)?;
            let distance_rad = (target.position_rad - now.setpoint_rad).abs();
            let velocity_rad_s = target
                .velocity_peak_rad_s
                .unwrap_or(axis.velocity_max_rad_s)
                .min(axis.velocity_max_rad_s);
            Some(axis_duration_s(axis, distance_rad, velocity_rad_s))
        })
        .fold(0.0, f64::max);
    // A cast saturates; a NaN is left out by `max`.
    ((slowest_s * 1e9) as u64).min(EXPECTED_MAX_NS)
}

/// How long the lease of a move of this expected duration is, ns: a little longer than the move.
pub fn lease_ns(expected_ns: u64) -> u64 {
    expected_ns + expected_ns / 4 + 400 * MILLISECOND_NS
}

/// How long a decision of this expected duration may be kept alive by renewing its lease, ns.
/// Past it nothing is renewed: a planner that hangs cannot keep the machine moving.
pub fn horizon_ns(expected_ns: u64) -> u64 {
    2 * expected_ns + SECOND_NS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn a_long_move_takes_cruise_and_both_ramps() {
        let machine = Machine::new(&fake::description(1)).unwrap();
        let axis = &machine.axes[0];
        // 2 rad at 1 rad/s, 5 rad/s², 50 rad/s³: 2 + 0.2 + 0.1.
        assert!((axis_duration_s(axis, 2.0, 1.0) - 2.3).abs() < 1e-12);
        // A short move reaches no cruise.
        assert!(axis_duration_s(axis, 0.05, 1.0) < 0.35);
    }

    #[test]
    fn hostile_numbers_give_a_bounded_estimate() {
        let machine = Machine::new(&fake::description(1)).unwrap();
        let telemetry = fake::Arm::new(1).telemetry_now();
        for position_rad in [f64::NAN, f64::INFINITY, 1e300] {
            let target = Target { axis: 0, position_rad, velocity_peak_rad_s: None };
            assert!(expected_ns(&machine, &telemetry, &[target]) <= EXPECTED_MAX_NS);
        }
        let nowhere = Target { axis: 40, position_rad: 0.0, velocity_peak_rad_s: None };
        assert_eq!(expected_ns(&machine, &telemetry, &[nowhere]), 0);
    }

    #[test]
    fn a_lease_outlasts_its_move_and_the_horizon_its_lease() {
        for expected in [0, 100 * MILLISECOND_NS, 2 * SECOND_NS, EXPECTED_MAX_NS] {
            assert!(lease_ns(expected) > expected);
            assert!(horizon_ns(expected) > lease_ns(expected));
        }
    }
}
