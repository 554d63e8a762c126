//! One bus: wire times and arbitration. Knows nothing of drives or sockets.

pub mod arbiter;
pub mod bits;
pub mod kernel;
pub mod wire;
