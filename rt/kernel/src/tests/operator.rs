//! Operators' edges, arming, homing, the way out.

use shm_protocol::records::{Cause, Rule};

use super::{claim, intent};
use crate::fixture::{Machine, config};
use crate::io::{AxisState, Goal, Interlocks, OperatorAction, OperatorRefusal};
use crate::kernel::{Begin, Kernel};
use crate::mode::{AfterStop, Mode};

fn refusal(machine: &mut Machine, action: OperatorAction) -> OperatorRefusal {
    machine.ask(action).answer.unwrap().result.unwrap_err()
}

#[test]
fn arming_takes_the_measured_pose_at_rest_and_begins_an_epoch() {
    let mut machine = Machine::new(config(3));
    machine.inputs.axes[2].position_rad = 1.25;
    machine.tick();
    let epoch = machine.kernel.epoch();
    let answer = machine.ask(OperatorAction::Arm).answer.unwrap();
    assert_eq!((answer.id, answer.result), (1, Ok(())));
    assert!(matches!(machine.outputs.mode, Mode::Arming { .. }));
    assert_eq!(machine.outputs.epoch, epoch + 1);
    machine.ticks(3);
    assert_eq!(machine.outputs.mode, Mode::Armed);
    let command = machine.outputs.axes[2];
    assert_eq!((command.goal, command.position_rad), (Goal::Enabled, 1.25));
    assert_eq!((command.velocity_rad_s, command.acceleration_rad_s2), (0.0, 0.0));
}

#[test]
fn every_open_interlock_refuses_arming_and_is_named() {
    type Break = fn(&mut Machine);
    let cases: [(u32, Break); 9] = [
        (Interlocks::NOT_HOMED, |m| m.inputs.axes[0].homed = false),
        (Interlocks::MOVING, |m| m.inputs.axes[0].velocity_rad_s = 0.5),
        (Interlocks::FEEDBACK, |m| m.inputs.axes[0].age_ns = u64::MAX),
        (Interlocks::DRIVE_NOT_READY, |m| m.inputs.axes[0].state = AxisState::Configuring),
        (Interlocks::DRIVE_SILENT, |m| m.inputs.axes[0].alive = false),
        (Interlocks::OUTSIDE_LIMITS, |m| m.inputs.axes[0].position_rad = 3.0),
        (Interlocks::FENCE, |m| m.inputs.health.interlocks = Interlocks::FENCE),
        (Interlocks::CONFIG, |m| {
            m.config.axes[0].limits.jerk_max_rad_s3 = f64::NAN;
            m.kernel = Kernel::new(&m.config, Begin::Disarmed);
        }),
        (Interlocks::NOT_HOMED | Interlocks::MOVING, |m| {
            m.inputs.axes[0].homed = false;
            m.inputs.axes[1].velocity_rad_s = f64::INFINITY;
        }),
    ];
    for (bits, break_it) in cases {
        let mut machine = Machine::new(config(2));
        machine.follows = false;
        break_it(&mut machine);
        let OperatorRefusal::Interlocks(open) = refusal(&mut machine, OperatorAction::Arm) else {
            panic!("refused for another reason");
        };
        assert_eq!(open & bits, bits);
        assert_eq!(machine.outputs.mode, Mode::Disarmed);
    }
}

#[test]
fn arming_that_takes_too_long_fails_latched() {
    let mut machine = Machine::new(config(1));
    machine.follows = false;
    machine.ask(OperatorAction::Arm);
    machine.ticks(2_001);
    let (cause, detail) = machine.outputs.mode.cause();
    assert_eq!((cause, detail), (Cause::ArmingFailed, Interlocks::DRIVE_NOT_READY));
}

