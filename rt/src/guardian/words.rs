//! What the guardian's threads share: plain words, each with one writer named beside it, and the
//! notes that the real-time thread leaves for the log.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use shm_protocol::records::Cause;

use super::logic::Fence;

/// Notes that wait to be logged; more are counted and dropped.
pub const NOTES_MAX: usize = 64;

/// Every cause that the guardian latches.
const LATCHED: [Cause; 4] =
    [Cause::OperatorEstop, Cause::RtLost, Cause::ThreadPanic, Cause::Terminated];

/// A fault to inject into the guardian's real-time thread, on simulated buses only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Injection {
    /// Panic.
    Panic = 1,
    /// Never return.
    Loop = 2,
}

/// The shared words.
#[derive(Debug, Default)]
pub struct Words {
    /// Emergency stops asked for; every change is one. Writer: the operator's thread.
    pub estops: AtomicU64,
    /// The process is to end. Writer: the signal handler.
    pub terminate: std::sync::Arc<AtomicBool>,
    /// The process ends now: the operator's thread leaves. Writer: the attendant.
    pub over: AtomicBool,
    /// An [`Injection`], 0: none. Armed by the operator's thread, taken by the watcher.
    inject: AtomicU8,
    /// mechos-rt is connected. Writer: the watcher.
    pub connected: AtomicBool,
    /// mechos-rt says that drives may be powered. Writer: the watcher.
    pub energised: AtomicBool,
    /// The latched cause's number, 0: none. Writer: the watcher.
    fence_cause: AtomicU32,
    /// When it was latched, ns. Writer: the watcher.
    fence_ns: AtomicU64,
    /// Age of the newest beat, ns. Writer: the watcher.
    pub beat_age_ns: AtomicU64,
    /// Largest age while energised, ns. Writer: the watcher.
    pub beat_age_max_ns: AtomicU64,
    /// Stop frames sent in emergencies. Writer: the watcher.
    pub stops_sent: AtomicU64,
    /// Every bus' stop socket is proved. Writer: the watcher.
    pub proved: AtomicBool,
    /// Notes that found no room. Writer: the watcher.
    pub notes_lost: AtomicU64,
}

impl Words {
    /// Publishes the fence.
    pub fn set_fence(&self, fence: Option<Fence>) {
        if let Some(fence) = fence {
            self.fence_ns.store(fence.t_ns, Ordering::Relaxed);
        }
        let cause = fence.map_or(Cause::None, |fence| fence.cause);
        // Release pairs with the Acquire in `fence`: who sees the cause sees its time.
        self.fence_cause.store(cause as u32, Ordering::Release);
    }

    /// The fence as last published.
    #[must_use]
    pub fn fence(&self) -> Option<Fence> {
        let number = self.fence_cause.load(Ordering::Acquire);
        let cause = *LATCHED.iter().find(|cause| **cause as u32 == number)?;
        Some(Fence { cause, t_ns: self.fence_ns.load(Ordering::Relaxed) })
    }

    /// Arms an injection.
    pub fn inject(&self, injection: Injection) {
        self.inject.store(injection as u8, Ordering::Release);
    }

    /// Carries out what was armed. Real time but for what it injects.
    pub fn act_on_injection(&self) {
        if self.inject.load(Ordering::Relaxed) == 0 {
            return;
        }
        match self.inject.swap(0, Ordering::Acquire) {
            n if n == Injection::Panic as u8 => {
                // Unwinds like any other panic.
                std::panic::resume_unwind(Box::new("a panic injected by the operator"));
            }
            n if n == Injection::Loop as u8 => loop {
                std::hint::spin_loop();
            },
            _ => {}
        }
    }
}

/// What the watcher has to tell the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// mechos-rt connected.
    Connected,
    /// mechos-rt ended in order.
    Goodbye,
    /// mechos-rt's end of the socket was closed.
    HungUp,
    /// The fence went up.
    Fenced(Fence),
    /// The first stop of an emergency was handed to a bus.
    Stopped {
        /// The bus.
        bus: usize,
        /// CLOCK_MONOTONIC, ns.
        t_ns: u64,
    },
    /// Every drive has confirmed the stop.
    Confirmed {
        /// CLOCK_MONOTONIC, ns.
        t_ns: u64,
    },
    /// An operator's reset took the fence down.
    Reset,
    /// A bus has gone.
    BusLost {
        /// The bus.
        bus: usize,
    },
    /// All stop sockets are proved.
    Proved,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_fence_is_read_back() {
        let words = Words::default();
        assert_eq!(words.fence(), None);
        for cause in LATCHED {
            let fence = Some(Fence { cause, t_ns: 42 });
            words.set_fence(fence);
            assert_eq!(words.fence(), fence);
        }
        words.set_fence(None);
        assert_eq!(words.fence(), None);
    }

    #[test]
    fn an_injected_panic_unwinds_once() {
        let words = Words::default();
        words.act_on_injection();
        words.inject(Injection::Panic);
        let run = std::panic::AssertUnwindSafe(|| words.act_on_injection());
        assert!(std::panic::catch_unwind(run).is_err());
        words.act_on_injection();
    }
}
