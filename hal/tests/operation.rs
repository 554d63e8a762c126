//! Configured drives: power given and taken, losses noticed, faults left on an edge only.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{Bench, ENABLED, FAULT, STOP, SWITCH_ON_DISABLED, TICK_NS, Trick};
use hal::drive::{DriveGoal, DriveState, HostFault};
use hal::frame::Frame;
use hal::network::{is_stopped, statusword_of, stop_frame};

fn ready() -> Bench {
    let mut bench = Bench::new(&[1, 2]);
    bench.run_until(DriveState::Ready, 1_000);
    bench
}

fn enabled() -> Bench {
    let mut bench = ready();
    bench.goal(DriveGoal::Enabled);
    bench.run_until(DriveState::Enabled, 100);
    bench.run(10);
    bench
}

#[test]
fn enabling_preloads_the_measured_position_and_verifies_the_mode() {
    let mut bench = ready();
    bench.drives[0].requests.clear();
    bench.commands[0].position_rad = 2.0;
    bench.commands[0].goal = DriveGoal::Enabled;
    for _ in 0..100 {
        if bench.drives[0].state == ENABLED {
            break;
        }
        bench.tick();
    }
    let drive = &bench.drives[0];
    assert!(drive.targets.iter().all(|target| *target == 1_234), "{:?}", drive.targets);
    assert_eq!(drive.controlwords.first(), Some(&0x06));
    assert_eq!(drive.controlwords.last(), Some(&0x0F));
    assert_eq!(drive.requests[0][..4], [0x40, 0x61, 0x60, 0]);
    bench.run(2);
    assert_eq!(bench.drives[0].targets.last(), Some(&20_000), "then the setpoint");
    assert_eq!(bench.drives[1].state, SWITCH_ON_DISABLED);
}

#[test]
fn another_mode_is_never_enabled() {
    let mut bench = ready();
    bench.drives[0].tricks.insert((0x6061, 0, false), Trick::Says(1));
    bench.goal(DriveGoal::Enabled);
    bench.run(100);
    assert_eq!(bench.feedback(0).fault_code, HostFault::Mode as u16);
    assert!(!bench.drives[0].controlwords.contains(&0x0F));
}

#[test]
fn a_stop_frame_by_anybody_ends_setpoints_until_the_goal_changes() {
    for echo in [false, true] {
        let mut bench = enabled();
        let from = bench.sent.len();
        bench.deliver(stop_frame(STOP), echo);
        bench.run(50);
        assert_eq!(bench.powering(from), 0);
        bench.goal(DriveGoal::Off);
        bench.run_until(DriveState::Ready, 10);
        bench.goal(DriveGoal::Enabled);
        bench.run_until(DriveState::Enabled, 100);
    }
}

#[test]
fn halt_sends_no_setpoint_and_off_takes_power_once() {
    let mut bench = enabled();
    bench.goal(DriveGoal::Halt);
    let from = bench.sent.len();
    bench.run(5);
    assert!(bench.sent[from..].iter().all(|frame| !(0x201..0x280).contains(&frame.id())));
    assert!(!bench.network.all_stopped(), "nobody has sent the stop frame yet");
    let stop = bench.network.stop_frame();
    assert_eq!((stop.id(), stop.data()), (u32::from(STOP), &[0x02, 0x00][..]));
    bench.put(&[stop]);
    bench.run(2);
    assert!(bench.network.all_stopped());
    assert_eq!(bench.feedback(0).state, DriveState::Ready);

    let mut bench = enabled();
    bench.goal(DriveGoal::Off);
    bench.run(20);
    assert_eq!(bench.drives[0].state, SWITCH_ON_DISABLED);
    let from = bench.sent.len();
    bench.run(20);
    assert!(bench.sent[from..].iter().all(|frame| frame.id() != 0x201), "confirmed: nothing more");
}

#[test]
fn a_drive_that_boots_while_enabled_is_a_fault_until_reset() {
    let mut bench = enabled();
    let boot_up = bench.drives[0].boot_up();
    bench.deliver(boot_up, false);
    bench.tick();
    let feedback = bench.feedback(0);
    assert_eq!(feedback.state, DriveState::Fault);
    assert_eq!(feedback.fault_code, HostFault::Rebooted as u16);
    let from = bench.sent.len();
    bench.run(300);
    bench.goal(DriveGoal::Off);
    bench.run(300);
    assert_eq!(bench.feedback(0).state, DriveState::Fault, "never by itself");
    let to_first = |frame: &&Frame| frame.id() == 0x201 || frame.id() == 0x601;
    assert_eq!(bench.sent[from..].iter().filter(to_first).count(), 0);
    bench.reset();
    bench.run_until(DriveState::Ready, 1_000);
}

#[test]
fn a_drive_that_boots_without_power_is_set_up_again_by_itself() {
    let mut bench = ready();
    let boot_up = bench.drives[0].boot_up();
    bench.deliver(boot_up, false);
    assert_ne!(bench.feedback(0).state, DriveState::Ready);
    bench.run_until(DriveState::Ready, 1_000);
    assert!(bench.drives[0].objects.contains_key(&(0x1016, 1)));
}