#[test]
fn disarm_while_moving_stops_first_and_then_takes_the_power_away() {
    let mut machine = Machine::armed(config(2));
    let moving = intent(&machine, 1, 0b11, 1.5);
    claim(&mut machine, moving);
    machine.ticks(400);
    machine.ask(OperatorAction::Disarm);
    let then = AfterStop::Disarm;
    assert!(matches!(machine.outputs.mode, Mode::Stopping { then: t, .. } if t == then));
    assert_eq!(machine.outputs.axes[0].goal, Goal::Enabled);
    machine.ticks(1_000);
    assert_eq!(machine.outputs.mode, Mode::Disarmed);
    assert_eq!(machine.outputs.axes[0].goal, Goal::Off);
    assert_eq!(machine.outputs.counters.aborted, 1);
}

#[test]
fn an_emergency_stop_halts_at_once_and_power_goes_when_all_stand() {
    let mut machine = Machine::armed(config(2));
    machine.follows = false;
    machine.inputs.axes[1].velocity_rad_s = 1.0;
    machine.ask(OperatorAction::Estop);
    assert_eq!(machine.outputs.mode.cause().0, Cause::OperatorEstop);
    assert_eq!(machine.outputs.axes[0].goal, Goal::Halt);
    for axis in &mut machine.inputs.axes {
        axis.state = AxisState::QuickStop;
    }
    assert_eq!(machine.tick().axes[0].goal, Goal::Halt);
    assert_eq!(refusal(&mut machine, OperatorAction::Reset), OperatorRefusal::Moving);
    machine.inputs.axes[1].velocity_rad_s = 0.0;
    assert_eq!(machine.tick().axes[0].goal, Goal::Off);
}

#[test]
fn a_halt_is_kept_up_while_a_drive_is_silent_or_still_follows() {
    let mut machine = Machine::armed(config(2));
    machine.follows = false;
    machine.ask(OperatorAction::Estop);
    assert_eq!(machine.tick().axes[1].goal, Goal::Halt);
    machine.inputs.axes[0].state = AxisState::QuickStop;
    machine.inputs.axes[1].state = AxisState::QuickStop;
    machine.inputs.axes[1].alive = false;
    assert_eq!(machine.tick().axes[0].goal, Goal::Halt);
}

#[test]
fn only_a_reset_leaves_halted_and_it_clears_the_latches() {
    let mut machine = Machine::armed(config(1));
    machine.inputs.health.latched = Some((Cause::DeadlineControl, 4));
    machine.ticks(2);
    assert_eq!(machine.outputs.mode.cause(), (Cause::DeadlineControl, 4));
    machine.ticks(2_000);
    assert_eq!(refusal(&mut machine, OperatorAction::Arm), OperatorRefusal::Mode);
    assert_eq!(refusal(&mut machine, OperatorAction::Disarm), OperatorRefusal::Mode);
    assert_eq!(refusal(&mut machine, OperatorAction::Home), OperatorRefusal::Mode);
    let outputs = machine.ask(OperatorAction::Reset);
    assert_eq!((outputs.mode, outputs.clear_latches), (Mode::Disarmed, true));
    machine.inputs.health.latched = None;
    assert!(!machine.tick().clear_latches);
    assert_eq!(machine.outputs.mode, Mode::Disarmed);
}

#[test]
fn a_reset_waits_for_what_can_be_known_of_each_drive() {
    let silent = u64::MAX;
    // State, feedback's age, velocity, heard: may the reset be taken?
    let rows = [
        (AxisState::QuickStop, 0, 0.0, true, true),
        (AxisState::QuickStop, 0, 0.5, true, false),
        (AxisState::QuickStop, silent, 0.0, true, false),
        (AxisState::Enabled, 0, 0.0, true, false),
        (AxisState::Enabling, 0, 0.0, true, false),
        (AxisState::Ready, 0, 0.0, true, true),
        (AxisState::Fault, 0, 0.5, true, false),
        // Switched off while it moved, or never set up by this process.
        (AxisState::Fault, silent, 0.5, false, true),
        (AxisState::Fault, silent, 0.5, true, true),
        (AxisState::Offline, silent, 0.0, false, true),
        (AxisState::Offline, 0, 0.5, true, false),
        (AxisState::Configuring, silent, 0.0, true, true),
    ];
    for (state, age_ns, velocity_rad_s, alive, taken) in rows {
        let mut machine = Machine::armed(config(1));
        machine.follows = false;
        machine.ask(OperatorAction::Estop);
        let axis = &mut machine.inputs.axes[0];
        (axis.state, axis.age_ns, axis.velocity_rad_s, axis.alive) =
            (state, age_ns, velocity_rad_s, alive);
        let answer = machine.ask(OperatorAction::Reset).answer.unwrap().result;
        assert_eq!(answer.is_ok(), taken, "{state:?}, {age_ns}, {velocity_rad_s}, {alive}");
    }
}

