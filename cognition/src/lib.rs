//! cognition
