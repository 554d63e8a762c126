//! One slot of counters for each listed thread: what it did that no real-time thread may do after
//! arming. The thread writes, whoever shows it reads.
//!
//! The allocator and the handler of refused system calls find the calling thread's slot by a
//! thread-local word that is never built and never dropped, so that reading it neither allocates
//! nor locks, in a signal handler too.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

/// Whether what real-time threads ask of the heap is counted: the machine is armed.
static ARMED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static OWN: Cell<Option<&'static Slot>> = const { Cell::new(None) };
}

/// No system call.
const NO_CALL: i32 = -1;

/// What a thread was seen to do.
#[derive(Debug)]
pub struct Slot {
    allocations: AtomicU64,
    calls_unlisted: AtomicU64,
    last_call: AtomicI32,
    filtered: AtomicBool,
    ended: AtomicBool,
}

/// A slot's counters at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotCounters {
    /// Allocations and frees while the machine was armed.
    pub allocations: u64,
    /// System calls that are not on the thread's list; each failed.
    pub calls_unlisted: u64,
    /// The last of them, by the kernel's number.
    pub last_call: Option<i32>,
}

impl Slot {
    /// A slot for one thread. It is never freed: threads are started once.
    pub(super) fn leak() -> &'static Slot {
        Box::leak(Box::new(Slot {
            allocations: AtomicU64::new(0),
            calls_unlisted: AtomicU64::new(0),
            last_call: AtomicI32::new(NO_CALL),
            filtered: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }))
    }

    /// The counters now.
    #[must_use]
    pub fn counters(&self) -> SlotCounters {
        // Relaxed: counters, compared with nothing else.
        let last_call = self.last_call.load(Ordering::Relaxed);
        SlotCounters {
            allocations: self.allocations.load(Ordering::Relaxed),
            calls_unlisted: self.calls_unlisted.load(Ordering::Relaxed),
            last_call: (last_call != NO_CALL).then_some(last_call),
        }
    }

    /// Whether the thread runs under its list of system calls.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.filtered.load(Ordering::Acquire)
    }

    /// The thread leaves. No lock: whoever reads the list next strikes it out.
    pub(super) fn end(&self) {
        OWN.set(None);
        self.ended.store(true, Ordering::Release);
    }

    /// Whether the thread has left.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// From here on the calling thread counts in `slot`.
pub(super) fn own(slot: &'static Slot) {
    OWN.set(Some(slot));
}

/// The calling thread now runs under its list.
pub(super) fn set_filtered() {
    if let Some(slot) = OWN.get() {
        slot.filtered.store(true, Ordering::Release);
    }
}

/// Says whether the machine is armed. Real time, any thread.
pub fn set_armed(armed: bool) {
    ARMED.store(armed, Ordering::Relaxed);
}

/// The calling thread's counters; zero for a thread without a slot. Real time.
#[must_use]
pub fn counters_of_current() -> SlotCounters {
    OWN.get().map(Slot::counters).unwrap_or_default()
}

/// An allocation or a free of the calling thread. Neither allocates nor locks.
#[inline]
pub(super) fn count_allocation() {
    if ARMED.load(Ordering::Relaxed)
        && let Some(slot) = OWN.get()
    {
        slot.allocations.fetch_add(1, Ordering::Relaxed);
    }
}

/// A refused system call of the calling thread. Safe in a signal handler.
pub(super) fn count_call(number: i32) {
    if let Some(slot) = OWN.get() {
        slot.last_call.store(number, Ordering::Relaxed);
        slot.calls_unlisted.fetch_add(1, Ordering::Relaxed);
    }
}
