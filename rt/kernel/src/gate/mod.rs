//! The gate: from a claim to an approved motion with its verified trajectory, or to an objection.
//!
//! [`rules`] has one rule per function. Operators' motions pass the same rules on values.

mod approved;
pub mod rate;
pub mod rules;

#[cfg(test)]
mod tests;

pub use approved::{ApprovedIntent, Goal, Source};
pub use rules::Objection;

use rate::RateMeter;
use shm_protocol::records::{AXES_MAX, Claim, Intent, IntentKind, Rule};

use crate::config::{Config, Excess, GateConfig};
use crate::mode::Mode;
use crate::motion::course::Course;
use crate::motion::stoppable::{self, Stopping};
use crate::motion::trajectory::Trajectory;
use crate::motion::{Bounds, Motion};

/// Halvings of the search for the highest admitted peak velocity.
const SLOWINGS: u32 = 8;

/// What the gate looks at beside the claim.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The tick's time, CLOCK_MONOTONIC ns.
    pub now_ns: u64,
    /// The mode.
    pub mode: Mode,
    /// The epoch.
    pub epoch: u32,
    /// No operator has the machine and no hold is in force.
    pub free: bool,
    /// The setpoints that motion starts from.
    pub setpoints: &'a [Motion],
}

/// What the gate remembers of one connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Highest number seen.
    pub last_number: u64,
    /// Its rate.
    pub rate: RateMeter,
}

/// An approved intent with the trajectory that was verified for it.
#[derive(Clone, Debug)]
pub struct Admission {
    /// What was approved.
    pub approved: ApprovedIntent,
    /// Its trajectory.
    pub trajectory: Trajectory,
    /// The first value that was clamped.
    pub clamped: Option<Objection>,
}

/// Judges a planner's claim for motion (`MoveJoints` or `Hold`).
pub fn admit(
    config: &Config,
    situation: &Situation<'_>,
    memory: &mut Memory,
    claim: &Claim,
) -> Result<Admission, Objection> {
    let (intent, gate, now_ns) = (&claim.intent, &config.gate, situation.now_ns);
    let skew_ns =
        config.budgets.feedback_age_max_ns.max(config.budgets.period_ns.saturating_mul(2));
    rules::intact(claim)?;
    rules::finite(intent)?;
    rules::version(intent)?;
    rules::epoch(intent, situation.epoch)?;
    rules::sequence(intent, memory.last_number)?;
    memory.last_number = intent.number;
    rules::freshness(intent, now_ns, gate.intent_age_max_ns, skew_ns)?;
    rules::lease(intent, now_ns, gate.lease_max_ns)?;
    rules::mode(situation.mode, situation.free)?;
    rules::capability(intent, gate.agents_mask)?;
    rules::rate(&mut memory.rate, now_ns, gate.intents_per_second_max)?;
    let source = Source::Planner { number: intent.number, trace: intent.trace };
    let lease_until_ns = intent.lease_until_ns.min(now_ns.saturating_add(gate.lease_max_ns));
    if intent.kind == IntentKind::Hold {
        let approved = ApprovedIntent::new(source, lease_until_ns, [None; AXES_MAX]);
        let trajectory = Trajectory::stop(config, situation.setpoints);
        return Ok(Admission { approved, trajectory, clamped: None });
    }
    approve(config, gate, situation.setpoints, source, lease_until_ns, intent)
}

/// Judges an operator's motion: the same limits; what is not stoppable is slowed down.
pub fn admit_operator(
    config: &Config,
    setpoints: &[Motion],
    intent: &Intent,
) -> Result<Admission, Objection> {
    let gate = GateConfig { stoppable: Excess::Clamp, ..config.gate };
    rules::finite(intent)?;
    approve(config, &gate, setpoints, Source::Operator, u64::MAX, intent)
}

