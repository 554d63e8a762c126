//! CLOCK_MONOTONIC: reading it, sleeping until a time of it, and its distance to CLOCK_BOOTTIME.

/// Readings that `boot_offset_ns` takes at the most.
const ATTEMPTS_MAX: u32 = 4;

/// Two readings of one clock farther apart than this were preempted between, ns.
const UNDISTURBED_NS: u64 = 20_000;

const NS_PER_S: u64 = 1_000_000_000;

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call, which writes one timespec. It cannot fail: the clocks
    // used here exist on every Linux since 2.6.39; std's Instant does not give the raw number.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(NS_PER_S).saturating_add(nanoseconds)
}

/// CLOCK_MONOTONIC now, ns. Real time.
#[must_use]
pub fn now_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// How long the calling thread has run on a CPU, ns: what separates its own work from time that
/// somebody else took. Real time.
#[must_use]
pub fn thread_ns() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// How long the host has been suspended since it booted: CLOCK_BOOTTIME minus CLOCK_MONOTONIC, ns.
/// Real time.
///
/// The clocks are read one after the other: the answer is never too high, and too low by less than
/// 20 us as a rule; on a host that was never suspended it is exactly 0. Whoever looks for a change
/// allows for a millisecond.
#[must_use]
pub fn boot_offset_ns() -> u64 {
    let mut highest = 0;
    for _ in 0..ATTEMPTS_MAX {
        let before = now_ns();
        let boot = read(libc::CLOCK_BOOTTIME);
        let after = now_ns();
        highest = highest.max(boot.saturating_sub(after));
        if after.saturating_sub(before) <= UNDISTURBED_NS {
            break;
        }
    }
    highest
}

/// Sleeps until CLOCK_MONOTONIC has reached `deadline_ns`; returns at once when it has. Signals
/// that are handled do not end it early. Real time.
pub fn sleep_until(deadline_ns: u64) {
    let until = libc::timespec {
        tv_sec: libc::time_t::try_from(deadline_ns / NS_PER_S).unwrap_or(libc::time_t::MAX),
        // Below 1e9, fits.
        tv_nsec: libc::c_long::try_from(deadline_ns % NS_PER_S).unwrap_or(0),
    };
    loop {
        // SAFETY: `until` outlives the call; with TIMER_ABSTIME the remainder is not written, so
        // that it may be null. Needed because std sleeps only for a duration.
        let result = unsafe {
            libc::clock_nanosleep(
                libc::CLOCK_MONOTONIC,
                libc::TIMER_ABSTIME,
                &raw const until,
                std::ptr::null_mut(),
            )
        };
        if result != libc::EINTR {
            return;
        }
    }
}

/// Sleeps until `margin_ns` before `deadline_ns`, then watches the clock until it is there: what the
/// kernel takes to wake the thread falls into the margin. Returns the first reading that is not
/// before the deadline. Real time.
pub fn spin_until(deadline_ns: u64, margin_ns: u64) -> u64 {
    sleep_until(deadline_ns.saturating_sub(margin_ns));
    loop {
        let now_ns = now_ns();
        if now_ns >= deadline_ns {
            return now_ns;
        }
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_steps_back() {
        let mut last = now_ns();
        for _ in 0..10_000 {
            let now = now_ns();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn a_sleep_ends_no_earlier_than_asked() {
        let deadline = now_ns() + 3_000_000;
        sleep_until(deadline);
        assert!(now_ns() >= deadline);
    }

    #[test]
    fn a_spinning_sleep_ends_no_earlier_than_asked_however_long_its_margin() {
        for margin_ns in [0, 100_000, u64::MAX] {
            let deadline = now_ns() + 300_000;
            assert!(spin_until(deadline, margin_ns) >= deadline);
        }
        assert!(spin_until(0, 1_000) > 0);
    }

    #[test]
    fn a_time_that_has_passed_is_no_sleep() {
        sleep_until(0);
        sleep_until(now_ns().saturating_sub(1));
    }

    #[test]
    fn the_distance_of_the_clocks_stays_within_its_stated_error() {
        let first = boot_offset_ns();
        for _ in 0..1000 {
            assert!(boot_offset_ns().abs_diff(first) < 1_000_000);
        }
    }
}
