//! The link between the real-time process and the processes that it does not trust.
//!
//! Promises: every page has one writer, enforced by mapping rights; the real-time side does bounded
//! work without a system call whatever a peer writes; a full ring gives the record back; a dead
//! peer leaves nothing behind. Forbids: following a pointer, an index or a length of a peer;
//! believing a record before the gate has judged it. See `README.md` for the bytes and orderings.
//!
//! `unsafe` is in `memory` (mappings), `socket` and `rights` (descriptors), `checksum` and `prefetch`
//! (one instruction each), and nowhere else.

#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )
)]

pub mod board;
#[allow(unsafe_code)]
mod checksum;
mod client;
pub mod codec;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod guardian;
mod handshake;
pub mod layout;
mod listener;
pub mod lossy;
#[allow(unsafe_code)]
mod memory;
mod page_set;
#[allow(unsafe_code)]
mod prefetch;
pub mod records;
#[allow(unsafe_code)]
mod rights;
pub mod ring;
mod server;
mod server_end;
pub mod shape;
#[allow(unsafe_code)]
mod socket;
pub mod stamp;
pub mod words;

pub use client::{Client, Full, Heart};
pub use error::{LinkError, MemoryError, Refusal};
pub use guardian::{
    FenceReader, GuardianEnd, GuardianLink, GuardianServer, HeartbeatWriter, RtBeat, RtMessage,
};
pub use listener::Refused;
pub use page_set::PageSet;
pub use server::{Connected, LinkNews, LinkServer};
pub use server_end::ServerEnd;

/// File name of the planner's socket inside the runtime directory.
pub const LINK_SOCKET: &str = "link.sock";

/// File name of the guardian's page socket inside the runtime directory.
pub const GUARDIAN_PAGE_SOCKET: &str = "guardian.sock";
