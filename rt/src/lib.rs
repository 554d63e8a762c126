//! rt

pub mod host;
