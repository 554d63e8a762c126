//! The embedded planner: needs nothing installed, knows one task, and takes verdicts seriously.

mod task;

use std::sync::Arc;

use shm_protocol::records::{Rule, Verdict};
use tracing::{info, warn};

use crate::clock::{MILLISECOND_NS, SECOND_NS};
use crate::machine::Machine;
use crate::planner::{Decision, Goal, Outcome, Planner, Request, Situation, Target};
use task::{HOME_STEP, Step, VELOCITY_FRACTION};

/// An axis this close to its target has reached it, rad (m).
const REACHED_RAD: f64 = 1e-4;
/// The share of the nearest admissible velocity that is asked for: single precision on the page
/// must not round it up again.
const NEAREST_SHARE: f64 = 0.98;
/// A velocity below this fraction of the limit is not worth asking for: another pose is tried.
const VELOCITY_FRACTION_MIN: f64 = 0.02;
/// Refusals of one step that nothing can be learnt from, before it is left out.
const REFUSALS_MAX: u32 = 3;

/// See the module.
#[derive(Debug, Default)]
pub struct Embedded {
    task: Option<Task>,
}

#[derive(Debug)]
struct Task {
    machine: Arc<Machine>,
    steps: Vec<Step>,
    step: usize,
    /// Velocity that each axis is asked for, rad/s (m/s).
    velocity_rad_s: Vec<f64>,
    refusals: u32,
    cycles: u64,
}

impl Planner for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn decide(&mut self, situation: &Situation) -> Decision {
        // Another machine (a new connection, another robot file) begins the task anew.
        let mut task = match self.task.take() {
            Some(task) if *task.machine == *situation.machine => task,
            _ => Task::new(situation.machine.clone()),
        };
        let decision = task.decide(situation);
        self.task = Some(task);
        decision
    }
}

impl Task {
    fn new(machine: Arc<Machine>) -> Self {
        let steps = task::steps(&machine);
        let velocity_rad_s = full_velocity(&machine);
        Self { machine, steps, step: 0, velocity_rad_s, refusals: 0, cycles: 0 }
    }

    fn decide(&mut self, situation: &Situation) -> Decision {
        let pause_ns = situation.outcome.as_ref().map_or(0, |outcome| self.learn(outcome));
        if pause_ns > 0 {
            return Decision::Wait { for_ns: pause_ns };
        }
        // Steps whose pose is the present one are passed over, each at most once.
        for _ in 0..self.steps.len() {
            let Some(step) = self.steps.get(self.step) else { break };
            if !reached(step, situation) {
                return self.ask(step);
            }
            self.advance();
        }
        Decision::Wait { for_ns: SECOND_NS }
    }

    fn ask(&self, step: &Step) -> Decision {
        let targets = step
            .pose_rad
            .iter()
            .zip(&self.velocity_rad_s)
            .enumerate()
            .map(|(axis, (position_rad, velocity))| Target {
                axis,
                position_rad: *position_rad,
                velocity_peak_rad_s: Some(*velocity),
            })
            .collect();
        let reason = format!("cycle {}: {}", self.cycles + 1, step.name);
        Decision::Ask(Request { goal: Goal::Move(targets), reason })
    }

    /// Takes in what became of the last request; how long to pause before the next, ns.
    fn learn(&mut self, outcome: &Outcome) -> u64 {
        match outcome {
            Outcome::Completed { .. } => {
                let dwell_ms = self.steps.get(self.step).map_or(0, |step| step.dwell_ms);
                self.advance();
                dwell_ms * MILLISECOND_NS
            }
            Outcome::Refused(verdict) => self.learn_refusal(verdict),
            // The same step again, planned from the pose that telemetry shows now.
            Outcome::Aborted { .. } | Outcome::Expired | Outcome::Preempted | Outcome::Lost => 0,
            Outcome::Returned => 50 * MILLISECOND_NS,
        }
    }

    fn learn_refusal(&mut self, verdict: &Verdict) -> u64 {
        match verdict.rule {
            Rule::Velocity | Rule::Stoppable if self.slow_down(verdict) => 0,
            // The next situation shows the epoch and the mode that the gate spoke of.
            Rule::Epoch | Rule::Mode | Rule::Freshness | Rule::Lease => 0,
            Rule::Rate => 250 * MILLISECOND_NS,
            rule => {
                self.refusals += 1;
                warn!(?rule, refusals = self.refusals, "the step is refused");
                if self.refusals >= REFUSALS_MAX {
                    self.leave_out();
                }
                SECOND_NS
            }
        }
    }

    /// Takes the nearest admissible velocity; false when there is none worth asking for.
    fn slow_down(&mut self, verdict: &Verdict) -> bool {
        let named = usize::from(verdict.axis);
        let mut slower = false;
        let all = named >= self.velocity_rad_s.len();
        for (index, (velocity, axis)) in
            self.velocity_rad_s.iter_mut().zip(&self.machine.axes).enumerate()
        {
            if !all && index != named {
                continue;
            }
            let nearest = verdict.nearest * NEAREST_SHARE;
            // An answer that is no slower than what was refused cannot be meant.
            let next = if nearest > 0.0 && nearest < *velocity { nearest } else { *velocity / 2.0 };
            if next >= axis.velocity_max_rad_s * VELOCITY_FRACTION_MIN {
                info!(axis = axis.name, from = *velocity, to = next, "slower, as the gate asks");
                *velocity = next;
                slower = true;
            }
        }
        slower
    }

