//! Listening sockets in the runtime directory: stale files are replaced, live ones respected.

use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen,
    socket, sockopt,
};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there.
    #[error("{0}: a simulator is already running here; stop it or choose another --runtime")]
    InUse(PathBuf),
    /// The system refused.
    #[error("{path}: {source}")]
    System {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A listening socket whose file goes with it. Never blocks.
pub struct Listener {
    // A listener of the standard library also accepts on sockets of sequenced packets; what it
    // gives as a stream then keeps the packets' bounds, as every call here is one packet.
    listener: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Opens `path` with mode 0600.
    ///
    /// # Errors
    /// `BindError`.
    pub fn open(path: PathBuf, kind: SockType) -> Result<Self, BindError> {
        let system = |source: io::Error| BindError::System { path: path.clone(), source };
        remove_stale(&path, kind)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, kind, flags, None).map_err(|e| system(e.into()))?;
        let address = UnixAddr::new(&path).map_err(|e| system(e.into()))?;
        bind(fd.as_raw_fd(), &address).map_err(|e| system(e.into()))?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(system)?;
        let backlog = Backlog::new(BACKLOG).map_err(|e| system(e.into()))?;
        listen(&fd, backlog).map_err(|e| system(e.into()))?;
        Ok(Self { listener: UnixListener::from(fd), path })
    }

    /// The next connection, if one waits; set to never block.
    pub fn accept(&self) -> Option<UnixStream> {
        let (stream, _) = self.listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(stream)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes a socket file that nobody listens on.
fn remove_stale(path: &Path, kind: SockType) -> Result<(), BindError> {
    let system = |source: io::Error| BindError::System { path: path.to_owned(), source };
    if !path.try_exists().map_err(system)? {
        return Ok(());
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, kind, flags, None).map_err(|e| system(e.into()))?;
    let address = UnixAddr::new(path).map_err(|e| system(e.into()))?;
    match connect(probe.as_raw_fd(), &address) {
        Err(Errno::ECONNREFUSED) => std::fs::remove_file(path).map_err(system),
        Err(Errno::ENOENT) => Ok(()),
        Ok(()) | Err(Errno::EAGAIN | Errno::EPROTOTYPE) => Err(BindError::InUse(path.to_owned())),
        Err(other) => Err(system(other.into())),
    }
}

/// Process and user at the other end of a connection.
pub fn peer(stream: &UnixStream) -> Option<(u32, u32)> {
    let credentials = getsockopt(stream, sockopt::PeerCredentials).ok()?;
    Some((u32::try_from(credentials.pid()).ok()?, credentials.uid()))
}

/// Whether a user may use the sockets: the simulator's own, and root.
pub fn is_allowed(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_respected() {
        let path = std::env::temp_dir().join(format!("mechos-sim-bind-{}", std::process::id()));
        for kind in [SockType::SeqPacket, SockType::Stream] {
            let first = Listener::open(path.clone(), kind).unwrap();
            assert!(matches!(Listener::open(path.clone(), kind), Err(BindError::InUse(_))));
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            drop(first);
            assert!(!path.exists());
        }
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the file of a dead listener");
        drop(Listener::open(path.clone(), SockType::Stream).unwrap());
    }
}
