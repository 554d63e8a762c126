//! Faults injected into real-time threads, for demonstrations and tests on simulated buses only.
//!
//! The operator's socket arms one word; the target thread takes it at its next turn.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::shared::BUSES_MAX;

/// A real-time thread of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The control thread.
    Control,
    /// The deadline thread.
    Deadline,
    /// A bus thread, by its bus' index.
    Bus(usize),
}

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// Compute for this long, ns, before going on.
    Stall(u64),
    /// Panic.
    Panic,
    /// Never return.
    Loop,
    /// Allocate and free, as no real-time thread may after arming.
    Allocate,
    /// Make a system call that is not on the thread's list.
    Call,
}

const THREADS: usize = 2 + BUSES_MAX;
/// An armed word is the kind in its upper eight bits, from 1, and the kind's value below.
const KIND_SHIFT: u32 = 56;
const VALUE_MAX: u64 = (1 << KIND_SHIFT) - 1;

const STALL: u64 = 1;
const PANIC: u64 = 2;
const LOOP: u64 = 3;
const ALLOCATE: u64 = 4;
const CALL: u64 = 5;

impl Injection {
    /// As one word that is never 0.
    fn word(self) -> u64 {
        let (kind, value) = match self {
            Injection::Stall(ns) => (STALL, ns),
            Injection::Panic => (PANIC, 0),
            Injection::Loop => (LOOP, 0),
            Injection::Allocate => (ALLOCATE, 0),
            Injection::Call => (CALL, 0),
        };
        kind << KIND_SHIFT | value.min(VALUE_MAX)
    }

    /// Of an armed word; none for 0.
    fn of_word(word: u64) -> Option<Self> {
        let value = word & VALUE_MAX;
        match word >> KIND_SHIFT {
            STALL => Some(Injection::Stall(value)),
            PANIC => Some(Injection::Panic),
            LOOP => Some(Injection::Loop),
            ALLOCATE => Some(Injection::Allocate),
            CALL => Some(Injection::Call),
            _ => None,
        }
    }
}

/// One word a thread; 0: nothing.
#[derive(Debug, Default)]
pub struct Injections {
    words: [AtomicU64; THREADS],
}

impl Target {
    /// The thread's number in causes (`ThreadPanic`) and in the log.
    pub fn number(self) -> usize {
        match self {
            Target::Control => 0,
            Target::Deadline => 1,
            Target::Bus(bus) => 2 + bus,
        }
    }
}

impl Injections {
    /// Arms an injection; false when the thread does not exist.
    pub fn arm(&self, target: Target, injection: Injection) -> bool {
        let slot = self.words.get(target.number());
        slot.map(|slot| slot.store(injection.word(), Ordering::Release)).is_some()
    }

    /// Carries out what was armed for `target`, if anything. Real time but for what it injects.
    pub fn act(&self, target: Target, now_ns: fn() -> u64) {
        let Some(slot) = self.words.get(target.number()) else { return };
        if slot.load(Ordering::Relaxed) == 0 {
            return;
        }
        match Injection::of_word(slot.swap(0, Ordering::Acquire)) {
            None => {}
            Some(Injection::Panic) => deliberate_panic(),
            Some(Injection::Loop) => loop {
                std::hint::spin_loop();
            },
            Some(Injection::Stall(ns)) => {
                let until = now_ns().saturating_add(ns);
                while now_ns() < until {
                    std::hint::spin_loop();
                }
            }
            Some(Injection::Allocate) => drop(black_box(Box::new(0_u64))),
            Some(Injection::Call) => {
                black_box(nix::unistd::getppid());
            }
        }
    }
}

/// The panic that `mechos fault panic` asks for: unwinds like any other.
fn deliberate_panic() {
    std::panic::resume_unwind(Box::new("a panic injected by the operator"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_time() -> u64 {
        u64::MAX
    }

    #[test]
    fn nothing_armed_does_nothing() {
        Injections::default().act(Target::Control, no_time);
    }

    #[test]
    fn a_panic_reaches_only_its_thread_and_only_once() {
        let injections = Injections::default();
        assert!(injections.arm(Target::Bus(1), Injection::Panic));
        injections.act(Target::Control, no_time);
        assert!(std::panic::catch_unwind(|| injections.act(Target::Bus(1), no_time)).is_err());
        injections.act(Target::Bus(1), no_time);
    }

    #[test]
    fn every_injection_survives_its_word() {
        for injection in [
            Injection::Stall(0),
            Injection::Stall(VALUE_MAX),
            Injection::Panic,
            Injection::Loop,
            Injection::Allocate,
            Injection::Call,
        ] {
            assert_eq!(Injection::of_word(injection.word()), Some(injection));
        }
        assert_eq!(Injection::of_word(0), None);
        assert_eq!(
            Injection::of_word(Injection::Stall(u64::MAX).word()),
            Some(Injection::Stall(VALUE_MAX))
        );
    }

    #[test]
    fn a_thread_that_does_not_exist_is_refused() {
        assert!(!Injections::default().arm(Target::Bus(BUSES_MAX), Injection::Panic));
    }
}