/// The rules on values, then the plan, then whether it is stoppable.
fn approve(
    config: &Config,
    gate: &GateConfig,
    setpoints: &[Motion],
    source: Source,
    lease_until_ns: u64,
    intent: &Intent,
) -> Result<Admission, Objection> {
    rules::axis(intent, config.axes.len())?;
    let mut requests = intent.axes;
    let mut clamped = None;
    let all = [rules::position, rules::velocity, rules::acceleration, rules::jerk, rules::effort];
    for rule in all {
        for (index, (request, axis)) in requests.iter_mut().zip(&config.axes).enumerate() {
            if intent.axes_mask & (1 << index) != 0 {
                let judged = rule(request, &axis.limits, gate).map_err(|o| o.on(index))?;
                clamped = clamped.or(judged.map(|objection| objection.on(index)));
            }
        }
    }
    let mut goals = [None; AXES_MAX];
    for (index, ((goal, request), axis)) in
        goals.iter_mut().zip(&requests).zip(&config.axes).enumerate()
    {
        if intent.axes_mask & (1 << index) != 0 {
            *goal = Some(goal_of(request, &axis.limits));
        }
    }
    let mut approved = ApprovedIntent::new(source, lease_until_ns, goals);
    let trajectory = plan(config, &approved, setpoints)?;
    let Some(objection) = slow_down(config, gate, setpoints, &mut approved, &trajectory)? else {
        return Ok(Admission { approved, trajectory, clamped });
    };
    let trajectory = plan(config, &approved, setpoints)?;
    match slow_down(config, &config.gate, setpoints, &mut approved, &trajectory)? {
        None => Ok(Admission { approved, trajectory, clamped: clamped.or(Some(objection)) }),
        Some(objection) => Err(objection),
    }
}

fn goal_of(
    request: &shm_protocol::records::AxisRequest,
    limits: &crate::config::AxisLimits,
) -> Goal {
    let own = Bounds::of(limits);
    let asked = Bounds {
        velocity: rules::asked(request.velocity_peak_rad_s, limits.velocity_max_rad_s),
        acceleration: rules::asked(
            request.acceleration_peak_rad_s2,
            limits.acceleration_max_rad_s2,
        ),
        jerk: rules::asked(request.jerk_peak_rad_s3, limits.jerk_max_rad_s3),
    };
    let bounds = asked.within(&own);
    let end = f64::from(request.velocity_end_rad_s);
    let effort = f64::from(request.effort_max_nm);
    Goal {
        position_rad: request.position_rad,
        velocity_end: end.max(-bounds.velocity).min(bounds.velocity),
        bounds,
        effort_max_nm: (effort > 0.0 && effort < limits.effort_max_nm).then_some(effort),
    }
}

fn plan(
    config: &Config,
    approved: &ApprovedIntent,
    setpoints: &[Motion],
) -> Result<Trajectory, Objection> {
    Trajectory::plan(config, approved, setpoints).map_err(|failed| {
        let limit = crate::motion::profile::DURATION_MAX_S;
        Objection::new(Rule::Planning, f64::INFINITY, limit, limit).on(failed.0)
    })
}

/// The rule `Stoppable`: every axis' way is, or the highest peak velocity is found at which it
/// would be. With `Excess::Clamp` the approval is slowed to it, to be planned again.
fn slow_down(
    config: &Config,
    gate: &GateConfig,
    setpoints: &[Motion],
    approved: &mut ApprovedIntent,
    trajectory: &Trajectory,
) -> Result<Option<Objection>, Objection> {
    let mut first = None;
    let ways = config.axes.iter().zip(setpoints).zip(trajectory.profiles()).enumerate();
    for (index, ((axis, from), profile)) in ways {
        let Some(goal) = approved.goal(index) else { continue };
        let stopping = Stopping::new(&axis.limits, config.budgets.reaction_max_ns);
        if stoppable::whole(&stopping, profile) {
            continue;
        }
        let own = Bounds::of(&axis.limits);
        let nearest = highest_stoppable(&stopping, goal, from, own);
        let objection =
            Objection::new(Rule::Stoppable, goal.bounds.velocity, nearest, nearest).on(index);
        if gate.stoppable == Excess::Refuse || nearest <= 0.0 {
            return Err(objection);
        }
        approved.slow(index, nearest);
        first = first.or(Some(objection));
    }
    Ok(first)
}

/// The highest peak velocity at which one axis' way would be stoppable; 0 where none is.
fn highest_stoppable(stopping: &Stopping, goal: &Goal, from: &Motion, own: Bounds) -> f64 {
    let (mut low, mut high) = (goal.velocity_end.abs(), goal.bounds.velocity);
    let mut nearest = 0.0;
    for _ in 0..SLOWINGS {
        let velocity = (low + high) / 2.0;
        let bounds = Bounds { velocity, ..goal.bounds };
        let course = Course::new(*from, goal.position_rad, goal.velocity_end, bounds, own);
        let profile = course.fastest().and_then(|choice| course.profile(choice, 0.0));
        if profile.is_ok_and(|profile| stoppable::whole(stopping, &profile)) {
            (low, nearest) = (velocity, velocity);
        } else {
            high = velocity;
        }
    }
    nearest
}
