//! The link between mechos-rt and the guardian: a heartbeat page one way, a fence page the other.
//!
//! mechos-rt connects and brings both memfds. It writes the heartbeat page, which the guardian can
//! only read; the guardian maps the fence page for writing, then mechos-rt seals it against any
//! other writable mapping and maps it for reading.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::board::{self, Writer};
use crate::error::{LinkError, Refusal};
use crate::handshake::Word;
use crate::layout::{PageKind, fence, heartbeat};
use crate::memory::{Access, Mapping, Memory};
use crate::records::{Cause, ModeCode};
use crate::server::write_header;
use crate::socket::{
    self, Heard, accept_from, connect_to, listen_at, peer_of, pidfd_of, receive_until,
};

/// How long a peer may take for its part of the handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(2);

/// One beat of mechos-rt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtBeat {
    /// Its tick.
    pub tick: u64,
    /// When, CLOCK_MONOTONIC ns.
    pub t_ns: u64,
    /// The mode's number ([`ModeCode`]).
    pub mode: u64,
    /// Any axis is or may be powered.
    pub energised: bool,
}

/// mechos-rt's writer of the heartbeat page. Real time.
#[derive(Debug)]
pub struct HeartbeatWriter {
    page: Mapping,
    board: Writer,
}

impl HeartbeatWriter {
    /// One beat. Real time.
    pub fn beat(&mut self, tick: u64, t_ns: u64, mode: ModeCode, energised: bool) {
        let words = self.page.part(heartbeat::BOARD, heartbeat::WORDS - heartbeat::BOARD);
        let beat = [tick, t_ns, mode as u64, u64::from(energised)];
        self.board.publish(words, heartbeat::STRIDE, self.page.word(heartbeat::HEAD), &beat);
    }
}

/// mechos-rt's view of the fence page; cheap to copy to every thread that must look before it
/// sends. Real time.
#[derive(Clone, Debug)]
pub struct FenceReader {
    page: Mapping,
}

impl FenceReader {
    /// The latched cause, while the fence is up.
    pub fn cause(&self) -> Option<Cause> {
        // Acquire pairs with the guardian's Release: its time is written before.
        let number = self.page.word(fence::CAUSE).load(Ordering::Acquire);
        if number == 0 {
            return None;
        }
        // A number that nobody knows is a fence all the same.
        let cause = u16::try_from(number).ok().and_then(Cause::from_number);
        Some(cause.unwrap_or(Cause::RtLost))
    }

    /// Whether the fence is up.
    pub fn is_up(&self) -> bool {
        self.page.word(fence::CAUSE).load(Ordering::Acquire) != 0
    }

    /// When it was latched, CLOCK_MONOTONIC ns.
    pub fn since_ns(&self) -> u64 {
        self.page.word(fence::SINCE).load(Ordering::Relaxed)
    }

    /// The guardian's beat: counts up.
    pub fn guardian_beat(&self) -> u64 {
        self.page.word(fence::HEARTBEAT).load(Ordering::Acquire)
    }

    /// Every stop socket of the guardian was proved by a frame and its echo.
    pub fn socket_proved(&self) -> bool {
        self.page.word(fence::PROVED).load(Ordering::Acquire) == 1
    }
}

/// mechos-rt's connection to the guardian.
#[derive(Debug)]
pub struct GuardianLink {
    /// The beat's writer, for the control thread; taken once.
    pub beat: Option<HeartbeatWriter>,
    /// The fence, for every thread.
    pub fence: FenceReader,
    /// A loss that the guardian had latched before this connection.
    pub latched: Option<Cause>,
    /// The guardian's process.
    pub pid: i32,
    /// Turns readable when that process has ended.
    pub pidfd: Option<OwnedFd>,
    socket: OwnedFd,
}

