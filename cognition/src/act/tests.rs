//! The loop against the tests' arm, in time that only the test moves on.

use super::*;
use crate::embedded::Embedded;
use crate::fake::{self, Arm};
use crate::planner::{Planner, Target};
use shm_protocol::records::Cause;

struct Rig {
    arm: Arm,
    act: Act,
    traces: Traces,
    planner: Box<dyn Planner>,
    decisions: u64,
}

impl Rig {
    fn new(axes: u8, planner: impl Planner + 'static) -> Self {
        let arm = Arm::new(axes);
        let machine = Arc::new(Machine::new(&arm.description).unwrap());
        let act = Act::new(machine, 0, None);
        Self { arm, act, traces: Traces::default(), planner: Box::new(planner), decisions: 0 }
    }

    fn step(&mut self) {
        self.arm.tick();
        let now_ns = self.arm.now_ns;
        self.act.observe(&mut self.arm, now_ns);
        if let Some(situation) = self.act.turn(&mut self.traces, now_ns) {
            self.decisions += 1;
            let decision = self.planner.decide(&situation);
            self.act.act(&mut self.arm, decision, now_ns);
        }
    }

    fn run(&mut self, milliseconds: u64) {
        (0..milliseconds).for_each(|_| self.step());
    }
}

/// Asks for the same move over and over.
struct Far;
impl Planner for Far {
    fn name(&self) -> &'static str {
        "far"
    }
    fn decide(&mut self, _: &Situation) -> Decision {
        let target = Target { axis: 0, position_rad: 1.5, velocity_peak_rad_s: Some(0.1) };
        Decision::Ask(Request { goal: Goal::Move(vec![target]), reason: "far".into() })
    }
}

#[test]
fn the_embedded_task_moves_every_axis_half_a_radian_in_ten_seconds() {
    for axes in [1, 2, 6, 32] {
        let mut rig = Rig::new(axes, Embedded::default());
        rig.run(10_000);
        for travel in rig.arm.travel_rad.iter().take(usize::from(axes)) {
            assert!(*travel >= 0.5, "{axes} axes: {travel}");
        }
        assert!(rig.arm.completed >= 6, "a whole cycle: {}", rig.arm.completed);
        assert_eq!(rig.arm.expired, 0);
    }
}

#[test]
fn intents_carry_trace_epoch_number_and_a_lease_a_little_longer_than_the_move() {
    let mut rig = Rig::new(2, Embedded::default());
    rig.run(3_000);
    assert!(rig.arm.sent.len() > 1);
    for (before, after) in rig.arm.sent.iter().zip(rig.arm.sent.iter().skip(1)) {
        assert!(after.number > before.number);
        assert_ne!(after.trace, before.trace, "a trace is one decision's");
    }
    for intent in &rig.arm.sent {
        assert_ne!(intent.trace, TraceId::default());
        assert_eq!((intent.epoch, intent.version), (1, INTENT_VERSION));
        let lease_ns = intent.lease_until_ns - intent.issued_ns;
        assert!(lease_ns > 400 * MILLISECOND_NS && lease_ns < 4 * SECOND_NS, "{lease_ns}");
    }
}

#[test]
fn a_move_longer_than_the_longest_lease_is_renewed_under_its_trace() {
    let mut rig = Rig::new(1, Far);
    rig.arm.description.lease_max_ns = 2 * SECOND_NS;
    rig.act = Act::new(Arc::new(Machine::new(&rig.arm.description).unwrap()), 0, None);
    rig.run(14_000);
    assert_eq!(rig.decisions, 1, "one decision");
    assert!(rig.arm.sent.len() >= 7, "{} intents", rig.arm.sent.len());
    assert!(rig.arm.sent.windows(2).all(|pair| pair[0].trace == pair[1].trace));
    assert_eq!(rig.arm.expired, 0);
}

#[test]
fn renewal_ends_at_the_horizon_of_the_decision() {
    let mut rig = Rig::new(1, Far);
    rig.arm.slowness = 1e6;
    rig.run(40_000);
    let begun = rig.arm.sent[0];
    // 1.5 rad at 0.1 rad/s, 5 rad/s², 50 rad/s³.
    let horizon = begun.issued_ns + motion::horizon_ns(15_120_000_000);
    let first = rig.arm.sent.iter().filter(|intent| intent.trace == begun.trace);
    assert!(first.clone().count() > 1);
    for intent in first {
        assert!(intent.lease_until_ns <= horizon);
    }
    assert!(rig.arm.expired >= 1, "then the lease ends it");
}

