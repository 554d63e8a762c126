//! What every CAN bus offers: frames out, frames in with their time, and the controller's state.
//! A bus in user space ([`crate::simbus`]) and one of the kernel ([`crate::socketcan`]) are equals.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use thiserror::Error;

use crate::frame::{Frame, FrameKind};

/// Most filters that one client may ask for.
pub const FILTERS_MAX: usize = 16;
/// Longest name of a client, bytes.
pub const NAME_MAX: usize = 32;

/// A frame that was on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The frame.
    pub frame: Frame,
    /// When its end was on the wire, CLOCK_MONOTONIC ns.
    pub time_ns: u64,
    /// It is a frame that this very client sent: proof that it left.
    pub echo: bool,
}

/// Lets a frame pass when `received_id & mask == id & mask`. Bit 31 of `id` ([`Filter::EXTENDED`])
/// chooses 29-bit frames; without it, 11-bit ones. Without any filter everything passes.
/// Error frames always pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Identifier to compare with.
    pub id: u32,
    /// Bits of the identifier that count.
    pub mask: u32,
}

impl Filter {
    /// Set in `id`: the filter is for 29-bit identifiers.
    pub const EXTENDED: u32 = 0x8000_0000;

    /// A filter for exactly one standard identifier.
    pub fn exactly(id: u16) -> Filter {
        Filter { id: u32::from(id), mask: crate::frame::STANDARD_ID_MAX }
    }

    /// Whether a data frame passes this filter.
    pub fn passes(&self, frame: &Frame) -> bool {
        let mask = self.mask & crate::frame::EXTENDED_ID_MAX;
        frame.kind() == FrameKind::Error
            || (frame.kind() != FrameKind::Remote
                && frame.is_extended() == (self.id & Filter::EXTENDED != 0)
                && frame.id() & mask == self.id & mask)
    }

    /// Whether a frame passes a set of filters; an empty set lets everything pass.
    pub fn any_passes(filters: &[Filter], frame: &Frame) -> bool {
        filters.is_empty() || filters.iter().any(|filter| filter.passes(frame))
    }
}

/// Where a bus is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusAddress {
    /// The simulator's socket.
    Sim {
        /// `bus-<name>.sock` in the runtime directory.
        path: PathBuf,
    },
    /// An interface of the kernel.
    SocketCan {
        /// Its name, `can0`.
        interface: String,
    },
}

/// State of the CAN controller, worse downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ControllerState {
    /// Both error counters below 96.
    #[default]
    ErrorActive,
    /// A counter above 95.
    ErrorWarning,
    /// A counter above 127: the controller sends passive error flags.
    ErrorPassive,
    /// The controller has left the bus. Writing may still seem to succeed: trust echoes only.
    BusOff,
    /// The interface is down, deleted, or the simulator has gone.
    Down,
}

impl ControllerState {
    /// The state after an error frame (classes as in `linux/can/error.h`); others change nothing.
    #[must_use]
    pub fn after(self, frame: &Frame) -> ControllerState {
        const CONTROLLER: u32 = 0x004;
        const BUS_OFF: u32 = 0x040;
        const RESTARTED: u32 = 0x100;
        if frame.kind() != FrameKind::Error {
            return self;
        }
        let status = frame.data().get(1).copied().unwrap_or(0);
        match frame.id() {
            class if class & BUS_OFF != 0 => ControllerState::BusOff,
            class if class & RESTARTED != 0 => ControllerState::ErrorActive,
            class if class & CONTROLLER != 0 => match status {
                s if s & 0x30 != 0 => ControllerState::ErrorPassive,
                s if s & 0x0C != 0 => ControllerState::ErrorWarning,
                s if s & 0x40 != 0 => ControllerState::ErrorActive,
                _ => self,
            },
            _ => self,
        }
    }
}

