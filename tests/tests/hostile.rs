//! A planner that sends nonsense of every kind: each gets what the design says, by name; the honest
//! move after it is carried out; the sums of the protocol hold; and the arm never leaves its limits,
//! measured from the frame log.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use mechos_operator::Command as Ask;
use mechos_tests::frames::Report;
use mechos_tests::machine::{Machine, Options};
use mechos_tests::now_ns;
use mechos_tests::planner::Planner;
use shm_protocol::records::{
    AXIS_NONE, AxisRequest, Cause, Intent, IntentKind, ModeCode, Rule, Verdict, VerdictKind,
};

/// The axis that is wronged, and the one that makes the honest moves in between.
const BASE: usize = 0;
const WRIST3: usize = 5;
const SECOND_NS: u64 = 1_000_000_000;
/// More than the ring of intents holds.
const BURST: usize = 1024;
const RING: u64 = 64;

/// What the arm may be measured past a position limit, rad: encoder and controller, no more. No
/// intent that is admitted ends closer than this to a limit.
const POSITION_TOLERANCE_RAD: f64 = 0.005;
/// Measured speed over [`SPEED_WINDOW_NS`] may pass its limit by this part, for what the drive's
/// controller overshoots and the host's hold-ups bunch together...
const SPEED_TOLERANCE: f64 = 0.05;
const SPEED_WINDOW_NS: u64 = 50_000_000;

fn start() -> (Machine, Planner) {
    let machine = Machine::start(Options { cognition: false, ..Options::default() });
    let planner = Planner::connect(&machine);
    machine.arm();
    planner.wait_until_armed();
    (machine, planner)
}

/// Nothing is left to come, both sides count the same, and no axis ever left its limits.
fn finish(machine: &Machine, mut planner: Planner) {
    planner.settle();
    let mine = planner.sums();
    assert!(mine.hold(), "{mine:?}");
    machine.wait("the operator's sums to be the planner's own", |status| status.intents == mine);
    stayed_within_limits(machine);
}

fn stayed_within_limits(machine: &Machine) {
    let mut by_node: BTreeMap<u32, Vec<Report>> = BTreeMap::new();
    for report in machine.frames().reports(0) {
        by_node.entry(report.node).or_default().push(report);
    }
    assert_eq!(by_node.len(), machine.robot.axes.len());
    for axis in &machine.robot.axes {
        let reports = &by_node[&u32::from(axis.node)];
        let at = |report: &Report| {
            f64::from(report.counts) / axis.drive.counts_per_rad + axis.drive.zero_offset_rad
        };
        let (mut low, mut high, mut speed) = (f64::INFINITY, f64::NEG_INFINITY, 0.0_f64);
        let mut first = reports.iter().peekable();
        for report in reports {
            (low, high) = (low.min(at(report)), high.max(at(report)));
            while let Some(begin) = first.peek()
                && report.wire_ns - begin.wire_ns >= SPEED_WINDOW_NS
            {
                let length_s = (report.wire_ns - begin.wire_ns) as f64 * 1e-9;
                speed = speed.max((at(report) - at(begin)).abs() / length_s);
                first.next();
            }
        }
        let name = &axis.name;
        eprintln!("{name:<10} {low:+.4} to {high:+.4} rad, at most {speed:.4} rad/s");
        let limits = &axis.limits;
        assert!(low >= limits.position_min_rad - POSITION_TOLERANCE_RAD, "{name} at {low} rad");
        assert!(high <= limits.position_max_rad + POSITION_TOLERANCE_RAD, "{name} at {high} rad");
        let most = limits.velocity_max_rad_s * (1.0 + SPEED_TOLERANCE);
        assert!(speed <= most, "{name} moved at {speed} rad/s");
    }
}

/// The honest move between two wrongs: there and back again.
fn honest(planner: &mut Planner) {
    let now = planner.telemetry().axes[WRIST3].setpoint_rad;
    planner.go(WRIST3, if now > 0.0 { -0.03 } else { 0.03 });
}

