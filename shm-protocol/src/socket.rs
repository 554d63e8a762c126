//! The handshakes' sockets: Unix SEQPACKET, so that a message arrives whole or not at all.
//!
//! `unsafe` is needed to own the descriptors that the kernel hands out.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use std::io::IoSlice;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, accept4, connect,
    getsockopt, recv, sendmsg, socket, sockopt,
};

use crate::error::{LinkError, Refusal};
use crate::handshake::{MESSAGE_WORDS, Message, Words};
use crate::rights;

/// Bytes of a message.
const MESSAGE_BYTES: usize = 8 * MESSAGE_WORDS;
/// Between two tries to connect to a server whose queue is full.
const RETRY: Duration = Duration::from_millis(2);

/// What a receive that does not wait found.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A message, or why its sender is to be refused.
    Message(Result<Message, Refusal>),
    /// Nothing yet.
    Nothing,
    /// The other side has closed.
    Closed,
}

/// A SEQPACKET socket that never waits and is not inherited.
pub(crate) fn new_socket() -> Result<OwnedFd, LinkError> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(LinkError::of("socket"))
}

/// The address of a path.
pub(crate) fn address(path: &Path) -> Result<UnixAddr, LinkError> {
    UnixAddr::new(path).map_err(|errno| match errno {
        Errno::ENAMETOOLONG => LinkError::Path { path: path.to_owned() },
        errno => LinkError::Socket { call: "the socket's path", errno },
    })
}

/// Connects to `path`.
pub(crate) fn connect_to(path: &Path, until: Instant) -> Result<OwnedFd, LinkError> {
    let peer = new_socket()?;
    let address = address(path)?;
    loop {
        match connect(peer.as_raw_fd(), &address) {
            Ok(()) => return Ok(peer),
            Err(Errno::ENOENT | Errno::ECONNREFUSED) => {
                return Err(LinkError::Nobody { path: path.to_owned() });
            }
            Err(Errno::EAGAIN | Errno::EINTR) if Instant::now() < until => {
                std::thread::sleep(RETRY);
            }
            Err(errno) => return Err(LinkError::Socket { call: "connect", errno }),
        }
    }
}

/// Takes one waiting connection, if any.
pub(crate) fn accept_from(listener: &OwnedFd) -> Option<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let raw = accept4(listener.as_raw_fd(), flags).ok()?;
    // SAFETY: accept4 has just given this descriptor to us alone.
    Some(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Who is at the other end, as the kernel has it.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its user.
    pub(crate) uid: u32,
    /// Its process.
    pub(crate) pid: i32,
    /// Turns readable when that process has ended; none where the kernel gives none.
    pub(crate) pidfd: Option<OwnedFd>,
}

/// Who was at the other end when it connected (or listened).
pub(crate) fn peer_of(socket: &OwnedFd) -> Result<Peer, LinkError> {
    let credentials =
        getsockopt(socket, sockopt::PeerCredentials).map_err(LinkError::of("SO_PEERCRED"))?;
    let (uid, pid) = (credentials.uid(), credentials.pid());
    // SO_PEERPIDFD (Linux 6.5) cannot meet a process that has got the number of one that ended.
    let pidfd = getsockopt(socket, sockopt::PeerPidfd).ok().or_else(|| pidfd_of(pid));
    Ok(Peer { uid, pid, pidfd })
}

fn pidfd_of(pid: i32) -> Option<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours; nix has no wrapper.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let raw = RawFd::try_from(raw).ok().filter(|raw| *raw >= 0)?;
    // SAFETY: the call above has just given this descriptor to us alone.
    Some(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Sends one message whole, or fails; never waits.
pub(crate) fn send(
    socket: &OwnedFd,
    message: Message,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), LinkError> {
    let mut bytes = [0; MESSAGE_BYTES];
    for (eight, word) in bytes.chunks_exact_mut(8).zip(message.encode()) {
        eight.copy_from_slice(&word.to_le_bytes());
    }
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights[..] };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    sendmsg::<UnixAddr>(socket.as_raw_fd(), &[IoSlice::new(&bytes)], control, flags, None)
        .map(|_| ())
        .map_err(LinkError::of("sendmsg"))
}

