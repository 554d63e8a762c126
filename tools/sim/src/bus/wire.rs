//! A bus of either kind behind one face: modelled here, or the kernel's.

use hal::frame::Frame;

use super::arbiter::{Arbiter, Order, StationId, SubmitError, Transmitted};
use super::kernel::KernelBus;

/// The wire of one bus.
pub enum Wire {
    /// Bit rate and arbitration are modelled.
    Modelled(Arbiter),
    /// The kernel has them.
    Kernel(KernelBus),
}

impl Wire {
    /// A drive joins; `None` if there is no room.
    pub fn connect_drive(&mut self) -> Option<StationId> {
        match self {
            Self::Modelled(bus) => bus.connect(Order::Priority),
            Self::Kernel(bus) => bus.connect(),
        }
    }

    /// A client joins; `None` if there is no room. Nobody joins the kernel's bus here.
    pub fn connect_client(&mut self) -> Option<StationId> {
        match self {
            Self::Modelled(bus) => bus.connect(Order::Fifo),
            Self::Kernel(_) => None,
        }
    }

    /// A client is gone.
    pub fn disconnect(&mut self, id: StationId) {
        if let Self::Modelled(bus) = self {
            bus.disconnect(id);
        }
    }

    /// Free places in a client's transmit queue.
    pub fn room(&self, id: StationId) -> usize {
        match self {
            Self::Modelled(bus) => bus.room(id),
            Self::Kernel(_) => 0,
        }
    }

    /// A station hands in a frame at `at_ns`.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit(&mut self, id: StationId, frame: Frame, at_ns: u64) -> Result<(), SubmitError> {
        match self {
            Self::Modelled(bus) => bus.submit(id, frame, at_ns),
            Self::Kernel(bus) => bus.submit(id, frame, at_ns),
        }
    }

    /// As `submit`; a frame with the same identifier that still waits is replaced in its place.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn replace(&mut self, id: StationId, frame: Frame, at_ns: u64) -> Result<(), SubmitError> {
        match self {
            Self::Modelled(bus) => bus.replace(id, frame, at_ns),
            Self::Kernel(bus) => bus.replace(id, frame, at_ns),
        }
    }

    /// When the wire next changes by itself, or a heard frame takes effect.
    pub fn next_event_ns(&self) -> Option<u64> {
        match self {
            Self::Modelled(bus) => bus.next_event_ns(),
            Self::Kernel(bus) => bus.next_event_ns(),
        }
    }

    /// When the next frame will have crossed the wire.
    pub fn next_delivery_ns(&self) -> Option<u64> {
        match self {
            Self::Modelled(bus) => bus.next_delivery_ns(),
            Self::Kernel(bus) => bus.next_event_ns(),
        }
    }

    /// Takes the next change that happens no later than `now_ns`.
    pub fn step(&mut self, now_ns: u64) -> Option<Transmitted> {
        match self {
            Self::Modelled(bus) => bus.step(now_ns),
            Self::Kernel(bus) => bus.step(now_ns),
        }
    }

    /// Bits sent, intermissions included; 0 where they are the kernel's.
    pub fn sent_bits(&self) -> u64 {
        match self {
            Self::Modelled(bus) => bus.sent_bits(),
            Self::Kernel(_) => 0,
        }
    }

    /// The kernel's bus, if it is one.
    pub fn kernel(&mut self) -> Option<&mut KernelBus> {
        match self {
            Self::Modelled(_) => None,
            Self::Kernel(bus) => Some(bus),
        }
    }
}
