//! Stoppable: from a setpoint, after the worst delay of the slowest stop path, both the kernel's
//! ramp and each drive braking by itself stay inside the position limits.
//!
//! The position reached is `p + v·delay + max(ramp(v, a), v²/2q)`, to either side, where `ramp` is
//! the jerk-limited braking and `q` the drive's quick-stop deceleration. [`check`] judges one
//! setpoint and is asked in every tick; [`whole`] judges a planned way at its admission by bounds
//! over intervals, halving those whose bound is too loose, so that no setpoint between two samples
//! escapes it.

use arrayvec::ArrayVec;

use super::profile::{Profile, Segment};
use super::transition::Transition;
use super::{Bounds, Motion};
use crate::config::AxisLimits;

/// Intervals that one profile's check may look at; past that it is refused.
pub const INTERVALS_MAX: u32 = 192;

/// Halvings of one interval; the shortest is then at most 2^-12 of a segment.
const HALVINGS_MAX: usize = 12;

/// A planned way keeps this much more room than a setpoint must, rad (m): what the shortest
/// intervals cannot tell.
const ROOM_RAD: f64 = 1e-4;

/// Intervals no longer than this are judged at their ends, s.
const SHORTEST_S: f64 = 1e-3;

/// What an axis needs to stop.
#[derive(Clone, Copy, Debug)]
pub struct Stopping {
    low: f64,
    high: f64,
    quick_stop: f64,
    delay_s: f64,
    bounds: Bounds,
}

impl Stopping {
    /// For an axis' limits and the worst delay until braking begins, ns.
    pub fn new(limits: &AxisLimits, reaction_max_ns: u64) -> Stopping {
        #[allow(clippy::cast_precision_loss, reason = "a time budget, far below 2^53 ns")]
        let delay_s = reaction_max_ns as f64 * 1e-9;
        Stopping {
            low: limits.position_min_rad,
            high: limits.position_max_rad,
            quick_stop: limits.quick_stop_deceleration_rad_s2,
            delay_s,
            bounds: Bounds::of(limits),
        }
    }

    /// Lowest and highest position that a stop from `at` passes through.
    pub fn extent(&self, at: &Motion) -> (f64, f64) {
        if at.is_rest() {
            return (at.position_rad, at.position_rad);
        }
        let velocity = at.velocity_rad_s;
        let here = Motion { position_rad: 0.0, ..*at };
        let (low, high) = Transition::new(&here, 0.0, &self.bounds).extent(&here);
        let drive = velocity * velocity / (2.0 * self.quick_stop);
        let p = at.position_rad;
        if velocity >= 0.0 {
            (p + low, p + velocity * self.delay_s + high.max(drive))
        } else {
            (p + velocity * self.delay_s + low.min(-drive), p + high)
        }
    }

    /// Rounding alone never makes a fault: a part in 1e9 past a limit is inside.
    fn admits(&self, (low, high): (f64, f64)) -> bool {
        low >= self.low - 1e-9 && high <= self.high + 1e-9
    }

    /// Bounds of `extent` over `[begin_s, end_s]` of a segment: highest position, velocity and
    /// acceleration together, then lowest.
    fn bound(&self, segment: &Segment, begin_s: f64, end_s: f64) -> (f64, f64) {
        let begin = segment.from.after(begin_s, segment.jerk);
        let end = segment.from.after(end_s, segment.jerk);
        let length = end_s - begin_s;
        let (v0, v1) = (begin.velocity_rad_s, end.velocity_rad_s);
        let (a0, a1) = (begin.acceleration_rad_s2, end.acceleration_rad_s2);
        let (mut v_low, mut v_high) = (v0.min(v1), v0.max(v1));
        if a0 * a1 < 0.0 {
            let turn = begin.after(-a0 / segment.jerk, segment.jerk).velocity_rad_s;
            (v_low, v_high) = (v_low.min(turn), v_high.max(turn));
        }
        let (p0, p1) = (begin.position_rad, end.position_rad);
        let (p_low, p_high) = if v_low >= 0.0 || v_high <= 0.0 {
            (p0.min(p1), p0.max(p1))
        } else {
            (p0 + v_low * length, p0 + v_high * length)
        };
        let furthest = |position_rad, velocity_rad_s, acceleration_rad_s2| {
            self.extent(&Motion { position_rad, velocity_rad_s, acceleration_rad_s2 })
        };
        let high = furthest(p_high, v_high.max(0.0), a0.max(a1)).1;
        let low = furthest(p_low, v_low.min(0.0), a0.min(a1)).0;
        (low, high)
    }
}

/// Whether an axis that is commanded to `at` can still stop inside its limits.
pub fn check(stopping: &Stopping, at: &Motion) -> bool {
    at.is_finite() && stopping.admits(stopping.extent(at))
}

