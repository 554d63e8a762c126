//! Observe and act: what happens on one connection, step by step, without a clock of its own.

mod session;
mod tracker;

use std::sync::Arc;

use shm_protocol::records::{
    AxisRequest, INTENT_VERSION, Intent, IntentKind, ModeCode, Rule, Telemetry, TraceId, Verdict,
    VerdictKind,
};
use tracing::{debug, info, warn};

pub use session::{Ended, run};

use crate::clock::{MILLISECOND_NS, SECOND_NS};
use crate::link::{Link, Returned};
use crate::machine::Machine;
use crate::motion;
use crate::planner::{Decision, Goal, Outcome, Request, Situation};
use crate::trace::{Hex, Traces};
use crate::words;
use tracker::Tracker;

/// Telemetry older than this says nothing about now, ns.
const TELEMETRY_AGE_MAX_NS: u64 = SECOND_NS;
/// Verdicts taken in one step at the most; the rest wait for the next.
const VERDICTS_PER_STEP_MAX: usize = 64;
/// First pause after the gate's refusal for mode or epoch, ns; it doubles up to
/// [`CLOSED_PAUSE_MAX_NS`] until an intent is admitted again.
const CLOSED_PAUSE_NS: u64 = 50 * MILLISECOND_NS;
/// See [`CLOSED_PAUSE_NS`].
const CLOSED_PAUSE_MAX_NS: u64 = SECOND_NS;
/// Pause after a refusal for too many intents, ns.
const RATE_PAUSE_NS: u64 = 250 * MILLISECOND_NS;
/// What a hold is expected to take, ns.
const HOLD_EXPECTED_NS: u64 = SECOND_NS;
/// The planner's turn comes again no sooner than this after a refusal or a return, ns.
const PAUSE_NS: u64 = 20 * MILLISECOND_NS;

/// A situation that went to the planner and what its decision will be stamped with.
#[derive(Clone, Copy, Debug)]
struct Asked {
    trace: TraceId,
    epoch: u32,
}

/// One connection's state.
pub struct Act {
    machine: Arc<Machine>,
    agent: u16,
    telemetry: Option<Telemetry>,
    asked: Option<Asked>,
    under_way: Option<Tracker>,
    outcome: Option<Outcome>,
    next_turn_ns: u64,
    verdict_tick: u64,
    closed_pause_ns: u64,
    mode_shown: Option<(ModeCode, bool)>,
}

impl Act {
    /// Begins on a new connection. `outcome`: what became of the last request of the one before.
    pub fn new(machine: Arc<Machine>, agent: u16, outcome: Option<Outcome>) -> Self {
        Self {
            machine,
            agent,
            telemetry: None,
            asked: None,
            under_way: None,
            outcome,
            next_turn_ns: 0,
            verdict_tick: 0,
            closed_pause_ns: CLOSED_PAUSE_NS,
            mode_shown: None,
        }
    }

    /// Reads verdicts and telemetry, and renews the lease of what is under way where needed.
    pub fn observe(&mut self, link: &mut impl Link, now_ns: u64) {
        for _ in 0..VERDICTS_PER_STEP_MAX {
            let Some(verdict) = link.poll_verdict() else { break };
            self.on_verdict(&verdict, now_ns);
        }
        if let Some(telemetry) = link.telemetry() {
            self.show_mode(&telemetry);
            self.telemetry = Some(telemetry);
        }
        let Some(tracker) = &self.under_way else { return };
        if let Some(outcome) = tracker.outcome(now_ns) {
            let text = words::outcome(&self.machine, &outcome);
            info!(trace = %Hex(tracker.trace), "{text}");
            self.under_way = None;
            self.outcome = Some(outcome);
        } else if tracker.wants_renewal(now_ns) && self.may_move(now_ns) {
            self.renew(link, now_ns);
        }
    }

    fn on_verdict(&mut self, verdict: &Verdict, now_ns: u64) {
        self.verdict_tick = self.verdict_tick.max(verdict.tick);
        debug!(
            trace = %Hex(verdict.trace), number = verdict.number, kind = ?verdict.kind,
            rule = ?verdict.rule, tick = verdict.tick, "verdict"
        );
        match verdict.kind {
            VerdictKind::Refused => {
                let until_ns = now_ns.saturating_add(self.patience_ns(verdict.rule));
                self.next_turn_ns = self.next_turn_ns.max(until_ns);
            }
            VerdictKind::Accepted | VerdictKind::Clamped => self.closed_pause_ns = CLOSED_PAUSE_NS,
            _ => {}
        }
        if let Some(tracker) = &mut self.under_way
            && tracker.take(verdict)
        {
            return;
        }
        debug!(number = verdict.number, "a verdict for nothing that is under way");
    }

    /// How long the gate is left alone after a refusal, ns: one that takes no motion, or has had
    /// too many intents, would only refuse again.
    fn patience_ns(&mut self, rule: Rule) -> u64 {
        match rule {
            Rule::Mode | Rule::Epoch => {
                let pause_ns = self.closed_pause_ns;
                self.closed_pause_ns = (2 * pause_ns).min(CLOSED_PAUSE_MAX_NS);
                pause_ns
            }
            Rule::Rate => RATE_PAUSE_NS,
            _ => PAUSE_NS,
        }
    }

    fn show_mode(&mut self, telemetry: &Telemetry) {
        let shown = (telemetry.mode, telemetry.operator_has_control);
        if self.mode_shown != Some(shown) {
            self.mode_shown = Some(shown);
            info!(
                mode = ?telemetry.mode, cause = %words::cause(telemetry.cause),
                epoch = telemetry.epoch, operator_has_control = telemetry.operator_has_control,
                "the machine's mode"
            );
        }
    }

