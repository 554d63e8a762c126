//! From nothing heard to configured and verified, and every way in which that fails.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{Bench, ENABLED, FakeDrive, QUICK_STOP, SWITCH_ON_DISABLED, Trick, config};
use hal::canopen::Object;
use hal::drive::{DriveGoal, DriveState, Failure};
use hal::network::NetworkConfig;

#[test]
fn three_drives_are_ready_within_a_second_of_ticks() {
    let mut bench = Bench::new(&[1, 2, 3]);
    let ticks = bench.run_until(DriveState::Ready, 1_000);
    println!("three drives ready after {ticks} ticks");
    let one = Bench::new(&[1]).run_until(DriveState::Ready, 1_000);
    assert!(ticks < one + one / 2, "{ticks} ticks for three at once, {one} for one");
    bench.run(25);
    for (index, drive) in bench.drives.iter().enumerate() {
        assert_eq!(drive.nmt, 5);
        assert!(drive.controlwords.is_empty(), "no controlword before an operator's command");
        assert_eq!(drive.objects[&(0x1016, 1)], 0x007F_000A);
        assert_eq!(drive.objects[&(0x1400, 1)], 0x200 + u32::from(drive.node));
        assert_eq!(drive.objects[&(0x1401, 1)], 0x8000_0300 + u32::from(drive.node));
        let feedback = bench.feedback(index);
        assert!(feedback.alive && feedback.homed);
        assert!((feedback.position_rad - 0.1234).abs() < 1e-12);
        assert!((feedback.effort_nm - 4.0).abs() < 1e-12);
    }
    assert!(bench.network.all_stopped());
}

#[test]
fn every_value_is_read_back() {
    let mut bench = Bench::new(&[1]);
    bench.run_until(DriveState::Ready, 1_000);
    let requests = &bench.drives[0].requests;
    for (at, request) in requests.iter().enumerate().filter(|(_, request)| request[0] != 0x40) {
        let next = requests[at + 1];
        assert_eq!((next[0], &next[1..4]), (0x40, &request[1..4]), "{request:02X?}");
    }
}

#[test]
fn one_request_a_tick_beside_those_of_silent_drives_and_sync_after_the_setpoints() {
    let mut bench = Bench::new(&[1, 2, 3]);
    let mut heartbeats = 0;
    for tick in 0..800 {
        if tick == 600 {
            bench.goal(DriveGoal::Enabled);
        }
        let silent = bench.drives.iter().filter(|drive| drive.nmt == 127).count();
        bench.tick();
        let ids: Vec<u32> = bench.out.iter().map(|frame| frame.id()).collect();
        let services = ids.iter().filter(|id| **id == 0 || **id >= 0x600 && **id < 0x680).count();
        // Pre-operational drives send no process data, and none are sent to them.
        assert!(services <= silent + 1, "{ids:03X?}");
        let sync = ids.iter().position(|id| *id == 0x0F8).unwrap();
        let is_setpoint = |id: &u32| (0x201..0x280).contains(id);
        assert!(ids[sync..].iter().all(|id| !is_setpoint(id)), "{ids:03X?}");
        heartbeats += ids.iter().filter(|id| **id == 0x77F).count();
        if tick > 700 {
            assert_eq!(ids.iter().filter(|id| is_setpoint(id)).count(), 3);
        }
    }
    assert_eq!(heartbeats, 200, "one in 4 ms");
}

#[test]
fn a_drive_that_comes_late_is_configured_too() {
    let mut bench = Bench::new(&[1]);
    bench.drives[0].is_silent = true;
    bench.run(300);
    assert_eq!(bench.feedback(0).state, DriveState::Offline);
    let boot_up = bench.drives[0].boot_up();
    bench.deliver(boot_up, false);
    bench.run_until(DriveState::Ready, 300);
}

#[test]
fn a_drive_in_nmt_stopped_is_brought_back() {
    let mut bench = Bench::new(&[1]);
    bench.drives[0].nmt = 4;
    bench.run_until(DriveState::Ready, 2_000);
}

