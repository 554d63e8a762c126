//! One tick, from the outside: what it reads, in which order it decides, what it writes.
//!
//! Order: what must stop the machine first (`stops`), then what an operator asks (`operator`), then
//! what the planner asks (`claims`), then one period of motion (`follow`), then the outputs.

use arrayvec::ArrayVec;
use shm_protocol::records::{AXES_MAX, Cause};

use crate::config::Config;
use crate::feedback;
use crate::gate::{ApprovedIntent, Source};
use crate::io::{AxisCommand, AxisState, Goal, Inputs, Outputs};
use crate::ledger::{Ending, Ledger, Stamp};
use crate::mode::{AfterStop, Event, Mode, transition};
use crate::motion::Motion;
use crate::motion::trajectory::Trajectory;
use crate::planner::PlannerWatch;

/// How the kernel begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Without power, nothing latched.
    Disarmed,
    /// Latched: an operator must reset first (a restarted process begins so).
    Halted {
        /// Why.
        cause: Cause,
        /// Which axis, bus, thread or bits.
        detail: u32,
    },
}

/// The kernel's whole state.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    pub(crate) mode: Mode,
    pub(crate) epoch: u32,
    pub(crate) setpoints: ArrayVec<Motion, AXES_MAX>,
    pub(crate) trajectory: Trajectory,
    pub(crate) active: Option<ApprovedIntent>,
    pub(crate) ledger: Ledger,
    pub(crate) planner: PlannerWatch,
    /// A fault whose reaction is `Hold` is present: the machine stands, powered, and takes nothing.
    pub(crate) hold: Option<Cause>,
    pub(crate) operator_has_control: bool,
    pub(crate) shutting_down: bool,
    pub(crate) suspended_ns: Option<u64>,
    config_is_sound: bool,
}

/// What one tick works on.
pub(crate) struct Tick<'a> {
    pub config: &'a Config,
    pub inputs: &'a Inputs,
    pub out: &'a mut Outputs,
}

impl Kernel {
    /// A kernel that has not run a tick yet. The same configuration is to be given to every tick.
    pub fn new(config: &Config, begin: Begin) -> Kernel {
        let mode = match begin {
            Begin::Disarmed => Mode::Disarmed,
            Begin::Halted { cause, detail } => Mode::Halted { cause, detail },
        };
        let setpoints: ArrayVec<Motion, AXES_MAX> =
            config.axes.iter().map(|_| Motion::default()).collect();
        Kernel {
            mode,
            epoch: 1,
            trajectory: Trajectory::rest(config, &setpoints),
            setpoints,
            active: None,
            ledger: Ledger::default(),
            planner: PlannerWatch::default(),
            hold: None,
            operator_has_control: false,
            shutting_down: false,
            suspended_ns: None,
            config_is_sound: config.is_sound(),
        }
    }

    /// The mode after the last tick.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The epoch that intents must carry.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// One tick: `inputs` in, `outputs` overwritten whole.
    pub fn tick(&mut self, config: &Config, inputs: &Inputs, outputs: &mut Outputs) {
        outputs.clear(config);
        let mut tick = Tick { config, inputs, out: outputs };
        self.stand_at_measured(&tick);
        self.watch(&mut tick);
        self.progress(&mut tick);
        self.operate(&mut tick);
        self.expire(&mut tick);
        self.take_claim(&mut tick);
        self.follow(&mut tick);
        if self.mode == Mode::Armed {
            self.planner.rely(config, &inputs.link);
        }
        self.report(tick);
    }

