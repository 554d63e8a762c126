//! Records as words. Encoding and decoding are total: any value gives words, any words give a value
//! or none; what a value means is judged by whoever takes it.
//!
//! One file a record. Each names its fields in [`intent::FIELDS`] and its like, in their order: the
//! names go into the layout hash, so that two sides that disagree on them refuse each other.

mod words;

pub mod description;
pub mod event;
pub mod intent;
pub mod telemetry;
pub mod verdict;

#[cfg(test)]
mod tests;
