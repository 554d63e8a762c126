//! What is compared, each behind the same two functions.

mod bytes;
mod iceoryx;
mod raw;
mod ring;

pub use bytes::Bytes;
pub use iceoryx::Iceoryx;
pub use raw::Raw;
pub use ring::{Intents, Large, Short, Small};

/// Words of a payload that fills a line together with its head: 56 bytes.
pub const SMALL_WORDS: usize = 7;
/// Words of a payload that fills four lines together with its head: 248 bytes.
pub const LARGE_WORDS: usize = 31;
/// Words of 64 bytes, where there is no head of ours.
pub const LINE: usize = 8;
/// Words of 256 bytes.
pub const FOUR_LINES: usize = 32;
