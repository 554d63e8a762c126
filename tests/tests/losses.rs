//! Every loss, each alone, while the arm moves: the drives stand still, the mode says why, nothing
//! moves until an operator resets and arms, and then the motion resumes without a jump.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mechos_operator::{AxisStatus, Command as Ask, Fault};
use mechos_tests::evidence::{Evidence, measure};
use mechos_tests::limits::resumed_without_a_jump;
use mechos_tests::machine::{Machine, Options};
use mechos_tests::now_ns;
use nix::sys::signal::Signal;

/// The slack that a shared, virtual host takes from a process at any moment, ms; `strict` budgets
/// are held in the lab.
const HOST_MS: f64 = 150.0;

fn report(machine: &Machine, name: &str, fault_ns: u64) -> Evidence {
    let evidence = measure(machine, fault_ns);
    evidence.print(name, machine.robot.profile.name());
    inside_the_hazard_budget(name, machine, &evidence);
    evidence
}

fn inside_the_hazard_budget(name: &str, machine: &Machine, evidence: &Evidence) {
    let hazard_ms = machine.robot.budgets.hazard_ns as f64 / 1e6;
    let rest_ms = evidence.standstill_ms();
    assert!(
        rest_ms < hazard_ms + HOST_MS,
        "{name}: standstill after {rest_ms} ms, the hazard budget is {hazard_ms} ms"
    );
}

fn sent_by(evidence: &Evidence, senders: &[&str]) {
    let first = evidence.first_stop.as_ref().map(|(sender, _)| sender.as_str());
    let found = first.is_some_and(|first| senders.iter().any(|s| first.starts_with(s)));
    assert!(found, "the first stop came from {first:?}, not from {senders:?}");
}

fn halted(machine: &Machine, causes: &[&str]) {
    let status = machine.wait("mode halted", |status| status.mode == "halted");
    assert!(
        causes.contains(&status.cause.as_str()),
        "halted by {}, not by {causes:?}\n{}",
        status.cause,
        machine.logs()
    );
}

/// Nothing moves by itself; reset and arm resume from the measured pose.
fn nothing_moves_until_reset_and_armed(machine: &Machine) {
    let quiet_ns = now_ns();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let frames = machine.frames();
    assert_eq!(frames.setpoints(quiet_ns).count(), 0, "setpoints without arming");
    let before = machine.status().expect("the daemon answers");
    machine.ask(Ask::Arm).expect_err("arming without a reset is refused");
    machine.wait("the reset to be taken", |_| machine.ask(Ask::Reset).is_ok());
    let resumed_ns = now_ns();
    machine.arm();
    let after = machine.wait("motion", |status| {
        let moved =
            |(a, b): (&AxisStatus, &AxisStatus)| (a.position_rad - b.position_rad).abs() > 0.02;
        status.axes.iter().zip(&before.axes).any(moved)
    });
    assert_eq!(after.mode, "armed");
    resumed_without_a_jump(machine, &machine.frames(), resumed_ns);
}

#[test]
fn cognition_killed() {
    let mut machine = Machine::moving(Options::default());
    let fault_ns = machine.signal(machine.cognition.as_ref().unwrap(), Signal::SIGKILL);
    let evidence = report(&machine, "cognition: SIGKILL", fault_ns);
    sent_by(&evidence, &["rt.upper", "rt.wrist"]);
    halted(&machine, &["cognition-lost"]);
    let _ = machine.cognition.as_mut().unwrap().wait();
    machine.start_cognition();
    nothing_moves_until_reset_and_armed(&machine);
}

#[test]
fn cognition_stopped() {
    let machine = Machine::moving(Options::default());
    let fault_ns = machine.signal(machine.cognition.as_ref().unwrap(), Signal::SIGSTOP);
    let evidence = report(&machine, "cognition: SIGSTOP", fault_ns);
    sent_by(&evidence, &["rt.upper", "rt.wrist"]);
    halted(&machine, &["cognition-lost"]);
    machine.signal(machine.cognition.as_ref().unwrap(), Signal::SIGCONT);
    nothing_moves_until_reset_and_armed(&machine);
}

