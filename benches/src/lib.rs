//! Benchmarks, each with a smoke size that runs as a test.
//!
//! Promises: what is compared was measured in one run, in turns, by the same loop; what is sent is
//! checked by whoever receives it; what could not be had (a priority, a lock, a quiet host) is
//! said. Forbids: leaving a reading out in silence.
//!
//! `unsafe` is in `clock` (two instructions), `link/memory` (a mapping) and `link/peer`
//! (descriptors), and nowhere else.

#![deny(unsafe_code)]

#[allow(unsafe_code)]
pub mod clock;
pub mod failure;
pub mod host;
pub mod link;
pub mod stats;
