//! The harness of the end-to-end tests: starts the real processes on the simulated bus, injects
//! losses, and measures from the simulator's frame log, which no part of the daemon writes.
//!
//! Files from the outside in: `machine.rs` (the processes), `frames.rs` (the log), `evidence.rs` (a row of the
//! table of times), `binaries.rs`
//! (where the programs are), `planner.rs` (a test as the planner), `limits.rs` (whether the arm left
//! them), `tail.rs` (a log that is followed), `endpoint.rs` (a model's endpoint that says what a test
//! wants).

// A harness fails its test by panicking; that is its job.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod binaries;
pub mod endpoint;
pub mod evidence;
pub mod frames;
pub mod lab;
pub mod limits;
pub mod machine;
pub mod planner;
pub mod tail;

use nix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC now, ns: the clock of the frame log.
pub fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}
