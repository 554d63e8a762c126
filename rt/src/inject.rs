//! Faults injected into real-time threads, for demonstrations and tests on simulated buses only.
//!
//! The operator's socket arms one word; the target thread takes it at its next turn.

mod door;

use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::host::fresh::FreshPages;
use crate::host::threads::set_fifo;
use door::Door;
use nix::unistd::Pid;

use crate::shared::{BUSES_MAX, Shared};

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
    /// Compute for this long, ns, beside the work of one tick: longer than its budget, shorter than
    /// any deadline.
    Busy(u64),
    /// Touch fresh pages for this long, ns, or until there are none left.
    PageFault(u64),
    /// Wait for a lock that another thread holds.
    Lock,
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
const BUSY: u64 = 6;
const PAGE_FAULT: u64 = 7;
const LOCK: u64 = 8;

impl Injection {
    /// As one word that is never 0.
    fn word(self) -> u64 {
        let (kind, value) = match self {
            Injection::Stall(ns) => (STALL, ns),
            Injection::Panic => (PANIC, 0),
            Injection::Loop => (LOOP, 0),
            Injection::Allocate => (ALLOCATE, 0),
            Injection::Call => (CALL, 0),
            Injection::Busy(ns) => (BUSY, ns),
            Injection::PageFault(ns) => (PAGE_FAULT, ns),
            Injection::Lock => (LOCK, 0),
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
            BUSY => Some(Injection::Busy(value)),
            PAGE_FAULT => Some(Injection::PageFault(value)),
            LOCK => Some(Injection::Lock),
            _ => None,
        }
    }
}

/// One word a thread; 0: nothing.
#[derive(Debug, Default)]
pub struct Injections {
    words: [AtomicU64; THREADS],
    door: Door,
    pages: OnceLock<FreshPages>,
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

    /// Makes the pages that a page fault needs, and arms one for the control thread: it touches them
    /// for `ns` at the most. Not for a real-time thread.
    ///
    /// # Errors
    /// The system's, when it gives no pages.
    pub fn arm_page_fault(&self, ns: u64) -> io::Result<()> {
        match self.pages.get() {
            Some(pages) => pages.give_back()?,
            None => {
                let _ = self.pages.set(FreshPages::map()?);
            }
        }
        self.arm(Target::Control, Injection::PageFault(ns));
        Ok(())
    }

    /// Gives the pages of a page fault back, lest they count as memory that is not locked. Not for a
    /// real-time thread.
    ///
    /// # Errors
    /// The system's.
    pub fn give_back(&self) -> io::Result<()> {
        self.pages.get().map_or(Ok(()), FreshPages::give_back)
    }

    /// Carries out what was armed for `target`, and returns it. Real time but for what it injects.
    pub fn act(&self, target: Target, now_ns: fn() -> u64) -> Option<Injection> {
        let slot = self.words.get(target.number())?;
        if slot.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let injection = Injection::of_word(slot.swap(0, Ordering::Acquire))?;
        match injection {
            Injection::Panic => deliberate_panic(),
            // Without a hint that it spins: a program that went wrong gives none, and an emulator
            // would leave its fast path at each.
            Injection::Loop => loop {
                black_box(());
            },
            Injection::Stall(ns) | Injection::Busy(ns) => {
                let until = now_ns().saturating_add(ns);
                while now_ns() < until {}
            }
            Injection::Allocate => drop(black_box(Box::new(0_u64))),
            Injection::Call => {
                black_box(nix::unistd::getppid());
            }
            Injection::PageFault(ns) => {
                let until = now_ns().saturating_add(ns);
                while now_ns() < until && self.pages.get().is_some_and(FreshPages::touch) {}
            }
            Injection::Lock => self.door.pass(),
        }
        Some(injection)
    }
}

/// Starts a short-lived thread that takes the lock, lets the control thread run into it,
/// and gives it back `length` later. It asks for the lowest real-time priority: whatever else runs
/// on this host would make the wait longer than asked.
///
/// # Errors
/// The system's, when it gives no thread.
pub fn arm_lock(shared: &Arc<Shared>, length: Duration) -> io::Result<()> {
    let shared = Arc::clone(shared);
    let hold = move || {
        // Refused to an ordinary user; the lock is then held a little longer on a busy host.
        let _ = set_fifo(Pid::from_raw(0), 1);
        let injections = &shared.inject;
        injections.door.hold(length, || {
            injections.arm(Target::Control, Injection::Lock);
        });
    };
    std::thread::Builder::new().name("fault-lock".to_owned()).spawn(hold).map(|_| ())
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
            Injection::Busy(300_000),
            Injection::PageFault(1),
            Injection::Lock,
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
    fn a_lock_is_armed_once_it_is_held() {
        let shared = Arc::new(Shared::default());
        let length = Duration::from_millis(3);
        arm_lock(&shared, length).unwrap();
        let came = std::time::Instant::now();
        while shared.inject.act(Target::Control, no_time) != Some(Injection::Lock) {
            assert!(came.elapsed() < Duration::from_secs(20), "never armed");
        }
        assert!(came.elapsed() >= length);
    }

    #[test]
    fn a_thread_that_does_not_exist_is_refused() {
        assert!(!Injections::default().arm(Target::Bus(BUSES_MAX), Injection::Panic));
    }
}
