//! Durations on their way from the real-time threads to housekeeping's histograms: one ring a
//! thread, fixed-size samples, nothing waits. What finds its ring full is counted by its path.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mechos_operator::LatencyPath;
use rtrb::{Consumer, Producer, RingBuffer};

/// Samples that one thread may be ahead of housekeeping: 32 axes at 10 kHz for a tenth of a second.
const TIMINGS_MAX: usize = 32_768;

/// One duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Which way it was.
    pub path: LatencyPath,
    /// How long, ns.
    pub ns: u64,
}

/// Samples that never reached a histogram, by path. Writers: the real-time threads, by addition.
#[derive(Debug, Default)]
pub struct Lost([AtomicU64; LatencyPath::ALL.len()]);

impl Lost {
    /// Counts `count` samples of `path`. Real time.
    pub fn add(&self, path: LatencyPath, count: u64) {
        if let Some(word) = self.0.get(path as usize) {
            word.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// How many of `path` so far.
    pub fn of(&self, path: LatencyPath) -> u64 {
        self.0.get(path as usize).map_or(0, |word| word.load(Ordering::Relaxed))
    }
}

/// A thread's end of its ring.
pub struct Timings {
    ring: Producer<Timing>,
    lost: Arc<Lost>,
}

impl Timings {
    /// A ring: the thread's end and housekeeping's.
    pub fn ring(lost: &Arc<Lost>) -> (Self, Consumer<Timing>) {
        let (ring, consumer) = RingBuffer::new(TIMINGS_MAX);
        (Self { ring, lost: Arc::clone(lost) }, consumer)
    }

    /// Hands over one duration. Real time.
    pub fn sample(&mut self, path: LatencyPath, ns: u64) {
        if self.ring.push(Timing { path, ns }).is_err() {
            self.lost.add(path, 1);
        }
    }

    /// Samples that could not be taken at all. Real time.
    pub fn lose(&mut self, path: LatencyPath, count: u64) {
        if count > 0 {
            self.lost.add(path, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_by_its_path() {
        let lost = Arc::new(Lost::default());
        let (mut timings, mut ring) = Timings::ring(&lost);
        for ns in 0..TIMINGS_MAX as u64 + 3 {
            timings.sample(LatencyPath::Wire, ns);
        }
        timings.sample(LatencyPath::Wake, 1);
        assert_eq!((lost.of(LatencyPath::Wire), lost.of(LatencyPath::Wake)), (3, 1));
        assert_eq!(ring.pop(), Ok(Timing { path: LatencyPath::Wire, ns: 0 }));
    }

    #[test]
    fn every_path_has_its_own_counter() {
        let lost = Lost::default();
        for (count, path) in (1..).zip(LatencyPath::ALL) {
            lost.add(path, count);
        }
        for (count, path) in (1..).zip(LatencyPath::ALL) {
            assert_eq!(lost.of(path), count, "{path:?}");
        }
    }
}