#[test]
fn rt_killed_and_restarted() {
    let mut machine = Machine::moving(Options::default());
    let fault_ns = machine.signal(&machine.rt, Signal::SIGKILL);
    let evidence = report(&machine, "mechos-rt: SIGKILL", fault_ns);
    sent_by(&evidence, &["guardian"]);
    machine.restart_rt();
    halted(&machine, &["rt-lost"]);
    nothing_moves_until_reset_and_armed(&machine);
}

#[test]
fn rt_stopped_and_revived() {
    let machine = Machine::moving(Options::default());
    let fault_ns = machine.signal(&machine.rt, Signal::SIGSTOP);
    let evidence = report(&machine, "mechos-rt: SIGSTOP", fault_ns);
    sent_by(&evidence, &["guardian"]);
    let revived_ns = machine.signal(&machine.rt, Signal::SIGCONT);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let frames = machine.frames();
    let pid = machine.rt.id() as i32;
    let sent = frames.lines.iter().filter(|l| l.pid == pid && l.recv_ns >= revived_ns).count();
    assert_eq!(sent, 0, "a revived mechos-rt sends nothing while the fence is up");
    halted(&machine, &["rt-lost"]);
    nothing_moves_until_reset_and_armed(&machine);
}

#[test]
fn guardian_killed() {
    let mut machine = Machine::moving(Options::default());
    let fault_ns = machine.signal(&machine.guardian, Signal::SIGKILL);
    let evidence = report(&machine, "mechos-guardian: SIGKILL", fault_ns);
    sent_by(&evidence, &["rt.upper", "rt.wrist"]);
    halted(&machine, &["guardian-lost"]);
    machine.restart_guardian();
    nothing_moves_until_reset_and_armed(&machine);
}

#[test]
fn guardian_stopped() {
    let machine = Machine::moving(Options::default());
    let fault_ns = machine.signal(&machine.guardian, Signal::SIGSTOP);
    let evidence = report(&machine, "mechos-guardian: SIGSTOP", fault_ns);
    sent_by(&evidence, &["rt.upper", "rt.wrist"]);
    halted(&machine, &["guardian-lost"]);
    machine.signal(&machine.guardian, Signal::SIGCONT);
    nothing_moves_until_reset_and_armed(&machine);
}

fn a_panic(thread: &str) {
    let machine = Machine::moving(Options::default());
    let fault_ns = machine.inject(Fault::Panic { thread: thread.to_owned() });
    let evidence = report(&machine, &format!("panic in {thread}"), fault_ns);
    sent_by(&evidence, &["rt."]);
    halted(&machine, &["thread-panic"]);
    nothing_moves_until_reset_and_armed(&machine);
}

#[test]
fn control_thread_panics() {
    a_panic("control");
}

#[test]
fn bus_thread_panics() {
    a_panic("bus-wrist");
}

#[test]
fn deadline_thread_panics() {
    a_panic("deadline");
}

#[test]
fn guardian_thread_panics() {
    let mut machine = Machine::moving(Options::default());
    let fault_ns = now_ns();
    let kind = Fault::Panic { thread: "guardian".to_owned() };
    machine.ask_guardian(Ask::Fault { kind }).unwrap();
    let evidence = report(&machine, "panic in guardian", fault_ns);
    sent_by(&evidence, &["guardian", "rt.upper", "rt.wrist"]);
    halted(&machine, &["thread-panic", "guardian-lost"]);
    machine.restart_guardian();
    nothing_moves_until_reset_and_armed(&machine);
}

/// A thread that never comes back takes its process with it, after the stop; the process that
/// follows begins Halted.
fn an_endless_loop(thread: &str, senders: &[&str], causes: &[&str]) {
    let mut machine = Machine::moving(Options::default());
    let fault_ns = machine.inject(Fault::Loop { thread: thread.to_owned() });
    let evidence = report(&machine, &format!("endless loop in {thread}"), fault_ns);
    sent_by(&evidence, senders);
    if machine.rt_ended() {
        machine.restart_rt();
    }
    halted(&machine, causes);
    nothing_moves_until_reset_and_armed(&machine);
}

#[test]
fn control_thread_loops() {
    an_endless_loop("control", &["rt.deadline"], &["rt-lost"]);
}

