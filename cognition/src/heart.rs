//! The heartbeat: a thread that does nothing else, so that no planner can delay it.

use std::io;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tracing::debug;

use crate::clock::MILLISECOND_NS;
use crate::link::Heart;

/// The beat is never slower than this, ns.
const PERIOD_MAX_NS: u64 = 100 * MILLISECOND_NS;
/// The beat is never faster than this, ns.
const PERIOD_MIN_NS: u64 = MILLISECOND_NS;
/// Beats within one time-out of the real-time side: several may come late before one is missed.
const BEATS_PER_TIMEOUT: u64 = 8;

/// A beating heart; it stops when this is dropped, and the thread has ended then.
#[derive(Debug)]
pub struct Beating {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How often to beat for a time-out of this length, ns.
pub fn period_ns(timeout_ns: u64) -> u64 {
    (timeout_ns / BEATS_PER_TIMEOUT).clamp(PERIOD_MIN_NS, PERIOD_MAX_NS)
}

/// Starts the heartbeat of one connection. The first beat is made before this returns.
///
/// # Errors
/// The thread could not be started.
pub fn start(mut heart: Box<dyn Heart>, timeout_ns: u64) -> io::Result<Beating> {
    heart.beat();
    let (end, ended) = bounded(0);
    let period = Duration::from_nanos(period_ns(timeout_ns));
    let thread = Builder::new().name("heart".into()).spawn(move || run(heart, period, &ended))?;
    Ok(Beating { end: Some(end), thread: Some(thread) })
}

fn run(mut heart: Box<dyn Heart>, period: Duration, ended: &Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(period) {
        heart.beat();
    }
    debug!("heartbeat ended with its connection");
}

impl Drop for Beating {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A heart does not panic; were it so, the real-time side sees its silence.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    struct Counter(Arc<AtomicU64>);
    impl Heart for Counter {
        fn beat(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_beats_by_itself_and_ends_with_its_owner() {
        let beats = Arc::new(AtomicU64::new(0));
        let heart = start(Box::new(Counter(beats.clone())), 8 * MILLISECOND_NS).unwrap();
        let begun = Instant::now();
        while beats.load(Ordering::Relaxed) < 5 {
            assert!(begun.elapsed() < Duration::from_secs(30), "no beats");
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(heart);
        let after = beats.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(beats.load(Ordering::Relaxed), after);
    }

    #[test]
    fn the_period_leaves_room_for_several_late_beats() {
        assert_eq!(period_ns(50 * MILLISECOND_NS), 6_250_000);
        assert_eq!(period_ns(0), PERIOD_MIN_NS);
        assert_eq!(period_ns(u64::MAX), PERIOD_MAX_NS);
    }
}
