//! Faults and their reactions: each latched with its cause, none softened, none before power.

use shm_protocol::records::Cause;

use super::{claim, connect, intent};
use crate::config::{Config, Reaction, Reactions};
use crate::fixture::{Machine, config};
use crate::io::{AxisState, Goal, OperatorAction};
use crate::mode::Mode;

type Break = fn(&mut Machine);

const FAULTS: [(Cause, u32, Break); 13] = [
    (Cause::GuardianLost, 0, |m| m.inputs.health.guardian_beat_age_ns = u64::MAX),
    (Cause::DeadlineThreadLost, 0, |m| m.inputs.health.deadline_beat_age_ns = u64::MAX),
    (Cause::HousekeepingLost, 0, |m| m.inputs.health.housekeeping_beat_age_ns = u64::MAX),
    (Cause::RealTimeLost, 0, |m| m.inputs.health.real_time_lost = true),
    (Cause::CognitionLost, 0, |m| m.inputs.link.heartbeat_age_ns = 250_000_001),
    (Cause::CognitionLost, 0, |m| m.inputs.link.connected = false),
    (Cause::FeedbackStale, 1, |m| m.inputs.axes[1].age_ns = 60_000_001),
    (Cause::FeedbackStale, 1, |m| m.inputs.axes[1].position_rad = f64::NAN),
    (Cause::DriveFault, 1, |m| m.inputs.axes[1].state = AxisState::Fault),
    (Cause::DriveLost, 1, |m| m.inputs.axes[1].alive = false),
    (Cause::DriveLeft, 1, |m| m.inputs.axes[1].state = AxisState::QuickStop),
    (Cause::FollowingError, 1, |m| m.inputs.axes[1].position_rad += 0.3),
    (Cause::LimitPassed, 1, |m| m.inputs.axes[1].position_rad = 3.2),
];

fn reacting(reaction: Reaction) -> Config {
    let reactions = Reactions {
        cognition_lost: reaction,
        deadline_missed: reaction,
        process_lost: reaction,
        feedback_stale: reaction,
        drive_fault: reaction,
        limit_passed: reaction,
        real_time_lost: reaction,
    };
    Config { reactions, ..config(2) }
}

/// Armed with a connected planner, in the middle of a move.
fn moving(config: Config) -> Machine {
    let mut machine = Machine::armed(config);
    connect(&mut machine);
    let far = intent(&machine, 1, 0b11, 1.5);
    claim(&mut machine, far);
    machine.ticks(500);
    assert_eq!(machine.outputs.active_intent, 1);
    machine
}

#[test]
fn every_fault_halts_within_the_tick_that_sees_it() {
    for (cause, detail, break_it) in FAULTS {
        let mut machine = moving(reacting(Reaction::Halt));
        let epoch = machine.kernel.epoch();
        break_it(&mut machine);
        let outputs = machine.tick();
        assert_eq!(outputs.mode, Mode::Halted { cause, detail });
        assert_eq!(outputs.axes[0].goal, Goal::Halt);
        assert_eq!((outputs.epoch, outputs.active_intent), (epoch + 1, 0));
        assert_eq!(outputs.verdicts[0].cause, cause);
        assert_eq!(outputs.counters.aborted, 1);
    }
}

#[test]
fn a_stop_reaction_ramps_down_and_then_latches() {
    for (cause, _, break_it) in FAULTS {
        let mut machine = moving(reacting(Reaction::Stop));
        break_it(&mut machine);
        machine.tick();
        assert!(matches!(machine.outputs.mode, Mode::Stopping { .. }), "{cause:?}");
        assert_eq!(machine.outputs.mode.cause().0, cause);
        assert_eq!(machine.outputs.axes[0].goal, Goal::Enabled);
        machine.ticks(2_100);
        assert_eq!(machine.outputs.mode.cause().0, cause);
        assert!(matches!(machine.outputs.mode, Mode::Halted { .. }));
    }
}

#[test]
fn a_hold_reaction_stands_powered_and_takes_nothing_while_it_lasts() {
    let mut machine = moving(reacting(Reaction::Hold));
    let epoch = machine.kernel.epoch();
    machine.inputs.health.guardian_beat_age_ns = u64::MAX;
    machine.ticks(600);
    assert_eq!((machine.outputs.mode, machine.outputs.epoch), (Mode::Armed, epoch + 1));
    assert_eq!(machine.outputs.axes[0].velocity_rad_s, 0.0);
    let next = intent(&machine, 2, 0b11, 0.0);
    claim(&mut machine, next);
    assert_eq!(machine.tick().counters.refused, 1);
    machine.inputs.health.guardian_beat_age_ns = 0;
    let next = intent(&machine, 3, 0b11, 0.0);
    claim(&mut machine, next);
    assert_eq!(machine.tick().counters.accepted, 2);
}

#[test]
fn without_reactions_faults_pass_but_explicit_stops_and_other_paths_latches_act() {
    for (_, _, break_it) in FAULTS {
        let mut machine = moving(Config { reacts: false, ..reacting(Reaction::Halt) });
        break_it(&mut machine);
        assert_eq!(machine.tick().mode, Mode::Armed);
        assert!(matches!(machine.ask(OperatorAction::Estop).mode, Mode::Halted { .. }));
    }
    let mut machine = moving(Config { reacts: false, ..reacting(Reaction::Halt) });
    machine.inputs.link.stops = 1;
    assert_eq!(machine.tick().mode.cause().0, Cause::PlannerStop);
    let mut machine = moving(Config { reacts: false, ..reacting(Reaction::Halt) });
    machine.inputs.health.latched = Some((Cause::DeadlineControl, 0));
    assert_eq!(machine.tick().mode.cause().0, Cause::DeadlineControl);
}

