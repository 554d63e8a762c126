//! hal
pub mod frame;
