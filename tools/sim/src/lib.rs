//! A CAN bus in user space with simulated drives and a plant.
//!
//! Promises: bit rate and arbitration by identifier are modelled; nothing is delivered before its
//! wire time; every frame reaches all clients and, as an echo, its sender; a client that does not
//! read delays nobody; everything below [`world`] is pure under injected time, so that one seed and
//! one sequence of frames give the same result again.
//!
//! Forbids itself: any code of the master in `hal` but the frame and the datagrams' layout, and
//! unsafe code.

#![forbid(unsafe_code)]

pub mod bus;
pub mod control;
pub mod drive;
pub mod faults;
pub mod interface;
pub mod log;
pub mod server;
pub mod spec;
pub mod world;

#[cfg(test)]
mod kernel_tests;
#[cfg(test)]
mod machine_tests;
