//! Faults injected into real-time threads, for demonstrations and tests on simulated buses only.
//!
//! The operator's socket arms one word; the target thread takes it at its next turn.

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
}

const THREADS: usize = 2 + BUSES_MAX;
const PANIC: u64 = u64::MAX;
const LOOP: u64 = u64::MAX - 1;

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
        let word = match injection {
            Injection::Stall(ns) => ns.clamp(1, LOOP - 1),
            Injection::Panic => PANIC,
            Injection::Loop => LOOP,
        };
        self.words.get(target.number()).map(|slot| slot.store(word, Ordering::Release)).is_some()
    }

    /// Carries out what was armed for `target`, if anything. Real time but for what it injects.
    pub fn act(&self, target: Target, now_ns: fn() -> u64) {
        let Some(slot) = self.words.get(target.number()) else { return };
        if slot.load(Ordering::Relaxed) == 0 {
            return;
        }
        match slot.swap(0, Ordering::Acquire) {
            0 => {}
            PANIC => deliberate_panic(),
            LOOP => loop {
                std::hint::spin_loop();
            },
            ns => {
                let until = now_ns().saturating_add(ns);
                while now_ns() < until {
                    std::hint::spin_loop();
                }
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
    fn a_thread_that_does_not_exist_is_refused() {
        assert!(!Injections::default().arm(Target::Bus(BUSES_MAX), Injection::Panic));
    }
}