#[test]
fn a_running_drive_is_stopped_before_anything_else() {
    for state in [ENABLED, QUICK_STOP, 0x0233] {
        let mut bench = Bench::new(&[1]);
        bench.drives[0].state = state;
        bench.drives[0].nmt = 5;
        bench.drives[0].objects.insert((0x1017, 0), 10);
        // Even where the first command already wants power.
        bench.goal(DriveGoal::Enabled);
        bench.run(400);
        let drive = &bench.drives[0];
        assert_eq!(drive.controlwords, [0x0002, 0x0000], "from {state:#06x}");
        assert_eq!(drive.state, SWITCH_ON_DISABLED);
        let stop = drive.requests.iter().position(|request| request[1..3] == [0x40, 0x60]);
        assert_eq!(stop, Some(1), "right after its status was known");
        assert_eq!(bench.feedback(0).state, DriveState::Ready);
    }
}

#[test]
fn a_running_drive_that_does_not_stop_is_reported() {
    let mut bench = Bench::new(&[1]);
    bench.drives[0].state = ENABLED;
    bench.drives[0].keeps_running = true;
    bench.run(5_100);
    let error = bench.feedback(0).error.unwrap();
    assert_eq!(error.failure, Failure::StillPowered { statusword: ENABLED });
    assert!(!bench.network.all_stopped());
}

/// Runs a set-up that must fail; returns the error after checking that nothing is ever enabled.
fn failing(prepare: impl Fn(&mut FakeDrive)) -> hal::drive::SetupError {
    let mut bench = Bench::new(&[3]);
    prepare(&mut bench.drives[0]);
    bench.run_until(DriveState::Misconfigured, 4_000);
    bench.goal(DriveGoal::Enabled);
    bench.run(200);
    assert_eq!(bench.powering(0), 0);
    assert_eq!(bench.drives[0].state, SWITCH_ON_DISABLED);
    let feedback = bench.feedback(0);
    assert_eq!(feedback.state, DriveState::Misconfigured);
    let error = feedback.error.unwrap();
    assert_eq!(error.node, 3);
    error
}

#[test]
fn another_product_is_refused() {
    let error = failing(|drive| {
        drive.objects.insert((0x1018, 2), 7);
    });
    assert_eq!(error.object, Object::new(0x1018, 2));
    assert_eq!(error.failure, Failure::Identity { expected: 0x4F53, found: 7 });
}

#[test]
fn an_abort_names_object_and_reason() {
    let error = failing(|drive| {
        drive.tricks.insert((0x6085, 0, true), Trick::Abort(0x0609_0031));
    });
    assert_eq!(error.object, Object::new(0x6085, 0));
    assert!(error.to_string().contains("node 3, object 6085:0"), "{error}");
    assert!(error.to_string().contains("value of the parameter too high"), "{error}");
}

#[test]
fn a_value_that_did_not_stick_is_refused() {
    let error = failing(|drive| {
        drive.tricks.insert((0x605A, 0, false), Trick::Says(0));
    });
    assert_eq!(error.object, Object::new(0x605A, 0));
    assert_eq!(error.failure, Failure::ReadBack { written: 2, found: 0 });
}

#[test]
fn a_watchdog_that_did_not_stick_is_refused() {
    let error = failing(|drive| {
        drive.tricks.insert((0x1016, 1, false), Trick::Says(0));
    });
    assert_eq!(error.failure, Failure::ReadBack { written: 0x007F_000A, found: 0 });
}

#[test]
fn silence_is_a_time_out_of_that_object() {
    let error = failing(|drive| {
        drive.tricks.insert((0x6065, 0, true), Trick::Silent);
    });
    assert_eq!(error.object, Object::new(0x6065, 0));
    assert_eq!(error.failure, Failure::TimedOut { limit_ms: 500 });
}

#[test]
fn an_answer_that_nobody_asked_for_is_an_error() {
    let error = failing(|drive| {
        let bytes = [0x60, 0x00, 0x20, 9, 0, 0, 0, 0];
        drive.tricks.insert((0x6007, 0, true), Trick::Bytes(bytes));
    });
    assert_eq!(error.object, Object::new(0x6007, 0));
    let object = Object::new(0x2000, 9);
    assert_eq!(error.failure, Failure::WrongAnswer { command: 0x60, object });
}

#[test]
fn every_object_of_the_set_up_that_aborts_ends_it() {
    let mut bench = Bench::new(&[3]);
    bench.run_until(DriveState::Ready, 1_000);
    let requests = bench.drives[0].requests.clone();
    for request in requests {
        let [command, low, high, sub, ..] = request;
        let index = u16::from_le_bytes([low, high]);
        let key = (index, sub, command != 0x40);
        let error = failing(|drive| {
            drive.tricks.insert(key, Trick::Abort(0x0800_0000));
        });
        assert_eq!(error.object, Object::new(index, sub));
        assert_eq!(error.failure, Failure::Aborted { code: 0x0800_0000 });
    }
}

