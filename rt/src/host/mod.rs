//! What is asked of the host, and what it granted: clocks, threads, locked memory, CPU wake-up
//! latency; and what no real-time thread may do once the machine is armed, counted. Everything granted is read back from the kernel, never remembered.

pub mod allocator;
pub mod clock;
pub mod confine;
pub mod error;
pub mod fresh;
pub mod grants;
pub mod latency;
pub mod memory;
pub mod probe;
mod sigsys;
pub mod slots;
pub mod syscalls;
pub mod threads;

pub use error::HostError;
pub use probe::{HostReport, probe};