/// What went wrong on a bus. Those of `send` and `receive` are made without allocating.
#[derive(Debug, Error)]
pub enum BusError {
    /// The way out is full: the frame was not taken. Its sender decides, nothing waits.
    #[error("the bus takes no more frames now (queue full)")]
    Full,
    /// The interface is down; the same socket works again once it is up.
    #[error("the CAN interface is down; bring it up: ip link set IF up")]
    Down,
    /// The interface was deleted, or the simulator has gone: open the bus again.
    #[error("the bus has gone (interface deleted, or the simulator ended)")]
    Gone,
    /// This bus carries no such frame.
    #[error("this bus cannot carry a {kind:?} frame")]
    Unsupported {
        /// Kind of the refused frame.
        kind: FrameKind,
    },
    /// The peer sent something that the protocol does not have.
    #[error("the simulator's datagram cannot be read: {0}")]
    Protocol(#[from] crate::simbus::wire::WireError),
    /// The simulator refused the client.
    #[error("the simulator refused the connection: {0:?}")]
    Refused(crate::simbus::wire::Refusal),
    /// The simulator did not answer in time.
    #[error("the simulator did not answer within {0} ms")]
    NoAnswer(u32),
    /// The name or the filters do not fit.
    #[error("at most {NAME_MAX} bytes of name and {FILTERS_MAX} filters, got {name} and {filters}")]
    Client {
        /// Length of the name, bytes.
        name: usize,
        /// Number of filters.
        filters: usize,
    },
    /// The bus cannot be opened.
    #[error("{what} cannot be opened: {source}")]
    Open {
        /// Path or interface.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// A call failed otherwise.
    #[error("{call} failed with errno {errno}")]
    Io {
        /// The system call.
        call: &'static str,
        /// Its error number.
        errno: i32,
    },
}

/// One client's view of one bus.
pub trait Bus: Send {
    /// Hands a frame over. Never blocks; success means taken, only the echo means sent.
    ///
    /// # Errors
    /// [`BusError::Full`] when there is no room; the frame was not taken.
    fn send(&mut self, frame: &Frame) -> Result<(), BusError>;

    /// The next frame, `None` when there is none now. Never blocks.
    ///
    /// # Errors
    /// [`BusError::Down`] or [`BusError::Gone`] when the bus is lost.
    fn receive(&mut self) -> Result<Option<Received>, BusError>;

    /// Readable when a frame waits.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// State of the controller, as far as frames received so far tell.
    fn state(&self) -> ControllerState;

    /// Frames that were lost on their way to this client since it was opened.
    fn lost(&self) -> u64;
}

/// Opens a bus as `client_name` (at most 32 bytes). `priority` is the socket's SO_PRIORITY (0 to 7;
/// above 6 needs CAP_NET_ADMIN): stop frames go out on a socket of priority 6 or 7, past a full normal band. The
/// simulated bus has a queue for each client and needs none.
///
/// # Errors
/// Names what could not be opened and why.
pub fn open(
    address: &BusAddress,
    client_name: &str,
    filters: &[Filter],
    priority: Option<u32>,
) -> Result<Box<dyn Bus>, BusError> {
    Ok(match address {
        BusAddress::Sim { path } => {
            Box::new(crate::simbus::client::SimBus::connect(path, client_name, filters)?)
        }
        BusAddress::SocketCan { interface } => {
            Box::new(crate::socketcan::SocketCan::open(interface, filters, priority)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_compare_identifiers_of_their_own_width() {
        let standard = Frame::new(0x181, &[]).unwrap();
        let extended = Frame::extended(0x181, &[]).unwrap();
        assert!(Filter::exactly(0x181).passes(&standard));
        assert!(!Filter::exactly(0x181).passes(&extended));
        assert!(Filter { id: 0x180, mask: 0x780 }.passes(&standard));
        assert!(Filter { id: Filter::EXTENDED | 0x181, mask: 0x7FF }.passes(&extended));
        assert!(!Filter::any_passes(&[Filter::exactly(1), Filter::exactly(2)], &standard));
        assert!(Filter::any_passes(&[], &extended));
    }

    #[test]
    fn error_frames_move_the_controller_state() {
        let error = |class, status| Frame::error(class, [0, status, 0, 0, 0, 0, 0, 0]).unwrap();
        let mut state = ControllerState::default();
        for (class, status, expected) in [
            (0x004, 0x08, ControllerState::ErrorWarning),
            (0x004, 0x20, ControllerState::ErrorPassive),
            (0x008, 0x00, ControllerState::ErrorPassive),
            (0x004, 0x40, ControllerState::ErrorActive),
            (0x040, 0x00, ControllerState::BusOff),
            (0x100, 0x00, ControllerState::ErrorActive),
        ] {
            state = state.after(&error(class, status));
            assert_eq!(state, expected, "class {class:#x} status {status:#x}");
        }
        assert_eq!(state.after(&Frame::new(0x40, &[]).unwrap()), state);
    }
}
