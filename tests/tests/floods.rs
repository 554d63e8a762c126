//! A planner that sends too much, reads too little, holds its lease too short, or asks for a stop:
//! nothing is lost or counted twice, stops get through, and what was planned before a stop is void.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use mechos_operator::Command as Ask;
use mechos_tests::machine::Machine;
use mechos_tests::now_ns;
use mechos_tests::planner::{BASE, Planner, refused};
use shm_protocol::records::{Cause, Intent, IntentKind, ModeCode, Rule, VerdictKind};

/// Intents that the ring holds.
const RING: u64 = 64;
/// More than that.
const BURST: usize = 1024;

#[test]
fn too_many_a_second_are_refused() {
    let (machine, mut planner) = Planner::armed();
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
    planner.honest();
    planner.finish(&machine);
}

#[test]
fn a_full_ring_gives_back_what_it_does_not_hold() {
    let (machine, mut planner) = Planner::armed();
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
    planner.honest();
    planner.finish(&machine);
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
    let (machine, mut planner) = Planner::armed();
    let under_way = stop_reading(&machine, &mut planner);
    // The machine waits for nothing: it goes on, and the end of the move has its slot.
    let before = machine.status().unwrap();
    planner.wait("the arrival", |now| now.counters.completed == 1 && now.active_intent == 0);
    let after = machine.wait("more ticks", |now| now.ticks > before.ticks + 100);
    assert_eq!((after.mode.as_str(), after.intents.queued), ("armed", RING));
    assert!(after.intents.hold(), "{:?}", after.intents);
    assert_eq!(planner.ending(under_way.trace).kind, VerdictKind::Completed);
    planner.settle();
    planner.honest();
    planner.finish(&machine);
}

#[test]
fn a_lease_that_ends_in_the_middle_of_a_move_ends_it_in_a_controlled_stop() {
    let (machine, mut planner) = Planner::armed();
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
    planner.finish(&machine);
}

/// A stop word moves while the ring is full and nothing is taken from it: it latches all the same,
/// and what is in the ring is void.
fn a_stop_word_past_a_full_ring(press: impl Fn(&mut Planner), cause: Cause, name: &str) {
    let (machine, mut planner) = Planner::armed();
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
    let armed = planner.wait("Armed", |now| now.mode == ModeCode::Armed);
    assert!(armed.epoch > halted.epoch, "arming begins a new epoch");
    nothing_moves(&mut planner, Rule::Epoch, under_way.epoch);
    nothing_moves(&mut planner, Rule::Epoch, halted.epoch);
    planner.go(BASE, 0.0);
    planner.honest();
    planner.finish(&machine);
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
    let (machine, mut planner) = Planner::armed();
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
    planner.finish(&machine);
}
