//! An arm without shared memory for tests: time stands still unless it is moved on.

use std::collections::VecDeque;
use std::sync::Arc;

use shm_protocol::records::{
    AXES_MAX, AXIS_NONE, AxisDescription, AxisTelemetry, Cause, Description, Intent,
    IntentCounters, IntentKind, ModeCode, Rule, Telemetry, TraceId, Verdict, VerdictKind,
};

use crate::clock::{MILLISECOND_NS, SECOND_NS};
use crate::link::{Heart, Link, Returned};
use crate::machine::Machine;
use crate::planner::Situation;

/// Axes of ±2.9 rad, 1.5 rad/s, 5 rad/s², 50 rad/s³, named `axis0` and so on.
pub fn description(axes: u8) -> Description {
    let mut description = Description {
        name: [0; 24],
        period_ns: MILLISECOND_NS,
        lease_max_ns: 10 * SECOND_NS,
        heartbeat_timeout_ns: 250 * MILLISECOND_NS,
        intents_per_second_max: 50,
        axis_count: axes,
        axes: [AxisDescription::default(); AXES_MAX],
    };
    description.name[..3].copy_from_slice(b"arm");
    for (index, axis) in description.axes.iter_mut().take(usize::from(axes)).enumerate() {
        let name = format!("axis{index}");
        axis.name[..name.len()].copy_from_slice(name.as_bytes());
        axis.position_min_rad = -2.9;
        axis.position_max_rad = 2.9;
        axis.velocity_max_rad_s = 1.5;
        axis.acceleration_max_rad_s2 = 5.0;
        axis.jerk_max_rad_s3 = 50.0;
        axis.effort_max_nm = 40.0;
    }
    description
}

pub fn verdict(number: u64, kind: VerdictKind) -> Verdict {
    Verdict {
        number,
        trace: TraceId([1; 16]),
        kind,
        rule: Rule::None,
        axis: AXIS_NONE,
        cause: Cause::None,
        epoch: 1,
        tick: 0,
        decided_ns: 0,
        value: 0.0,
        limit: 0.0,
        nearest: 0.0,
    }
}

pub fn situation(axes: u8) -> Situation {
    Situation {
        trace: TraceId([1; 16]),
        machine: Arc::new(Machine::new(&description(axes)).unwrap()),
        telemetry: Arm::new(axes).telemetry_now(),
        outcome: None,
    }
}

struct Active {
    intent: Intent,
    from_rad: [f64; AXES_MAX],
    begun_ns: u64,
    duration_ns: u64,
}

/// The arm: each axis moves at constant velocity, the mode is what a test says.
pub struct Arm {
    pub description: Description,
    pub now_ns: u64,
    pub mode: ModeCode,
    pub epoch: u32,
    pub operator_has_control: bool,
    pub full: bool,
    pub alive: bool,
    /// Every move takes this many times longer than its velocity says.
    pub slowness: f64,
    /// The next intents are refused with these.
    pub refusals: VecDeque<Verdict>,
    pub sent: Vec<Intent>,
    pub stops: u64,
    pub position_rad: [f64; AXES_MAX],
    pub travel_rad: [f64; AXES_MAX],
    pub completed: u64,
    pub expired: u64,
    active: Option<Active>,
    verdicts: VecDeque<Verdict>,
    number: u64,
}

impl Arm {
    pub fn new(axes: u8) -> Self {
        Self {
            description: description(axes),
            now_ns: SECOND_NS,
            mode: ModeCode::Armed,
            epoch: 1,
            operator_has_control: false,
            full: false,
            alive: true,
            slowness: 1.0,
            refusals: VecDeque::new(),
            sent: Vec::new(),
            stops: 0,
            position_rad: [0.0; AXES_MAX],
            travel_rad: [0.0; AXES_MAX],
            completed: 0,
            expired: 0,
            active: None,
            verdicts: VecDeque::new(),
            number: 0,
        }
    }

    pub fn telemetry_now(&self) -> Telemetry {
        let mut telemetry = Telemetry {
            tick: self.now_ns / MILLISECOND_NS,
            published_ns: self.now_ns,
            mode: self.mode,
            cause: Cause::None,
            cause_detail: 0,
            epoch: self.epoch,
            operator_has_control: self.operator_has_control,
            active_intent: self.active.as_ref().map_or(0, |active| active.intent.number),
            counters: IntentCounters::default(),
            axis_count: self.description.axis_count,
            axes: [AxisTelemetry::default(); AXES_MAX],
        };
        for (axis, position) in telemetry.axes.iter_mut().zip(self.position_rad) {
            axis.position_rad = position;
            axis.setpoint_rad = position;
        }
        telemetry
    }

