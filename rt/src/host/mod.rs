//! What is asked of the host, and what it granted: clocks, threads, locked memory, CPU wake-up
//! latency. Everything granted is read back from the kernel, never remembered.

pub mod clock;
pub mod error;
pub mod grants;
pub mod latency;
pub mod memory;
pub mod probe;
pub mod threads;

pub use error::HostError;
pub use probe::{HostReport, probe};
