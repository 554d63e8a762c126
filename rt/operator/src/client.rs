//! The blocking client: one connection, one call at a time, every call bounded in time.

use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::command::{Command, Request};
use crate::line::{Filled, LineError, LineReader, encode_line};
use crate::reply::{Refusal, Reply};
use crate::status::{GuardianStatus, Status};

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No socket there, or one that nobody serves.
    #[error("nothing listens at {}: start it with `mechos up`", path.display())]
    NothingListens {
        /// The socket's path.
        path: PathBuf,
    },
    /// The socket belongs to another user.
    #[error(
        "no right to use {}: run this as the user who started `mechos up`",
        path.display()
    )]
    Denied {
        /// The socket's path.
        path: PathBuf,
    },
    /// The listener's queue stayed full.
    #[error(
        "{} does not take a connection within {timeout_ms} ms: the process behind it may be stopped",
        path.display()
    )]
    TimedOut {
        /// The socket's path.
        path: PathBuf,
        /// The time-out, ms.
        timeout_ms: u128,
    },
    /// Anything else.
    #[error("cannot connect to {}: {source}", path.display())]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Why a call brought no answer to work with.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The process answered, and refused.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// No answer in time. The connection is of no further use: a late answer may still come.
    #[error("{} does not answer within {timeout_ms} ms: the process may be stopped", path.display())]
    TimedOut {
        /// The socket's path.
        path: PathBuf,
        /// The time-out, ms.
        timeout_ms: u128,
    },
    /// The process closed the connection.
    #[error("{} closed the connection: the process has ended", path.display())]
    Closed {
        /// The socket's path.
        path: PathBuf,
    },
    /// The answer is none, or belongs to another question.
    #[error(
        "{} does not speak this version of the operator's protocol: {found}",
        path.display()
    )]
    Protocol {
        /// The socket's path.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// The line could not be made or read.
    #[error(transparent)]
    Line(#[from] LineError),
}

/// Longest time-out that is kept; a longer one counts as this.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// A connection to the daemon's or the guardian's operator socket.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    path: PathBuf,
    lines: LineReader,
    timeout: Duration,
    last_id: u64,
}

impl Client {
    /// Connects to the socket at `path`. `timeout` bounds the connection and then each call: 1 ms to
    /// one hour, anything outside counts as the nearest of the two.
    ///
    /// # Errors
    /// [`ConnectError`], which says what to do.
    pub fn connect(path: impl AsRef<Path>, timeout: Duration) -> Result<Client, ConnectError> {
        let path = path.as_ref();
        let timeout = timeout.clamp(Duration::from_millis(1), TIMEOUT_MAX);
        let stream = connect(path, timeout).map_err(|errno| {
            let path = path.to_owned();
            match errno {
                Errno::ENOENT | Errno::ECONNREFUSED => ConnectError::NothingListens { path },
                Errno::EACCES | Errno::EPERM => ConnectError::Denied { path },
                Errno::EAGAIN | Errno::ETIMEDOUT => {
                    ConnectError::TimedOut { path, timeout_ms: timeout.as_millis() }
                }
                other => ConnectError::Io { path, source: other.into() },
            }
        })?;
        Ok(Client { stream, path: path.into(), lines: LineReader::new(), timeout, last_id: 0 })
    }

    /// Sends one command and waits for its answer, at most the connection's time-out.
    ///
    /// # Errors
    /// [`CallError`]; a refusal is one, so `Ok` means taken.
    pub fn call(&mut self, command: Command) -> Result<Reply, CallError> {
        self.call_within(command, self.timeout)
    }

    /// [`Client::call`] with a time-out of its own.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call_within(&mut self, command: Command, timeout: Duration) -> Result<Reply, CallError> {
        let until = Instant::now() + timeout.min(TIMEOUT_MAX);
        self.last_id += 1;
        let line = encode_line(&Request { id: self.last_id, command })?;
        self.set_remaining(until, timeout)?;
        self.stream.write_all(&line).map_err(|error| self.failed(error, timeout))?;
        loop {
            if let Some(line) = self.lines.line()? {
                let reply = serde_json::from_str::<Reply>(line);
                return self.judge(reply);
            }
            self.set_remaining(until, timeout)?;
            match self.lines.fill(&mut self.stream) {
                Ok(Filled::End) => return Err(CallError::Closed { path: self.path.clone() }),
                Ok(_) => {}
                Err(LineError::Io(error)) => return Err(self.failed(error, timeout)),
                Err(other) => return Err(other.into()),
            }
        }
    }

    /// The daemon's status.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn status(&mut self) -> Result<Status, CallError> {
        let reply = self.call(Command::Status)?;
        reply.status.map(|status| *status).ok_or_else(|| self.protocol("no status in the answer"))
    }

    /// The guardian's status.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn guardian_status(&mut self) -> Result<GuardianStatus, CallError> {
        let reply = self.call(Command::Status)?;
        let missing = || self.protocol("no guardian's status in the answer");
        reply.guardian.map(|status| *status).ok_or_else(missing)
    }

    fn judge(&self, reply: Result<Reply, serde_json::Error>) -> Result<Reply, CallError> {
        let reply = reply.map_err(|error| self.protocol(error))?;
        match (reply.id == self.last_id, reply.ok, reply.error) {
            // A line that could not be read is answered under id 0.
            (_, false, Some(error)) if reply.id == self.last_id || reply.id == 0 => {
                Err(CallError::Refused(error))
            }
            (false, ..) => {
                let asked = self.last_id;
                Err(self.protocol(format!("an answer to {} where {asked} was asked", reply.id)))
            }
            (true, false, None) => Err(self.protocol("a refusal without a reason")),
            (true, false, Some(error)) => Err(CallError::Refused(error)),
            (true, true, error) => Ok(Reply { error, ..reply }),
        }
    }

    /// Gives the socket what is left of the call's time.
    fn set_remaining(&self, until: Instant, timeout: Duration) -> Result<(), CallError> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.timed_out(timeout));
        }
        let set = self.stream.set_read_timeout(Some(left));
        set.and_then(|()| self.stream.set_write_timeout(Some(left)))
            .map_err(|error| CallError::Line(error.into()))
    }

    fn failed(&self, error: io::Error, timeout: Duration) -> CallError {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => self.timed_out(timeout),
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
                CallError::Closed { path: self.path.clone() }
            }
            _ => CallError::Line(error.into()),
        }
    }

    fn timed_out(&self, timeout: Duration) -> CallError {
        CallError::TimedOut { path: self.path.clone(), timeout_ms: timeout.as_millis() }
    }

    fn protocol(&self, found: impl ToString) -> CallError {
        CallError::Protocol { path: self.path.clone(), found: found.to_string() }
    }
}