#[test]
fn home_locks_the_planner_out_until_resume() {
    let mut machine = Machine::armed(config(2));
    let away = intent(&machine, 1, 0b11, 1.0);
    claim(&mut machine, away);
    machine.ticks(300);
    assert_eq!(machine.ask(OperatorAction::Home).answer.unwrap().result, Ok(()));
    assert_eq!(machine.outputs.counters.preempted, 1);
    assert!(machine.outputs.operator_has_control);
    assert_eq!((machine.outputs.active_intent, machine.outputs.verdicts_reserved), (0, 0));
    let other = intent(&machine, 2, 0b11, 0.5);
    claim(&mut machine, other);
    assert_eq!(machine.tick().verdicts[0].rule, Rule::Mode);
    machine.ticks(3_000);
    assert!(machine.outputs.axes.iter().all(|axis| axis.position_rad == 0.0));
    machine.ask(OperatorAction::Resume);
    let other = intent(&machine, 3, 0b11, 0.5);
    claim(&mut machine, other);
    assert_eq!(machine.tick().counters.accepted, 2);
}

#[test]
fn home_past_a_limit_is_refused_by_the_gate() {
    let mut machine = Machine::armed(config(2));
    machine.config.axes[1].home_rad = 4.0;
    let OperatorRefusal::Gate(verdict) = refusal(&mut machine, OperatorAction::Home) else {
        panic!("refused for another reason");
    };
    assert_eq!((verdict.rule, verdict.axis, verdict.nearest), (Rule::Position, 1, 2.9));
    assert!(!machine.outputs.operator_has_control);
}

#[test]
fn shutdown_stops_disarms_and_lets_the_daemon_go() {
    let mut machine = Machine::armed(config(1));
    let moving = intent(&machine, 1, 1, 1.5);
    claim(&mut machine, moving);
    machine.ticks(300);
    assert!(!machine.ask(OperatorAction::Shutdown).may_exit);
    machine.ticks(1_000);
    assert!(machine.outputs.may_exit);
    assert_eq!(machine.outputs.mode, Mode::Disarmed);
    assert_eq!(refusal(&mut machine, OperatorAction::Arm), OperatorRefusal::Mode);
}

#[test]
fn a_stop_is_never_refused() {
    for action in [OperatorAction::Stop, OperatorAction::Estop] {
        let mut machine = Machine::new(config(1));
        assert_eq!(machine.ask(action).answer.unwrap().result, Ok(()));
        assert!(matches!(machine.outputs.mode, Mode::Halted { .. }));
        assert_eq!(machine.ask(action).answer.unwrap().result, Ok(()));
    }
}

#[test]
fn a_restarted_kernel_begins_halted_over_running_drives() {
    let mut machine = Machine::new(config(1));
    machine.kernel =
        Kernel::new(&machine.config, Begin::Halted { cause: Cause::RtLost, detail: 0 });
    machine.follows = false;
    machine.inputs.axes[0].state = AxisState::Enabled;
    let outputs = machine.tick();
    assert_eq!(outputs.mode.cause().0, Cause::RtLost);
    assert_eq!((outputs.axes[0].goal, outputs.energised), (Goal::Halt, true));
}