    /// The one place that assigns the mode.
    pub(crate) fn apply(&mut self, tick: &mut Tick<'_>, event: Event) {
        let before = self.mode;
        let after = transition(before, event);
        if after == before {
            return;
        }
        self.mode = after;
        let was_stopped = matches!(before, Mode::Stopping { .. } | Mode::Halted { .. });
        match after {
            Mode::Arming { .. } => {
                self.epoch = self.epoch.wrapping_add(1);
                self.planner.forget();
                self.operator_has_control = false;
                self.hold = None;
            }
            Mode::Armed => self.trajectory = Trajectory::rest(tick.config, &self.setpoints),
            Mode::Stopping { .. } | Mode::Halted { .. } if !was_stopped => {
                // A new epoch first: whoever is told of the end learns which one counts now.
                self.epoch = self.epoch.wrapping_add(1);
                let cause = match after {
                    Mode::Stopping { then: AfterStop::Disarm, .. } if self.shutting_down => {
                        Cause::Terminated
                    }
                    Mode::Stopping { then: AfterStop::Disarm, .. } => Cause::OperatorStop,
                    _ => after.cause().0,
                };
                self.end_active(tick, Ending::Aborted(cause, None));
                self.trajectory = Trajectory::stop(tick.config, &self.setpoints);
            }
            Mode::Stopping { .. } | Mode::Halted { .. } | Mode::Disarmed => {}
        }
    }

    /// Gives the active intent its final verdict, if there is one.
    pub(crate) fn end_active(&mut self, tick: &mut Tick<'_>, ending: Ending) {
        if let Some(active) = self.active.take() {
            let stamp = self.stamp(tick);
            self.ledger.finish(stamp, active.source(), ending, tick.out);
        }
    }

    pub(crate) fn stamp(&self, tick: &Tick<'_>) -> Stamp {
        Stamp { epoch: self.epoch, tick: tick.inputs.tick, now_ns: tick.inputs.now_ns }
    }

    /// Where nothing is executed, the setpoint is where the axis is: motion restarts from the
    /// measured pose at zero velocity. While Arming, a drive that has become enabled holds.
    fn stand_at_measured(&mut self, tick: &Tick<'_>) {
        let arming = match self.mode {
            Mode::Armed | Mode::Stopping { .. } => return,
            Mode::Arming { .. } => true,
            Mode::Disarmed | Mode::Halted { .. } => false,
        };
        let axes = feedback::axes(tick.config, tick.inputs);
        for (setpoint, (_, axis)) in self.setpoints.iter_mut().zip(axes) {
            let holds = arming && axis.state == AxisState::Enabled;
            if !holds && axis.position_rad.is_finite() {
                *setpoint = Motion::rest(axis.position_rad);
            }
        }
    }

    fn report(&self, tick: Tick<'_>) {
        let Tick { config, inputs, out } = tick;
        let goal = match self.mode {
            Mode::Disarmed => Goal::Off,
            Mode::Arming { .. } | Mode::Armed | Mode::Stopping { .. } => Goal::Enabled,
            Mode::Halted { .. } if feedback::halt_is_done(config, inputs) => Goal::Off,
            Mode::Halted { .. } => Goal::Halt,
        };
        out.axes.clear();
        out.axes.extend(self.setpoints.iter().map(|at| AxisCommand {
            goal,
            position_rad: at.position_rad,
            velocity_rad_s: at.velocity_rad_s,
            acceleration_rad_s2: at.acceleration_rad_s2,
        }));
        let powered = |axis: &crate::io::AxisFeedback| feedback::may_be_powered(axis);
        let mut axes = feedback::axes(config, inputs).map(|(_, axis)| axis);
        let energised = self.mode.is_energised();
        out.mode = self.mode;
        out.epoch = self.epoch;
        out.counters = self.ledger.counters();
        (out.active_intent, out.verdicts_reserved) =
            match self.active.as_ref().map(ApprovedIntent::source) {
                Some(Source::Planner { number, .. }) => (number, 1),
                Some(Source::Operator) | None => (0, 0),
            };
        out.operator_has_control = self.operator_has_control;
        out.interlocks = self.interlocks(config, inputs);
        out.energised = energised || axes.clone().any(powered);
        // A drive that is not heard cannot be told anything either: it does not keep the daemon.
        out.may_exit =
            self.shutting_down && !energised && !axes.any(|axis| powered(axis) && axis.alive);
    }

    pub(crate) fn interlocks(&self, config: &Config, inputs: &Inputs) -> u32 {
        feedback::interlocks(config, inputs, self.mode, self.config_is_sound)
    }
}
