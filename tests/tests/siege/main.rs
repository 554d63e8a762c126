//! The hostile peer against an armed, moving arm, from outside: the real processes on the simulated bus,
//! an hour long if need be.
//!
//! Rounds: a hostile process (this program again) besieges the machine in one of the ways of `attack.rs`
//! while the arm moves; then an honest planner arms, moves and has every verdict. Throughout, both
//! processes live and do not panic, real-time threads neither fault nor allocate, nothing leaves its
//! limits on the bus, and nothing grows.
//!
//! The budgets are widened to a second and more. A host that takes the CPU away does so for tens of
//! milliseconds, so that no deadline passes for its sake: whatever halts the machine here beside what
//! the attack may rightly halt it by fails the test.
//!
//! In the lab, in counted time, a tick is counted under each attack (`count.rs`).
//!
//! `MECHOS_SIEGE_S` says how long, `MECHOS_SEED` repeats a run's draws.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod attack;
mod besieger;
mod count;
mod door;
mod hand;
mod hostile;
mod random;
mod rounds;
mod tamper;
mod totals;
mod watch;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mechos_tests::binaries::arm6;
use mechos_tests::lab;
use random::Random;
use rounds::Siege;

/// How long a siege lasts when nothing else is asked for, s: a little more than every attack once.
const LENGTH_S: u64 = 20;
/// Ticks of each attack that are counted when nothing else is asked for, and in the smoke size.
const TICKS: u64 = 1_000;
const SMOKE_TICKS: u64 = 400;
/// What a hostile process is to do, as JSON.
const ORDER: &str = "MECHOS_TEST_SIEGE_ORDER";

/// What arm6 has besides, so that no hold-up of the host passes a deadline.
const BUDGETS: &str = "
[budgets]
deadline_ms = 1000
guardian_ms = 2000
watchdog_ms = 4000
hazard_ms = 10000
feedback_age_ms = 1000
cognition_heartbeat_ms = 2000
watcher_beat_ms = 1500
housekeeping_beat_ms = 3000
drive_heartbeat_timeout_ms = 3000
";

fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// One siege at a time: each is measured.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// arm6 with wider budgets, in a file of its own; for a host with one CPU where this is one.
fn robot() -> PathBuf {
    let mut text = std::fs::read_to_string(arm6()).unwrap();
    if std::thread::available_parallelism().unwrap().get() == 1 {
        let shared = "shared_cpu = true\nhousekeeping_cpu = 0";
        text = text.replace("cpu = 1 }", "cpu = 0 }").replace("housekeeping_cpu = 0", shared);
        // At 1 kHz the simulated buses leave nothing of one CPU to whoever has no priority.
        text = text.replace("rate_hz = 1000", "rate_hz = 250");
    }
    let wider = text.replace("hazard_ms = 500", "hazard_ms = 10000") + BUDGETS;
    let path = std::env::temp_dir().join(format!("mechos-siege-{}.toml", std::process::id()));
    std::fs::write(&path, wider).unwrap();
    path
}

/// What a hostile process does; nothing in the test's own process.
#[test]
fn hostile_process() {
    if let Ok(order) = std::env::var(ORDER) {
        besieger::run(&serde_json::from_str(&order).unwrap());
    }
}

#[test]
fn a_hostile_process_changes_nothing_for_the_machine_and_for_honest_planners() {
    if std::env::var_os(ORDER).is_some() {
        return;
    }
    let _alone = alone();
    let (length_s, seed) = (asked("MECHOS_SIEGE_S", LENGTH_S), asked("MECHOS_SEED", 42));
    eprintln!("a siege of {length_s} s, seed {seed}");
    let robot = robot();
    let siege = Siege::begin(&robot, Random::new(seed));
    siege.hold_out(std::time::Duration::from_secs(length_s));
    let _ = std::fs::remove_file(robot);
}

/// The same in a smoke size, in the lab.
#[test]
fn a_tick_in_the_lab_costs_the_same_under_siege() {
    let _alone = alone();
    let own = std::env::current_exe().unwrap();
    let script = format!(
        "MECHOS_TESTS_BUILT=1 MECHOS_SIEGE_TICKS={SMOKE_TICKS} {} --ignored --nocapture --exact \
         a_tick_costs_the_same_under_siege",
        own.display()
    );
    let Some(ran) = lab::counted(&script, 560) else { return };
    assert_eq!(ran.status, 0, "in the guest:\n{}", ran.text);
}

/// Counted time only: elsewhere a tick's time is the host's.
#[test]
#[ignore = "in the lab: tools/lab/proofs hostile"]
fn a_tick_costs_the_same_under_siege() {
    let counted = std::env::var("MECHOS_LAB").is_ok_and(|time| time.starts_with("counted"));
    assert!(counted, "instructions are counted in the lab: tools/lab/proofs hostile");
    let robot = robot();
    let siege = Siege::begin(&robot, Random::new(1));
    let ratios = count::count(siege, asked("MECHOS_SIEGE_TICKS", TICKS));
    let _ = std::fs::remove_file(robot);
    for (attack, ratio) in ratios {
        assert!(ratio <= 1.05, "a tick under {attack:?} is {ratio:.3} times a quiet one");
    }
}