fn refused(verdict: &Verdict, rule: Rule, what: &str) {
    let found = (verdict.kind, verdict.rule);
    assert_eq!(found, (VerdictKind::Refused, rule), "{what}: {verdict:?}");
}

/// What the verdict on a wrong intent must say.
struct Expected {
    rule: Rule,
    axis: u8,
    value: RangeInclusive<f64>,
    limit: f64,
    nearest: f64,
}

fn expected(rule: Rule, axis: u8, value: f64, limit: f64, nearest: f64) -> Expected {
    Expected { rule, axis, value: value..=value, limit, nearest }
}

type Wrong = Box<dyn Fn(&mut Intent)>;

/// One wrong intent after the other, each made of an honest one, and an honest move after each.
fn each_is_refused(planner: &mut Planner, cases: Vec<(&str, Wrong, Expected)>) {
    for (what, wrong, expected) in cases {
        let mut intent = planner.moving(BASE, 0.3);
        wrong(&mut intent);
        let verdict = planner.try_out(&intent);
        refused(&verdict, expected.rule, what);
        assert_eq!(verdict.axis, expected.axis, "{what}: {verdict:?}");
        assert!(expected.value.contains(&verdict.value), "{what}: {verdict:?}");
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs();
        assert!(close(verdict.limit, expected.limit), "{what}: {verdict:?}");
        assert!(close(verdict.nearest, expected.nearest), "{what}: {verdict:?}");
        honest(planner);
    }
}

fn on_base(change: impl Fn(&mut AxisRequest) + 'static) -> Wrong {
    Box::new(move |intent| change(&mut intent.axes[BASE]))
}

#[test]
fn numbers_that_are_none_are_refused() {
    let (machine, mut planner) = start();
    let finite = || expected(Rule::Finite, 0, f64::INFINITY, f64::MAX, 0.0);
    let negative = expected(Rule::Finite, 0, f64::NEG_INFINITY, f64::MAX, 0.0);
    // A value that is NaN is reported as infinite.
    let cases: Vec<(&str, Wrong, Expected)> = vec![
        ("position NaN", on_base(|axis| axis.position_rad = f64::NAN), finite()),
        ("position infinite", on_base(|axis| axis.position_rad = f64::INFINITY), finite()),
        ("position -infinite", on_base(|axis| axis.position_rad = f64::NEG_INFINITY), negative),
        ("end velocity NaN", on_base(|axis| axis.velocity_end_rad_s = f32::NAN), finite()),
        ("peak velocity NaN", on_base(|axis| axis.velocity_peak_rad_s = f32::NAN), finite()),
        ("peak velocity", on_base(|axis| axis.velocity_peak_rad_s = f32::INFINITY), finite()),
        ("acceleration NaN", on_base(|axis| axis.acceleration_peak_rad_s2 = f32::NAN), finite()),
        ("jerk infinite", on_base(|axis| axis.jerk_peak_rad_s3 = f32::INFINITY), finite()),
        ("effort NaN", on_base(|axis| axis.effort_max_nm = f32::NAN), finite()),
    ];
    each_is_refused(&mut planner, cases);
    finish(&machine, planner);
}