impl GuardianLink {
    /// Connects to the guardian's socket and goes through the handshake, within `timeout`.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn connect(
        path: &Path,
        generation: u32,
        timeout: Duration,
    ) -> Result<GuardianLink, LinkError> {
        let until = Instant::now() + timeout;
        let socket = connect_to(path)?;
        let (_, pid) = peer_of(&socket)?;
        let pidfd = pidfd_of(pid);
        let beat = Memory::create("mechos-heartbeat", heartbeat::WORDS)?;
        let beat_view = beat.map(Access::Write)?;
        write_header(&beat_view, PageKind::Heartbeat, generation);
        beat.close_for_writing()?;
        let wall = Memory::create("mechos-fence", fence::WORDS)?;
        write_header(&wall.map(Access::Write)?, PageKind::Fence, generation);
        let pages = [beat.descriptor(), wall.descriptor()];
        socket::send(socket.as_fd(), &Word::Hello.encode(), &pages)?;
        let welcome = receive_until(&socket, until)?;
        let latched = match Word::decode(&welcome.words).map_err(LinkError::Refused)? {
            Word::Welcome(cause, _) => u16::try_from(cause).ok().and_then(Cause::from_number),
            Word::Refused(refusal) => return Err(LinkError::Refused(refusal)),
            _ => return Err(LinkError::Refused(Refusal::Malformed)),
        };
        // The guardian has mapped it: no other writable mapping from here on.
        wall.close_for_writing()?;
        let fence = FenceReader { page: wall.map(Access::Read)? };
        socket::send(socket.as_fd(), &Word::Go.encode(), &[])?;
        Ok(GuardianLink {
            beat: Some(HeartbeatWriter { page: beat_view, board: Writer::default() }),
            fence,
            latched: latched.filter(|cause| *cause != Cause::None),
            pid,
            pidfd,
            socket,
        })
    }

    /// The descriptors to poll for reading.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(self.socket.as_fd()).chain(self.pidfd.as_ref().map(AsFd::as_fd))
    }

    /// Whether the guardian still holds its end.
    pub fn is_alive(&self) -> bool {
        !socket::is_closed(&self.socket) && !self.pidfd.as_ref().is_some_and(socket::is_readable)
    }

    /// Hands on an operator's reset.
    ///
    /// # Errors
    /// [`LinkError`] when the guardian takes no message.
    pub fn reset(&self) -> Result<(), LinkError> {
        socket::send(self.socket.as_fd(), &Word::Reset.encode(), &[])
    }

    /// Announces an orderly end.
    ///
    /// # Errors
    /// [`LinkError`] when the guardian takes no message.
    pub fn goodbye(&self) -> Result<(), LinkError> {
        socket::send(self.socket.as_fd(), &Word::Goodbye.encode(), &[])
    }
}

/// What mechos-rt says to the guardian after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtMessage {
    /// An operator's reset was taken.
    Reset,
    /// An orderly end.
    Goodbye,
    /// Something else: ignored, counted by whoever cares.
    Unknown,
    /// Its end was closed.
    HungUp,
}

/// The guardian's listening socket.
#[derive(Debug)]
pub struct GuardianServer {
    listener: OwnedFd,
    path: PathBuf,
    uid_allowed: u32,
    pending: Option<(GuardianEnd, Instant)>,
    waiting: Option<(OwnedFd, i32, Instant)>,
}

impl GuardianServer {
    /// Offers `path`, mode 0600, to processes of `uid_allowed`.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn bind(path: &Path, uid_allowed: u32) -> Result<GuardianServer, LinkError> {
        let listener = listen_at(path, 0o600)?;
        let path = path.to_owned();
        Ok(GuardianServer { listener, path, uid_allowed, pending: None, waiting: None })
    }

    /// The descriptor to poll for reading.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Goes on with the handshake; never waits. `busy` refuses newcomers; `latched` is the cause
    /// of a fence that is up, which a new connection begins with.
    pub fn turn(&mut self, busy: bool, latched: Option<(Cause, u64)>) -> Option<GuardianEnd> {
        if self.pending.is_none() && self.waiting.is_none() {
            let socket = accept_from(&self.listener)?;
            let (uid, pid) = peer_of(&socket).ok()?;
            let refusal = match (uid == self.uid_allowed || uid == 0, busy) {
                (false, _) => Some(Refusal::User),
                (true, true) => Some(Refusal::Busy),
                (true, false) => None,
            };
            if let Some(refusal) = refusal {
                let _ = socket::send(socket.as_fd(), &Word::Refused(refusal).encode(), &[]);
                return None;
            }
            self.waiting = Some((socket, pid, Instant::now() + HANDSHAKE_MAX));
        }
        if let Some((socket, pid, until)) = self.waiting.take() {
            self.hear_hello(socket, pid, until, latched);
            return None;
        }
        let (end, until) = self.pending.take()?;
        match socket::receive(end.socket.as_fd()) {
            Heard::Message(message) if Word::decode(&message.words) == Ok(Word::Go) => Some(end),
            Heard::Nothing if Instant::now() < until => {
                self.pending = Some((end, until));
                None
            }
            _ => None,
        }
    }

    fn hear_hello(
        &mut self,
        socket: OwnedFd,
        pid: i32,
        until: Instant,
        latched: Option<(Cause, u64)>,
    ) {
        let message = match socket::receive(socket.as_fd()) {
            Heard::Message(message) => message,
            Heard::Nothing if Instant::now() < until => {
                self.waiting = Some((socket, pid, until));
                return;
            }
            Heard::Nothing | Heard::Closed => return,
        };
        let refusal = match Word::decode(&message.words) {
            Ok(Word::Hello) => match GuardianEnd::adopt(message.descriptors, latched) {
                Some((beat, wall)) => {
                    let (cause, since) = latched.map_or((0, 0), |(c, t)| (c as u64, t));
                    let welcome = Word::Welcome(cause, since).encode();
                    if socket::send(socket.as_fd(), &welcome, &[]).is_ok() {
                        let pidfd = pidfd_of(pid);
                        let end = GuardianEnd { socket, pid, pidfd, beat, wall, last: None };
                        self.pending = Some((end, until));
                    }
                    return;
                }
                None => Refusal::Malformed,
            },
            Ok(_) => Refusal::Malformed,
            Err(refusal) => refusal,
        };
        let _ = socket::send(socket.as_fd(), &Word::Refused(refusal).encode(), &[]);
    }
}

