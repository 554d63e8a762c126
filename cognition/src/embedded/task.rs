//! The task of the embedded planner: pick, place, home, as poses of any number of axes.

use crate::machine::{Axis, Machine};

/// A pose keeps at least this far from each limit, rad (m), or [`MARGIN_FRACTION`] of the axis'
/// range where that is less.
pub const MARGIN_RAD: f64 = 0.9;
/// See [`MARGIN_RAD`].
pub const MARGIN_FRACTION: f64 = 0.3;
/// Largest distance of a pose from the task's centre, rad (m).
const STROKE_MAX_RAD: f64 = 0.7;
/// Velocity of the task as a fraction of the axis' limit.
pub const VELOCITY_FRACTION: f64 = 0.7;
/// Time in which an axis must be able to make one stroke at that velocity, s; slower axes make
/// shorter ones, so that one slow axis does not hold up the whole task.
const STROKE_TIME_S: f64 = 0.7;

/// One step of the task.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it is, for the log.
    pub name: &'static str,
    /// Where each axis goes, rad (m), in the machine's order.
    pub pose_rad: Vec<f64>,
    /// How long to stay afterwards, ms.
    pub dwell_ms: u64,
}

/// Name, dwell in ms, and the pattern of strokes, -1 to 1, repeated over the axes. Home has none.
type Row = (&'static str, u64, Option<[f64; 6]>);

/// Neighbouring columns differ, so that axes are seen to move apart; down the rows every column
/// travels more than five strokes.
const ROWS: [Row; 6] = [
    ("above the pick", 0, Some([0.9, -0.5, 0.6, -0.8, 0.7, -0.9])),
    ("pick", 150, Some([0.9, -1.0, 1.0, -0.8, 1.0, -0.9])),
    ("lift", 0, Some([0.5, 0.0, 0.2, 0.2, 0.0, 0.0])),
    ("place", 150, Some([-1.0, 0.8, -0.8, 1.0, -0.8, 1.0])),
    ("retreat", 0, Some([-0.7, 0.3, -0.4, 0.6, -0.4, 0.7])),
    ("home", 150, None),
];

/// Index of the home step.
pub const HOME_STEP: usize = ROWS.len() - 1;

/// The steps for a machine, one cycle.
pub fn steps(machine: &Machine) -> Vec<Step> {
    let step = |(name, dwell_ms, pattern): Row| Step {
        name,
        dwell_ms,
        pose_rad: machine
            .axes
            .iter()
            .enumerate()
            .map(|(index, axis)| match pattern {
                None => axis.home_rad,
                Some(row) => pose(axis, row.iter().copied().cycle().nth(index).unwrap_or(0.0)),
            })
            .collect(),
    };
    ROWS.into_iter().map(step).collect()
}

/// The position of an axis at a fraction of its stroke around the task's centre: home, moved
/// inwards as far as the margins ask.
fn pose(axis: &Axis, fraction: f64) -> f64 {
    let margin = margin_rad(axis);
    let low = axis.position_min_rad + margin;
    let high = axis.position_max_rad - margin;
    let stroke = STROKE_MAX_RAD
        .min((high - low) / 2.0)
        .min(axis.velocity_max_rad_s * VELOCITY_FRACTION * STROKE_TIME_S);
    // Not `clamp`, which panics on bounds that rounding has put the wrong way round.
    let centre = axis.home_rad.max(low + stroke).min(high - stroke);
    (centre + fraction * stroke).max(low).min(high)
}

/// How far poses stay from the limits of an axis, rad (m).
pub fn margin_rad(axis: &Axis) -> f64 {
    MARGIN_RAD.min(MARGIN_FRACTION * (axis.position_max_rad - axis.position_min_rad))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    fn machines() -> Vec<Machine> {
        let mut machines: Vec<Machine> = [1, 2, 6, 7, 32]
            .map(|axes| Machine::new(&fake::description(axes)).unwrap())
            .into_iter()
            .collect();
        let mut odd = fake::description(6);
        for (axis, (low, high, home, velocity)) in odd.axes.iter_mut().zip([
            (-0.1, 0.1, 0.05, 0.1),
            (0.0, 6.2, 0.0, 3.0),
            (-100.0, 100.0, 90.0, 50.0),
            (-3.0, -1.0, -1.0, 1.5),
            (-2.9, 2.9, 2.9, 0.5),
            (1.0, 1.0 + 1e-9, 1.0, 1.0),
        ]) {
            axis.position_min_rad = low;
            axis.position_max_rad = high;
            axis.home_rad = home;
            axis.velocity_max_rad_s = velocity;
        }
        machines.push(Machine::new(&odd).unwrap());
        machines
    }

    #[test]
    fn every_pose_but_home_keeps_its_margin_from_the_limits() {
        for machine in machines() {
            for (number, step) in steps(&machine).iter().enumerate() {
                assert_eq!(step.pose_rad.len(), machine.axes.len());
                for (axis, pose) in machine.axes.iter().zip(&step.pose_rad) {
                    if number == HOME_STEP {
                        assert_eq!(*pose, axis.home_rad);
                        continue;
                    }
                    let margin = margin_rad(axis) - 1e-9;
                    assert!(*pose >= axis.position_min_rad + margin, "{} {pose}", step.name);
                    assert!(*pose <= axis.position_max_rad - margin, "{} {pose}", step.name);
                }
            }
        }
    }

    #[test]
    fn every_axis_of_an_ordinary_arm_travels_far_in_one_cycle() {
        let machine = Machine::new(&fake::description(32)).unwrap();
        let steps = steps(&machine);
        for axis in 0..32 {
            let poses = steps.iter().map(|step| step.pose_rad[axis]);
            let travel: f64 =
                poses.clone().zip(poses.skip(1)).map(|(from, to)| (to - from).abs()).sum();
            assert!(travel > 1.5, "axis {axis} travels {travel} rad");
        }
    }
}