#[test]
fn what_is_from_another_time_or_another_sender_is_refused() {
    let (machine, mut planner) = start();
    let epoch = planner.telemetry().epoch;
    let now = f64::from(epoch);
    let seconds = |range: RangeInclusive<f64>, limit, nearest| Expected {
        rule: Rule::Freshness,
        axis: AXIS_NONE,
        value: range,
        limit,
        nearest,
    };
    let lease = Expected {
        rule: Rule::Lease,
        axis: AXIS_NONE,
        value: -5.0..=-0.5,
        limit: 0.0,
        nearest: planner.description.lease_max_ns as f64 * 1e-9,
    };
    let none = |rule, value, limit, nearest| expected(rule, AXIS_NONE, value, limit, nearest);
    let cases: Vec<(&str, Wrong, Expected)> = vec![
        ("version", Box::new(|i| i.version = 77), none(Rule::Version, 77.0, 1.0, 1.0)),
        (
            "kind",
            Box::new(|i| i.kind = IntentKind::Unknown(99)),
            none(Rule::Version, 99.0, 1.0, 1.0),
        ),
        (
            "old epoch",
            Box::new(move |i| i.epoch = epoch - 1),
            none(Rule::Epoch, now - 1.0, now, now),
        ),
        (
            "epoch to come",
            Box::new(move |i| i.epoch = epoch + 1),
            none(Rule::Epoch, now + 1.0, now, now),
        ),
        ("stale", Box::new(|i| i.issued_ns -= SECOND_NS), seconds(1.0..=5.0, 0.25, 0.25)),
        ("ahead", Box::new(|i| i.issued_ns += SECOND_NS), seconds(-1.0..=-0.1, 0.25, 0.0)),
        ("lease over", Box::new(|i| i.lease_until_ns = i.issued_ns - SECOND_NS / 2), lease),
        ("agent", Box::new(|i| i.agent = 7), none(Rule::Capability, 7.0, 63.0, 0.0)),
        ("agent past all", Box::new(|i| i.agent = 64), none(Rule::Capability, 64.0, 63.0, 0.0)),
    ];
    each_is_refused(&mut planner, cases);
    // Numbers count up: neither the last one again, nor zero.
    for (what, back) in [("repeated", 0), ("earlier", 1), ("zero", u64::MAX)] {
        let mut intent = planner.moving(BASE, 0.3);
        let last = intent.number - 1;
        intent.number = last.saturating_sub(back);
        let verdict = planner.try_out(&intent);
        refused(&verdict, Rule::Sequence, what);
        assert_eq!(verdict.value, intent.number as f64, "{verdict:?}");
        assert_eq!((verdict.limit, verdict.nearest), (last as f64, last as f64 + 1.0));
        honest(&mut planner);
    }
    finish(&machine, planner);
}

#[test]
fn what_is_past_a_limit_is_refused_with_the_nearest_that_is_not() {
    let (machine, mut planner) = start();
    let own = *planner.axis(BASE);
    let (low, high) = (own.position_min_rad, own.position_max_rad);
    let (speed, acceleration) = (own.velocity_max_rad_s, own.acceleration_max_rad_s2);
    let (jerk, effort) = (own.jerk_max_rad_s3, own.effort_max_nm);
    let base = |rule, value: f64, limit, nearest| expected(rule, 0, value, limit, nearest);
    let cases: Vec<(&str, Wrong, Expected)> = vec![
        ("no axis", Box::new(|i| i.axes_mask = 0), expected(Rule::Axis, AXIS_NONE, 0.0, 5.0, 0.0)),
        ("axis 6", Box::new(|i| i.axes_mask |= 1 << 6), expected(Rule::Axis, 6, 6.0, 5.0, 5.0)),
        ("axis 31", Box::new(|i| i.axes_mask = 1 << 31), expected(Rule::Axis, 31, 31.0, 5.0, 5.0)),
        ("up", on_base(|a| a.position_rad = 3.5), base(Rule::Position, 3.5, high, high)),
        ("down", on_base(|a| a.position_rad = -1e300), base(Rule::Position, -1e300, low, low)),
        ("peak", on_base(|a| a.velocity_peak_rad_s = 9.0), base(Rule::Velocity, 9.0, speed, speed)),
        (
            "negative peak",
            on_base(|a| a.velocity_peak_rad_s = -1.0),
            base(Rule::Velocity, -1.0, speed, speed),
        ),
        (
            "end velocity",
            on_base(|a| a.velocity_end_rad_s = -9.0),
            base(Rule::Velocity, -9.0, speed, -speed),
        ),
        (
            "acceleration",
            on_base(|a| a.acceleration_peak_rad_s2 = 1024.0),
            base(Rule::Acceleration, 1024.0, acceleration, acceleration),
        ),
        (
            "jerk",
            on_base(|a| a.jerk_peak_rad_s3 = f32::MAX),
            base(Rule::Jerk, f64::from(f32::MAX), jerk, jerk),
        ),
        (
            "effort",
            on_base(|a| a.effort_max_nm = 4096.0),
            base(Rule::Effort, 4096.0, effort, effort),
        ),
    ];
    each_is_refused(&mut planner, cases);
    finish(&machine, planner);
}