impl Drop for GuardianServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The guardian's end of one connection.
#[derive(Debug)]
pub struct GuardianEnd {
    socket: OwnedFd,
    pid: i32,
    pidfd: Option<OwnedFd>,
    beat: Mapping,
    wall: Mapping,
    last: Option<RtBeat>,
}

impl GuardianEnd {
    fn adopt(
        descriptors: Vec<OwnedFd>,
        latched: Option<(Cause, u64)>,
    ) -> Option<(Mapping, Mapping)> {
        let mut descriptors = descriptors.into_iter();
        let beat = Memory::adopt(descriptors.next()?, heartbeat::WORDS).ok()?;
        let wall = Memory::adopt(descriptors.next()?, fence::WORDS).ok()?;
        let (beat, wall) = (beat.map(Access::Read).ok()?, wall.map(Access::Write).ok()?);
        write_fence(&wall, latched);
        Some((beat, wall))
    }

    /// mechos-rt's process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The newest beat; the last good one when none could be read whole within the bound, none
    /// before the first. Real time.
    pub fn rt_beat(&mut self) -> Option<RtBeat> {
        let words = self.beat.part(heartbeat::BOARD, heartbeat::WORDS - heartbeat::BOARD);
        let mut value = [0; heartbeat::BEAT_WORDS];
        if board::read(words, heartbeat::STRIDE, self.beat.word(heartbeat::HEAD), &mut value) {
            let [tick, t_ns, mode, energised] = value;
            self.last = Some(RtBeat { tick, t_ns, mode, energised: energised != 0 });
        }
        self.last
    }

    /// The guardian's own beat. Real time.
    pub fn beat(&mut self) {
        let word = self.wall.word(fence::HEARTBEAT);
        word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    /// Puts the fence up with its cause and time, or takes it down. Real time.
    pub fn set_fence(&mut self, latched: Option<(Cause, u64)>) {
        write_fence(&self.wall, latched);
    }

    /// Says whether every stop socket is proved. Real time.
    pub fn set_proved(&mut self, proved: bool) {
        self.wall.word(fence::PROVED).store(u64::from(proved), Ordering::Release);
    }

    /// The next message of mechos-rt; never waits. One system call, two when nothing came.
    pub fn message(&mut self) -> Option<RtMessage> {
        match socket::receive(self.socket.as_fd()) {
            Heard::Message(message) => Some(match Word::decode(&message.words) {
                Ok(Word::Reset) => RtMessage::Reset,
                Ok(Word::Goodbye) => RtMessage::Goodbye,
                _ => RtMessage::Unknown,
            }),
            Heard::Closed => Some(RtMessage::HungUp),
            Heard::Nothing => {
                self.pidfd.as_ref().is_some_and(socket::is_readable).then_some(RtMessage::HungUp)
            }
        }
    }
}

fn write_fence(wall: &Mapping, latched: Option<(Cause, u64)>) {
    let (cause, since) = latched.map_or((0, 0), |(cause, since)| (cause as u64, since));
    if cause != 0 {
        wall.word(fence::SINCE).store(since, Ordering::Relaxed);
    }
    // Release pairs with the Acquire of `FenceReader::cause`.
    wall.word(fence::CAUSE).store(cause, Ordering::Release);
}
