//! The pure safety kernel: gate, limits, trajectory, mode.
//!
//! Promises: one tick is a function of (state, inputs); no clock, no I/O, no allocation, no panic,
//! no `libm`, so that a recorded run replays bit for bit on any CPU. Forbids: everything else.
//! See `README.md` for the files from the outside in.
#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )
)]

mod claims;
pub mod config;
mod faults;
mod feedback;
#[cfg(test)]
#[allow(missing_docs)]
pub mod fixture;
mod follow;
pub mod gate;
pub mod io;
pub mod kernel;
mod ledger;
pub mod mode;
pub mod motion;
mod operator;
mod planner;
mod stops;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use io::{Inputs, Outputs};
pub use kernel::{Begin, Kernel};
pub use mode::Mode;
