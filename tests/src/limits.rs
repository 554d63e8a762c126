//! Whether the arm ever left its limits, from the frame log: what the drives measured, and what they
//! were told.

use std::collections::VecDeque;

use mechos_robot::{AxisSpec, Robot};

use crate::frames::{Frames, Line};
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
/// Wrongs that are kept.
const WRONGS_MAX: usize = 16;

/// A position on the wire.
#[derive(Clone, Copy, Debug)]
struct At {
    wire_ns: u64,
    rad: f64,
}

/// What is wrong with a frame.
#[derive(Clone, Debug)]
struct Wrong {
    wire_ns: u64,
    /// A setpoint too far from the one before it, or from the measured pose that motion began at.
    is_jump: bool,
    text: String,
}

/// One axis, as it was seen so far.
#[derive(Debug)]
struct AxisWatch {
    axis: AxisSpec,
    /// The longest way from one setpoint to the next, rad, and the same with rounding to counts at
    /// both ends.
    step_max: f64,
    step_rounded: f64,
    /// The last setpoint; none while the drive is not enabled.
    told: Option<At>,
    told_ns: Option<u64>,
    /// What was measured in the last [`WINDOW_NS`].
    measured: VecDeque<At>,
    step: f64,
    speed: f64,
    wrongs: Vec<Wrong>,
}

impl AxisWatch {
    fn new(axis: &AxisSpec, period_s: f64) -> AxisWatch {
        let step_max = axis.limits.velocity_max_rad_s * period_s;
        let count = 1.0 / axis.drive.counts_per_rad.abs();
        AxisWatch {
            axis: axis.clone(),
            step_max,
            step_rounded: (step_max + count) * 1.000_001,
            told: None,
            told_ns: None,
            measured: VecDeque::new(),
            step: 0.0,
            speed: 0.0,
            wrongs: vec![],
        }
    }

    fn rad(&self, counts: i32) -> f64 {
        let drive = &self.axis.drive;
        f64::from(counts) / drive.counts_per_rad + drive.zero_offset_rad
    }

    fn look(&mut self, line: &Line) {
        if line.id & 0x7f != u32::from(self.axis.node) {
            return;
        }
        if line.id == 0x200 + u32::from(self.axis.node) {
            let bytes = line.bytes();
            let counts = bytes[2..6].try_into().expect("control word and position");
            let at = At { wire_ns: line.wire_ns, rad: self.rad(i32::from_le_bytes(counts)) };
            match bytes[0] & 0x0f == 0x0f {
                true => self.tell(at),
                false => self.told = None,
            }
        } else if let Some(report) = line.report() {
            self.measure(At { wire_ns: line.wire_ns, rad: self.rad(report.counts) });
        }
    }

    fn tell(&mut self, at: At) {
        let (low, high) = (self.axis.limits.position_min_rad, self.axis.limits.position_max_rad);
        if at.rad < low || at.rad > high {
            self.wrong(at, false, format!("told to go to {} rad", at.rad));
        }
        match (self.told, self.measured.back()) {
            (Some(before), _) => {
                let step = (at.rad - before.rad).abs();
                self.step = self.step.max(step);
                if step > self.step_rounded {
                    self.wrong(at, true, format!("a setpoint {step} rad from the one before"));
                }
            }
            (None, None) => self.wrong(at, true, "was not measured before".to_owned()),
            (None, Some(pose)) => {
                let off = (at.rad - pose.rad).abs();
                if off > RESUME_TOLERANCE_RAD {
                    self.wrong(at, true, format!("the first setpoint is {off} rad off its pose"));
                }
            }
        }
        (self.told, self.told_ns) = (Some(at), Some(at.wire_ns));
    }

    fn measure(&mut self, at: At) {
        let (low, high) = (self.axis.limits.position_min_rad, self.axis.limits.position_max_rad);
        if at.rad < low - POSITION_TOLERANCE_RAD || at.rad > high + POSITION_TOLERANCE_RAD {
            self.wrong(at, false, format!("at {} rad", at.rad));
        }
        self.measured.push_back(at);
        while let Some(begin) =
            self.measured.front().filter(|begin| at.wire_ns - begin.wire_ns >= WINDOW_NS)
        {
            let length_s = (at.wire_ns - begin.wire_ns) as f64 * 1e-9;
            let speed = (at.rad - begin.rad).abs() / length_s;
            self.measured.pop_front();
            self.speed = self.speed.max(speed);
            if speed > self.axis.limits.velocity_max_rad_s * (1.0 + SPEED_TOLERANCE) {
                self.wrong(at, false, format!("moved at {speed} rad/s"));
            }
        }
    }

    fn wrong(&mut self, at: At, is_jump: bool, what: String) {
        if self.wrongs.len() < WRONGS_MAX {
            let text = format!("{} {what}, at {} ns", self.axis.name, at.wire_ns);
            self.wrongs.push(Wrong { wire_ns: at.wire_ns, is_jump, text });
        }
    }
}

/// Follows a log line by line, so that it need not be kept.
#[derive(Debug)]
pub struct Watch(Vec<AxisWatch>);

impl Watch {
    /// Has seen nothing yet.
    pub fn new(robot: &Robot) -> Watch {
        let period_s = robot.budgets.period_ns as f64 * 1e-9;
        Watch(robot.axes.iter().map(|axis| AxisWatch::new(axis, period_s)).collect())
    }

    fn of(machine: &Machine, frames: &Frames) -> Watch {
        let mut watch = Watch::new(&machine.robot);
        frames.lines.iter().for_each(|line| watch.look(line));
        watch
    }

    /// Judges the next line.
    pub fn look(&mut self, line: &Line) {
        self.0.iter_mut().for_each(|axis| axis.look(line));
    }

    /// What was wrong so far, the first few of each axis.
    pub fn wrongs(&self) -> Vec<String> {
        self.0.iter().flat_map(|axis| &axis.wrongs).map(|wrong| wrong.text.clone()).collect()
    }

    /// Prints how near each axis came to its limits, and fails the test if one left them, or was
    /// never heard or told.
    pub fn stayed_within(&self) {
        for axis in &self.0 {
            let (name, most) = (&axis.axis.name, axis.axis.limits.velocity_max_rad_s);
            let heard = !axis.measured.is_empty() && axis.told_ns.is_some();
            assert!(heard, "{name} was never heard or told");
            let (speed, share) = (axis.speed, axis.step / axis.step_max);
            eprintln!(
                "{name:<8} {speed:.4} of {most} rad/s; a setpoint's step {share:.4} of its limit"
            );
        }
        assert_eq!(self.wrongs(), Vec::<String>::new());
    }
}

/// Fails the test unless each axis' first setpoint since `from_ns` was where it was measured last,
/// and no later one a jump.
pub fn resumed_without_a_jump(machine: &Machine, frames: &Frames, from_ns: u64) {
    for axis in Watch::of(machine, frames).0 {
        let told = axis.told_ns.is_some_and(|told_ns| told_ns >= from_ns);
        assert!(told, "{} was told nothing", axis.axis.name);
        let jump = axis.wrongs.iter().find(|wrong| wrong.is_jump && wrong.wire_ns >= from_ns);
        assert!(jump.is_none(), "{jump:?}");
    }
}

/// Fails the test if an axis was ever told to leave its limits, or did.
pub fn stayed_within(machine: &Machine) {
    Watch::of(machine, &machine.frames()).stayed_within();
}