#[test]
fn a_stop_silences_the_planner_until_an_operator_has_armed_again() {
    let mut rig = Rig::new(6, Embedded::default());
    rig.run(1_000);
    rig.arm.halt(Cause::OperatorStop);
    let (sent, decisions) = (rig.arm.sent.len(), rig.decisions);
    rig.run(3_000);
    assert_eq!((rig.arm.sent.len(), rig.decisions), (sent, decisions));
    rig.arm.mode = ModeCode::Armed;
    rig.arm.epoch += 1;
    rig.run(10);
    let last = rig.arm.sent.last().unwrap();
    assert_eq!(last.epoch, rig.arm.epoch, "planned for the new epoch");
    rig.arm.operator_has_control = true;
    rig.arm.end(VerdictKind::Preempted, Cause::None);
    let sent = rig.arm.sent.len();
    rig.run(1_000);
    assert_eq!(rig.arm.sent.len(), sent, "an operator has the machine");
}

#[test]
fn a_decision_taken_before_a_stop_is_void() {
    let mut rig = Rig::new(1, Far);
    rig.arm.tick();
    let now_ns = rig.arm.now_ns;
    rig.act.observe(&mut rig.arm, now_ns);
    let situation = rig.act.turn(&mut rig.traces, now_ns).unwrap();
    rig.arm.epoch = 9;
    rig.act.observe(&mut rig.arm, now_ns);
    let decision = rig.planner.decide(&situation);
    rig.act.act(&mut rig.arm, decision, now_ns);
    assert_eq!(rig.arm.sent[0].epoch, 1, "the epoch it was decided in");
    rig.act.observe(&mut rig.arm, now_ns);
    assert!(matches!(&rig.act.outcome, Some(Outcome::Refused(v)) if v.rule == Rule::Epoch));
}

#[test]
fn a_gate_that_refuses_everything_is_not_flooded() {
    let mut rig = Rig::new(1, Far);
    for rule in [Rule::Mode, Rule::Epoch, Rule::Position, Rule::Rate].iter().cycle().take(500) {
        let mut refusal = fake::verdict(0, VerdictKind::Refused);
        refusal.rule = *rule;
        rig.arm.refusals.push_back(refusal);
    }
    rig.run(1_000);
    assert!(rig.arm.sent.len() < 50, "{} intents in a second", rig.arm.sent.len());
    rig.run(10_000);
    let sent = rig.arm.sent.len();
    rig.run(4_000);
    assert!(rig.arm.sent.len() - sent <= 12, "pauses grow while nothing is admitted");
}

#[test]
fn a_full_ring_gives_the_intent_back_and_the_planner_is_told() {
    let mut rig = Rig::new(1, Far);
    rig.arm.full = true;
    rig.step();
    assert_eq!(rig.act.outcome, Some(Outcome::Returned));
    rig.run(100);
    rig.arm.full = false;
    rig.run(100);
    assert_eq!(rig.arm.sent.len(), 1);
}

/// Stops.
struct Stops;
impl Planner for Stops {
    fn name(&self) -> &'static str {
        "stops"
    }
    fn decide(&mut self, _: &Situation) -> Decision {
        Decision::Ask(Request { goal: Goal::Stop, reason: "enough".into() })
    }
}

#[test]
fn a_planners_stop_goes_by_the_stop_word_even_when_the_ring_is_full() {
    let mut rig = Rig::new(1, Stops);
    rig.arm.full = true;
    rig.step();
    assert_eq!(rig.arm.stops, 1);
    let mut rig = Rig::new(1, Stops);
    rig.run(100);
    assert_eq!((rig.arm.stops, rig.arm.sent.len()), (1, 1));
    assert_eq!(rig.arm.sent[0].kind, IntentKind::Stop);
}

#[test]
fn leaving_holds_what_is_under_way() {
    let mut rig = Rig::new(1, Far);
    rig.run(100);
    let (trace, now_ns) = (rig.traces.next_id(), rig.arm.now_ns);
    assert!(rig.act.hold(&mut rig.arm, trace, now_ns));
    assert_eq!(rig.arm.sent.last().unwrap().kind, IntentKind::Hold);
    rig.arm.tick();
    rig.act.observe(&mut rig.arm, now_ns);
    assert!(!rig.act.is_under_way());
    assert!(!rig.act.hold(&mut rig.arm, trace, now_ns), "nothing more to hold");
}

#[test]
fn a_connection_that_ends_leaves_its_request_as_lost() {
    let mut rig = Rig::new(1, Far);
    rig.run(100);
    assert_eq!(rig.act.into_outcome(), Some(Outcome::Lost));
}
