//! Intents: admission, pre-emption, leases, stops, and what their verdicts say.

use shm_protocol::records::{Cause, Intent, IntentKind, Rule, VerdictKind};

use super::{claim, intent, kinds};
use crate::fixture::{Machine, config};
use crate::mode::Mode;

#[test]
fn a_move_arrives_on_its_target_exactly_with_all_axes_together() {
    let mut machine = Machine::armed(config(3));
    let mut to = intent(&machine, 1, 0b111, 1.5);
    to.axes[1].position_rad = -0.3;
    to.axes[2].position_rad = 0.01;
    claim(&mut machine, to);
    assert_eq!(kinds(&machine.tick().verdicts), [(1, VerdictKind::Accepted)]);
    let mut moving_axes = Vec::new();
    while machine.tick().verdicts.is_empty() {
        let commands = &machine.outputs.axes;
        moving_axes.push(commands.iter().filter(|c| c.velocity_rad_s != 0.0).count());
    }
    assert_eq!(kinds(&machine.outputs.verdicts), [(1, VerdictKind::Completed)]);
    // Until the very last tick all three are under way.
    assert!(moving_axes.iter().all(|&count| count == 3));
    let positions: Vec<f64> = machine.outputs.axes.iter().map(|c| c.position_rad).collect();
    assert_eq!(positions, [1.5, -0.3, 0.01]);
}

#[test]
fn a_velocity_on_arrival_is_met_and_then_braked_inside_the_limits() {
    let mut machine = Machine::armed(config(1));
    let mut through = intent(&machine, 1, 1, 1.0);
    through.axes[0].velocity_end_rad_s = 0.75;
    claim(&mut machine, through);
    machine.tick();
    while machine.tick().verdicts.is_empty() {}
    let command = machine.outputs.axes[0];
    assert_eq!((command.position_rad, command.velocity_rad_s), (1.0, 0.75));
    machine.ticks(1_000);
    let command = machine.outputs.axes[0];
    assert_eq!((command.velocity_rad_s, machine.outputs.mode), (0.0, Mode::Armed));
    assert!(command.position_rad > 1.0 && command.position_rad < 1.2);
}

#[test]
fn a_later_intent_takes_the_place_of_the_active_one_in_its_own_tick() {
    let mut machine = Machine::armed(config(1));
    let (accepted, preempted) = (VerdictKind::Accepted, VerdictKind::Preempted);
    for number in 1..=4 {
        let next = intent(&machine, number, 1, 0.5 * number as f64 - 1.0);
        claim(&mut machine, next);
        let expected = [(number, accepted), (number - 1, preempted)];
        let verdicts = kinds(&machine.tick().verdicts);
        assert_eq!(verdicts, expected[..usize::from(number > 1) + 1]);
    }
    assert_eq!((machine.outputs.active_intent, machine.outputs.verdicts_reserved), (4, 1));
}

#[test]
fn at_the_end_of_its_lease_a_move_is_stopped_without_any_message() {
    let mut machine = Machine::armed(config(1));
    let short = intent(&machine, 1, 1, 1.5);
    let lease_until_ns = machine.inputs.now_ns + 300_000_000;
    claim(&mut machine, Intent { lease_until_ns, ..short });
    while machine.tick().counters.expired == 0 {}
    assert_eq!(machine.inputs.now_ns, lease_until_ns);
    assert!(machine.outputs.axes[0].velocity_rad_s > 0.1);
    machine.ticks(600);
    assert_eq!(machine.outputs.axes[0].velocity_rad_s, 0.0);
    assert!(machine.outputs.axes[0].position_rad < 1.0);
    assert_eq!(machine.outputs.mode, Mode::Armed);
}

#[test]
fn hold_comes_to_rest_and_is_then_completed() {
    let mut machine = Machine::armed(config(1));
    let far = intent(&machine, 1, 1, 1.5);
    claim(&mut machine, far);
    machine.ticks(400);
    let hold = intent(&machine, 2, 0, 0.0);
    claim(&mut machine, Intent { kind: IntentKind::Hold, ..hold });
    let (accepted, preempted) = (VerdictKind::Accepted, VerdictKind::Preempted);
    assert_eq!(kinds(&machine.tick().verdicts), [(2, accepted), (1, preempted)]);
    while machine.tick().verdicts.is_empty() {}
    assert_eq!(kinds(&machine.outputs.verdicts), [(2, VerdictKind::Completed)]);
    assert_eq!(machine.outputs.axes[0].velocity_rad_s, 0.0);
}

