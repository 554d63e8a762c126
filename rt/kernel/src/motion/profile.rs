//! One axis' way as a list of constant-jerk segments, evaluated once per tick.

use arrayvec::ArrayVec;

use super::transition::Transition;
use super::{Bounds, Motion};

/// Segments of one profile: old acceleration brought to zero, to the peak velocity (3), cruise, to
/// the final velocity (3), a last bit up to the common arrival, and braking where the final velocity is not zero (3).
pub const SEGMENTS_MAX: usize = 1 + 3 + 1 + 3 + 1 + 3;

/// No profile lasts longer, s.
pub const DURATION_MAX_S: f64 = 3600.0;

/// What the summed segments may miss a velocity by, rad/s (m/s); it is then set exactly.
const LANDING_MAX_RAD_S: f64 = 1e-9;

/// An instant this near to the arrival is the arrival, s: rounding of summed durations, and too
/// little for the jerk limit to notice.
const SNAP_S: f64 = 1e-13;

/// No trajectory was found within the planner's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlan;

/// Constant jerk for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// When it begins, s from the profile's start.
    pub start_s: f64,
    /// How long it lasts, s.
    pub duration_s: f64,
    /// The state at its beginning.
    pub from: Motion,
    /// Its jerk, rad/s³ (m/s³).
    pub jerk: f64,
}

/// One axis' way.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    segments: ArrayVec<Segment, SEGMENTS_MAX>,
    end_s: f64,
    end: Motion,
    arrive_s: f64,
    arrive: Motion,
}

impl Profile {
    /// Standing, or going on, at `from`: no segment yet.
    pub fn new(from: Motion) -> Profile {
        Profile { segments: ArrayVec::new(), end_s: 0.0, end: from, arrive_s: 0.0, arrive: from }
    }

    /// The controlled stop: the shortest braking that the bounds allow.
    pub fn stop(from: Motion, bounds: &Bounds) -> Profile {
        let mut profile = Profile::new(from);
        // Three segments always fit. A state that is not finite is never planned from; were it, the
        // axis would stand where it is.
        if profile.transition(0.0, bounds).is_err() {
            return Profile::new(Motion::rest(from.position_rad));
        }
        profile.arrive_here();
        profile
    }

    /// Adds a segment; one without duration is left out.
    pub fn push(&mut self, duration_s: f64, jerk: f64) -> Result<(), NoPlan> {
        if duration_s == 0.0 {
            return Ok(());
        }
        let end = self.end.after(duration_s, jerk);
        let end_s = self.end_s + duration_s;
        // Written so that NaN is refused too.
        let sound = duration_s > 0.0 && end_s <= DURATION_MAX_S && end.is_finite();
        if !sound {
            return Err(NoPlan);
        }
        let segment = Segment { start_s: self.end_s, duration_s, from: self.end, jerk };
        self.segments.try_push(segment).map_err(|_| NoPlan)?;
        (self.end, self.end_s) = (end, end_s);
        Ok(())
    }

    /// Adds a velocity change to `(velocity_end, 0)`.
    pub fn transition(&mut self, velocity_end: f64, bounds: &Bounds) -> Result<(), NoPlan> {
        let transition = Transition::new(&self.end, velocity_end, bounds);
        self.append(&transition, 1.0)
    }

    /// Adds a transition as it is, or, with a `mirror` of -1, to the other side.
    pub fn append(&mut self, transition: &Transition, mirror: f64) -> Result<(), NoPlan> {
        for (duration_s, jerk) in transition.segments {
            self.push(duration_s, mirror * jerk)?;
        }
        let velocity_rad_s = mirror * transition.velocity_end;
        let missed = (velocity_rad_s - self.end.velocity_rad_s).abs();
        self.end = Motion { velocity_rad_s, acceleration_rad_s2: 0.0, ..self.end };
        if missed <= LANDING_MAX_RAD_S { Ok(()) } else { Err(NoPlan) }
    }

    /// Sets the state at the end exactly; the caller knows it better than the summed segments.
    pub fn land(&mut self, end: Motion) {
        self.end = end;
        self.arrive_here();
    }

    fn arrive_here(&mut self) {
        (self.arrive_s, self.arrive) = (self.end_s, self.end);
    }

    /// When the goal is reached, s from the start; braking may follow.
    pub fn arrive_s(&self) -> f64 {
        self.arrive_s
    }

    /// The state at its end.
    pub fn end(&self) -> Motion {
        self.end
    }

    /// Whether the goal is reached at `t_s`.
    pub fn has_arrived(&self, t_s: f64) -> bool {
        t_s >= self.arrive_s - SNAP_S
    }

    /// When everything is over, s from the start.
    pub fn end_s(&self) -> f64 {
        self.end_s
    }

    /// Its segments.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The state at `t_s` from the start.
    pub fn at(&self, t_s: f64) -> Motion {
        if (t_s - self.arrive_s).abs() <= SNAP_S {
            return self.arrive;
        }
        if t_s >= self.end_s {
            return self.end;
        }
        let segment = self.segments.iter().rev().find(|segment| segment.start_s <= t_s);
        match segment {
            Some(segment) => segment.from.after(t_s - segment.start_s, segment.jerk),
            None => self.end,
        }
    }

    /// Highest speed on the way, rad/s (m/s).
    pub fn speed_max(&self) -> f64 {
        let starts = self.segments.iter().map(|segment| segment.from.velocity_rad_s.abs());
        starts.fold(self.end.velocity_rad_s.abs(), f64::max)
    }
}