/// A server that refuses may have closed before this side's word: its reason, or its end, is read next.
pub(crate) fn unless_refused(error: LinkError) -> Result<(), LinkError> {
    match error {
        LinkError::Socket { errno: Errno::EPIPE | Errno::ECONNRESET, .. } => Ok(()),
        other => Err(other),
    }
}

/// Receives one message without waiting. Descriptors that come with it are closed by the kernel:
/// there is no room for them. One system call, no allocation.
///
/// A side that closes with something unread resets the connection: that is told once, before what
/// it had said last, and so asked past.
pub(crate) fn receive(socket: &OwnedFd) -> Heard {
    let mut bytes = [0; MESSAGE_BYTES];
    // MSG_TRUNC: the message's own length, though no more than the room is copied.
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
    let mut once = || recv(socket.as_raw_fd(), &mut bytes, flags);
    let found = match once() {
        Err(Errno::ECONNRESET) => once(),
        found => found,
    };
    heard(found, &bytes)
}

/// Receives one message and the descriptors that came with it, without waiting.
pub(crate) fn receive_with_descriptors(socket: &OwnedFd) -> (Heard, Vec<OwnedFd>) {
    let mut bytes = [0; MESSAGE_BYTES];
    let mut descriptors = Vec::new();
    let mut once = || rights::receive(socket, &mut bytes, &mut descriptors);
    let found = match once() {
        Err(Errno::ECONNRESET) => once(),
        found => found,
    };
    (heard(found, &bytes), descriptors)
}

fn heard(found: Result<usize, Errno>, bytes: &[u8; MESSAGE_BYTES]) -> Heard {
    match found {
        Ok(MESSAGE_BYTES) => {
            let mut words: Words = [0; MESSAGE_WORDS];
            for (word, eight) in words.iter_mut().zip(bytes.chunks_exact(8)) {
                *word = eight.try_into().map_or(0, u64::from_le_bytes);
            }
            Heard::Message(Message::decode(&words))
        }
        Ok(0) => Heard::Closed,
        Ok(_) => Heard::Message(Err(Refusal::Malformed)),
        Err(Errno::EAGAIN | Errno::EINTR) => Heard::Nothing,
        Err(_) => Heard::Closed,
    }
}

/// Receives one message and its descriptors, waiting until `until` at the most.
pub(crate) fn receive_until(
    socket: &OwnedFd,
    until: Instant,
) -> Result<(Message, Vec<OwnedFd>), LinkError> {
    let begun = Instant::now();
    loop {
        match receive_with_descriptors(socket) {
            (Heard::Message(Ok(Message::Refused(refusal))), _) => {
                return Err(LinkError::Refused(refusal));
            }
            (Heard::Message(Ok(message)), descriptors) => return Ok((message, descriptors)),
            (Heard::Message(Err(refusal)), _) => {
                // It is told; whether it still listens does not matter.
                let _ = send(socket, Message::Refused(refusal), &[]);
                return Err(LinkError::Refusing(refusal));
            }
            (Heard::Closed, _) => return Err(LinkError::Broken("the other side closed")),
            (Heard::Nothing, _) => {}
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let timeout_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            return Err(LinkError::TimedOut { timeout_ms });
        }
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        // Rounded up, so that the last wait is not a spin. An interrupted one means looking sooner.
        let wait = left.min(Duration::from_secs(1)) + Duration::from_millis(1);
        let _ = poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO));
    }
}

/// Whether the other side has closed. Takes nothing from the socket.
pub(crate) fn is_closed(socket: &OwnedFd) -> bool {
    // Asked for nothing, poll still tells a hang-up and an error.
    found(socket, PollFlags::empty()).intersects(PollFlags::POLLHUP | PollFlags::POLLERR)
}

/// Whether a descriptor is readable; a pidfd is when its process has ended.
pub(crate) fn is_readable(descriptor: &OwnedFd) -> bool {
    found(descriptor, PollFlags::POLLIN).contains(PollFlags::POLLIN)
}

fn found(descriptor: &OwnedFd, wanted: PollFlags) -> PollFlags {
    let mut fds = [PollFd::new(descriptor.as_fd(), wanted)];
    let _ = poll(&mut fds, PollTimeout::ZERO);
    fds.iter().filter_map(PollFd::revents).fold(PollFlags::empty(), |all, one| all | one)
}
