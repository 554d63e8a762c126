//! What the ledger finds, with threads made up and with real ones.

use super::*;
use crate::host::grants::ThreadCounters;
use crate::host::slots::SlotCounters;

fn control() -> ThreadGrant {
    ThreadGrant {
        name: "control".to_owned(),
        policy: "SCHED_FIFO",
        priority: 70,
        cpu: Some(1),
        cpus: "1".to_owned(),
        locked: true,
        tid: 7,
        counters: ThreadCounters::default(),
        slot: SlotCounters::default(),
        filtered: true,
        asked: ThreadPlan::real_time("control", 70, 1),
    }
}

fn differing(change: impl FnOnce(&mut ThreadGrant)) -> Ledger {
    let mut ledger = Ledger::new(true);
    ledger.take(&[control()], None);
    assert!(!ledger.is_lost());
    let mut grant = control();
    change(&mut grant);
    ledger.take(&[grant], None);
    ledger
}

#[test]
fn every_difference_says_which_thread_what_was_asked_and_what_was_found() {
    let ledger = differing(|grant| (grant.policy, grant.priority) = ("SCHED_OTHER", 0));
    assert!(ledger.is_lost());
    let expected = "control: asked SCHED_FIFO 70, CPU 1, locked memory; found SCHED_OTHER, CPU 1, \
                    locked memory (`mechos doctor` names the mend)";
    assert_eq!(ledger.differences(), [expected]);
    let cpus = differing(|grant| (grant.cpu, grant.cpus) = (None, "0-1".to_owned()));
    assert!(cpus.differences()[0].contains("found SCHED_FIFO 70, CPU 0-1"), "{cpus:?}");
    let priority = differing(|grant| grant.priority = 1);
    assert!(priority.differences()[0].contains("found SCHED_FIFO 1,"), "{priority:?}");
    let memory = differing(|grant| grant.locked = false);
    assert!(memory.differences()[0].contains("memory not locked"), "{memory:?}");
}

#[test]
fn a_thread_that_has_ended_is_a_difference() {
    let mut ledger = Ledger::new(true);
    ledger.take(&[control()], None);
    ledger.take(&[], None);
    assert!(ledger.differences()[0].ends_with("the thread has ended"), "{ledger:?}");
    ledger.take(&[control()], None);
    assert!(!ledger.is_lost());
}

#[test]
fn counted_violations_are_no_difference() {
    let ledger = differing(|grant| {
        grant.counters.faults_minor = 9;
        grant.slot.allocations = 9;
        grant.slot.calls_unlisted = 9;
    });
    assert!(!ledger.is_lost());
}

#[test]
fn the_guardian_s_thread_counts_while_it_is_there() {
    let mut ledger = Ledger::new(true);
    let guardian = ThreadGrant { name: "guardian".to_owned(), locked: false, ..control() };
    ledger.take(&[control()], Some(&guardian));
    assert!(ledger.differences()[0].starts_with("guardian: asked"), "{ledger:?}");
    ledger.take(&[control()], None);
    assert!(!ledger.is_lost());
}

#[test]
fn a_difference_that_is_not_demanded_is_shown_and_refuses_nothing() {
    let mut ledger = Ledger::new(false);
    ledger.take(&[ThreadGrant { locked: false, ..control() }], None);
    assert!(!ledger.is_lost());
    assert_eq!(ledger.differences().len(), 1);
    assert!(!ledger.status().1.held);
}

#[test]
fn a_kernel_without_filters_is_said() {
    let ledger = differing(|grant| grant.filtered = false);
    assert!(ledger.warnings()[0].contains("without its list of system calls"), "{ledger:?}");
}

#[test]
fn before_the_first_arming_faults_and_switches_are_none() {
    let grant = ThreadGrant {
        counters: ThreadCounters { faults_minor: 36, ..ThreadCounters::default() },
        ..control()
    };
    let mut ledger = Ledger::new(false);
    assert_eq!(ledger.since(&grant).counters.faults_minor, 0);
    ledger.armed(1);
    assert_eq!(ledger.since(&grant).counters.faults_minor, 36);
}

#[test]
fn arming_reads_back_at_once_and_the_turns_now_and_then() {
    let mut ledger = Ledger::new(true);
    assert!(ledger.turn(10));
    assert!(!ledger.turn(11));
    ledger.differences = vec!["of yesterday".to_owned()];
    ledger.before_arming(12);
    assert!(!ledger.differences.contains(&"of yesterday".to_owned()));
    ledger.armed(13);
    assert_eq!(ledger.status().1.armed_since_ns, Some(13));
}
