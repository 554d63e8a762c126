//! A busy loop, page faults and a lock inside a tick, each named as the cause of the miss that it
//! makes; and the distributions of a machine that moves.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use mechos_operator::{
    Client, Command, Fault, Latency, LatencyPath, MissStatus, OPERATOR_SOCKET, Status,
};
use mechos_tests::binaries::arm6;
use mechos_tests::machine::{Machine, Options, PATIENCE};

/// Times that a fault is tried: a host that takes the CPU away may have made the tick late before
/// the fault could.
const TRIES_MAX: usize = 20;

/// arm6 with an execution budget of 0.25 ms; everything else as it is.
fn tight() -> (Scratch, Options) {
    let scratch = Scratch::new();
    let robot = scratch.0.join("tight.toml");
    let text = std::fs::read_to_string(arm6()).unwrap();
    let anchor = "\n[threads]\n";
    assert!(text.contains(anchor));
    let text = text.replacen(anchor, "\n[budgets]\nexecution_ms = 0.25\n\n[threads]\n", 1);
    std::fs::write(&robot, text).unwrap();
    (scratch, Options { robot, ..Options::default() })
}

/// A folder of this test's own.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        let name = format!("mechos-causes-{}-{}", std::process::id(), mechos_tests::now_ns());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Injects the fault again and again until the tick that it hit is a late computing: the miss of
/// exactly that tick, and the status that shows it.
fn missed(machine: &Machine, fault: &Fault, name: &str) -> (MissStatus, Status) {
    let mut others = Vec::new();
    for _ in 0..TRIES_MAX {
        let t_ns = machine.inject(fault.clone());
        let hit = |status: &Status| {
            status.injected.iter().find(|f| f.fault == name && f.t_ns > t_ns).cloned()
        };
        let status = machine.wait("the fault to hit a tick", |status| hit(status).is_some());
        let tick = hit(&status).unwrap().tick;
        // Left after the fault's own note, by the same thread.
        let noted = |status: &Status| {
            status.ticks > 0 && status.t_ns > hit(status).map_or(u64::MAX, |f| f.t_ns) + 30_000_000
        };
        let status = machine.wait("the tick to be over", noted);
        let found = status.last_misses.iter().find(|miss| miss.tick == tick);
        match found {
            Some(miss) if miss.kind == "late-compute" => return (miss.clone(), status),
            other => others.push(other.cloned()),
        }
    }
    panic!("{TRIES_MAX} times {name} and never a late computing; instead {others:?}");
}

fn named(machine: &Machine, fault: &Fault, name: &str, cause: &str) -> MissStatus {
    let count = |status: &Status| {
        let causes = serde_json::to_value(status.miss_causes).unwrap();
        causes.get(cause.replace('-', "_")).unwrap().as_u64().unwrap()
    };
    let before = machine.status().unwrap();
    let (miss, status) = missed(machine, fault, name);
    println!("{name}: {miss:?}");
    assert_eq!(miss.cause, cause, "{miss:?}");
    assert_eq!(miss.stage.as_deref(), Some("gather"), "where faults are injected");
    assert!(miss.late_us >= 250, "{miss:?}");
    assert!(count(&status) > count(&before), "{:?}", status.miss_causes);
    assert_eq!(status.misses.total(), status.miss_causes.total(), "causes add up to the misses");
    miss
}

#[test]
fn a_busy_loop_a_page_fault_and_a_lock_are_each_named_as_the_cause_of_their_miss() {
    let (_scratch, options) = tight();
    let machine = Machine::moving(options);
    named(&machine, &Fault::Busy { us: 300 }, "busy", "own-stage");
    named(&machine, &Fault::PageFault, "page-fault", "page-fault");
    let lock = named(&machine, &Fault::Lock { us: 300 }, "lock", "blocked");
    // The wait for a lock is not on the control thread's list of system calls: it was refused.
    let status = machine.status().unwrap();
    let control = status.rt.threads.iter().find(|thread| thread.name == "control").unwrap();
    assert_eq!(lock.call.as_deref(), control.filtered.then_some("futex"), "{lock:?}");
}

