//! The hardware registry: every actuator the process may have powered, and a stop for all of them
//! when the process ends in order or a thread unwinds (stop path 5).
//!
//! Sockets are opened at start and belong to this path alone. The locks are taken on a way out
//! only, never in a running loop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use hal::frame::Frame;

use crate::port::Port;

/// Frames taken from a socket in one turn.
const RECEIVE_MAX: usize = 64;
/// Tries to take a port that somebody holds; some tens of microseconds.
const LOCK_TRIES_MAX: u32 = 4096;

/// One stop socket a bus.
pub struct HardwareRegistry {
    ports: Vec<Mutex<Port>>,
    stop: Frame,
    enabled: bool,
    fenced: Box<dyn Fn() -> bool + Send + Sync>,
}

impl HardwareRegistry {
    /// `ports` must be open. `enabled` is false for `--disable-stop drop`. `fenced` tells whether
    /// the guardian has taken the machine: then this process sends nothing any more.
    pub fn new(
        ports: Vec<Port>,
        stop: Frame,
        enabled: bool,
        fenced: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        let ports = ports.into_iter().map(Mutex::new).collect();
        Arc::new(Self { ports, stop, enabled, fenced: Box::new(fenced) })
    }

    /// Sends the stop frame on every bus; returns on how many it was handed over.
    pub fn halt_all(&self) -> usize {
        if !self.enabled || (self.fenced)() {
            return 0;
        }
        self.ports
            .iter()
            .filter(|port| {
                let Some(mut port) = taken(port) else { return false };
                port.send(&self.stop).is_ok()
            })
            .count()
    }

    /// Opens again what is gone. Housekeeping only, while the machine is not armed.
    pub fn tend(&self, now_ns: u64) {
        for port in &self.ports {
            let mut port = port.lock().unwrap_or_else(PoisonError::into_inner);
            // What comes in is of no interest; an unread socket would fill up.
            for _ in 0..RECEIVE_MAX {
                if !matches!(port.receive(), Ok(Some(_))) {
                    break;
                }
            }
            port.tend(now_ns);
        }
    }

    /// A guard that halts every actuator when it is dropped.
    pub fn guard(self: &Arc<Self>) -> HaltOnDrop {
        HaltOnDrop(Arc::clone(self))
    }
}

/// The port, unless somebody holds it for long: then it is being opened, or somebody else is
/// sending the same stop. A thread on its way out waits for no lock.
fn taken(port: &Mutex<Port>) -> Option<MutexGuard<'_, Port>> {
    for _ in 0..LOCK_TRIES_MAX {
        match port.try_lock() {
            Ok(port) => return Some(port),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
        }
    }
    None
}

/// Halts every actuator when it is dropped: on return, on unwind, at the end of the process.
pub struct HaltOnDrop(Arc<HardwareRegistry>);

impl Drop for HaltOnDrop {
    fn drop(&mut self) {
        self.0.halt_all();
    }
}
