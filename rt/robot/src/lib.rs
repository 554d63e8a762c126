//! One TOML file describes a robot.
//!
//! Promises: a [`Robot`] in hand has passed every check: ids, limits, reactions, nesting of the
//! budgets, bus load, threads; a refusal names line, key, what was found, what is allowed and how
//! to mend it. Forbids: defaults for limits, reactions and stops; I/O other than reading that file.
//! See `README.md` for the files from the outside in.

#![warn(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

mod axes;
mod budgets;
mod canopen;
pub mod certificate;
mod configs;
mod error;
mod file;
mod load;
mod locate;
mod nesting;
mod reading;
mod robot;
mod rules;
mod spec;
#[cfg(test)]
mod tests;
mod threads;

pub use budgets::{Budgets, Profile};
pub use error::{Refusal, RobotError};
pub use load::LOAD_MAX_PERCENT;
pub use robot::Robot;
pub use spec::{
    AfterHalt, AxisSpec, BusKind, BusLoad, BusSpec, CognitionSpec, DriveSpec, SimSpec, ThreadSpec,
    Threads, Wake,
};
