//! A planner whose intents are wrong, in every way that an intent can be: each is refused by the
//! rule's name, with axis, value, limit and the nearest that would do; the honest move after it is
//! carried out; the sums of the protocol hold; and the arm never leaves its limits.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::ops::RangeInclusive;

use mechos_tests::planner::{BASE, Planner, refused};
use shm_protocol::records::{AXIS_NONE, AxisRequest, Intent, IntentKind, Rule, VerdictKind};

const SECOND_NS: u64 = 1_000_000_000;

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
        planner.honest();
    }
}

fn on_base(change: impl Fn(&mut AxisRequest) + 'static) -> Wrong {
    Box::new(move |intent| change(&mut intent.axes[BASE]))
}

#[test]
fn numbers_that_are_none_are_refused() {
    let (machine, mut planner) = Planner::armed();
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
    planner.finish(&machine);
}

#[test]
fn what_is_from_another_time_or_another_sender_is_refused() {
    let (machine, mut planner) = Planner::armed();
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
        value: -5.0..=-0.4,
        limit: 0.0,
        nearest: planner.description.lease_max_ns as f64 * 1e-9,
    };
    let none = |rule, value, limit, nearest| expected(rule, AXIS_NONE, value, limit, nearest);
    // A tick reads the clock when it begins, and may find an intent that was made right after.
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
        ("stale", Box::new(|i| i.issued_ns -= SECOND_NS), seconds(0.9..=5.0, 0.25, 0.25)),
        ("ahead", Box::new(|i| i.issued_ns += SECOND_NS), seconds(-1.1..=-0.1, 0.25, 0.0)),
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
        planner.honest();
    }
    planner.finish(&machine);
}

#[test]
fn what_is_past_a_limit_is_refused_with_the_nearest_that_is_not() {
    let (machine, mut planner) = Planner::armed();
    let own = *planner.axis(BASE);
    let (low, high) = (own.position_min_rad, own.position_max_rad);
    let (speed, acceleration) = (own.velocity_max_rad_s, own.acceleration_max_rad_s2);
    let (jerk, effort) = (own.jerk_max_rad_s3, own.effort_max_nm);
    let base = |rule, value: f64, limit, nearest| expected(rule, 0, value, limit, nearest);
    // A tick reads the clock when it begins, and may find an intent that was made right after.
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
    planner.finish(&machine);
}

#[test]
fn what_could_not_stop_is_refused_and_the_velocity_that_it_names_is_admitted() {
    let (machine, mut planner) = Planner::armed();
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
    planner.finish(&machine);
}