#[test]
fn what_could_not_stop_is_refused_and_the_velocity_that_it_names_is_admitted() {
    let (machine, mut planner) = start();
    for axis in 0..usize::from(planner.description.axis_count) {
        let own = *planner.axis(axis);
        // At full speed up to just below the limit, on the side that is further away.
        let target = if own.home_rad > 0.0 {
            own.position_min_rad + 0.2
        } else {
            own.position_max_rad - 0.2
        };
        let mut intent = planner.moving(axis, target);
        let verdict = planner.try_out(&intent);
        refused(&verdict, Rule::Stoppable, "full speed");
        assert_eq!(usize::from(verdict.axis), axis);
        assert!((verdict.value - own.velocity_max_rad_s).abs() < 1e-6, "{verdict:?}");
        let nearest = verdict.nearest;
        assert_eq!(verdict.limit, nearest);
        assert!(nearest > 0.2 * verdict.value && nearest < verdict.value, "{verdict:?}");
        // What it names is carried out.
        intent = planner.moving(axis, target);
        intent.axes[axis].velocity_peak_rad_s = nearest as f32;
        planner.carry_out(&intent);
        // Arriving beside the limit with a velocity: no peak makes that stoppable, and it says so.
        intent = planner.moving(axis, target);
        intent.axes[axis].position_rad += 0.15_f64.copysign(target);
        intent.axes[axis].velocity_end_rad_s = target.signum() as f32;
        let verdict = planner.try_out(&intent);
        refused(&verdict, Rule::Stoppable, "end velocity");
        assert_eq!((usize::from(verdict.axis), verdict.nearest), (axis, 0.0), "{verdict:?}");
        // Back home at the axis' own speed.
        planner.go(axis, own.home_rad);
    }
    // An end velocity with room behind it is admitted; the kernel brakes after the arrival.
    let mut intent = planner.moving(BASE, 0.9);
    intent.axes[BASE].velocity_end_rad_s = 0.5;
    assert_eq!(planner.try_out(&intent).kind, VerdictKind::Accepted);
    assert_eq!(planner.ending(intent.trace).kind, VerdictKind::Completed);
    planner.wait("rest past the target", |now| {
        now.axes[BASE].velocity_rad_s.abs() < 0.005 && now.axes[BASE].position_rad > 0.9
    });
    planner.go(BASE, 0.0);
    finish(&machine, planner);
}

#[test]
fn too_many_a_second_are_refused() {
    let (machine, mut planner) = start();
    std::thread::sleep(Duration::from_millis(1100));
    let begun_ns = now_ns();
    let intents: Vec<Intent> = (0..RING).map(|_| planner.envelope(IntentKind::Hold)).collect();
    let per_second = planner.description.intents_per_second_max;
    for intent in &intents {
        assert!(planner.submit(intent), "the ring has room");
    }
    planner.settle();
    let took_ns = planner.fates().filter_map(|fate| fate.admission).map(|v| v.decided_ns).max();
    let admitted = planner.sums().accepted;
    // A second's worth, and what came in the meantime.
    let most = f64::from(per_second) * (1.0 + (took_ns.unwrap() - begun_ns) as f64 * 1e-9);
    assert!(admitted >= u64::from(per_second) && admitted as f64 <= most, "{admitted} of {most}");
    let limit = f64::from(per_second);
    for fate in planner.fates() {
        let verdict = fate.admission.unwrap();
        if verdict.kind == VerdictKind::Refused {
            refused(&verdict, Rule::Rate, "too many");
            let values = (verdict.value, verdict.limit, verdict.nearest);
            assert_eq!(values, (limit + 1.0, limit, limit));
        }
    }
    assert!(planner.sums().refused > 0, "{:?}", planner.sums());
    std::thread::sleep(Duration::from_millis(300));
    honest(&mut planner);
    finish(&machine, planner);
}

