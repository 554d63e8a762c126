//! What all axes execute: a planned move, a controlled stop, or standing. It advances one period
//! per tick that runs, so that after skipped ticks nothing jumps.

use arrayvec::ArrayVec;
use shm_protocol::records::AXES_MAX;

use super::course::Course;
use super::profile::{NoPlan, Profile};
use super::{Bounds, Motion};
use crate::config::Config;
use crate::gate::ApprovedIntent;

/// All axes' ways, and how far they are gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Trajectory {
    profiles: ArrayVec<Profile, AXES_MAX>,
    period_s: f64,
    ticks: u64,
}

/// Which axis could not be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisWithoutPlan(pub usize);

impl Trajectory {
    fn new(config: &Config) -> Trajectory {
        #[allow(clippy::cast_precision_loss, reason = "a time budget, far below 2^53 ns")]
        let period_s = config.budgets.period_ns as f64 * 1e-9;
        Trajectory { profiles: ArrayVec::new(), period_s, ticks: 0 }
    }

    /// Standing at the given setpoints.
    pub fn rest(config: &Config, at: &[Motion]) -> Trajectory {
        let mut trajectory = Trajectory::new(config);
        let still = at.iter().map(|at| Profile::new(Motion::rest(at.position_rad)));
        trajectory.profiles.extend(still.take(AXES_MAX));
        trajectory
    }

    /// The controlled stop from the given setpoints: every axis by itself, as fast as its own
    /// limits allow. It needs no approval.
    pub fn stop(config: &Config, from: &[Motion]) -> Trajectory {
        let mut trajectory = Trajectory::new(config);
        let stops =
            config.axes.iter().zip(from).map(|(a, at)| Profile::stop(*at, &Bounds::of(&a.limits)));
        trajectory.profiles.extend(stops);
        trajectory
    }

    /// Plans an approved motion from the given setpoints: the axes with a goal arrive together,
    /// on a tick, where a slower way exists; all others come to rest.
    pub fn plan(
        config: &Config,
        approved: &ApprovedIntent,
        from: &[Motion],
    ) -> Result<Trajectory, AxisWithoutPlan> {
        let mut trajectory = Trajectory::new(config);
        let mut courses = ArrayVec::<_, AXES_MAX>::new();
        let mut longest_s = 0.0_f64;
        for (index, (axis, at)) in config.axes.iter().zip(from).enumerate() {
            let own = Bounds::of(&axis.limits);
            let course = match approved.goal(index) {
                Some(goal) => {
                    let course =
                        Course::new(*at, goal.position_rad, goal.velocity_end, goal.bounds, own);
                    let fastest = course.fastest().map_err(|NoPlan| AxisWithoutPlan(index))?;
                    longest_s = longest_s.max(fastest.duration_s);
                    Some((course, fastest))
                }
                None => None,
            };
            courses.push(course);
        }
        let common_s = trajectory.on_a_tick(longest_s);
        for (index, ((axis, at), course)) in
            config.axes.iter().zip(from).zip(courses.iter()).enumerate()
        {
            let profile = match course {
                Some((course, fastest)) => {
                    let together = course.lasting(*fastest, common_s);
                    let arrive_s = if together.is_some() { common_s } else { 0.0 };
                    let choice = together.unwrap_or(*fastest);
                    course.profile(choice, arrive_s).map_err(|NoPlan| AxisWithoutPlan(index))?
                }
                None => Profile::stop(*at, &Bounds::of(&axis.limits)),
            };
            trajectory.profiles.push(profile);
        }
        Ok(trajectory)
    }

    /// The first tick's instant that is not before `t_s`.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "0 to DURATION_MAX_S, in ticks of at least 1 ns: far below 2^53"
    )]
    fn on_a_tick(&self, t_s: f64) -> f64 {
        let ticks = (t_s / self.period_s) as u64;
        let whole_s = ticks as f64 * self.period_s;
        if whole_s >= t_s { whole_s } else { (ticks + 1) as f64 * self.period_s }
    }

    /// One period on.
    pub fn advance(&mut self) {
        self.ticks = self.ticks.saturating_add(1);
    }

    #[allow(clippy::cast_precision_loss, reason = "2^53 ticks take 28,000 years at 10 kHz")]
    fn now_s(&self) -> f64 {
        self.ticks as f64 * self.period_s
    }

    /// The setpoints now.
    pub fn setpoints(&self) -> impl Iterator<Item = Motion> + '_ {
        let now_s = self.now_s();
        self.profiles.iter().map(move |profile| profile.at(now_s))
    }

    /// Whether every axis has reached its goal (and may be braking past it).
    pub fn has_arrived(&self) -> bool {
        self.profiles.iter().all(|profile| profile.has_arrived(self.now_s()))
    }

    /// Whether every axis stands for good.
    pub fn is_over(&self) -> bool {
        self.profiles.iter().all(|profile| self.now_s() >= profile.end_s())
    }

    /// The axes' ways, in the configuration's order.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }
}