    /// Whether the machine takes motion from a planner, as far as fresh telemetry tells.
    fn may_move(&self, now_ns: u64) -> bool {
        self.telemetry.as_ref().is_some_and(|telemetry| {
            telemetry.mode == ModeCode::Armed
                && !telemetry.operator_has_control
                && telemetry.tick >= self.verdict_tick
                && now_ns.saturating_sub(telemetry.published_ns) <= TELEMETRY_AGE_MAX_NS
        })
    }

    /// The situation for the planner, when it is its turn.
    pub fn turn(&mut self, traces: &mut Traces, now_ns: u64) -> Option<Situation> {
        if self.asked.is_some() || self.under_way.is_some() || now_ns < self.next_turn_ns {
            return None;
        }
        if !self.may_move(now_ns) {
            return None;
        }
        let telemetry = self.telemetry?;
        let trace = traces.next_id();
        self.asked = Some(Asked { trace, epoch: telemetry.epoch });
        Some(Situation {
            trace,
            machine: self.machine.clone(),
            telemetry,
            outcome: self.outcome.take(),
        })
    }

    /// Carries out the decision for the last [`turn`](Self::turn).
    pub fn act(&mut self, link: &mut impl Link, decision: Decision, now_ns: u64) {
        let Some(asked) = self.asked.take() else { return };
        match decision {
            Decision::Wait { for_ns } => self.next_turn_ns = now_ns.saturating_add(for_ns),
            Decision::Ask(request) => self.ask(link, asked, request, now_ns),
        }
    }

    fn ask(&mut self, link: &mut impl Link, asked: Asked, request: Request, now_ns: u64) {
        let goal = words::goal(&self.machine, &request.goal);
        info!(trace = %Hex(asked.trace), goal, "{}", request.reason);
        let expected_ns = match (&request.goal, &self.telemetry) {
            (Goal::Move(targets), Some(telemetry)) => {
                motion::expected_ns(&self.machine, telemetry, targets)
            }
            _ => HOLD_EXPECTED_NS,
        };
        let stops = request.goal == Goal::Stop;
        let mut tracker = Tracker::new(asked.trace, request.goal, asked.epoch, expected_ns, now_ns);
        match self.submit(link, &mut tracker, now_ns) {
            Ok(()) => self.under_way = Some(tracker),
            Err(Returned) => {
                warn!(trace = %Hex(asked.trace), "the ring is full, the intent came back");
                self.outcome = Some(Outcome::Returned);
                self.next_turn_ns = now_ns.saturating_add(PAUSE_NS);
            }
        }
        if stops {
            // The intent carries the trace; the word gets through whatever the ring is like.
            link.stop();
        }
    }

    fn renew(&mut self, link: &mut impl Link, now_ns: u64) {
        let Some(mut tracker) = self.under_way.take() else { return };
        debug!(trace = %Hex(tracker.trace), "the lease is renewed");
        if self.submit(link, &mut tracker, now_ns).is_err() {
            tracker.give_up_renewal();
        }
        self.under_way = Some(tracker);
    }

    fn submit(
        &self,
        link: &mut impl Link,
        tracker: &mut Tracker,
        now_ns: u64,
    ) -> Result<(), Returned> {
        let lease_until_ns = tracker.next_lease_ns(now_ns, self.machine.lease_max_ns);
        let intent = Intent {
            number: link.next_number(),
            version: INTENT_VERSION,
            agent: self.agent,
            epoch: tracker.epoch,
            issued_ns: now_ns,
            lease_until_ns,
            trace: tracker.trace,
            ..body(&tracker.goal)
        };
        link.submit(&intent)?;
        debug!(trace = %Hex(intent.trace), number = intent.number, "intent sent");
        tracker.sent(intent.number, lease_until_ns);
        Ok(())
    }

    /// Whether anything asked is still under way.
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Asks the machine to come to rest before this side leaves. False: there is nothing to hold.
    pub fn hold(&mut self, link: &mut impl Link, trace: TraceId, now_ns: u64) -> bool {
        let armed = self.telemetry.filter(|telemetry| telemetry.mode == ModeCode::Armed);
        let (Some(_), Some(telemetry)) = (self.under_way.take(), armed) else { return false };
        let epoch = telemetry.epoch;
        self.asked = None;
        let request = Request { goal: Goal::Hold, reason: "hold before leaving".into() };
        self.ask(link, Asked { trace, epoch }, request, now_ns);
        self.is_under_way()
    }

    /// Ends with the connection: what the planner is to be told on the next one.
    pub fn into_outcome(self) -> Option<Outcome> {
        let lost = self.asked.is_some() || self.under_way.is_some();
        if lost { Some(Outcome::Lost) } else { self.outcome }
    }
}

/// Kind, mask and axes of an intent; everything else is stamped when it is sent.
fn body(goal: &Goal) -> Intent {
    let mut intent = Intent {
        number: 0,
        version: INTENT_VERSION,
        kind: IntentKind::Hold,
        agent: 0,
        epoch: 0,
        issued_ns: 0,
        lease_until_ns: 0,
        trace: TraceId::default(),
        axes_mask: 0,
        axes: [AxisRequest::default(); shm_protocol::records::AXES_MAX],
    };
    match goal {
        Goal::Hold => {}
        Goal::Stop => intent.kind = IntentKind::Stop,
        Goal::Move(targets) => {
            intent.kind = IntentKind::MoveJoints;
            for target in targets {
                let Some(request) = intent.axes.get_mut(target.axis) else { continue };
                intent.axes_mask |= 1 << target.axis;
                request.position_rad = target.position_rad;
                request.velocity_peak_rad_s =
                    target.velocity_peak_rad_s.map_or(0.0, |velocity| velocity as f32);
            }
        }
    }
    intent
}

#[cfg(test)]
mod tests;