    fn advance(&mut self) {
        self.step += 1;
        if self.step >= self.steps.len() {
            self.step = 0;
            self.cycles += 1;
        }
        self.refusals = 0;
        self.velocity_rad_s = full_velocity(&self.machine);
    }

    /// Goes home instead of a step that is refused again and again, or on from home.
    fn leave_out(&mut self) {
        let home = self.step != HOME_STEP;
        warn!(step = self.step, "the step is left out");
        self.advance();
        if home {
            self.step = HOME_STEP;
        }
    }
}

fn full_velocity(machine: &Machine) -> Vec<f64> {
    machine.axes.iter().map(|axis| axis.velocity_max_rad_s * VELOCITY_FRACTION).collect()
}

fn reached(step: &Step, situation: &Situation) -> bool {
    step.pose_rad
        .iter()
        .zip(&situation.telemetry.axes)
        .all(|(target, axis)| (target - axis.setpoint_rad).abs() <= REACHED_RAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{situation, verdict};
    use shm_protocol::records::{Cause, VerdictKind};

    fn asked(decision: &Decision) -> (&str, &[Target]) {
        match decision {
            Decision::Ask(Request { goal: Goal::Move(targets), reason }) => (reason, targets),
            other => panic!("no move: {other:?}"),
        }
    }

    fn refused(rule: Rule, axis: u8, nearest: f64) -> Option<Outcome> {
        let mut verdict = verdict(1, VerdictKind::Refused);
        verdict.rule = rule;
        verdict.axis = axis;
        verdict.nearest = nearest;
        Some(Outcome::Refused(verdict))
    }

    #[test]
    fn completed_goes_on_to_the_next_step_after_its_dwell() {
        let mut planner = Embedded::default();
        let mut now = situation(6);
        assert!(asked(&planner.decide(&now)).0.contains("above the pick"));
        now.outcome = Some(Outcome::Completed { clamped: None });
        assert!(asked(&planner.decide(&now)).0.ends_with(": pick"));
        let dwell = planner.decide(&now);
        assert_eq!(dwell, Decision::Wait { for_ns: 150 * MILLISECOND_NS });
        now.outcome = None;
        assert!(asked(&planner.decide(&now)).0.contains("lift"));
    }

    #[test]
    fn a_refused_velocity_is_replaced_by_the_nearest_admissible_one() {
        for rule in [Rule::Velocity, Rule::Stoppable] {
            let mut planner = Embedded::default();
            let mut now = situation(6);
            planner.decide(&now);
            now.outcome = refused(rule, 2, 0.5);
            let decision = planner.decide(&now);
            let (reason, targets) = asked(&decision);
            assert!(reason.contains("above the pick"), "the same step");
            assert!((targets[2].velocity_peak_rad_s.unwrap() - 0.49).abs() < 1e-12);
            assert!((targets[1].velocity_peak_rad_s.unwrap() - 1.05).abs() < 1e-12);
        }
    }

    #[test]
    fn a_nearest_that_makes_no_sense_halves_the_velocity_and_ends() {
        for nearest in [f64::NAN, f64::INFINITY, -1.0, 0.0, 9.0] {
            let mut planner = Embedded::default();
            let mut now = situation(2);
            planner.decide(&now);
            now.outcome = refused(Rule::Stoppable, 255, nearest);
            let decision = planner.decide(&now);
            assert!((asked(&decision).1[0].velocity_peak_rad_s.unwrap() - 0.525).abs() < 1e-12);
            let mut waited = false;
            for _ in 0..20 {
                waited |= matches!(planner.decide(&now), Decision::Wait { .. });
            }
            assert!(waited, "it does not ask for ever slower moves for ever");
        }
    }

    #[test]
    fn a_stop_an_expiry_or_a_lost_link_repeats_the_step() {
        for outcome in [
            Outcome::Aborted { cause: Cause::OperatorStop },
            Outcome::Expired,
            Outcome::Preempted,
            Outcome::Lost,
        ] {
            let mut planner = Embedded::default();
            let mut now = situation(6);
            planner.decide(&now);
            now.outcome = Some(outcome);
            assert!(asked(&planner.decide(&now)).0.contains("above the pick"));
        }
    }

    #[test]
    fn a_step_refused_again_and_again_is_left_out_for_home() {
        let mut planner = Embedded::default();
        let mut now = situation(6);
        now.telemetry.axes[0].setpoint_rad = 0.3;
        planner.decide(&now);
        for _ in 0..REFUSALS_MAX {
            now.outcome = refused(Rule::Planning, 0, 0.0);
            assert!(matches!(planner.decide(&now), Decision::Wait { .. }));
        }
        now.outcome = None;
        assert!(asked(&planner.decide(&now)).0.contains("home"));
    }
}
