//! Whether the arm ever left its limits, from the frame log: what the drives measured, and what they
//! were told.

use mechos_robot::AxisSpec;

use crate::frames::Frames;
use crate::machine::Machine;

/// What an axis may be measured past a position limit, rad: its encoder and its controller, no
/// more. Setpoints get none.
const POSITION_TOLERANCE_RAD: f64 = 0.005;
/// What the first setpoint after arming may differ from the measured pose, rad: rounding to counts.
const RESUME_TOLERANCE_RAD: f64 = 0.0005;
/// The part by which the measured speed over [`WINDOW_NS`] may pass its limit: the drive's
/// controller swings over, and the host's hold-ups bunch setpoints on the wire.
const SPEED_TOLERANCE: f64 = 0.05;
/// Speeds are measured over this long, ns, so that one count says nothing.
const WINDOW_NS: u64 = 50_000_000;

/// A position on the wire.
#[derive(Clone, Copy, Debug)]
struct At {
    wire_ns: u64,
    rad: f64,
}

fn rad(axis: &AxisSpec, counts: i32) -> f64 {
    f64::from(counts) / axis.drive.counts_per_rad + axis.drive.zero_offset_rad
}

fn measured(axis: &AxisSpec, frames: &Frames) -> Vec<At> {
    let of_axis = |node| node == u32::from(axis.node);
    let reports = frames.reports(0).into_iter().filter(|report| of_axis(report.node));
    reports.map(|r| At { wire_ns: r.wire_ns, rad: rad(axis, r.counts) }).collect()
}

/// Setpoints, one run for each time that the drive was enabled.
fn told(axis: &AxisSpec, frames: &Frames) -> Vec<Vec<At>> {
    let id = 0x200 + u32::from(axis.node);
    let mut runs: Vec<Vec<At>> = vec![];
    let mut enabled = false;
    for line in frames.lines.iter().filter(|line| line.id == id) {
        let bytes = line.bytes();
        let before = std::mem::replace(&mut enabled, bytes[0] & 0x0f == 0x0f);
        if enabled && !before {
            runs.push(vec![]);
        }
        if let Some(run) = runs.last_mut().filter(|_| enabled) {
            let counts = bytes[2..6].try_into().expect("control word and position");
            run.push(At { wire_ns: line.wire_ns, rad: rad(axis, i32::from_le_bytes(counts)) });
        }
    }
    runs
}

/// Highest mean speed over [`WINDOW_NS`], rad/s.
fn speed(way: &[At]) -> f64 {
    let mut begins = way.iter().peekable();
    let mut highest = 0.0_f64;
    for end in way {
        while let Some(begin) = begins.next_if(|at| end.wire_ns - at.wire_ns >= WINDOW_NS) {
            let length_s = (end.wire_ns - begin.wire_ns) as f64 * 1e-9;
            highest = highest.max((end.rad - begin.rad).abs() / length_s);
        }
    }
    highest
}

/// Longest step from one setpoint to the next, rad.
fn step(runs: &[Vec<At>]) -> f64 {
    let pairs = runs.iter().flat_map(|run| run.windows(2));
    pairs.map(|pair| (pair[1].rad - pair[0].rad).abs()).fold(0.0, f64::max)
}

/// Fails the test unless each axis' first setpoint since `from_ns` was where it was measured last,
/// and no later one a jump.
pub fn resumed_without_a_jump(machine: &Machine, frames: &Frames, from_ns: u64) {
    let period_s = machine.robot.budgets.period_ns as f64 * 1e-9;
    for axis in &machine.robot.axes {
        let (name, measured) = (&axis.name, measured(axis, frames));
        let told = told(axis, frames).into_iter().flatten();
        let told: Vec<At> = told.filter(|at| at.wire_ns >= from_ns).collect();
        let first = told.first().unwrap_or_else(|| panic!("{name} was told nothing"));
        let before = measured.iter().rfind(|at| at.wire_ns < first.wire_ns);
        let before = before.unwrap_or_else(|| panic!("{name} was not measured before"));
        let off = (first.rad - before.rad).abs();
        assert!(
            off <= RESUME_TOLERANCE_RAD,
            "{name}: the first setpoint is {off} rad off its pose"
        );
        let longest =
            axis.limits.velocity_max_rad_s * period_s + 1.0 / axis.drive.counts_per_rad.abs();
        let step = step(&[told]);
        assert!(step <= longest * 1.000_001, "{name}: a setpoint {step} rad from the one before");
    }
}

/// Fails the test if an axis was ever told to leave its limits, or did.
pub fn stayed_within(machine: &Machine) {
    let frames = machine.frames();
    let period_s = machine.robot.budgets.period_ns as f64 * 1e-9;
    for axis in &machine.robot.axes {
        let (name, limits) = (&axis.name, &axis.limits);
        let (measured, told) = (measured(axis, &frames), told(axis, &frames));
        assert!(!measured.is_empty() && !told.is_empty(), "{name} was never heard or told");
        let (low, high) = (limits.position_min_rad, limits.position_max_rad);
        for at in told.iter().flatten() {
            assert!(at.rad >= low && at.rad <= high, "{name} told to go to {} rad", at.rad);
        }
        for at in &measured {
            let inside =
                at.rad >= low - POSITION_TOLERANCE_RAD && at.rad <= high + POSITION_TOLERANCE_RAD;
            assert!(inside, "{name} at {} rad", at.rad);
        }
        let (speed, step) = (speed(&measured), step(&told));
        let most = limits.velocity_max_rad_s;
        let share = step / (most * period_s);
        eprintln!(
            "{name:<8} {speed:.4} of {most} rad/s; a setpoint's step {share:.4} of its limit"
        );
        assert!(speed <= most * (1.0 + SPEED_TOLERANCE), "{name} moved at {speed} rad/s");
        // Rounding to counts at both ends.
        let longest = most * period_s + 1.0 / axis.drive.counts_per_rad.abs();
        assert!(step <= longest * 1.000_001, "{name}: a setpoint {step} rad from the one before");
    }
}
