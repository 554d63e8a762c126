//! The link between mechos-rt and the guardian: a heartbeat page one way, a fence page the other.
//!
//! mechos-rt connects and brings both memfds. It writes the heartbeat page, which the guardian can
//! only read; the guardian maps the fence page for writing, then mechos-rt closes it to any other
//! writable mapping and only reads it.
//!
//! ```text
//! mechos-rt                        guardian
//!    Hello(guardian, generation)
//!    + 2 descriptors ----------------->   user, version, layout, seals?
//!                                         maps both, puts up a fence that it has latched
//!    <------------ Welcome(cause, time)
//!    closes the fence page, reads back
//!    Go ------------------------------>   reads the seals back
//!    Reset, Goodbye ------------------>   at any time after
//! ```

mod end;
mod link;
mod pages;
mod server;

pub use end::{GuardianEnd, RtMessage};
pub use link::GuardianLink;
pub use pages::{FenceReader, HeartbeatWriter, RtBeat};
pub use server::GuardianServer;
