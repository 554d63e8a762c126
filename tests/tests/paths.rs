//! Each of the five ways to a stop, alone, with the other four switched off.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mechos_operator::Fault;
use mechos_tests::evidence::measure;
use mechos_tests::machine::{Machine, Options};
use nix::sys::signal::Signal;

fn without(disabled: &[&'static str]) -> Machine {
    Machine::moving(Options { disabled: disabled.to_vec(), ..Options::default() })
}

/// Every stop frame since the fault came from one of `senders`, and there was one on every bus.
fn only(machine: &Machine, name: &str, fault_ns: u64, senders: &[&str]) {
    let evidence = measure(machine, fault_ns);
    evidence.print(name, machine.robot.profile.name());
    assert!(evidence.stop_ns.is_some(), "no stop frame on every bus");
    for line in evidence.frames.stops(fault_ns) {
        let fine = senders.contains(&line.sender.as_str());
        assert!(fine, "a stop from {}, not {senders:?}", line.sender);
    }
}

#[test]
fn the_kernel_alone() {
    let machine = without(&["deadline", "guardian", "watchdog", "drop"]);
    let fault_ns = machine.signal(machine.cognition.as_ref().unwrap(), Signal::SIGKILL);
    only(&machine, "kernel alone: cognition killed", fault_ns, &["rt.upper", "rt.wrist"]);
}

#[test]
fn the_deadline_thread_alone() {
    let machine = without(&["kernel", "guardian", "watchdog", "drop"]);
    let fault_ns = machine.inject(Fault::StallControl { ms: 80 });
    only(&machine, "deadline alone: control stalled 80 ms", fault_ns, &["rt.deadline"]);
}

#[test]
fn the_guardian_alone() {
    let machine = without(&["kernel", "deadline", "watchdog", "drop"]);
    let fault_ns = machine.signal(&machine.rt, Signal::SIGKILL);
    only(&machine, "guardian alone: mechos-rt killed", fault_ns, &["guardian"]);
}

#[test]
fn the_drives_watchdogs_alone() {
    let machine = without(&["kernel", "deadline", "guardian", "drop"]);
    let fault_ns = machine.signal(&machine.rt, Signal::SIGKILL);
    machine.signal(&machine.guardian, Signal::SIGKILL);
    let evidence = measure(&machine, fault_ns);
    evidence.print("watchdog alone: rt and guardian killed", machine.robot.profile.name());
    assert!(evidence.first_stop.is_none(), "nobody is left to send a stop");
    let announced = evidence.frames.heartbeat_losses(fault_ns);
    assert_eq!(announced, machine.robot.axes.len(), "each drive's own watchdog expired");
}

#[test]
fn rt_and_guardian_killed_together_with_every_path_on() {
    let machine = without(&[]);
    machine.signal(&machine.guardian, Signal::SIGKILL);
    let fault_ns = machine.signal(&machine.rt, Signal::SIGKILL);
    let evidence = measure(&machine, fault_ns);
    evidence.print("rt and guardian killed together", machine.robot.profile.name());
    let announced = evidence.frames.heartbeat_losses(fault_ns);
    assert_eq!(announced, machine.robot.axes.len(), "each drive's own watchdog expired");
}

#[test]
fn drop_alone() {
    let machine = without(&["kernel", "deadline", "guardian", "watchdog"]);
    let fault_ns = machine.inject(Fault::Panic { thread: "control".to_owned() });
    only(&machine, "drop alone: panic in control", fault_ns, &["rt.drop"]);
}

#[test]
fn with_every_path_off_nothing_stops_a_lost_planner_but_its_lease() {
    let machine = without(&["kernel", "deadline", "guardian", "watchdog", "drop"]);
    let fault_ns = machine.signal(machine.cognition.as_ref().unwrap(), Signal::SIGKILL);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let frames = machine.frames();
    assert_eq!(frames.stops(fault_ns).count(), 0, "the switches really switch the paths off");
    assert!(frames.setpoints(fault_ns).count() > 0, "setpoints go on");
}
