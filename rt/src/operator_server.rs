//! The server's end of an operator's socket: JSON lines, non-blocking, bounded in every direction.

use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use mechos_operator::{LineReader, RefusalCode, Reply, Request, encode_line};
use nix::sys::socket::{getsockopt, sockopt};

/// Operators connected at the same time.
const CLIENTS_MAX: usize = 16;
/// Lines taken from one client in one turn.
const LINES_MAX: usize = 4;

/// Why a socket could not be offered.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A living process serves this path.
    #[error(
        "{path} is served already: another MechOS runs in this runtime directory; stop it, or give another with --runtime"
    )]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot offer {path}: {source}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// One connected operator.
struct Peer {
    token: u64,
    stream: UnixStream,
    lines: LineReader,
    open: bool,
}

/// A request and who is to be answered.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Names the connection for [`OperatorServer::answer`].
    pub token: u64,
    /// What was asked.
    pub request: Request,
}

/// The listening socket and its connections.
pub struct OperatorServer {
    listener: UnixListener,
    path: PathBuf,
    peers: Vec<Peer>,
    next_token: u64,
    uid_allowed: u32,
}

impl OperatorServer {
    /// Offers `path`, mode 0600, replacing a socket that nobody serves any more.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let io = |source| BindError::Io { path: path.to_owned(), source };
        if UnixStream::connect(path).is_ok() {
            return Err(BindError::Taken { path: path.to_owned() });
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(io)?;
        listener.set_nonblocking(true).map_err(io)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(io)?;
        let uid_allowed = nix::unistd::geteuid().as_raw();
        Ok(Self { listener, path: path.to_owned(), peers: Vec::new(), next_token: 1, uid_allowed })
    }

    /// The descriptors to poll for reading.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(self.listener.as_fd()).chain(self.peers.iter().map(|p| p.stream.as_fd()))
    }

    /// Takes what has come in; never waits. A line that is no request is answered at once.
    pub fn turn(&mut self) -> Vec<Asked> {
        let mut asked = Vec::new();
        for peer in &mut self.peers {
            peer.take(&mut asked);
        }
        // Who has left makes room for who comes.
        self.peers.retain(|peer| peer.open);
        let known = self.peers.len();
        self.accept();
        for peer in self.peers.iter_mut().skip(known) {
            peer.take(&mut asked);
        }
        asked
    }

    /// Answers a request; an operator who has left is not missed.
    pub fn answer(&mut self, token: u64, reply: &Reply) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.token == token) {
            peer.send(reply);
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let Ok(credentials) = getsockopt(&stream, sockopt::PeerCredentials) else { continue };
            let known = credentials.uid() == self.uid_allowed || credentials.uid() == 0;
            if !known || self.peers.len() >= CLIENTS_MAX || stream.set_nonblocking(true).is_err() {
                continue;
            }
            let token = self.next_token;
            self.next_token += 1;
            self.peers.push(Peer { token, stream, lines: LineReader::new(), open: true });
        }
    }
}

impl Drop for OperatorServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Peer {
    fn take(&mut self, asked: &mut Vec<Asked>) {
        for _ in 0..LINES_MAX {
            match self.lines.line() {
                Ok(Some(line)) => match serde_json::from_str::<Request>(line) {
                    Ok(request) => asked.push(Asked { token: self.token, request }),
                    Err(error) => {
                        let text = format!("no request of this protocol: {error}");
                        self.send(&Reply::refused(0, RefusalCode::Malformed, text));
                    }
                },
                Ok(None) => match self.lines.fill(&mut self.stream) {
                    Ok(mechos_operator::Filled::End) => return self.open = false,
                    Ok(mechos_operator::Filled::Bytes(_)) => {}
                    Ok(_) => return,
                    Err(mechos_operator::LineError::Io(error))
                        if error.kind() == ErrorKind::WouldBlock =>
                    {
                        return;
                    }
                    Err(error) => return self.refuse_and_close(&error),
                },
                Err(error) => return self.refuse_and_close(&error),
            }
        }
    }

    fn refuse_and_close(&mut self, error: &mechos_operator::LineError) {
        self.send(&Reply::refused(0, RefusalCode::Malformed, error.to_string()));
        self.open = false;
    }

    /// Sends whole or not at all: an operator who does not read is disconnected, not waited for.
    fn send(&mut self, reply: &Reply) {
        let sent = encode_line(reply).ok().is_some_and(|line| self.stream.write_all(&line).is_ok());
        self.open &= sent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mechos_operator::{Client, Command};
    use std::time::Duration;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("mechos-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_request_is_taken_and_answered() {
        let dir = directory("operator-answer");
        let mut server = OperatorServer::bind(&dir.join("o.sock")).unwrap();
        let path = dir.join("o.sock");
        let client = std::thread::spawn(move || {
            Client::connect(path, Duration::from_secs(10)).unwrap().call(Command::Arm)
        });
        let asked = loop {
            if let Some(asked) = server.turn().pop() {
                break asked;
            }
        };
        assert_eq!(asked.request.command, Command::Arm);
        server.answer(asked.token, &Reply::done(asked.request.id));
        assert!(client.join().unwrap().is_ok());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn garbage_is_answered_and_does_not_end_the_connection() {
        let dir = directory("operator-garbage");
        let mut server = OperatorServer::bind(&dir.join("o.sock")).unwrap();
        let mut stream = UnixStream::connect(dir.join("o.sock")).unwrap();
        stream.write_all(b"hello\n{\"id\":1,\"command\":\"status\"}\n").unwrap();
        let asked = loop {
            if let Some(asked) = server.turn().pop() {
                break asked;
            }
        };
        assert_eq!(asked.request.command, Command::Status);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_second_server_on_a_served_path_is_refused_and_a_stale_socket_replaced() {
        let dir = directory("operator-stale");
        let path = dir.join("o.sock");
        let server = OperatorServer::bind(&path).unwrap();
        assert!(matches!(OperatorServer::bind(&path), Err(BindError::Taken { .. })));
        drop(server);
        assert!(!path.exists());
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        OperatorServer::bind(&path).unwrap();
        std::fs::remove_dir_all(dir).unwrap();
    }
}
