//! What can go wrong with pages and handshakes, and what to do about it.

use std::path::PathBuf;

use nix::errno::Errno;

/// A memfd, a seal or a mapping was refused, or is not what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The kernel refused.
    #[error("shared memory: {call}: {errno}")]
    Refused {
        /// What was asked.
        call: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// Seals that must be in force are not: a call that failed in part leaves memory open.
    #[error("shared memory: seals {found:#x} are in force, {needed:#x} are needed")]
    Unsealed {
        /// In force (`F_GET_SEALS`).
        found: i32,
        /// Needed.
        needed: i32,
    },
    /// A peer's descriptor has another size than its page.
    #[error("shared memory: the peer's page has {found} bytes, {needed} are needed")]
    Size {
        /// Of the descriptor, bytes.
        found: i64,
        /// Of the page, bytes.
        needed: usize,
    },
    /// A peer's page is not the one that its handshake announced.
    #[error("shared memory: the peer's page does not carry the header that was announced")]
    Header,
}

impl MemoryError {
    pub(crate) fn of(call: &'static str) -> impl Fn(Errno) -> MemoryError {
        move |errno| MemoryError::Refused { call, errno }
    }
}

/// Why a peer was refused, as the side that refuses sees it. Travels on the socket, so that both
/// sides say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a message of this protocol, or not the one that was due.
    #[error("its message is none of this protocol, or not the one that was due")]
    Malformed,
    /// Another version of the protocol.
    #[error("it speaks version {found} of the protocol, this side version {allowed}")]
    Version {
        /// The refused side's.
        found: u64,
        /// The refusing side's.
        allowed: u64,
    },
    /// The same version with another layout.
    #[error("its pages have layout {found:#018x}, this side's {allowed:#018x}")]
    Layout {
        /// The refused side's.
        found: u64,
        /// The refusing side's.
        allowed: u64,
    },
    /// The socket's other end belongs to another user.
    #[error("its user is {found}, allowed is {allowed}")]
    User {
        /// The refused side's user id.
        found: u32,
        /// The user id that the configuration names.
        allowed: u32,
    },
    /// A peer is connected and alive.
    #[error("another process is connected")]
    Busy,
    /// No page set is left until the machine is disarmed.
    #[error("no page set is left")]
    Pages,
    /// A planner at the guardian's socket, or the other way round.
    #[error("it asks for a service that this socket does not offer")]
    Service,
}

impl Refusal {
    /// What to do about it.
    #[must_use]
    pub fn mend(self) -> &'static str {
        match self {
            Refusal::Malformed => "the other end does not speak this protocol",
            Refusal::Version { .. } => {
                "another version of the protocol: install both sides from one release"
            }
            Refusal::Layout { .. } => "another page layout: build both sides from one source",
            Refusal::User { .. } => "another user than the configuration names",
            Refusal::Busy => "a peer is connected already; end it first",
            Refusal::Pages => {
                "no page set is left while the machine is armed; disarm it, then connect"
            }
            Refusal::Service => "the wrong socket of the runtime directory",
        }
    }

    /// As it travels: code, found, allowed.
    pub(crate) fn to_words(self) -> [u64; 3] {
        match self {
            Refusal::Malformed => [1, 0, 0],
            Refusal::Version { found, allowed } => [2, found, allowed],
            Refusal::Layout { found, allowed } => [3, found, allowed],
            Refusal::User { found, allowed } => [4, u64::from(found), u64::from(allowed)],
            Refusal::Busy => [5, 0, 0],
            Refusal::Pages => [6, 0, 0],
            Refusal::Service => [7, 0, 0],
        }
    }

    /// A code that this version does not know reads as malformed.
    pub(crate) fn from_words([code, found, allowed]: [u64; 3]) -> Refusal {
        let uid = |word| u32::try_from(word).unwrap_or(u32::MAX);
        match code {
            2 => Refusal::Version { found, allowed },
            3 => Refusal::Layout { found, allowed },
            4 => Refusal::User { found: uid(found), allowed: uid(allowed) },
            5 => Refusal::Busy,
            6 => Refusal::Pages,
            7 => Refusal::Service,
            _ => Refusal::Malformed,
        }
    }
}

/// Why a connection did not come about, or a server could not be offered.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nothing listens.
    #[error("nothing listens at {path}: is MechOS running in this runtime directory?")]
    Nobody {
        /// The socket.
        path: PathBuf,
    },
    /// Somebody else serves this path.
    #[error(
        "{path} is served already: another MechOS is already running in this runtime directory"
    )]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket stands at the path.
    #[error("{path} is not a socket and was left alone: move it away, or name another directory")]
    NotASocket {
        /// What was found.
        path: PathBuf,
    },
    /// A path that no socket can have.
    #[error("{path} is too long for a socket (107 bytes at the most): name a shorter directory")]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// The other side refused.
    #[error("refused by the other side: {0}; {mend}", mend = .0.mend())]
    Refused(Refusal),
    /// This side refused the other.
    #[error("the other side was refused: {0}; {mend}", mend = .0.mend())]
    Refusing(Refusal),
    /// The other side does not go on with the handshake.
    #[error("no answer within {timeout_ms} ms: is the other side stopped or overloaded?")]
    TimedOut {
        /// The bound.
        timeout_ms: u64,
    },
    /// The other side left in the middle.
    #[error("the handshake broke off: {0}")]
    Broken(&'static str),
    /// Pages.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The socket.
    #[error("{call}: {errno}")]
    Socket {
        /// What was tried.
        call: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
}

impl LinkError {
    pub(crate) fn of(call: &'static str) -> impl Fn(Errno) -> LinkError {
        move |errno| LinkError::Socket { call, errno }
    }

    pub(crate) fn io(call: &'static str) -> impl Fn(std::io::Error) -> LinkError {
        move |error| {
            let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
            LinkError::Socket { call, errno }
        }
    }
}
