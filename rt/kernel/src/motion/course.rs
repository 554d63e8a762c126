//! One axis from where it is to a target: to a peak velocity, cruise, to the final velocity.
//!
//! The displacement is a continuous function of the peak velocity `vp`, so that a bisection over
//! `[-V, V]` always finds one that lands on the target; where even `V` is too little, the axis
//! cruises at it. For a common arrival a second bisection finds the slower peak velocity whose
//! cruise lasts as long as asked.

use super::profile::{DURATION_MAX_S, NoPlan, Profile};
use super::transition::Transition;
use super::{Bounds, Motion};

/// Bisection steps of either search: 2^-40 of the velocity limit, a few 1e-12 rad/s.
pub const BISECTIONS: u32 = 40;

/// How much before the asked duration a stretched course may end, s.
const STRETCH_TOLERANCE_S: f64 = 1e-8;

/// What the summed segments may miss the target by, rad (m); the landing is then set exactly. More
/// would be a jump, and is no plan.
const LANDING_MAX_RAD: f64 = 1e-9;

/// A way from a state to a target, before its peak velocity is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    start: Motion,
    /// Brings an old acceleration to zero first, where the asked bounds are tighter than the axis'
    /// own: duration and jerk.
    settle: (f64, f64),
    /// State after `settle`, mirrored so that the way forward is positive; position 0.
    from: Motion,
    mirror: f64,
    distance: f64,
    target: f64,
    velocity_end: f64,
    bounds: Bounds,
    axis: Bounds,
}

/// A chosen peak velocity (mirrored), its cruise, and how long all of it lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    peak: f64,
    cruise_s: f64,
    /// From the start to the arrival, s.
    pub duration_s: f64,
}

impl Course {
    /// A course from `start` to `target`, arriving at `velocity_end`, within `bounds`; `axis` are
    /// the axis' own bounds, never tighter, which hold for `start`.
    pub fn new(
        start: Motion,
        target: f64,
        velocity_end: f64,
        bounds: Bounds,
        axis: Bounds,
    ) -> Course {
        let bounds = bounds.within(&axis);
        let tighter = bounds.acceleration < axis.acceleration || bounds.jerk < axis.jerk;
        let a = start.acceleration_rad_s2;
        let settle = match (tighter, a) {
            (true, a) if a > 0.0 => (a / axis.jerk, -axis.jerk),
            (true, a) if a < 0.0 => (-a / axis.jerk, axis.jerk),
            _ => (0.0, 0.0),
        };
        let mut settled = start.after(settle.0, settle.1);
        if settle.0 > 0.0 {
            settled.acceleration_rad_s2 = 0.0;
        }
        let mut course = Course {
            start,
            settle,
            from: Motion { position_rad: 0.0, ..settled },
            mirror: 1.0,
            distance: target - settled.position_rad,
            target,
            velocity_end,
            bounds,
            axis,
        };
        if course.reach(0.0).0 > course.distance {
            course.mirror = -1.0;
            course.distance = -course.distance;
            course.velocity_end = -course.velocity_end;
            course.from.velocity_rad_s = -course.from.velocity_rad_s;
            course.from.acceleration_rad_s2 = -course.from.acceleration_rad_s2;
        }
        course
    }

    /// To the peak velocity, and the state there.
    fn up(&self, peak: f64) -> (Transition, Motion) {
        let up = Transition::new(&self.from, peak, &self.bounds);
        (up, up.end(&self.from))
    }

    /// Displacement and duration by way of `peak`, without a cruise.
    fn reach(&self, peak: f64) -> (f64, f64) {
        let (up, top) = self.up(peak);
        let down = Transition::new(&top, self.velocity_end, &self.bounds);
        (down.end(&top).position_rad, up.duration_s() + down.duration_s())
    }

    /// With `peak`, a cruise covers what is left; it needs `peak > 0` and something left.
    fn choice(&self, peak: f64) -> Option<Choice> {
        let (displacement, duration) = self.reach(peak);
        let left = self.distance - displacement;
        let cruise_s = if peak > 0.0 { left / peak } else { 0.0 };
        let duration_s = self.settle.0 + duration + cruise_s;
        (left >= 0.0).then_some(Choice { peak, cruise_s, duration_s })
    }

