//! One test per rule, of the same name: what passes, what does not, and what the objection says.

use shm_protocol::records::{
    AXES_MAX, AXIS_NONE, AxisRequest, Claim, INTENT_VERSION, Intent, IntentKind, Rule, TraceId,
};

use super::rules::Objection;
use super::*;
use crate::config::{AxisLimits, Excess, GateConfig};
use crate::fixture;
use crate::mode::Mode;

const NOW_NS: u64 = 1_000_000_000_000;

fn intent() -> Intent {
    let mut axes = [AxisRequest::default(); AXES_MAX];
    axes[1].position_rad = 0.5;
    Intent {
        number: 1,
        version: INTENT_VERSION,
        kind: IntentKind::MoveJoints,
        agent: 0,
        epoch: 7,
        issued_ns: NOW_NS - 1_000_000,
        lease_until_ns: NOW_NS + 1_000_000_000,
        trace: TraceId([1; 16]),
        axes_mask: 0b10,
        axes,
    }
}

fn limits() -> AxisLimits {
    fixture::config(2).axes[0].limits
}

fn refusing() -> GateConfig {
    fixture::config(2).gate
}

fn clamping() -> GateConfig {
    let c = Excess::Clamp;
    let gate = refusing();
    GateConfig {
        position: c,
        velocity: c,
        acceleration: c,
        jerk: c,
        effort: c,
        stoppable: c,
        ..gate
    }
}

/// Through the whole gate, from rest at zero, two axes.
fn through(config: &Config, intent: Intent) -> Result<Admission, Objection> {
    let setpoints = [Motion::rest(0.0); 2];
    let (mode, epoch, free) = (Mode::Armed, 7, true);
    let situation = Situation { now_ns: NOW_NS, mode, epoch, free, setpoints: &setpoints };
    admit(config, &situation, &mut Memory::default(), &Claim { intent, intact: true })
}

fn rule_of(intent: Intent) -> Rule {
    through(&fixture::config(2), intent).unwrap_err().rule
}

#[test]
fn a_good_intent_passes_every_rule() {
    let admission = through(&fixture::config(2), intent()).unwrap();
    assert_eq!(admission.clamped, None);
    assert_eq!(admission.approved.goal(0), None);
    assert_eq!(admission.approved.goal(1).unwrap().position_rad, 0.5);
}

#[test]
fn intact() {
    assert!(rules::intact(&Claim { intent: intent(), intact: true }).is_ok());
    let torn = Claim { intent: intent(), intact: false };
    assert_eq!(rules::intact(&torn).unwrap_err().rule, Rule::Intact);
}

#[test]
fn finite() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut bad = intent();
        bad.axes[1].position_rad = value;
        let objection = rules::finite(&bad).unwrap_err();
        assert_eq!((objection.rule, objection.axis), (Rule::Finite, 1));
        assert!(!objection.value.is_nan());
        assert_eq!(rule_of(bad), Rule::Finite);
    }
    let fields: [fn(&mut AxisRequest) -> &mut f32; 5] = [
        |r| &mut r.velocity_end_rad_s,
        |r| &mut r.velocity_peak_rad_s,
        |r| &mut r.acceleration_peak_rad_s2,
        |r| &mut r.jerk_peak_rad_s3,
        |r| &mut r.effort_max_nm,
    ];
    for field in fields {
        let mut bad = intent();
        *field(&mut bad.axes[1]) = f32::NAN;
        assert_eq!(rule_of(bad), Rule::Finite);
    }
}

#[test]
fn version() {
    assert_eq!(rule_of(Intent { version: 9, ..intent() }), Rule::Version);
    let unknown = Intent { kind: IntentKind::Unknown(77), ..intent() };
    let objection = rules::version(&unknown).unwrap_err();
    assert_eq!((objection.rule, objection.value), (Rule::Version, 77.0));
}

#[test]
fn epoch() {
    let objection = rules::epoch(&Intent { epoch: 6, ..intent() }, 7).unwrap_err();
    assert_eq!((objection.rule, objection.value, objection.nearest), (Rule::Epoch, 6.0, 7.0));
    assert_eq!(rule_of(Intent { epoch: 8, ..intent() }), Rule::Epoch);
}

#[test]
fn sequence() {
    assert!(rules::sequence(&intent(), 0).is_ok());
    let objection = rules::sequence(&intent(), 1).unwrap_err();
    assert_eq!((objection.rule, objection.nearest), (Rule::Sequence, 2.0));
    assert_eq!(rule_of(Intent { number: 0, ..intent() }), Rule::Sequence);
}