/// Whether every setpoint of a planned way is stoppable, however the ticks fall.
pub fn whole(stopping: &Stopping, profile: &Profile) -> bool {
    let Some(first) = profile.segments().first() else { return true };
    // What is already commanded was judged by `check`: a way may begin where it stands, in the last
    // bit of room before a limit, and lead away from there.
    let (low, high) = stopping.extent(&first.from);
    let roomy = Stopping {
        low: (stopping.low + ROOM_RAD).min(low),
        high: (stopping.high - ROOM_RAD).max(high),
        ..*stopping
    };
    let mut budget = INTERVALS_MAX;
    check(stopping, &first.from)
        && profile.segments().iter().all(|segment| whole_segment(&roomy, segment, &mut budget))
}

fn whole_segment(stopping: &Stopping, segment: &Segment, budget: &mut u32) -> bool {
    // Depth first: at most one waiting half for each halving.
    let mut waiting: ArrayVec<(f64, f64), { HALVINGS_MAX + 2 }> = ArrayVec::new();
    let mut next = Some((0.0, segment.duration_s));
    let shortest = SHORTEST_S.max(segment.duration_s / f64::from(1 << HALVINGS_MAX));
    while let Some((begin, end)) = next {
        let Some(left) = budget.checked_sub(1) else { return false };
        *budget = left;
        if stopping.admits(stopping.bound(segment, begin, end)) {
            next = waiting.pop();
            continue;
        }
        let ends_admitted = [begin, end].iter().all(|&t| {
            let extent = stopping.extent(&segment.from.after(t, segment.jerk));
            stopping.admits(extent)
        });
        if !ends_admitted {
            return false;
        }
        if end - begin <= shortest {
            next = waiting.pop();
            continue;
        }
        let middle = (begin + end) / 2.0;
        if waiting.try_push((middle, end)).is_err() {
            return false;
        }
        next = Some((begin, middle));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::course::Course;
    use super::*;
    use proptest::prelude::*;

    fn limits() -> AxisLimits {
        AxisLimits {
            position_min_rad: -2.0,
            position_max_rad: 2.0,
            velocity_max_rad_s: 2.0,
            acceleration_max_rad_s2: 8.0,
            jerk_max_rad_s3: 60.0,
            effort_max_nm: 50.0,
            following_error_max_rad: 0.2,
            quick_stop_deceleration_rad_s2: 20.0,
        }
    }

    #[test]
    fn at_rest_on_a_limit_is_stoppable_and_past_it_is_not() {
        let stopping = Stopping::new(&limits(), 200_000_000);
        assert!(check(&stopping, &Motion::rest(2.0)));
        assert!(!check(&stopping, &Motion::rest(2.001)));
        assert!(!check(&stopping, &Motion::rest(f64::NAN)));
    }

    #[test]
    fn the_delay_and_the_ramp_both_count() {
        let stopping = Stopping::new(&limits(), 200_000_000);
        let at = Motion { velocity_rad_s: 2.0, ..Motion::rest(1.0) };
        // 0.4 rad of delay, v²/2a + va/2j = 0.25 + 0.13 rad of ramp.
        let (_, high) = stopping.extent(&at);
        assert!((high - (1.0 + 0.4 + 0.25 + 2.0 * 8.0 / 120.0)).abs() < 1e-6);
        assert!(check(&stopping, &at));
        assert!(!check(&stopping, &Motion { position_rad: 1.3, ..at }));
    }

    #[test]
    fn a_drive_that_brakes_slower_than_the_ramp_counts_too() {
        let weak = AxisLimits { quick_stop_deceleration_rad_s2: 2.0, ..limits() };
        let at = Motion { velocity_rad_s: 2.0, ..Motion::rest(0.0) };
        let (_, high) = Stopping::new(&weak, 0).extent(&at);
        assert_eq!(high, 1.0);
    }

    proptest! {
        #[test]
        fn a_whole_way_that_is_admitted_is_stoppable_at_every_instant(
            start in -1.9..1.9f64, v in -1.0..1.0f64, a in -6.0..6.0f64, target in -1.9..1.9f64,
            peak in 0.1..2.0f64,
        ) {
            let limits = limits();
            let stopping = Stopping::new(&limits, 100_000_000);
            let axis = Bounds::of(&limits);
            let from = Motion { position_rad: start, velocity_rad_s: v, acceleration_rad_s2: a };
            let bounds = Bounds { velocity: peak, ..axis };
            let course = Course::new(from, target, 0.0, bounds, axis);
            let profile = course.profile(course.fastest().unwrap(), 0.0).unwrap();
            if whole(&stopping, &profile) {
                for step in 0..=1000 {
                    let at = profile.at(profile.end_s() * f64::from(step) / 1000.0);
                    prop_assert!(check(&stopping, &at), "{at:?}");
                }
            }
        }

        #[test]
        fn a_way_with_room_is_admitted(
            start in -1.0..1.0f64, target in -1.0..1.0f64,
        ) {
            let limits = limits();
            // From at most 1.0, 0.4 rad of delay and 0.38 of ramp stay inside 2.0.
            let stopping = Stopping::new(&limits, 200_000_000);
            let axis = Bounds::of(&limits);
            let course = Course::new(Motion::rest(start), target, 0.0, axis, axis);
            let profile = course.profile(course.fastest().unwrap(), 0.0).unwrap();
            prop_assert!(whole(&stopping, &profile));
        }
    }
}