#[test]
fn bus_thread_loops() {
    an_endless_loop("bus-upper", &["rt.deadline"], &["rt-lost"]);
}

#[test]
fn deadline_thread_loops() {
    // At the highest priority it starves the guardian's thread too, where they share a CPU.
    let causes = ["deadline-thread-lost", "guardian-lost", "rt-lost"];
    an_endless_loop("deadline", &["rt.upper", "rt.wrist", "guardian"], &causes);
}

#[test]
fn guardian_thread_loops() {
    let mut machine = Machine::moving(Options::default());
    let fault_ns = now_ns();
    let kind = Fault::Loop { thread: "guardian".to_owned() };
    machine.ask_guardian(Ask::Fault { kind }).unwrap();
    let evidence = report(&machine, "endless loop in guardian", fault_ns);
    sent_by(&evidence, &["rt.upper", "rt.wrist"]);
    halted(&machine, &["guardian-lost"]);
    let _ = machine.guardian.kill();
    machine.restart_guardian();
    nothing_moves_until_reset_and_armed(&machine);
}

#[test]
fn control_thread_stalls() {
    let machine = Machine::moving(Options::default());
    let fault_ns = machine.inject(Fault::StallControl { ms: 80 });
    let evidence = report(&machine, "control thread stalled 80 ms", fault_ns);
    sent_by(&evidence, &["rt.deadline"]);
    halted(&machine, &["deadline-control"]);
    nothing_moves_until_reset_and_armed(&machine);
}

#[test]
fn drive_goes_silent() {
    let machine = Machine::moving(Options::default());
    let fault_ns = now_ns();
    machine.silence("shoulder", 300);
    let evidence = report(&machine, "a drive silent for 300 ms", fault_ns);
    sent_by(&evidence, &["rt.upper", "rt.wrist"]);
    halted(&machine, &["feedback-stale", "drive-lost"]);
    nothing_moves_until_reset_and_armed(&machine);
}

/// No row in the table: with the simulator the log begins anew.
#[test]
fn drives_switched_off_and_on_while_they_move() {
    let mut machine = Machine::moving(Options::default());
    machine.power_cycle();
    halted(&machine, &["bus-fault", "feedback-stale", "drive-lost", "drive-fault"]);
    machine.ask(Ask::Arm).expect_err("arming without a reset is refused");
    machine.wait("the reset to be taken", |_| machine.ask(Ask::Reset).is_ok());
    machine.arm();
    // The drives woke up where the simulator puts them: what counts is the way from there on.
    let armed = machine.status().expect("the daemon answers");
    machine.wait("every axis to move", |status| {
        let way = |(now, then): (&AxisStatus, &AxisStatus)| now.travel_rad > then.travel_rad + 0.05;
        status.axes.iter().zip(&armed.axes).all(way)
    });
}

#[test]
fn everything_terminated() {
    let mut machine = Machine::moving(Options::default());
    let fault_ns = now_ns();
    for child in [machine.cognition.as_ref().unwrap(), &machine.rt, &machine.guardian, &machine.sim]
    {
        machine.signal(child, Signal::SIGTERM);
    }
    let asking = machine.ask_the_drives();
    std::thread::sleep(std::time::Duration::from_secs(1));
    drop(asking);
    machine.wait_for_the_end();
    let frames = machine.frames();
    let drives = machine.robot.axes.len();
    assert!(frames.all_off(fault_ns, drives), "a drive still follows setpoints");
    let rest = frames.standstill_ns(fault_ns, drives).expect("every drive stands");
    let first = frames.stops(fault_ns).next().map(|line| (line.sender.clone(), line.pid));
    let evidence = Evidence {
        fault_ns,
        first_stop: first,
        stop_ns: frames.stopped_on_every_bus(fault_ns, machine.robot.buses.len()),
        standstill_ns: rest,
        off_ns: frames.off_ns(fault_ns, drives).expect("every drive is off"),
        frames: frames.into(),
    };
    assert!(evidence.stop_ns.is_some(), "no stop frame on every bus");
    inside_the_hazard_budget("SIGTERM of everything", &machine, &evidence);
    evidence.print("SIGTERM of everything", machine.robot.profile.name());
}
