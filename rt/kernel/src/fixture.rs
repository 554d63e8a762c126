//! A machine for tests: a configuration, and feedback that follows the commands.

use arrayvec::ArrayVec;

use crate::config::*;
use crate::io::{AxisFeedback, AxisState, Inputs, OperatorAction, OperatorCommand, Outputs};
use crate::kernel::{Begin, Kernel};

/// `axes` equal axes, +-2.9 rad, 2 rad/s, 8 rad/s², 80 rad/s³, at 1 kHz in the relaxed profile.
pub fn config(axes: usize) -> Config {
    let limits = AxisLimits {
        position_min_rad: -2.9,
        position_max_rad: 2.9,
        velocity_max_rad_s: 2.0,
        acceleration_max_rad_s2: 8.0,
        jerk_max_rad_s3: 80.0,
        effort_max_nm: 60.0,
        following_error_max_rad: 0.2,
        quick_stop_deceleration_rad_s2: 30.0,
    };
    let (refuse, halt, ms) = (Excess::Refuse, Reaction::Halt, 1_000_000);
    Config {
        axes: (0..axes).map(|_| AxisConfig { limits, home_rad: 0.0 }).collect(),
        budgets: Budgets {
            period_ns: ms,
            reaction_max_ns: 200 * ms,
            feedback_age_max_ns: 60 * ms,
            cognition_heartbeat_ns: 250 * ms,
            watcher_beat_ns: 100 * ms,
            housekeeping_beat_ns: 3_000 * ms,
            arming_ns: 2_000 * ms,
            stopping_ns: 2_000 * ms,
        },
        gate: GateConfig {
            position: refuse,
            velocity: refuse,
            acceleration: refuse,
            jerk: refuse,
            effort: refuse,
            stoppable: refuse,
            intents_per_second_max: 1000,
            intent_age_max_ns: 500 * ms,
            lease_max_ns: 10_000 * ms,
            agents_mask: 1,
        },
        reactions: Reactions {
            cognition_lost: halt,
            deadline_missed: halt,
            process_lost: halt,
            feedback_stale: halt,
            drive_fault: halt,
            limit_passed: halt,
            real_time_lost: halt,
        },
        standstill_rad_s: 0.01,
        reacts: true,
    }
}

/// A kernel with drives that do at once what they are told.
pub struct Machine {
    pub config: Config,
    pub kernel: Kernel,
    pub inputs: Inputs,
    pub outputs: Outputs,
    /// When false, the feedback stays as the test sets it.
    pub follows: bool,
}

impl Machine {
    pub fn new(config: Config) -> Machine {
        let ready = AxisFeedback {
            state: AxisState::Ready,
            homed: true,
            alive: true,
            ..AxisFeedback::default()
        };
        let axes: ArrayVec<_, { shm_protocol::records::AXES_MAX }> =
            config.axes.iter().map(|_| ready).collect();
        let inputs = Inputs { now_ns: 5_000_000_000, axes, ..Inputs::default() };
        Machine {
            kernel: Kernel::new(&config, Begin::Disarmed),
            outputs: Outputs::new(&config),
            config,
            inputs,
            follows: true,
        }
    }

    /// One tick; its edge and its claim are used up.
    pub fn tick(&mut self) -> &Outputs {
        self.inputs.now_ns += self.config.budgets.period_ns;
        self.inputs.tick += 1;
        self.kernel.tick(&self.config, &self.inputs, &mut self.outputs);
        self.inputs.operator = None;
        self.inputs.claim = None;
        if self.follows {
            for (axis, command) in self.inputs.axes.iter_mut().zip(&self.outputs.axes) {
                use crate::io::Goal;
                axis.state = match (command.goal, axis.state) {
                    (_, AxisState::Fault) => AxisState::Fault,
                    (Goal::Off, _) => AxisState::Ready,
                    (Goal::Enabled, AxisState::Ready) => AxisState::Enabling,
                    (Goal::Enabled, _) => AxisState::Enabled,
                    (Goal::Halt, AxisState::Ready) => AxisState::Ready,
                    (Goal::Halt, _) => AxisState::QuickStop,
                };
                axis.velocity_rad_s = 0.0;
                if axis.state == AxisState::Enabled {
                    axis.position_rad = command.position_rad;
                    axis.velocity_rad_s = command.velocity_rad_s;
                }
            }
        }
        &self.outputs
    }

    pub fn ask(&mut self, action: OperatorAction) -> &Outputs {
        self.inputs.operator = Some(OperatorCommand { id: 1, action });
        self.tick()
    }

    pub fn ticks(&mut self, count: usize) {
        for _ in 0..count {
            self.tick();
        }
    }

    /// Armed, or the test fails.
    pub fn armed(config: Config) -> Machine {
        let mut machine = Machine::new(config);
        machine.tick();
        assert_eq!(machine.ask(OperatorAction::Arm).answer.unwrap().result, Ok(()));
        machine.ticks(3);
        assert_eq!(machine.outputs.mode, crate::mode::Mode::Armed);
        machine
    }
}
