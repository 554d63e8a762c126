//! The hardware registry: every actuator the process may have powered, and a stop for all of them
//! when the process ends in order or a thread unwinds (stop path 5).
//!
//! Sockets are opened at start and belong to this path alone. The locks are taken on a way out
//! only, never in a running loop.

use std::sync::{Arc, Mutex, PoisonError};

use hal::frame::Frame;

use crate::port::Port;

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
                let mut port = port.lock().unwrap_or_else(PoisonError::into_inner);
                // What came in meanwhile is of no interest; an unread socket would fill up.
                while let Ok(Some(_)) = port.receive() {}
                port.send(&self.stop).is_ok()
            })
            .count()
    }

    /// Opens again what is gone. Housekeeping only, while the machine is not armed.
    pub fn tend(&self, now_ns: u64) {
        for port in &self.ports {
            let mut port = port.lock().unwrap_or_else(PoisonError::into_inner);
            while let Ok(Some(_)) = port.receive() {}
            port.tend(now_ns);
        }
    }

    /// A guard that halts every actuator when it is dropped.
    pub fn guard(self: &Arc<Self>) -> HaltOnDrop {
        HaltOnDrop(Arc::clone(self))
    }
}

/// Halts every actuator when it is dropped: on return, on unwind, at the end of the process.
pub struct HaltOnDrop(Arc<HardwareRegistry>);

impl Drop for HaltOnDrop {
    fn drop(&mut self) {
        self.0.halt_all();
    }
}