#[test]
fn pdos_that_a_drive_does_not_have_need_not_be_switched_off() {
    let mut bench = Bench::new(&[3]);
    for index in [0x1401, 0x1402, 0x1802, 0x1803] {
        bench.drives[0].tricks.insert((index, 1, true), Trick::Abort(0x0602_0000));
    }
    bench.run_until(DriveState::Ready, 1_000);
}

#[test]
fn a_reset_or_a_reboot_tries_a_failed_set_up_again() {
    let mut bench = Bench::new(&[3]);
    bench.drives[0].tricks.insert((0x6085, 0, true), Trick::Abort(0x0800_0000));
    bench.run_until(DriveState::Misconfigured, 1_000);
    bench.drives[0].tricks.clear();
    bench.run(1_000);
    assert_eq!(bench.feedback(0).state, DriveState::Misconfigured, "not by itself");
    bench.reset();
    bench.run_until(DriveState::Ready, 1_000);

    bench.drives[0].tricks.insert((0x6085, 0, true), Trick::Abort(0x0800_0000));
    let boot_up = bench.drives[0].boot_up();
    bench.drives[0].tricks.insert((0x6085, 0, true), Trick::Abort(0x0800_0000));
    bench.deliver(boot_up, false);
    bench.run_until(DriveState::Misconfigured, 1_000);
    let boot_up = bench.drives[0].boot_up();
    bench.deliver(boot_up, false);
    bench.run_until(DriveState::Ready, 1_000);
}

#[test]
fn no_watchdog_is_written_as_zero() {
    let mut network = common::network_config(&[1]);
    network.drives[0].watchdog_ms = 0;
    let mut bench = Bench::with(&network);
    bench.drives[0].objects.insert((0x1016, 1), 0x007F_0064);
    bench.run_until(DriveState::Ready, 1_000);
    assert_eq!(bench.drives[0].objects[&(0x1016, 1)], 0);
}

#[test]
fn a_drive_is_not_ready_before_its_watchdog_has_heard_the_host() {
    let mut network = common::network_config(&[1]);
    network.drives[0].watchdog_ms = 1_000;
    network.host_heartbeat_ns = 400_000_000;
    let mut bench = Bench::with(&network);
    bench.run_until(DriveState::Ready, 1_000);
    let watchdog = bench
        .sent
        .iter()
        .rposition(|frame| frame.id() == 0x601 && frame.data()[..4] == [0x23, 0x16, 0x10, 1]);
    let since = &bench.sent[watchdog.unwrap()..];
    assert!(since.iter().any(|frame| frame.id() == 0x77F));
}

#[test]
fn a_configuration_that_cannot_be_is_refused_by_name() {
    let refused = |change: &dyn Fn(&mut NetworkConfig), expected: &str| {
        let mut network = common::network_config(&[1, 2]);
        change(&mut network);
        let error = hal::network::Network::new(&network).err().unwrap().to_string();
        assert!(error.contains(expected), "{error} should name {expected}");
    };
    refused(&|network| network.drives[1].node = 1, "node 1 is used twice");
    refused(&|network| network.drives[1].node = 0x7F, "node 127 is used twice");
    refused(&|network| network.drives[1].node = 0, "node is 0");
    refused(&|network| network.stop_cob_id = 0x200, "stop_cob_id");
    refused(&|network| network.stop_cob_id = 0x082, "emergency");
    refused(&|network| network.sync_cob_id = 0x0F0, "before SYNC");
    refused(&|network| network.drives[0].stop_cob_id = 0x0F1, "another stop");
    refused(&|network| network.drives[0].counts_per_rad = f64::NAN, "counts_per_rad");
    refused(&|network| network.drives[0].position_max_rad = 1e9, "position_max_rad");
    refused(&|network| network.drives[0].effort_max_nm = 1e9, "effort_max_nm");
    refused(&|network| network.drives[0].period_ns = 0, "period_ns");
    refused(&|network| network.drives[0].heartbeat_ms = 0, "heartbeat_ms");
    refused(&|network| network.drives[0].torque_pdo_every = 0, "torque_pdo_every");
    refused(&|network| network.host_heartbeat_ns = 10_000_000, "host_heartbeat_ns");
    refused(&|network| network.drives[0].heartbeat_timeout_ns = 1, "heartbeat_timeout_ns");
    refused(&|network| network.drives = (1..=25).map(config).collect(), "25 drives on one bus");
}