#[test]
fn a_full_ring_gives_back_what_it_does_not_hold() {
    let (machine, mut planner) = start();
    // From one side to the other at full speed, every one in the place of the one before.
    let to = |i: usize| if i.is_multiple_of(2) { 1.6 } else { -1.6 };
    let burst: Vec<Intent> = (0..BURST).map(|i| planner.moving(BASE, to(i))).collect();
    for intent in &burst {
        planner.submit(intent);
    }
    let returned = planner.returned();
    assert!(returned > 0, "a burst of {BURST} fits a ring of {RING}");
    planner.settle();
    machine.wait("the same count of returned intents", |now| now.intents.returned == returned);
    std::thread::sleep(Duration::from_millis(1100));
    honest(&mut planner);
    finish(&machine, planner);
}

/// Sends without reading until the ring of intents stays full, since no slot is left for another
/// verdict. A long move is under way before.
fn stop_reading(machine: &Machine, planner: &mut Planner) -> Intent {
    let under_way = planner.moving(BASE, 1.6);
    assert_eq!(planner.try_out(&under_way).kind, VerdictKind::Accepted);
    let mut full = 0;
    while full < 20 {
        // Past a limit, so that the move goes on.
        let intent = planner.moving(BASE, 9.0);
        if planner.submit(&intent) {
            full = 0;
        } else {
            full += 1;
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    machine.wait("a full ring that nothing is taken from", |now| now.intents.queued == RING);
    under_way
}

#[test]
fn a_reader_that_stops_reading_for_a_while_loses_no_verdict() {
    let (machine, mut planner) = start();
    let under_way = stop_reading(&machine, &mut planner);
    // The machine waits for nothing: it goes on, and the end of the move has its slot.
    let before = machine.status().unwrap();
    planner.wait("the arrival", |now| now.counters.completed == 1 && now.active_intent == 0);
    let after = machine.wait("more ticks", |now| now.ticks > before.ticks + 100);
    assert_eq!((after.mode.as_str(), after.intents.queued), ("armed", RING));
    assert!(after.intents.hold(), "{:?}", after.intents);
    assert_eq!(planner.ending(under_way.trace).kind, VerdictKind::Completed);
    planner.settle();
    honest(&mut planner);
    finish(&machine, planner);
}

#[test]
fn a_lease_that_ends_in_the_middle_of_a_move_ends_it_in_a_controlled_stop() {
    let (machine, mut planner) = start();
    let mut intent = planner.moving(BASE, 1.8);
    intent.lease_until_ns = intent.issued_ns + 700_000_000;
    assert_eq!(planner.try_out(&intent).kind, VerdictKind::Accepted);
    let ending = planner.ending(intent.trace);
    assert_eq!((ending.kind, ending.cause), (VerdictKind::Expired, Cause::None), "{ending:?}");
    let late_ns = ending.decided_ns.checked_sub(intent.lease_until_ns).expect("not before its end");
    assert!(late_ns < 100_000_000, "{late_ns} ns after the lease's end");
    let at_end_rad = planner.telemetry().axes[BASE].position_rad;
    std::thread::sleep(Duration::from_millis(800));
    let now = planner.wait("rest", |now| now.axes[BASE].velocity_rad_s.abs() < 0.005);
    let rest_rad = now.axes[BASE].position_rad;
    assert!(rest_rad > 0.2 && rest_rad < 1.7, "in the middle, not at {rest_rad} rad");
    assert!(rest_rad > at_end_rad, "braked over a way, not at once");
    assert_eq!((now.mode, now.epoch), (ModeCode::Armed, intent.epoch));
    let frames = machine.frames();
    assert_eq!(frames.stops(intent.issued_ns).count(), 0, "the kernel's ramp, not the drives'");
    planner.go(BASE, 0.0);
    finish(&machine, planner);
}

/// A stop word moves while the ring is full and nothing is taken from it: it latches all the same,
/// and what is in the ring is void.
fn a_stop_word_past_a_full_ring(press: impl Fn(&mut Planner), cause: Cause, name: &str) {
    let (machine, mut planner) = start();
    let under_way = stop_reading(&machine, &mut planner);
    let pressed_ns = now_ns();
    press(&mut planner);
    let halted = planner.wait("the stop", |now| now.mode == ModeCode::Halted);
    assert_eq!((halted.cause, halted.active_intent), (cause, 0));
    assert!(halted.epoch > under_way.epoch, "a stop begins a new epoch");
    let status = machine.wait("the same in the status", |now| now.mode == "halted");
    assert_eq!((status.cause.as_str(), status.intents.queued), (name, RING), "past a full ring");
    assert!(status.intents.hold(), "{:?}", status.intents);
    let ending = planner.ending(under_way.trace);
    assert_eq!((ending.kind, ending.cause), (VerdictKind::Aborted, cause));
    let latched_ms = ending.decided_ns.saturating_sub(pressed_ns) as f64 / 1e6;
    eprintln!("{name}: latched {latched_ms:.2} ms after the word moved");
    assert!(latched_ms < 100.0);
    // What was in the ring, and what is sent now for the old epoch, was planned before the stop.
    planner.settle();
    let void = planner.fates().filter_map(|fate| fate.admission);
    let void = void.filter(|verdict| verdict.rule == Rule::Epoch).count() as u64;
    assert_eq!(void, RING, "every intent that waited");
    let nothing_moves = |planner: &mut Planner, rule, epoch| {
        let mut intent = planner.moving(BASE, 0.0);
        intent.epoch = epoch;
        refused(&planner.try_out(&intent), rule, "after a stop");
    };
    nothing_moves(&mut planner, Rule::Epoch, under_way.epoch);
    nothing_moves(&mut planner, Rule::Mode, halted.epoch);
    machine.wait("the reset to be taken", |_| machine.ask(Ask::Reset).is_ok());
    nothing_moves(&mut planner, Rule::Epoch, under_way.epoch);
    machine.arm();
    let armed = planner.wait_until_armed();
    assert!(armed.epoch > halted.epoch, "arming begins a new epoch");
    nothing_moves(&mut planner, Rule::Epoch, under_way.epoch);
    nothing_moves(&mut planner, Rule::Epoch, halted.epoch);
    planner.go(BASE, 0.0);
    honest(&mut planner);
    finish(&machine, planner);
}

#[test]
fn the_stop_word_is_heard_past_a_full_ring() {
    a_stop_word_past_a_full_ring(
        |planner| planner.client.stop(),
        Cause::PlannerStop,
        "planner-stop",
    );
}

#[test]
fn the_emergency_stop_word_is_heard_past_a_full_ring() {
    a_stop_word_past_a_full_ring(
        |planner| planner.client.estop(),
        Cause::PlannerEstop,
        "planner-estop",
    );
}

#[test]
fn a_stop_intent_is_taken_in_any_epoch_and_without_a_lease() {
    let (machine, mut planner) = start();
    let under_way = planner.moving(BASE, 1.6);
    assert_eq!(planner.try_out(&under_way).kind, VerdictKind::Accepted);
    planner.wait("motion", |now| now.axes[BASE].position_rad > 0.3);
    let mut stop = planner.envelope(IntentKind::Stop);
    (stop.epoch, stop.lease_until_ns, stop.issued_ns) = (0, 0, 0);
    planner.carry_out(&stop);
    let ending = planner.ending(under_way.trace);
    assert_eq!((ending.kind, ending.cause), (VerdictKind::Aborted, Cause::PlannerStop));
    let status = machine.wait("the halt", |now| now.mode == "halted");
    assert_eq!(status.cause, "planner-stop");
    finish(&machine, planner);
}
