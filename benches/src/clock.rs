//! A clock that is cheap enough to look at between two hand-overs: the processor's counter, or the
//! system's monotonic clock where this file does not know the counter.
//!
//! `unsafe` is needed to execute the two instructions, which touch no memory.

use std::time::{Duration, Instant};

/// For how long the counter is compared with the system's clock.
const COMPARED: Duration = Duration::from_millis(50);
/// Looks in a row from which the cost of one is taken, and how often that is tried.
const LOOKS: u32 = 200;
const TRIES: u32 = 50;

/// The counter now. What stands before and after it may overlap with it, as between two round
/// trips, whose own dependencies keep them in order.
#[inline]
#[must_use]
pub fn stamp() -> u64 {
    counter()
}

/// The counter now, with everything before it done and nothing after it begun: for what is shorter
/// than the processor's view ahead. Its cost is to be subtracted ([`Clock::fenced_cost`]).
#[inline]
#[must_use]
pub fn stamp_fenced() -> u64 {
    fence();
    let now = counter();
    fence();
    now
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has RDTSC; that Linux lets user space execute it is its default,
    // and a refusal is a signal, not undefined behaviour.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn fence() {
    // SAFETY: LFENCE is part of SSE2, which every x86-64 processor has.
    unsafe { std::arch::x86_64::_mm_lfence() }
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    use std::sync::OnceLock;
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let begun = BEGUN.get_or_init(Instant::now);
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(not(target_arch = "x86_64"))]
fn fence() {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

/// What a count is worth, and what looking costs.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    count_ns: f64,
    cost: f64,
    fenced_cost: f64,
}

impl Clock {
    /// Compares the counter with the system's clock for a twentieth of a second.
    #[must_use]
    pub fn new() -> Clock {
        let (begun, first) = (Instant::now(), counter());
        while begun.elapsed() < COMPARED {
            std::hint::spin_loop();
        }
        let (elapsed, last) = (begun.elapsed(), counter());
        let counts = last.wrapping_sub(first).max(1);
        Clock {
            count_ns: elapsed.as_nanos() as f64 / counts as f64,
            cost: cost(stamp),
            fenced_cost: cost(stamp_fenced),
        }
    }

    /// Counts as nanoseconds.
    #[must_use]
    pub fn ns(&self, counts: f64) -> f64 {
        counts * self.count_ns
    }

    /// Nanoseconds as counts.
    #[must_use]
    pub fn counts(&self, time: Duration) -> u64 {
        (time.as_nanos() as f64 / self.count_ns) as u64
    }

    /// What a [`stamp`] among others costs, counts. It is left in what is measured, in the raw
    /// hand-over as in what is compared with it.
    #[must_use]
    pub fn cost(&self) -> f64 {
        self.cost
    }

    /// What a [`stamp_fenced`] costs, counts; to be subtracted.
    #[must_use]
    pub fn fenced_cost(&self) -> f64 {
        self.fenced_cost
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new()
    }
}

/// The shortest time of several looks in a row, for one of them: whatever came in between made
/// others longer.
fn cost(look: impl Fn() -> u64) -> f64 {
    let run = |_| {
        let first = look();
        let last = (0..LOOKS).fold(first, |_, _| look());
        last.wrapping_sub(first)
    };
    (0..TRIES).map(run).min().unwrap_or(0) as f64 / f64::from(LOOKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_as_long_as_the_system_s_clock_says() {
        let clock = Clock::new();
        let (begun, first) = (Instant::now(), stamp());
        std::thread::sleep(Duration::from_millis(20));
        let (ns, truth_ns) =
            (clock.ns((stamp() - first) as f64), begun.elapsed().as_nanos() as f64);
        assert!((ns / truth_ns - 1.0).abs() < 0.1, "{ns} ns where {truth_ns} ns passed");
    }
}
