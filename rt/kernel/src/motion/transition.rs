//! From one velocity to another in the shortest time that acceleration and jerk allow: at most
//! three segments of constant jerk (up, hold, down).

use super::{Bounds, Motion};

/// A velocity change `(v, a) -> (v_end, 0)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// Duration and jerk of each segment, in order; a duration may be zero.
    pub segments: [(f64, f64); 3],
    /// Velocity at its end; the acceleration there is zero.
    pub velocity_end: f64,
}

impl Transition {
    /// Plans the change. `from`'s acceleration must be within the bounds.
    ///
    /// With `a` brought to zero at once, the velocity becomes `v + a|a|/2J`: on which side of that
    /// `velocity_end` lies decides the direction. The peak acceleration `p` then follows from
    /// `dv = (p² - a²)/2J + p²/2J`, and where it is past the bound, a segment without jerk is put
    /// between.
    pub fn new(from: &Motion, velocity_end: f64, bounds: &Bounds) -> Transition {
        let (v, a) = (from.velocity_rad_s, from.acceleration_rad_s2);
        let jerk = bounds.jerk;
        let straight = v + a * a.abs() / (2.0 * jerk);
        let direction = if velocity_end >= straight { 1.0 } else { -1.0 };
        let (a, change) = (direction * a, direction * (velocity_end - v));

        let square = jerk * change + a * a / 2.0;
        let peak = square.max(0.0).sqrt();
        let (peak, hold) = if peak > bounds.acceleration {
            let peak = bounds.acceleration.max(a);
            (peak, (change - (peak * peak - a * a / 2.0) / jerk) / peak)
        } else {
            (peak, 0.0)
        };
        Transition {
            segments: [
                (((peak - a) / jerk).max(0.0), direction * jerk),
                (hold.max(0.0), 0.0),
                ((peak / jerk).max(0.0), -direction * jerk),
            ],
            velocity_end,
        }
    }

    /// Its duration, s.
    pub fn duration_s(&self) -> f64 {
        let [(first, _), (second, _), (third, _)] = self.segments;
        first + second + third
    }

    /// The state at its end.
    pub fn end(&self, from: &Motion) -> Motion {
        let end = self.segments.iter().fold(*from, |at, &(t, jerk)| at.after(t, jerk));
        Motion { velocity_rad_s: self.velocity_end, acceleration_rad_s2: 0.0, ..end }
    }

    /// Lowest and highest position on the way, both ends included.
    pub fn extent(&self, from: &Motion) -> (f64, f64) {
        let mut at = *from;
        let mut extent = (at.position_rad, at.position_rad);
        for &(duration, jerk) in &self.segments {
            let (low, high) = segment_extent(&at, duration, jerk);
            extent = (extent.0.min(low), extent.1.max(high));
            at = at.after(duration, jerk);
        }
        extent
    }
}

/// Lowest and highest position in one segment: at its ends, or where the velocity crosses zero.
pub fn segment_extent(from: &Motion, duration: f64, jerk: f64) -> (f64, f64) {
    let end = from.after(duration, jerk);
    let mut low = from.position_rad.min(end.position_rad);
    let mut high = from.position_rad.max(end.position_rad);
    let (v, a) = (from.velocity_rad_s, from.acceleration_rad_s2);
    let mut reach = |t: f64| {
        if t > 0.0 && t < duration {
            let position = from.after(t, jerk).position_rad;
            low = low.min(position);
            high = high.max(position);
        }
    };
    // v + a t + j t²/2 = 0, in the form that loses no digits when `a` is large.
    let square = a * a - 2.0 * jerk * v;
    if square >= 0.0 {
        let root = square.sqrt();
        let q = if a >= 0.0 { -(a + root) } else { root - a };
        if jerk != 0.0 {
            reach(q / jerk);
        }
        if q != 0.0 {
            reach(2.0 * v / q);
        }
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: Bounds = Bounds { velocity: 2.0, acceleration: 8.0, jerk: 60.0 };

    proptest! {
        #[test]
        fn a_transition_reaches_its_velocity_inside_the_bounds(
            v in -2.0..2.0f64, a in -8.0..8.0f64, to in -2.0..2.0f64,
        ) {
            let from = Motion { position_rad: 0.3, velocity_rad_s: v, acceleration_rad_s2: a };
            let transition = Transition::new(&from, to, &BOUNDS);
            let mut at = from;
            for (t, jerk) in transition.segments {
                prop_assert!(t >= 0.0 && t.is_finite());
                prop_assert!(jerk.abs() <= BOUNDS.jerk);
                at = at.after(t, jerk);
                prop_assert!(at.acceleration_rad_s2.abs() <= BOUNDS.acceleration + 1e-12);
            }
            prop_assert!((at.velocity_rad_s - to).abs() < 1e-12);
            prop_assert!(at.acceleration_rad_s2.abs() < 1e-11);
        }

        #[test]
        fn the_extent_holds_every_position_on_the_way(
            v in -2.0..2.0f64, a in -8.0..8.0f64, to in -2.0..2.0f64,
        ) {
            let from = Motion { position_rad: 0.3, velocity_rad_s: v, acceleration_rad_s2: a };
            let transition = Transition::new(&from, to, &BOUNDS);
            let (low, high) = transition.extent(&from);
            let mut start = from;
            for (t, jerk) in transition.segments {
                for step in 0..=50 {
                    let p = start.after(t * f64::from(step) / 50.0, jerk).position_rad;
                    prop_assert!(p >= low - 1e-12 && p <= high + 1e-12);
                }
                start = start.after(t, jerk);
            }
        }
    }

    #[test]
    fn without_a_change_nothing_is_planned() {
        let rest = Motion::rest(1.0);
        assert_eq!(Transition::new(&rest, 0.0, &BOUNDS).duration_s(), 0.0);
        assert_eq!(Transition::new(&rest, 0.0, &BOUNDS).end(&rest), rest);
    }
}
