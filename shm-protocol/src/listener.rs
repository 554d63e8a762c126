//! A listening socket in the runtime directory, and who may come in.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{Backlog, bind, connect, listen};

use crate::error::{LinkError, Refusal};
use crate::handshake::Message;
use crate::socket::{Peer, accept_from, address, new_socket, peer_of, send};

/// Connections that may wait to be accepted.
const WAITING_MAX: i32 = 16;
/// How long a peer may take for its part of a handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(2);

/// A peer whose user is allowed, in the middle of its handshake.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: Peer,
    until: Instant,
}

impl Guest {
    /// It takes too long.
    pub(crate) fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Tells it why it cannot stay, and closes.
    pub(crate) fn refuse(self, refusal: Refusal) -> Refused {
        turn_away(&self.socket, self.peer.pid, refusal)
    }
}

/// A peer that was refused; it was told the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its process.
    pub pid: i32,
    /// Why.
    pub refusal: Refusal,
}

fn turn_away(socket: &OwnedFd, pid: i32, refusal: Refusal) -> Refused {
    // A peer that has left already needs no reason.
    let _ = send(socket, Message::Refused(refusal), &[]);
    Refused { pid, refusal }
}

/// The listening socket. Its file goes with it, if it is still the same file.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    file: Option<(u64, u64)>,
    uid_allowed: u32,
}

impl Listener {
    /// Listens at `path` for processes of `uid_allowed`, replacing a socket that nobody serves.
    pub(crate) fn bind(path: &Path, uid_allowed: u32, mode: u32) -> Result<Self, LinkError> {
        let address = address(path)?;
        remove_stale(path)?;
        let socket = new_socket()?;
        bind(socket.as_raw_fd(), &address).map_err(LinkError::of("bind"))?;
        // Nobody can connect before `listen`, so that the mode is in force from the start.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            .map_err(LinkError::io("the socket's mode"))?;
        let file = identity(path);
        let backlog = Backlog::new(WAITING_MAX).map_err(LinkError::of("listen"))?;
        listen(&socket, backlog).map_err(LinkError::of("listen"))?;
        Ok(Self { socket, path: path.to_owned(), file, uid_allowed })
    }

    /// Takes one waiting peer; never waits. One of another user is refused here, as is any while
    /// `busy`.
    pub(crate) fn accept(&self, busy: bool) -> Option<Result<Guest, Refused>> {
        let socket = accept_from(&self.socket)?;
        // A socket that does not say who connected is closed.
        let peer = peer_of(&socket).ok()?;
        let refusal = if peer.uid != self.uid_allowed {
            Some(Refusal::User { found: peer.uid, allowed: self.uid_allowed })
        } else {
            busy.then_some(Refusal::Busy)
        };
        Some(match refusal {
            Some(refusal) => Err(turn_away(&socket, peer.pid, refusal)),
            None => Ok(Guest { socket, peer, until: Instant::now() + HANDSHAKE_MAX }),
        })
    }

    /// The descriptor to poll for reading.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.file.is_some() && identity(&self.path) == self.file {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Device and inode of what stands at the path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Removes a socket that nobody serves. One that somebody serves, and what is no socket, stays.
fn remove_stale(path: &Path) -> Result<(), LinkError> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(LinkError::NotASocket { path: path.to_owned() });
    }
    match connect(new_socket()?.as_raw_fd(), &address(path)?) {
        Err(Errno::ECONNREFUSED) => {
            std::fs::remove_file(path).map_err(LinkError::io("replacing a stale socket"))
        }
        Err(Errno::ENOENT) => Ok(()),
        // EAGAIN: its queue is full; EPROTOTYPE: it is served as another kind of socket.
        Ok(()) | Err(Errno::EAGAIN | Errno::EPROTOTYPE) => {
            Err(LinkError::Taken { path: path.to_owned() })
        }
        Err(errno) => Err(LinkError::Socket { call: "looking who serves the socket", errno }),
    }
}