#[test]
fn freshness() {
    let at = |issued_ns| rules::freshness(&Intent { issued_ns, ..intent() }, NOW_NS, 1_000, 10);
    assert!(at(NOW_NS).is_ok() && at(NOW_NS - 1_000).is_ok() && at(NOW_NS + 10).is_ok());
    assert_eq!(at(NOW_NS - 1_001).unwrap_err().rule, Rule::Freshness);
    assert!(at(NOW_NS + 11).unwrap_err().value < 0.0);
    assert_eq!(rule_of(Intent { issued_ns: u64::MAX, ..intent() }), Rule::Freshness);
}

#[test]
fn lease() {
    assert_eq!(rule_of(Intent { lease_until_ns: NOW_NS, ..intent() }), Rule::Lease);
    let over = Intent { lease_until_ns: NOW_NS - 500_000_000, ..intent() };
    assert_eq!(rules::lease(&over, NOW_NS, 1).unwrap_err().value, -0.5);
    // A longer one is cut.
    let config = fixture::config(2);
    let forever = Intent { lease_until_ns: u64::MAX, ..intent() };
    let admission = through(&config, forever).unwrap();
    assert_eq!(admission.approved.lease_until_ns(), NOW_NS + config.gate.lease_max_ns);
}

#[test]
fn mode() {
    assert!(rules::mode(Mode::Armed, true).is_ok());
    assert_eq!(rules::mode(Mode::Armed, false).unwrap_err().rule, Rule::Mode);
    for other in [Mode::Disarmed, Mode::Arming { since_ns: 0 }] {
        assert_eq!(rules::mode(other, true).unwrap_err().rule, Rule::Mode);
    }
}

#[test]
fn capability() {
    let of = |agent, mask| rules::capability(&Intent { agent, ..intent() }, mask);
    assert!(of(3, 0b1000).is_ok());
    assert_eq!(of(2, 0b1000).unwrap_err().rule, Rule::Capability);
    // Deny by default, and no number wraps round to a granted one.
    assert!(of(0, 0).is_err() && of(64, 1).is_err() && of(u16::MAX, u64::MAX).is_err());
}

#[test]
fn rate() {
    let mut meter = RateMeter::new();
    assert!(rules::rate(&mut meter, 0, 1).is_ok());
    assert_eq!(rules::rate(&mut meter, 1, 1).unwrap_err().rule, Rule::Rate);
    assert!(rules::rate(&mut meter, 1_000_000_001, 1).is_ok());
}

#[test]
fn axis() {
    assert_eq!(rule_of(Intent { axes_mask: 0, ..intent() }), Rule::Axis);
    let objection = rules::axis(&Intent { axes_mask: 0b110, ..intent() }, 2).unwrap_err();
    assert_eq!((objection.rule, objection.axis, objection.limit), (Rule::Axis, 2, 1.0));
    assert_eq!(rule_of(Intent { axes_mask: u32::MAX, ..intent() }), Rule::Axis);
}

#[test]
fn position() {
    let request = AxisRequest { position_rad: 99.0, ..AxisRequest::default() };
    let objection = rules::position(&mut request.clone(), &limits(), &refusing()).unwrap_err();
    let highest = limits().position_max_rad;
    assert_eq!((objection.value, objection.limit, objection.nearest), (99.0, highest, highest));
    let mut clamped = request;
    assert!(rules::position(&mut clamped, &limits(), &clamping()).unwrap().is_some());
    assert_eq!(clamped.position_rad, highest);
    let mut bad = intent();
    bad.axes[1].position_rad = -99.0;
    assert_eq!(rule_of(bad), Rule::Position);
}

#[test]
fn velocity() {
    let fast = AxisRequest { velocity_peak_rad_s: 50.0, ..AxisRequest::default() };
    let objection = rules::velocity(&mut fast.clone(), &limits(), &refusing()).unwrap_err();
    assert_eq!((objection.rule, objection.nearest), (Rule::Velocity, limits().velocity_max_rad_s));
    let mut clamped = fast;
    assert!(rules::velocity(&mut clamped, &limits(), &clamping()).unwrap().is_some());
    // A negative peak means nothing, so that there is nothing to clamp it to.
    let negative = AxisRequest { velocity_peak_rad_s: -1.0, ..AxisRequest::default() };
    assert!(rules::velocity(&mut negative.clone(), &limits(), &clamping()).is_err());
    // The velocity on arrival is held to the peak that was asked.
    let mut ends = AxisRequest { velocity_peak_rad_s: 0.5, velocity_end_rad_s: -1.0, ..fast };
    assert_eq!(
        rules::velocity(&mut ends.clone(), &limits(), &refusing()).unwrap_err().nearest,
        -0.5
    );
    assert!(rules::velocity(&mut ends, &limits(), &clamping()).unwrap().is_some());
    assert_eq!(ends.velocity_end_rad_s, -0.5);
}