/// std's connect has no bound: a full listen queue would hold it for ever. On a Unix socket the
/// send time-out bounds it (unix(7), SO_SNDTIMEO).
fn connect(path: &Path, timeout: Duration) -> Result<UnixStream, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let micros = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX);
    socket::setsockopt(&fd, sockopt::SendTimeout, &TimeVal::microseconds(micros))?;
    socket::connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(fd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;
    use std::thread::JoinHandle;

    use crate::reply::RefusalCode;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(50);

    /// A socket path of this test's own; the folder goes with the test.
    struct Place(PathBuf);

    impl Place {
        fn new(test: &str) -> Place {
            let name = format!("mechos-operator-{test}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            Place(folder)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("o.sock")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Serves one connection: each request's line is answered with what `answer` gives, until it
    /// gives nothing.
    fn serve(
        place: &Place,
        answer: impl Fn(Request) -> Option<String> + Send + 'static,
    ) -> JoinHandle<()> {
        let listener = UnixListener::bind(place.socket()).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            for line in lines.map_while(Result::ok) {
                let request = serde_json::from_str(&line).unwrap();
                let Some(answer) = answer(request) else { return };
                stream.write_all(answer.as_bytes()).unwrap();
            }
        })
    }

    fn line(reply: &Reply) -> Option<String> {
        Some(String::from_utf8(encode_line(reply).unwrap()).unwrap())
    }

    #[test]
    fn no_socket_names_the_command_that_mends_it() {
        let place = Place::new("none");
        let error = Client::connect(place.socket(), LONG).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("nothing listens at "), "{text}");
        assert!(text.ends_with("o.sock: start it with `mechos up`"), "{text}");
    }

    #[test]
    fn a_stale_socket_counts_as_none() {
        let place = Place::new("stale");
        drop(UnixListener::bind(place.socket()).unwrap());
        let error = Client::connect(place.socket(), LONG).unwrap_err();
        assert!(matches!(error, ConnectError::NothingListens { .. }), "{error}");
    }

    #[test]
    fn calls_are_answered_under_their_ids() {
        let place = Place::new("calls");
        let server = serve(&place, |request| match request.command {
            Command::Status => {
                let status = Status { mode: "armed".into(), ..Status::default() };
                line(&Reply::with_status(request.id, status))
            }
            Command::Arm => line(&Reply::interlocked(request.id, vec!["guardian".into()])),
            _ => line(&Reply::done(request.id)),
        });
        let mut client = Client::connect(place.socket(), LONG).unwrap();
        assert!(client.call(Command::Stop).unwrap().ok);
        assert_eq!(client.status().unwrap().mode, "armed");
        let CallError::Refused(refusal) = client.call(Command::Arm).unwrap_err() else { panic!() };
        assert_eq!(refusal.code, RefusalCode::Interlocks);
        assert!(matches!(client.guardian_status(), Err(CallError::Protocol { .. })));
        drop(client);
        server.join().unwrap();
    }

    #[test]
    fn an_answer_to_another_question_is_not_taken() {
        let place = Place::new("other");
        let server = serve(&place, |request| line(&Reply::done(request.id + 1)));
        let mut client = Client::connect(place.socket(), LONG).unwrap();
        assert!(matches!(client.call(Command::Arm), Err(CallError::Protocol { .. })));
        drop(client);
        server.join().unwrap();
    }

    #[test]
    fn silence_ends_in_time() {
        let place = Place::new("silent");
        let listener = UnixListener::bind(place.socket()).unwrap();
        let mut client = Client::connect(place.socket(), SHORT).unwrap();
        assert!(matches!(client.call(Command::Arm), Err(CallError::TimedOut { .. })));
        drop(listener);
    }

    #[test]
    fn a_listener_that_never_accepts_ends_in_time() {
        let place = Place::new("full");
        let listener = UnixListener::bind(place.socket()).unwrap();
        socket::listen(&listener, socket::Backlog::new(1).unwrap()).unwrap();
        let mut held = Vec::new();
        let refused = loop {
            match Client::connect(place.socket(), SHORT) {
                Ok(client) => held.push(client.stream),
                Err(error) => break error,
            }
            assert!(held.len() < 10, "a queue of one took ten");
        };
        assert!(matches!(refused, ConnectError::TimedOut { .. }), "{refused}");
    }

    #[test]
    fn an_ended_process_is_named() {
        let place = Place::new("ended");
        let server = serve(&place, |_| None);
        let mut client = Client::connect(place.socket(), LONG).unwrap();
        assert!(matches!(client.call(Command::Arm), Err(CallError::Closed { .. })));
        server.join().unwrap();
    }
}