#[test]
fn a_tick_that_overruns_periods_is_late_computing_and_the_next_ones_lateness_is_put_down_to_it() {
    let machine = Machine::moving(Options::default());
    let (miss, status) = missed(&machine, &Fault::StallControl { ms: 4 }, "stall");
    assert_eq!((miss.cause.as_str(), miss.stage.as_deref()), ("own-stage", Some("gather")));
    assert!(miss.late_us >= 4_000, "{miss:?}");
    let mut after = status.last_misses.iter().skip_while(|other| other.tick <= miss.tick);
    let next = after.find(|other| other.kind == "late-wake").expect("the next tick was late");
    assert_eq!(next.cause, "own-stage", "{next:?}");
    assert_eq!(next.stage.as_deref(), Some("previous-tick"), "{next:?}");
    assert!(next.tick >= miss.tick + 4, "{next:?}");
    assert_eq!(status.misses.total(), status.miss_causes.total());
}

fn latency(machine: &Machine, path: LatencyPath, reset: bool) -> Latency {
    let socket = machine.runtime.join(OPERATOR_SOCKET);
    let mut client = Client::connect(socket, PATIENCE).unwrap();
    let reply = client.call(Command::Latency { path, reset }).unwrap();
    *reply.latency.expect("a distribution")
}

#[test]
fn every_way_of_a_moving_machine_has_its_distribution() {
    let machine = Machine::moving(Options::default());
    machine
        .wait("an intent to end", |status| status.intents.preempted + status.intents.completed > 0);
    let status = machine.status().unwrap();
    let all: Vec<Latency> =
        LatencyPath::ALL.into_iter().map(|path| latency(&machine, path, false)).collect();
    for found in &all {
        println!(
            "{:?}: {} from {} to {} ns, {} lost",
            found.path, found.count, found.min_ns, found.max_ns, found.samples_lost
        );
        assert!(found.count > 0, "{found:?}");
        assert!(0 < found.min_ns && found.min_ns <= found.max_ns, "{found:?}");
    }
    let [wake, compute, send, wire, seen, intent_wire, feedback] = &all[..] else {
        panic!("seven distributions")
    };
    assert!(wake.count >= status.ticks && compute.count >= status.ticks, "one a tick");
    // The simulated wire takes its time: a frame is on it later than it was handed over.
    assert!(wire.min_ns > send.min_ns, "{wire:?} {send:?}");
    assert!(intent_wire.min_ns > seen.min_ns, "{seen:?} {intent_wire:?}");
    assert!(feedback.count > wake.count / 2, "six axes answer every SYNC");
    let buses = machine.robot.buses.len() as u64;
    let admitted = status.intents.accepted + status.intents.clamped;
    assert!(seen.count >= admitted, "{seen:?}, {admitted} admitted");
    let ways = intent_wire.count + intent_wire.samples_lost;
    assert!(ways >= admitted.saturating_sub(1) * buses, "{intent_wire:?}, {admitted} admitted");
    let before = latency(&machine, LatencyPath::IntentSeen, true);
    let after = latency(&machine, LatencyPath::IntentSeen, false);
    assert!(after.count < before.count, "a reset empties");
}

#[test]
fn a_stop_says_when_the_loss_was_seen_and_when_the_frame_was_sent() {
    let machine = Machine::moving(Options::default());
    let planner = machine.cognition.as_ref().unwrap();
    let killed_ns = machine.signal(planner, nix::sys::signal::Signal::SIGKILL);
    let halted = |status: &Status| {
        status
            .halts
            .last()
            .is_some_and(|halt| halt.cause == "cognition-lost" && halt.sent_ns.is_some())
    };
    let status = machine.wait("the planner's loss to halt the machine", halted);
    let halt = status.halts.last().unwrap();
    println!("killed at {killed_ns}: {halt:?}");
    let seen_ns = halt.seen_ns.expect("the socket hung up");
    assert!(killed_ns < seen_ns && seen_ns <= halt.t_ns && Some(halt.t_ns) < halt.sent_ns);
    assert_eq!(halt.deadline_ns, None);
}

#[test]
fn a_passed_deadline_is_in_the_stop_that_it_caused() {
    let machine = Machine::moving(Options::default());
    let t_ns = machine.inject(Fault::StallControl { ms: 80 });
    let halted = |status: &Status| status.halts.iter().any(|halt| halt.deadline_ns.is_some());
    let status = machine.wait("the deadline's stop", halted);
    let halt = status.halts.iter().find(|halt| halt.deadline_ns.is_some()).unwrap();
    println!("{halt:?}");
    assert_eq!(halt.cause, "deadline-control");
    let (deadline_ns, sent_ns) = (halt.deadline_ns.unwrap(), halt.sent_ns.unwrap());
    assert!(t_ns < deadline_ns && deadline_ns < sent_ns, "{halt:?}");
}