#[test]
fn acceleration() {
    let request = AxisRequest { acceleration_peak_rad_s2: 1e30, ..AxisRequest::default() };
    let objection = rules::acceleration(&mut request.clone(), &limits(), &refusing()).unwrap_err();
    assert_eq!(objection.rule, Rule::Acceleration);
    assert!(rules::acceleration(&mut request.clone(), &limits(), &clamping()).unwrap().is_some());
}

#[test]
fn jerk() {
    let request = AxisRequest { jerk_peak_rad_s3: 1e30, ..AxisRequest::default() };
    let objection = rules::jerk(&mut request.clone(), &limits(), &refusing()).unwrap_err();
    assert_eq!(objection.rule, Rule::Jerk);
    assert!(rules::jerk(&mut request.clone(), &limits(), &clamping()).unwrap().is_some());
}

#[test]
fn effort() {
    let request = AxisRequest { effort_max_nm: 1e30, ..AxisRequest::default() };
    let objection = rules::effort(&mut request.clone(), &limits(), &refusing()).unwrap_err();
    assert_eq!((objection.rule, objection.axis), (Rule::Effort, AXIS_NONE));
    assert!(rules::effort(&mut request.clone(), &limits(), &clamping()).unwrap().is_some());
}

#[test]
fn stoppable() {
    let mut config = fixture::config(2);
    let mut close = intent();
    close.axes[1].position_rad = limits().position_max_rad - 0.1;
    let objection = through(&config, close).unwrap_err();
    assert_eq!((objection.rule, objection.axis), (Rule::Stoppable, 1));
    assert!(objection.nearest > 0.0 && objection.nearest < objection.value);
    // What is said to be admissible is.
    let mut slower = close;
    slower.axes[1].velocity_peak_rad_s = objection.nearest as f32;
    assert!(through(&config, slower).is_ok());
    config.gate = clamping();
    assert_eq!(through(&config, close).unwrap().clamped.unwrap().rule, Rule::Stoppable);
    // Arriving on a limit with a velocity: no peak makes that stoppable.
    let mut over = intent();
    over.axes[1].position_rad = limits().position_max_rad - 0.01;
    over.axes[1].velocity_end_rad_s = 1.0;
    assert_eq!(through(&config, over).unwrap_err().nearest, 0.0);
}

#[test]
fn planning() {
    let mut slow = intent();
    slow.axes[1].velocity_peak_rad_s = 1e-30;
    assert_eq!(rule_of(slow), Rule::Planning);
    let mut soft = intent();
    soft.axes[1].jerk_peak_rad_s3 = f32::MIN_POSITIVE;
    assert_eq!(rule_of(soft), Rule::Planning);
}

#[test]
fn a_limit_written_as_f32_is_the_limit() {
    let mut config = fixture::config(2);
    config.axes[1].limits.velocity_max_rad_s = 0.1;
    let mut exact = intent();
    exact.axes[1].velocity_peak_rad_s = 0.1;
    assert!(f64::from(0.1_f32) > 0.1);
    assert_eq!(through(&config, exact).unwrap().clamped, None);
}

#[test]
fn an_operators_motion_meets_the_same_limits_and_is_slowed_where_it_could_not_stop() {
    let config = fixture::config(2);
    let at = [Motion::rest(0.0); 2];
    let mut beyond = intent();
    beyond.axes[1].position_rad = 99.0;
    assert_eq!(admit_operator(&config, &at, &beyond).unwrap_err().rule, Rule::Position);
    let mut close = intent();
    close.axes[1].position_rad = limits().position_max_rad - 0.1;
    let admission = admit_operator(&config, &at, &close).unwrap();
    assert_eq!(admission.clamped.unwrap().rule, Rule::Stoppable);
    assert_eq!(admission.approved.source(), Source::Operator);
}
