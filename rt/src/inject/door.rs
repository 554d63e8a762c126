//! A lock that an ordinary thread holds while the control thread wants it: what a mutex shared with
//! a logger, an allocator or a library would do to a tick.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the holder waits for somebody to come.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it looks.
const LOOK: Duration = Duration::from_micros(20);

/// The lock, and whether somebody waits for it.
#[derive(Debug, Default)]
pub struct Door {
    lock: Mutex<()>,
    knocked: AtomicBool,
}

impl Door {
    /// Takes the lock, calls `ready`, waits until somebody wants the lock, and gives it back
    /// `length` later. For a thread of ordinary priority.
    pub fn hold(&self, length: Duration, ready: impl FnOnce()) {
        let held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.knocked.store(false, Ordering::Relaxed);
        ready();
        let until = Instant::now() + PATIENCE;
        while !self.knocked.load(Ordering::Acquire) && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        std::thread::sleep(length);
        drop(held);
    }

    /// Wants the lock, and waits for it as any thread does: in the kernel. Where that call is
    /// trapped it asks again and again.
    pub fn pass(&self) {
        self.knocked.store(true, Ordering::Release);
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn whoever_comes_waits_as_long_as_the_lock_is_held() {
        let door = Door::default();
        let length = Duration::from_millis(5);
        let (ready, held) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| door.hold(length, move || ready.send(()).unwrap()));
            held.recv().unwrap();
            let came = Instant::now();
            door.pass();
            assert!(came.elapsed() >= length);
        });
    }

    #[test]
    fn nobody_waits_at_an_open_door() {
        Door::default().pass();
    }
}