#[test]
fn without_power_no_fault_is_latched_but_a_suspend_and_other_paths_latches_are() {
    for (_, _, break_it) in FAULTS {
        let mut machine = Machine::new(config(2));
        machine.tick();
        break_it(&mut machine);
        assert_eq!(machine.tick().mode, Mode::Disarmed);
    }
    let mut machine = Machine::new(config(2));
    machine.tick();
    machine.inputs.health.suspended_ns = 3_000_000_000;
    assert_eq!(machine.tick().mode.cause().0, Cause::Suspended);
    let mut machine = Machine::new(config(2));
    machine.inputs.health.latched = Some((Cause::BusFault, 1));
    assert_eq!(machine.tick().mode.cause(), (Cause::BusFault, 1));
}

#[test]
fn slow_drift_and_jitter_of_the_two_clocks_are_no_suspend_but_they_do_not_hide_one() {
    let mut machine = Machine::armed(config(1));
    machine.inputs.health.suspended_ns = 60_000_000;
    assert_eq!(machine.tick().mode, Mode::Armed);
    machine.inputs.health.suspended_ns = 120_000_000;
    assert_eq!(machine.tick().mode.cause().0, Cause::Suspended);
}

#[test]
fn the_planner_counts_only_once_it_was_there() {
    let mut machine = Machine::armed(config(1));
    machine.inputs.link.heartbeat_age_ns = u64::MAX;
    machine.ticks(10);
    assert_eq!(machine.outputs.mode, Mode::Armed);
    machine.inputs.link.heartbeat_age_ns = 0;
    connect(&mut machine);
    machine.ticks(10);
    // A new connection in its place is a loss of the one that was relied on.
    connect(&mut machine);
    assert_eq!(machine.tick().mode.cause().0, Cause::CognitionLost);
}

#[test]
fn any_change_of_a_stop_word_latches_and_nothing_takes_it_back() {
    for words in [(1, 0), (u64::MAX, 0), (0, 1)] {
        let mut machine = moving(config(2));
        (machine.inputs.link.stops, machine.inputs.link.estops) = words;
        machine.tick();
        (machine.inputs.link.stops, machine.inputs.link.estops) = (0, 0);
        machine.ticks(2_000);
        let cause = if words.1 == 0 { Cause::PlannerStop } else { Cause::PlannerEstop };
        assert_eq!(machine.outputs.mode.cause().0, cause);
        assert!(matches!(machine.outputs.mode, Mode::Halted { .. }));
    }
    // Pressed before the kernel first saw the connection.
    let mut machine = Machine::armed(config(1));
    connect(&mut machine);
    machine.inputs.link.stops = 1;
    assert_eq!(machine.tick().mode.cause().0, Cause::PlannerStop);
    // A page that is gone is no change.
    let mut machine = Machine::new(config(1));
    connect(&mut machine);
    machine.inputs.link.stops = 0;
    machine.tick();
    machine.inputs.link = crate::io::Link::default();
    assert_eq!(machine.tick().mode, Mode::Disarmed);
}

#[test]
fn a_stopping_that_does_not_come_to_rest_becomes_a_halt() {
    let mut machine = moving(config(2));
    machine.ask(OperatorAction::Disarm);
    machine.follows = false;
    machine.inputs.axes[0].velocity_rad_s = 0.0;
    machine.inputs.axes[1].velocity_rad_s = 0.5;
    // The measured pose stays near enough that no following error comes first.
    machine.config.axes[0].limits.following_error_max_rad = 9.0;
    machine.config.axes[1].limits.following_error_max_rad = 9.0;
    machine.ticks(2_001);
    let (cause, detail) = (Cause::UnexpectedMotion, 1);
    assert_eq!(machine.outputs.mode, Mode::Halted { cause, detail });
}

#[test]
fn a_halt_class_fault_while_stopping_escalates_and_the_first_cause_stays() {
    let mut machine = moving(config(2));
    machine.ask(OperatorAction::Stop);
    assert!(matches!(machine.outputs.mode, Mode::Stopping { .. }));
    machine.inputs.axes[0].alive = false;
    machine.tick();
    assert_eq!(machine.outputs.mode, Mode::Halted { cause: Cause::OperatorStop, detail: 0 });
}

#[test]
fn after_a_halt_motion_restarts_from_where_the_axis_is() {
    let mut machine = moving(config(2));
    machine.ask(OperatorAction::Estop);
    machine.tick();
    machine.inputs.axes[0].position_rad += 0.15;
    let measured = machine.inputs.axes[0].position_rad;
    machine.ticks(2);
    machine.ask(OperatorAction::Reset);
    machine.ask(OperatorAction::Arm);
    for _ in 0..5 {
        let command = machine.tick().axes[0];
        assert_eq!((command.position_rad, command.velocity_rad_s), (measured, 0.0));
    }
    assert_eq!(machine.outputs.mode, Mode::Armed);
}