    /// The fastest choice.
    pub fn fastest(&self) -> Result<Choice, NoPlan> {
        let mut low = 0.0;
        let mut high = self.bounds.velocity;
        if let Some(choice) = self.choice(high) {
            return sound(choice);
        }
        for _ in 0..BISECTIONS {
            let middle = (low + high) / 2.0;
            if self.reach(middle).0 <= self.distance { low = middle } else { high = middle }
        }
        // From `low` the displacement is just short of the distance; a cruise of almost no length
        // makes the landing exact.
        sound(self.choice(low).ok_or(NoPlan)?)
    }

    /// The slower choice that arrives `duration_s` after the start; `None` where there is none.
    pub fn lasting(&self, fastest: Choice, duration_s: f64) -> Option<Choice> {
        let (mut low, mut high) = (0.0, fastest.peak);
        let mut best = fastest;
        for _ in 0..BISECTIONS {
            let middle = (low + high) / 2.0;
            match self.choice(middle) {
                Some(choice) if choice.duration_s > duration_s => low = middle,
                Some(choice) => (high, best) = (middle, choice),
                None => high = middle,
            }
        }
        let missing_s = duration_s - best.duration_s;
        (0.0..=STRETCH_TOLERANCE_S).contains(&missing_s).then_some(best)
    }

    /// The segments of a choice, landing exactly on the target; where the axis arrives with a
    /// velocity, its braking follows, from `arrive_s` on where that is a little later.
    pub fn profile(&self, choice: Choice, arrive_s: f64) -> Result<Profile, NoPlan> {
        let mut profile = Profile::new(self.start);
        profile.push(self.settle.0, self.settle.1)?;
        // The very durations that the choice was made with, not new ones from summed states.
        let (up, top) = self.up(choice.peak);
        let down = Transition::new(&top, self.velocity_end, &self.bounds);
        profile.append(&up, self.mirror)?;
        profile.push(choice.cruise_s, 0.0)?;
        profile.append(&down, self.mirror)?;
        let velocity_end = self.mirror * self.velocity_end;
        let missed = (profile.end().position_rad - self.target).abs();
        if missed.is_nan() || missed > LANDING_MAX_RAD {
            return Err(NoPlan);
        }
        if velocity_end != 0.0 {
            profile.push((arrive_s - profile.end_s()).max(0.0), 0.0)?;
        }
        let end = Motion { velocity_rad_s: velocity_end, ..Motion::rest(self.target) };
        profile.land(end);
        profile.transition(0.0, &self.axis)?;
        Ok(profile)
    }
}

