//! kernel
pub mod config;
pub mod io;
pub mod mode;
