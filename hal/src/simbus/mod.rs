//! The simulated bus: CAN frames over a Unix SOCK_SEQPACKET socket.
pub mod client;
pub mod wire;