#[test]
fn a_planners_stop_works_in_any_epoch_and_without_a_lease() {
    let stops = [(IntentKind::Stop, Cause::PlannerStop), (IntentKind::EStop, Cause::PlannerEstop)];
    for (kind, cause) in stops {
        let mut machine = Machine::armed(config(1));
        let far = intent(&machine, 7, 1, 1.5);
        claim(&mut machine, far);
        machine.ticks(200);
        let stop = Intent { kind, epoch: 999, lease_until_ns: 0, version: 9, number: 3, ..far };
        claim(&mut machine, stop);
        let verdicts = machine.tick().verdicts.clone();
        let ended = VerdictKind::Completed;
        let expected = [(3, VerdictKind::Accepted), (7, VerdictKind::Aborted), (3, ended)];
        assert_eq!(kinds(&verdicts), expected);
        assert_eq!(verdicts[1].cause, cause);
        assert_eq!(machine.outputs.mode.cause().0, cause);
    }
}

#[test]
fn a_corrupted_stop_is_refused() {
    let mut machine = Machine::armed(config(1));
    let stop = Intent { kind: IntentKind::Stop, ..intent(&machine, 1, 1, 0.0) };
    machine.inputs.claim = Some(shm_protocol::records::Claim { intent: stop, intact: false });
    assert_eq!(machine.tick().verdicts[0].rule, Rule::Intact);
    assert_eq!(machine.outputs.mode, Mode::Armed);
}

#[test]
fn a_number_counts_once_and_a_new_connection_begins_again() {
    let mut machine = Machine::armed(config(1));
    for (number, refused) in [(5, 0), (5, 1), (4, 2), (6, 2)] {
        let next = intent(&machine, number, 1, 0.1);
        claim(&mut machine, next);
        assert_eq!(machine.tick().counters.refused, refused);
    }
    super::connect(&mut machine);
    let first = intent(&machine, 1, 1, 0.1);
    claim(&mut machine, first);
    assert_eq!(machine.tick().counters.refused, 2);
}

#[test]
fn an_axis_that_is_not_named_comes_to_rest() {
    let mut machine = Machine::armed(config(2));
    let both = intent(&machine, 1, 0b11, 1.5);
    claim(&mut machine, both);
    machine.ticks(400);
    let one = intent(&machine, 2, 0b01, 1.0);
    claim(&mut machine, one);
    machine.ticks(3_000);
    assert_eq!(machine.outputs.axes[0].position_rad, 1.0);
    assert!(machine.outputs.axes[1].position_rad < 1.5);
    assert_eq!(machine.outputs.axes[1].velocity_rad_s, 0.0);
}

#[test]
fn an_effort_past_what_the_intent_allows_itself_ends_it_in_a_stop() {
    let mut machine = Machine::armed(config(1));
    let mut gentle = intent(&machine, 1, 1, 1.5);
    gentle.axes[0].effort_max_nm = 5.0;
    claim(&mut machine, gentle);
    machine.ticks(100);
    machine.inputs.axes[0].effort_nm = -6.0;
    let verdict = machine.tick().verdicts[0];
    assert_eq!((verdict.kind, verdict.cause), (VerdictKind::Aborted, Cause::LimitPassed));
    assert_eq!((verdict.rule, verdict.value, verdict.limit), (Rule::Effort, 6.0, 5.0));
    machine.ticks(600);
    assert_eq!(machine.outputs.axes[0].velocity_rad_s, 0.0);
}

#[test]
fn a_setpoint_that_would_not_be_stoppable_is_never_emitted() {
    let mut machine = Machine::armed(config(1));
    let far = intent(&machine, 1, 1, 1.9);
    claim(&mut machine, far);
    machine.ticks(500);
    let before = machine.outputs.axes[0];
    // A limit that tightens under way stands for a plan that was wrong.
    machine.config.axes[0].limits.position_max_rad = before.position_rad + 0.2;
    machine.config.reactions.limit_passed = crate::config::Reaction::Stop;
    machine.tick();
    assert_eq!(machine.outputs.mode.cause().0, Cause::NotStoppable);
    let after = machine.outputs.axes[0];
    assert!((after.position_rad - before.position_rad).abs() <= 2.0 * 0.001);
    assert_eq!(machine.outputs.verdicts[0].cause, Cause::NotStoppable);
}

#[test]
fn after_skipped_ticks_the_trajectory_advances_one_period_and_the_lease_by_real_time() {
    let mut machine = Machine::armed(config(1));
    let far = intent(&machine, 1, 1, 1.5);
    claim(&mut machine, far);
    machine.ticks(500);
    let before = machine.outputs.axes[0];
    machine.inputs.now_ns += 50_000_000;
    machine.inputs.tick += 50;
    let after = machine.tick().axes[0];
    assert!((after.position_rad - before.position_rad).abs() <= 2.0 * 0.001);
    machine.inputs.now_ns += 8_000_000_000;
    assert_eq!(machine.tick().counters.expired, 1);
}
