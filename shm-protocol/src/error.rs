//! What can go wrong with pages and handshakes.

use std::path::PathBuf;

use nix::errno::Errno;

/// A memfd, a seal or a mapping was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shared memory: {what}: {errno}")]
pub struct MemoryError {
    what: &'static str,
    errno: Errno,
}

impl MemoryError {
    pub(crate) fn new(what: &'static str, errno: Errno) -> Self {
        Self { what, errno }
    }
}

/// Why a peer was refused. The numbers travel on the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Refusal {
    /// Not a message of this protocol.
    Malformed = 1,
    /// Another version of the protocol.
    Version = 2,
    /// The same version with another layout: the two sides were built from different sources.
    Layout = 3,
    /// The socket's other end belongs to another user.
    User = 4,
    /// A peer is connected and alive.
    Busy = 5,
    /// No page set is left until the machine is disarmed.
    Pages = 6,
}

impl Refusal {
    pub(crate) fn from_number(number: u64) -> Refusal {
        [Refusal::Version, Refusal::Layout, Refusal::User, Refusal::Busy, Refusal::Pages]
            .into_iter()
            .find(|refusal| *refusal as u64 == number)
            .unwrap_or(Refusal::Malformed)
    }

    /// What to do about it.
    pub fn mend(self) -> &'static str {
        match self {
            Refusal::Malformed => "the other end does not speak this protocol",
            Refusal::Version => {
                "another version of the protocol: install both sides from one release"
            }
            Refusal::Layout => "another page layout: build both sides from one source",
            Refusal::User => "another user than the configuration names",
            Refusal::Busy => "a peer is connected already; end it first",
            Refusal::Pages => {
                "no page set is left while the machine is armed; disarm it, then connect"
            }
        }
    }
}

/// Why a connection did not come about, or a server could not be offered.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nothing listens.
    #[error("nothing listens at {path}: is mechos-rt running in this runtime directory?")]
    Nobody {
        /// The socket.
        path: PathBuf,
    },
    /// Somebody else serves this path.
    #[error("{path} is served already: another MechOS runs in this runtime directory")]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// The other side refused.
    #[error("refused: {}", .0.mend())]
    Refused(Refusal),
    /// The other side does not go on with the handshake.
    #[error("no answer within {timeout_ms} ms")]
    TimedOut {
        /// The bound.
        timeout_ms: u64,
    },
    /// The other side left, or sent something else.
    #[error("the handshake broke off: {0}")]
    Broken(&'static str),
    /// Pages.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The socket.
    #[error("{what}: {errno}")]
    Socket {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
}
