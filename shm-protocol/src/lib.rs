//! The link between the real-time process and the processes that it does not trust.
//!
//! Promises: every page has one writer, enforced by mapping rights; the real-time side does bounded
//! work without a system call whatever a peer writes; a full ring gives the record back; a dead
//! peer leaves nothing behind. Forbids: following a pointer, an index or a length of a peer;
//! believing a record before the gate has judged it. See `README.md` for the bytes.

mod board;
mod client;
mod encode;
mod error;
mod guardian;
mod handshake;
pub mod layout;
mod memory;
pub mod records;
mod ring;
mod server;
mod socket;
mod words;

pub use client::{Client, Full, Heart};
pub use error::{LinkError, MemoryError, Refusal};
pub use guardian::{
    FenceReader, GuardianEnd, GuardianLink, GuardianServer, HeartbeatWriter, RtBeat, RtMessage,
};
pub use server::{Connected, LinkNews, LinkServer, PageSet, ServerEnd};

/// File name of the planner's socket inside the runtime directory.
pub const LINK_SOCKET: &str = "link.sock";

/// File name of the guardian's page socket inside the runtime directory.
pub const GUARDIAN_PAGE_SOCKET: &str = "guardian.sock";
