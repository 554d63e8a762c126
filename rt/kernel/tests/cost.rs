//! What a tick and a re-plan cost. Printed, and held to a bound only in a release build, with room
//! for a busy host: `cargo test --release -p mechos-kernel --test cost -- --nocapture`.

use std::time::Instant;

use mechos_kernel::config::*;
use mechos_kernel::io::{AxisFeedback, AxisState, Goal, OperatorAction, OperatorCommand};
use mechos_kernel::{Begin, Inputs, Kernel, Mode, Outputs};
use shm_protocol::records::{
    AXES_MAX, AxisRequest, Claim, INTENT_VERSION, Intent, IntentKind, TraceId,
};

fn config(axes: usize) -> Config {
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
            intents_per_second_max: 1_000_000,
            intent_age_max_ns: u64::MAX,
            lease_max_ns: 3_600_000 * ms,
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

struct Bench {
    config: Config,
    kernel: Kernel,
    inputs: Inputs,
    outputs: Outputs,
    number: u64,
}

impl Bench {
    fn armed(axes: usize) -> Bench {
        let config = config(axes);
        let ready = AxisFeedback { homed: true, alive: true, ..AxisFeedback::default() };
        let feedback = config.axes.iter().map(|_| ready).collect();
        let inputs = Inputs { now_ns: 1_000_000, axes: feedback, ..Inputs::default() };
        let kernel = Kernel::new(&config, Begin::Disarmed);
        let outputs = Outputs::new(&config);
        let mut bench = Bench { config, kernel, inputs, outputs, number: 0 };
        bench.tick();
        bench.inputs.operator = Some(OperatorCommand { id: 1, action: OperatorAction::Arm });
        for _ in 0..4 {
            bench.tick();
        }
        assert_eq!(bench.outputs.mode, Mode::Armed);
        bench
    }

    fn claim(&mut self, position_rad: f64) {
        self.number += 1;
        let request = AxisRequest { position_rad, ..AxisRequest::default() };
        let axes_mask = self.config.axes.iter().fold(0_u32, |mask, _| (mask << 1) | 1);
        let intent = Intent {
            number: self.number,
            version: INTENT_VERSION,
            kind: IntentKind::MoveJoints,
            agent: 0,
            epoch: self.kernel.epoch(),
            issued_ns: self.inputs.now_ns,
            lease_until_ns: u64::MAX,
            trace: TraceId::default(),
            axes_mask,
            axes: [request; AXES_MAX],
        };
        self.inputs.claim = Some(Claim { intent, intact: true });
    }

    /// One tick; its duration in us.
    fn tick(&mut self) -> f64 {
        self.inputs.now_ns += self.config.budgets.period_ns;
        self.inputs.tick += 1;
        let begin = Instant::now();
        self.kernel.tick(&self.config, &self.inputs, &mut self.outputs);
        let spent = begin.elapsed();
        self.inputs.operator = None;
        self.inputs.claim = None;
        for (axis, command) in self.inputs.axes.iter_mut().zip(&self.outputs.axes) {
            axis.position_rad = command.position_rad;
            axis.velocity_rad_s = command.velocity_rad_s;
            axis.state = match command.goal {
                Goal::Enabled => AxisState::Enabled,
                Goal::Off | Goal::Halt => AxisState::Ready,
            };
        }
        spent.as_secs_f64() * 1e6
    }
}

/// Prints p50, p99 and maximum; gives the median.
fn show(what: &str, axes: usize, mut spent_us: Vec<f64>) -> f64 {
    spent_us.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (spent_us.len().saturating_sub(1) as f64 * share) as usize;
        spent_us.get(index).copied().unwrap_or(f64::NAN)
    };
    let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
    println!("{axes:2} axes, {what:34} us: p50 {p50:7.2}  p99 {p99:7.2}  max {max:7.2}");
    p50
}

#[test]
fn a_tick_and_a_replan_are_bounded() {
    for axes in [6, 32] {
        let mut bench = Bench::armed(axes);
        let mut plain = Vec::new();
        let mut replan = Vec::new();
        for round in 0..400 {
            bench.claim(if round % 2 == 0 { 1.5 } else { -1.5 });
            replan.push(bench.tick());
            assert_eq!(bench.outputs.verdicts[0].rule, shm_protocol::records::Rule::None);
            plain.extend((0..97).map(|_| bench.tick()));
        }
        let mut close = Vec::new();
        for _ in 0..400 {
            bench.claim(2.75);
            close.push(bench.tick());
            plain.extend((0..9).map(|_| bench.tick()));
        }
        let mut four = Vec::new();
        for _ in 0..400 {
            (0..4).for_each(|_| bench.claim(2.75));
            four.push(bench.tick());
        }
        let plain = show("a tick under way", axes, plain);
        let replan = show("a re-plan in motion", axes, replan);
        show("one refused as not stoppable", axes, close);
        show("four of those in one tick", axes, four);
        if axes == 6 && !cfg!(debug_assertions) {
            assert!(plain < 10.0 && replan < 100.0);
        }
    }
}