fn sound(choice: Choice) -> Result<Choice, NoPlan> {
    // Written so that NaN is refused too.
    let sound = choice.duration_s <= DURATION_MAX_S && choice.cruise_s >= 0.0;
    if sound { Ok(choice) } else { Err(NoPlan) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AXIS: Bounds = Bounds { velocity: 2.0, acceleration: 8.0, jerk: 80.0 };

    /// States from which the velocity stays inside the axis' bounds when the acceleration is
    /// brought to zero at once: the only ones that a kernel emits.
    fn state() -> impl Strategy<Value = Motion> {
        (-3.0..3.0f64, -1.0..1.0f64, -8.0..8.0f64).prop_map(|(p, share, a)| {
            let room = 2.0 - a * a / (2.0 * AXIS.jerk);
            let v = (share * 2.0).max(-room).min(room);
            Motion { position_rad: p, velocity_rad_s: v, acceleration_rad_s2: a }
        })
    }

    fn inside(profile: &Profile, v: f64, a: f64, j: f64) -> Result<(), TestCaseError> {
        for segment in profile.segments() {
            prop_assert!(segment.duration_s > 0.0 && segment.jerk.abs() <= j);
            for step in 0..=20 {
                let t = segment.duration_s * f64::from(step) / 20.0;
                let at = segment.from.after(t, segment.jerk);
                prop_assert!(at.velocity_rad_s.abs() <= v + 1e-9, "{at:?}");
                prop_assert!(at.acceleration_rad_s2.abs() <= a + 1e-9, "{at:?}");
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn every_state_reaches_every_target_exactly_and_inside_the_axis_bounds(
            start in state(), target in -3.0..3.0f64, end in -1.0..1.0f64,
            v in 0.05..2.5f64, a in 0.5..9.0f64, j in 2.0..90.0f64,
        ) {
            let bounds = Bounds { velocity: v, acceleration: a, jerk: j };
            let end = end * v.min(2.0);
            let course = Course::new(start, target, end, bounds, AXIS);
            let profile = course.profile(course.fastest().unwrap(), 0.0).unwrap();
            inside(&profile, AXIS.velocity, AXIS.acceleration, AXIS.jerk)?;
            let arrived = profile.at(profile.arrive_s());
            prop_assert_eq!(arrived.position_rad, target);
            prop_assert_eq!(arrived.velocity_rad_s, end);
            prop_assert!(profile.at(profile.end_s()).is_rest());
        }

        #[test]
        fn from_rest_the_asked_peaks_hold_all_the_way(
            start in -3.0..3.0f64, target in -3.0..3.0f64,
            v in 0.05..2.0f64, a in 0.5..8.0f64, j in 2.0..80.0f64,
        ) {
            let bounds = Bounds { velocity: v, acceleration: a, jerk: j };
            let course = Course::new(Motion::rest(start), target, 0.0, bounds, AXIS);
            let profile = course.profile(course.fastest().unwrap(), 0.0).unwrap();
            inside(&profile, v, a, j)?;
        }

        #[test]
        fn from_rest_every_longer_duration_is_found(
            start in -3.0..3.0f64, target in -3.0..3.0f64, stretch in 1.0..20.0f64,
        ) {
            prop_assume!((start - target).abs() > 1e-3);
            let course = Course::new(Motion::rest(start), target, 0.0, AXIS, AXIS);
            let fastest = course.fastest().unwrap();
            let asked = fastest.duration_s * stretch;
            let slower = course.lasting(fastest, asked).unwrap();
            prop_assert!((slower.duration_s - asked).abs() <= STRETCH_TOLERANCE_S);
            inside(&course.profile(slower, asked).unwrap(), AXIS.velocity, AXIS.acceleration, AXIS.jerk)?;
        }

        #[test]
        fn whatever_the_bounds_there_is_a_sound_plan_or_none(
            start in state(), target in -3.0..3.0f64,
            exponents in prop::array::uniform3(-40.0..38.0f64),
        ) {
            let [velocity, acceleration, jerk] = exponents.map(|e| 10.0_f64.powf(e));
            let bounds = Bounds { velocity, acceleration, jerk };
            let course = Course::new(start, target, 0.0, bounds, AXIS);
            if let Ok(profile) = course.fastest().and_then(|choice| course.profile(choice, 0.0)) {
                inside(&profile, AXIS.velocity, AXIS.acceleration, AXIS.jerk)?;
                prop_assert!(profile.end_s() <= 2.0 * DURATION_MAX_S);
            }
        }
    }

    #[test]
    fn a_long_way_is_cruised_at_the_peak() {
        let course = Course::new(Motion::rest(0.0), 4.0, 0.0, AXIS, AXIS);
        // Ramps take v/a + a/j each, and the mean velocity of a ramp is half the peak.
        let ramp = 2.0 / 8.0 + 8.0 / 80.0;
        let expected = 2.0 * ramp + (4.0 - 2.0 * ramp) / 2.0;
        assert!((course.fastest().unwrap().duration_s - expected).abs() < 1e-9);
    }

    #[test]
    fn where_it_stands_it_arrives_at_once() {
        let course = Course::new(Motion::rest(0.4), 0.4, 0.0, AXIS, AXIS);
        let choice = course.fastest().unwrap();
        assert_eq!(choice.duration_s, 0.0);
        assert_eq!(course.lasting(choice, 3.0), None);
        assert!(course.profile(choice, 0.0).unwrap().segments().is_empty());
    }
}