#[test]
fn leaving_operational_while_enabled_is_a_fault() {
    let mut bench = enabled();
    bench.deliver(Frame::new(0x701, &[0x7F]).unwrap(), false);
    assert_eq!(bench.feedback(0).fault_code, HostFault::LeftOperational as u16);
    assert_eq!(bench.feedback(1).state, DriveState::Enabled);
}

#[test]
fn silence_while_enabled_is_a_fault_and_without_power_it_is_offline() {
    let mut bench = enabled();
    bench.drives[0].is_silent = true;
    bench.run(70);
    let feedback = bench.feedback(0);
    assert_eq!(feedback.state, DriveState::Fault);
    assert_eq!(feedback.fault_code, HostFault::HeartbeatLost as u16);
    assert!(!feedback.alive);
    assert!(feedback.position_time_ns.unwrap() + 60 * TICK_NS < bench.now_ns);

    let mut bench = ready();
    bench.drives[0].is_silent = true;
    bench.run(70);
    assert_eq!(bench.feedback(0).state, DriveState::Offline);
    bench.drives[0].is_silent = false;
    bench.run_until(DriveState::Ready, 2_000);
}

#[test]
fn a_lost_drive_that_still_runs_is_stopped_when_it_is_taken_over() {
    let mut bench = enabled();
    bench.drives[0].is_silent = true;
    bench.run(70);
    bench.goal(DriveGoal::Halt);
    bench.drives[0].is_silent = false;
    bench.drives[0].controlwords.clear();
    let asked_before = bench.drives[0].requests.len();
    bench.reset();
    bench.run(500);
    assert_eq!(bench.drives[0].controlwords, [0x0002, 0x0000]);
    assert_eq!(bench.drives[0].requests[asked_before][..4], [0x40, 0x41, 0x60, 0]);
    assert_eq!(bench.feedback(0).state, DriveState::Ready);
    assert_eq!(bench.feedback(1).state, DriveState::Enabled, "nobody sent the stop frame");
}

#[test]
fn a_fault_is_reset_on_an_edge_only() {
    let mut bench = enabled();
    bench.drives[0].state = FAULT;
    bench.deliver(Frame::new(0x081, &[0x11, 0x86, 0x20, 0, 0, 0, 0, 0]).unwrap(), false);
    bench.run(3);
    let feedback = bench.feedback(0);
    assert_eq!((feedback.state, feedback.fault_code), (DriveState::Fault, 0x8611));
    let from = bench.sent.len();
    bench.run(100);
    bench.goal(DriveGoal::Halt);
    bench.run(100);
    bench.goal(DriveGoal::Off);
    bench.run(100);
    let is_first = |frame: &&Frame| frame.id() == 0x201;
    assert_eq!(bench.sent[from..].iter().filter(is_first).count(), 0);
    bench.reset();
    bench.run(20);
    let feedback = bench.feedback(0);
    assert_eq!((feedback.state, feedback.fault_code), (DriveState::Ready, 0));
    bench.drives[0].state = FAULT;
    bench.run(100);
    assert_eq!(bench.feedback(0).state, DriveState::Fault, "the edge is used up");
}

#[test]
fn the_code_of_a_fault_whose_message_was_missed_is_asked_for() {
    let mut bench = ready();
    bench.drives[0].objects.insert((0x603F, 0), 0x4210);
    bench.drives[0].state = FAULT;
    bench.run(20);
    assert_eq!(bench.feedback(0).fault_code, 0x4210);
    let asked = |request: &&[u8; 8]| request[1..3] == [0x3F, 0x60];
    assert_eq!(bench.drives[0].requests.iter().filter(asked).count(), 1);
}

#[test]
fn a_setpoint_that_cannot_be_counted_is_a_fault_and_not_sent() {
    for position_rad in [f64::NAN, f64::INFINITY, 1e6] {
        let mut bench = enabled();
        bench.commands[0].position_rad = position_rad;
        let from = bench.sent.len();
        bench.run(5);
        assert_eq!(bench.feedback(0).fault_code, HostFault::SetpointRange as u16);
        assert!(bench.sent[from..].iter().all(|frame| frame.id() != 0x201));
    }
}

#[test]
fn a_drive_that_drops_out_is_not_enabled_again() {
    let mut bench = enabled();
    bench.drives[0].state = SWITCH_ON_DISABLED;
    bench.run(2);
    bench.drives[0].controlwords.clear();
    bench.run(200);
    assert_eq!(bench.drives[0].controlwords, []);
    assert_eq!(bench.feedback(0).state, DriveState::Ready);
    assert_eq!(bench.feedback(1).state, DriveState::Enabled);
}

#[test]
fn a_watcher_reads_the_statusword_without_a_network() {
    let frame = Frame::new(0x182, &[0x37, 0x02, 0, 0, 0, 0]).unwrap();
    assert_eq!(statusword_of(&frame, 2), Some(0x0237));
    assert_eq!(statusword_of(&frame, 3), None);
    assert!(!is_stopped(0x0237));
    for statusword in [0x0250, 0x0231, 0x0233, 0x0217, 0x0218, 0x021F, 0x0000] {
        assert!(is_stopped(statusword), "{statusword:#06x}");
    }
    assert!(!is_stopped(0x0003), "no pattern of CiA 402");
}