    /// Moves time on by one tick.
    pub fn tick(&mut self) {
        self.now_ns += MILLISECOND_NS;
        let Some(active) = &self.active else { return };
        let elapsed = self.now_ns - active.begun_ns;
        let fraction = (elapsed as f64 / active.duration_ns.max(1) as f64).min(1.0);
        for (index, request) in active.intent.axes.iter().enumerate() {
            if active.intent.axes_mask & (1 << index) == 0 {
                continue;
            }
            let from = active.from_rad[index];
            let position = from + (request.position_rad - from) * fraction;
            self.travel_rad[index] += (position - self.position_rad[index]).abs();
            self.position_rad[index] = position;
        }
        let expires = active.intent.lease_until_ns <= self.now_ns;
        if fraction >= 1.0 {
            self.completed += 1;
            self.end(VerdictKind::Completed, Cause::None);
        } else if expires {
            self.expired += 1;
            self.end(VerdictKind::Expired, Cause::None);
        }
    }

    /// Ends the active intent with a final verdict.
    pub fn end(&mut self, kind: VerdictKind, cause: Cause) {
        let Some(active) = self.active.take() else { return };
        self.answer(&active.intent, kind, cause);
    }

    /// A stop: aborts, leaves the mode, begins a new epoch.
    pub fn halt(&mut self, cause: Cause) {
        self.end(VerdictKind::Aborted, cause);
        self.mode = ModeCode::Halted;
        self.epoch += 1;
    }

    fn answer(&mut self, intent: &Intent, kind: VerdictKind, cause: Cause) {
        let mut verdict = verdict(intent.number, kind);
        verdict.trace = intent.trace;
        verdict.cause = cause;
        verdict.tick = self.now_ns / MILLISECOND_NS;
        self.verdicts.push_back(verdict);
    }

    fn duration_ns(&self, intent: &Intent) -> u64 {
        let mut slowest_s: f64 = 0.0;
        for (index, request) in intent.axes.iter().enumerate() {
            if intent.axes_mask & (1 << index) == 0 {
                continue;
            }
            let limit = self.description.axes[index].velocity_max_rad_s;
            let asked = f64::from(request.velocity_peak_rad_s);
            let velocity = if asked > 0.0 { asked } else { limit };
            let distance = (request.position_rad - self.position_rad[index]).abs();
            slowest_s = slowest_s.max(distance / velocity + velocity / 5.0 + 0.1);
        }
        (slowest_s * self.slowness * 1e9) as u64
    }
}

struct NoHeart;
impl Heart for NoHeart {
    fn beat(&mut self) {}
}

impl Link for Arm {
    fn description(&self) -> Description {
        self.description
    }
    fn generation(&self) -> u32 {
        1
    }
    fn is_alive(&mut self) -> bool {
        self.alive
    }
    fn telemetry(&mut self) -> Option<Telemetry> {
        Some(self.telemetry_now())
    }
    fn poll_verdict(&mut self) -> Option<Verdict> {
        self.verdicts.pop_front()
    }
    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
    fn submit(&mut self, intent: &Intent) -> Result<(), Returned> {
        if self.full {
            return Err(Returned);
        }
        self.sent.push(*intent);
        if let Some(mut refusal) = self.refusals.pop_front() {
            refusal.number = intent.number;
            self.verdicts.push_back(refusal);
            return Ok(());
        }
        if intent.epoch != self.epoch {
            let mut refusal = verdict(intent.number, VerdictKind::Refused);
            refusal.rule = Rule::Epoch;
            self.verdicts.push_back(refusal);
            return Ok(());
        }
        self.end(VerdictKind::Preempted, Cause::None);
        self.answer(intent, VerdictKind::Accepted, Cause::None);
        let duration_ns = match intent.kind {
            IntentKind::MoveJoints => self.duration_ns(intent),
            _ => 0,
        };
        self.active = Some(Active {
            intent: *intent,
            from_rad: self.position_rad,
            begun_ns: self.now_ns,
            duration_ns,
        });
        if intent.kind == IntentKind::Stop {
            self.end(VerdictKind::Completed, Cause::None);
            self.halt(Cause::PlannerStop);
        }
        Ok(())
    }
    fn stop(&mut self) {
        self.stops += 1;
    }
    fn heart(&self) -> Box<dyn Heart> {
        Box::new(NoHeart)
    }
}
