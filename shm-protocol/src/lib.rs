//! shm-protocol
pub mod records;
