//! The handshake's sockets: Unix SEQPACKET, so that a message arrives whole or not at all.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
    UnixAddr, accept4, bind, connect, getsockopt, listen, recvmsg, sendmsg, socket, sockopt,
};

use crate::error::LinkError;

/// Words of a message.
pub const MESSAGE_WORDS: usize = 8;
/// Descriptors that one message may carry.
pub const DESCRIPTORS_MAX: usize = 2;

/// One message: words, and what came with them.
#[derive(Debug, Default)]
pub struct Message {
    /// The words; missing ones are zero.
    pub words: [u64; MESSAGE_WORDS],
    /// Descriptors, closed with the message unless taken.
    pub descriptors: Vec<OwnedFd>,
}

/// What a non-blocking receive found.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(Message),
    /// Nothing yet.
    Nothing,
    /// The other side has closed.
    Closed,
}

pub(crate) fn failed(what: &'static str) -> impl Fn(Errno) -> LinkError {
    move |errno| LinkError::Socket { what, errno }
}

/// Listens at `path`, replacing a socket that nobody serves.
pub fn listen_at(path: &Path, mode: u32) -> Result<OwnedFd, LinkError> {
    let new = || {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(failed("socket"))
    };
    let address = UnixAddr::new(path).map_err(failed("the socket's path"))?;
    if connect(new()?.as_raw_fd(), &address).is_ok() {
        return Err(LinkError::Taken { path: path.to_owned() });
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
            return Err(LinkError::Socket { what: "replacing a stale socket", errno });
        }
        _ => {}
    }
    let listener = new()?;
    bind(listener.as_raw_fd(), &address).map_err(failed("bind"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(|error| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        LinkError::Socket { what: "the socket's mode", errno }
    })?;
    let backlog = Backlog::new(16).map_err(failed("listen"))?;
    listen(&listener, backlog).map_err(failed("listen"))?;
    Ok(listener)
}

/// Takes one waiting connection, non-blocking.
pub fn accept_from(listener: &OwnedFd) -> Option<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let raw = accept4(listener.as_raw_fd(), flags).ok()?;
    // SAFETY: accept4 has just given this descriptor to us alone.
    Some(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Connects to `path`; non-blocking afterwards.
pub fn connect_to(path: &Path) -> Result<OwnedFd, LinkError> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let peer =
        socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(failed("socket"))?;
    let address = UnixAddr::new(path).map_err(failed("the socket's path"))?;
    match connect(peer.as_raw_fd(), &address) {
        Ok(()) => Ok(peer),
        Err(Errno::ENOENT | Errno::ECONNREFUSED) => {
            Err(LinkError::Nobody { path: PathBuf::from(path) })
        }
        Err(errno) => Err(LinkError::Socket { what: "connect", errno }),
    }
}

/// User and process of the other side, as the kernel has them.
pub fn peer_of(socket: &OwnedFd) -> Result<(u32, i32), LinkError> {
    let credentials =
        getsockopt(socket, sockopt::PeerCredentials).map_err(failed("SO_PEERCRED"))?;
    Ok((credentials.uid(), credentials.pid()))
}

/// A descriptor that turns readable when the process `pid` has ended; none when it has already.
pub fn pidfd_of(pid: i32) -> Option<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours; nix has no wrapper.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let raw = RawFd::try_from(raw).ok().filter(|raw| *raw >= 0)?;
    // SAFETY: the call above has just given this descriptor to us alone.
    Some(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Sends one message whole.
pub fn send(
    socket: BorrowedFd<'_>,
    words: &[u64; MESSAGE_WORDS],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), LinkError> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights[..] };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    sendmsg::<UnixAddr>(socket.as_raw_fd(), &[IoSlice::new(&bytes)], control, flags, None)
        .map(|_| ())
        .map_err(failed("sendmsg"))
}

/// Receives without waiting. Descriptors arrive close-on-exec; more than allowed are closed.
pub fn receive(socket: BorrowedFd<'_>) -> Heard {
    let mut bytes = [0; 8 * MESSAGE_WORDS];
    let mut space = cmsg_space!([RawFd; DESCRIPTORS_MAX]);
    let mut message = Message::default();
    {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let heard = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags);
        let heard = match heard {
            Ok(heard) => heard,
            Err(Errno::EAGAIN | Errno::EINTR) => return Heard::Nothing,
            Err(_) => return Heard::Closed,
        };
        if let Ok(control) = heard.cmsgs() {
            for part in control {
                if let ControlMessageOwned::ScmRights(rights) = part {
                    // SAFETY: the kernel has just installed these descriptors for us alone.
                    let owned = rights.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) });
                    message.descriptors.extend(owned);
                }
            }
        }
        if heard.bytes == 0 {
            return Heard::Closed;
        }
    }
    for (word, eight) in message.words.iter_mut().zip(bytes.chunks_exact(8)) {
        let mut le = [0; 8];
        le.copy_from_slice(eight);
        *word = u64::from_le_bytes(le);
    }
    Heard::Message(message)
}

/// Receives, waiting until `until` at the most.
pub fn receive_until(socket: &OwnedFd, until: Instant) -> Result<Message, LinkError> {
    let begun = Instant::now();
    loop {
        match receive(socket.as_fd()) {
            Heard::Message(message) => return Ok(message),
            Heard::Closed => return Err(LinkError::Broken("the other side closed")),
            Heard::Nothing => {}
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let timeout_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            return Err(LinkError::TimedOut { timeout_ms });
        }
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        let wait = left.min(Duration::from_millis(100)) + Duration::from_millis(1);
        // An interrupted poll only means looking sooner.
        let _ = poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO));
    }
}

/// Whether the other side has closed, without taking anything from the socket.
pub fn is_closed(socket: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::empty())];
    let _ = poll(&mut fds, PollTimeout::ZERO);
    fds.iter().any(|fd| {
        fd.revents().is_some_and(|found| {
            found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL)
        })
    })
}

/// Whether a descriptor is readable now.
pub fn is_readable(descriptor: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    let _ = poll(&mut fds, PollTimeout::ZERO);
    fds.iter().any(|fd| fd.revents().is_some_and(|found| found.contains(PollFlags::POLLIN)))
}
