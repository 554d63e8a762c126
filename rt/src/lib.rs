//! The real-time daemon.
//!
//! Promises: setpoints and heartbeats go out only for a fresh tick that the kernel decided; every
//! loss ends in a stop by one of five independent ways; what the host granted is read back and
//! shown. Forbids, on the real-time threads: allocation, locks, logs, waiting. See `README.md` for
//! the threads and the files from the outside in.
#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )
)]

/// The library's own tests count too.
#[cfg(test)]
#[global_allocator]
static HEAP: host::allocator::Counting = host::allocator::Counting;

pub mod args;
pub mod bus;
pub mod control;
pub mod daemon;
pub mod deadline;
pub mod fence;
pub mod gather;
pub mod guarded;
pub mod guardian;
pub mod host;
pub mod housekeeping;
pub mod inject;
pub mod latch;
pub mod ledger;
pub mod miss_cause;
pub mod miss_table;
pub mod names;
pub mod note;
pub mod operator_server;
pub mod order;
pub mod port;
pub mod publish;
pub mod registry;
pub mod schedule;
pub mod shared;
pub mod snapshot;
pub mod stamps;
pub mod timing;
pub mod wiring;
