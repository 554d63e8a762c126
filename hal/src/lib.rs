//! CAN buses and drives.
//!
//! Promises: nothing here blocks, allocates or panics after a constructor has returned
//! (`Bus::send`, `Bus::receive`, `Network::on_frame`, `Network::cycle` and what they call); time is
//! given in by the caller; whatever comes from a bus is a claim until it has been decoded whole.
//!
//! Forbids: powering a drive that has not been configured and read back, powering one again by
//! itself after any stop, and sending a setpoint outside a fresh tick.
#![warn(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

pub mod bus;
pub mod canopen;
pub mod cia402;
pub mod drive;
pub mod frame;
pub mod interface;
pub mod network;
pub mod simbus;
pub mod socketcan;
