//! A socket on a bus that opens itself again, for whoever must be able to send a stop.

use hal::bus::{Bus, BusAddress, BusError, ControllerState, Filter, Received};
use hal::frame::Frame;

/// How long to wait between two tries to open a bus, ns.
const RETRY_NS: u64 = 100_000_000;

/// One client of one bus.
pub struct Port {
    address: BusAddress,
    name: String,
    filters: Vec<Filter>,
    priority: Option<u32>,
    bus: Option<Box<dyn Bus>>,
    /// Gone, not closed yet: closing frees, and is left to `tend`.
    gone: Option<Box<dyn Bus>>,
    next_try_ns: u64,
}

impl Port {
    /// A port that is not open yet. `priority` is SO_PRIORITY, where the bus has it.
    pub fn new(
        address: BusAddress,
        name: String,
        filters: Vec<Filter>,
        priority: Option<u32>,
    ) -> Self {
        Self { address, name, filters, priority, bus: None, gone: None, next_try_ns: 0 }
    }

    /// Opens the bus now.
    ///
    /// # Errors
    /// What the bus said.
    pub fn open(&mut self) -> Result<(), BusError> {
        self.bus = Some(hal::bus::open(&self.address, &self.name, &self.filters, self.priority)?);
        Ok(())
    }

    /// Closes a bus that is gone, and opens it again if a try is due. Both use the heap: call it
    /// only while no drive is powered. Returns whether the bus was opened by this call.
    pub fn tend(&mut self, now_ns: u64) -> bool {
        if self.bus.is_some() || now_ns < self.next_try_ns {
            return false;
        }
        self.gone = None;
        self.next_try_ns = now_ns.saturating_add(RETRY_NS);
        self.open().is_ok()
    }

    /// Whether the bus is open.
    pub fn is_open(&self) -> bool {
        self.bus.is_some()
    }

    /// The bus' state; `Down` when it is not open. Real time.
    pub fn state(&self) -> ControllerState {
        self.bus.as_ref().map_or(ControllerState::Down, |bus| bus.state())
    }

    /// The descriptor to poll, while open. Real time.
    pub fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.bus.as_ref().map(|bus| bus.descriptor())
    }

    /// Sends without waiting. A bus that is gone is put aside. Real time.
    ///
    /// # Errors
    /// `BusError` of the bus; `Gone` when it is not open.
    pub fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        let result = match self.bus.as_mut() {
            Some(bus) => bus.send(frame),
            None => return Err(BusError::Gone),
        };
        self.set_aside_if_gone(&result);
        result
    }

    /// Takes one received frame without waiting. A bus that is gone is put aside. Real time.
    ///
    /// # Errors
    /// `BusError` of the bus; `Gone` when it is not open.
    pub fn receive(&mut self) -> Result<Option<Received>, BusError> {
        let result = match self.bus.as_mut() {
            Some(bus) => bus.receive(),
            None => return Err(BusError::Gone),
        };
        self.set_aside_if_gone(&result);
        result
    }

    fn set_aside_if_gone<T>(&mut self, result: &Result<T, BusError>) {
        if matches!(result, Err(BusError::Gone)) {
            self.gone = self.bus.take();
        }
    }
}
