//! mechos-rt's side of the planner's link: page sets, the handshake, and the real-time end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::board::Writer;
use crate::encode::{
    DESCRIPTION_WORDS, INTENT_WORDS, TELEMETRY_WORDS, VERDICT_WORDS, put_description,
    put_telemetry, put_verdict, take_intent,
};
use crate::error::{LinkError, MemoryError, Refusal};
use crate::handshake::Word;
use crate::layout::{
    BOARD_STRIDE, EVENT_WORDS, EVENTS, INTENTS, LAYOUT_HASH, MAGIC, PageKind, VERDICTS, VERSION,
    header, intent, telemetry,
};
use crate::memory::{Access, Mapping, Memory};
use crate::records::{Claim, Description, Telemetry, Verdict};
use crate::ring::{Receiver, SLOT_HEAD, Sender};
use crate::socket::{self, Heard, accept_from, listen_at, peer_of, pidfd_of};
use crate::words::{at, checksum, store};

/// How long a peer may take for its part of the handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(2);

/// The pages of one connection, made, mapped, locked and touched before anybody connects.
#[derive(Debug)]
pub struct PageSet {
    generation: u32,
    intent: Memory,
    intent_view: Mapping,
    telemetry: Memory,
    telemetry_view: Mapping,
}

/// Writes a page's header.
pub(crate) fn write_header(page: &Mapping, kind: PageKind, generation: u32) {
    for (index, value) in [
        (header::MAGIC, MAGIC),
        (header::VERSION, VERSION),
        (header::LAYOUT, LAYOUT_HASH),
        (header::GENERATION, u64::from(generation)),
        (header::KIND, kind as u64),
    ] {
        page.word(index).store(value, Ordering::Relaxed);
    }
}

impl PageSet {
    /// New pages for generation `generation`, which must not be 0 and not repeat.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn create(description: &Description, generation: u32) -> Result<PageSet, MemoryError> {
        let intent = Memory::create("mechos-intent", intent::WORDS)?;
        write_header(&intent.map(Access::Write)?, PageKind::Intent, generation);
        let intent_view = intent.map(Access::Read)?;
        let telemetry = Memory::create("mechos-telemetry", telemetry::WORDS)?;
        let telemetry_view = telemetry.map(Access::Write)?;
        write_header(&telemetry_view, PageKind::Telemetry, generation);
        let mut words = [0; DESCRIPTION_WORDS];
        put_description(description, &mut words);
        store(telemetry_view.part(telemetry::DESCRIPTION, DESCRIPTION_WORDS), &words);
        // From here on nobody gets a writable mapping of it any more; ours stays.
        telemetry.close_for_writing()?;
        Ok(PageSet { generation, intent, intent_view, telemetry, telemetry_view })
    }

    /// Its generation.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The descriptors as a peer gets them: intent page, telemetry page.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.intent.descriptor(), self.telemetry.descriptor()]
    }

    /// The peer has mapped: no further writable mapping of the intent page, no hole in it.
    fn close(self) -> Result<ServerEnd, MemoryError> {
        self.intent.close_for_writing()?;
        Ok(ServerEnd {
            generation: self.generation,
            intent: self.intent_view,
            telemetry: self.telemetry_view,
            intents: Receiver::default(),
            verdicts: Sender::default(),
            board: Writer::default(),
            events: 0,
        })
    }
}

/// A peer that is through the handshake.
#[derive(Debug)]
pub struct Connected {
    /// The real-time end.
    pub end: ServerEnd,
    /// Held open; it closes when the peer goes.
    pub socket: OwnedFd,
    /// The peer's process.
    pub pid: i32,
    /// Turns readable when the peer's process has ended; none where the kernel gives none.
    pub pidfd: Option<OwnedFd>,
}

/// What a turn of the server brought.
#[derive(Debug)]
pub enum LinkNews {
    /// A peer is connected.
    Connected(Box<Connected>),
    /// A peer was refused.
    Refused {
        /// Its process.
        pid: i32,
        /// Why.
        refusal: Refusal,
    },
    /// A peer broke the handshake off, or took too long.
    Broken {
        /// Its process.
        pid: i32,
    },
}

/// A peer in the middle of the handshake.
#[derive(Debug)]
struct Pending {
    socket: OwnedFd,
    pid: i32,
    pages: Option<PageSet>,
    until: Instant,
}

/// The listening socket of the planner's link.
#[derive(Debug)]
pub struct LinkServer {
    listener: OwnedFd,
    path: PathBuf,
    uid_allowed: u32,
    pending: Option<Pending>,
}

impl LinkServer {
    /// Offers `path` with `mode` to the user `uid_allowed`.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn bind(path: &Path, uid_allowed: u32, mode: u32) -> Result<LinkServer, LinkError> {
        let listener = listen_at(path, mode)?;
        Ok(LinkServer { listener, path: path.to_owned(), uid_allowed, pending: None })
    }

    /// The descriptors to poll for reading.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let pending = self.pending.as_ref().map(|pending| pending.socket.as_fd());
        std::iter::once(self.listener.as_fd()).chain(pending)
    }

    /// Goes on with the handshake; never waits. `busy` refuses newcomers; `pages` gives the next
    /// page set, or none while there is none.
    pub fn turn(
        &mut self,
        busy: bool,
        pages: &mut dyn FnMut() -> Option<PageSet>,
    ) -> Option<LinkNews> {
        if self.pending.is_none() {
            let socket = accept_from(&self.listener)?;
            let (uid, pid) = peer_of(&socket).ok()?;
            if uid != self.uid_allowed {
                return Some(refuse(&socket, pid, Refusal::User));
            }
            if busy {
                return Some(refuse(&socket, pid, Refusal::Busy));
            }
            let until = Instant::now() + HANDSHAKE_MAX;
            self.pending = Some(Pending { socket, pid, pages: None, until });
        }
        let mut pending = self.pending.take()?;
        match socket::receive(pending.socket.as_fd()) {
            Heard::Nothing if Instant::now() < pending.until => {
                self.pending = Some(pending);
                None
            }
            Heard::Nothing | Heard::Closed => Some(LinkNews::Broken { pid: pending.pid }),
            Heard::Message(message) => match (Word::decode(&message.words), pending.pages.take()) {
                (Ok(Word::Hello), None) => {
                    let Some(set) = pages() else {
                        return Some(refuse(&pending.socket, pending.pid, Refusal::Pages));
                    };
                    let welcome = Word::Welcome(u64::from(set.generation), 0).encode();
                    let sent = socket::send(pending.socket.as_fd(), &welcome, &set.descriptors());
                    pending.pages = Some(set);
                    let pid = pending.pid;
                    self.pending = sent.is_ok().then_some(pending);
                    self.pending.is_none().then_some(LinkNews::Broken { pid })
                }
                (Ok(Word::Mapped), Some(set)) => Some(finish(pending, set)),
                (Err(refusal), _) => Some(refuse(&pending.socket, pending.pid, refusal)),
                _ => Some(refuse(&pending.socket, pending.pid, Refusal::Malformed)),
            },
        }
    }
}

fn finish(pending: Pending, set: PageSet) -> LinkNews {
    let pid = pending.pid;
    let Ok(end) = set.close() else { return LinkNews::Broken { pid } };
    if socket::send(pending.socket.as_fd(), &Word::Go.encode(), &[]).is_err() {
        return LinkNews::Broken { pid };
    }
    let pidfd = pidfd_of(pid);
    LinkNews::Connected(Box::new(Connected { end, socket: pending.socket, pid, pidfd }))
}

fn refuse(socket: &OwnedFd, pid: i32, refusal: Refusal) -> LinkNews {
    // A peer that has left already needs no reason.
    let _ = socket::send(socket.as_fd(), &Word::Refused(refusal).encode(), &[]);
    LinkNews::Refused { pid, refusal }
}

impl Drop for LinkServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// mechos-rt's end of one connection. Every function is real time: no system call, no allocation,
/// bounded work whatever the peer writes.
#[derive(Debug)]
pub struct ServerEnd {
    generation: u32,
    intent: Mapping,
    telemetry: Mapping,
    intents: Receiver,
    verdicts: Sender,
    board: Writer,
    events: u64,
}

impl ServerEnd {
    /// Generation of the connection.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Takes the oldest intent from the ring: a claim, copied out once.
    pub fn pop(&mut self) -> Option<Claim> {
        let mut words = [0; INTENT_WORDS];
        let ring = self.intent.part(intent::RING, INTENTS.words());
        let intact = self.intents.receive(INTENTS, ring, &mut words)?;
        self.intents.publish(self.telemetry.word(telemetry::INTENTS_READ));
        Some(Claim { intent: take_intent(&words), intact })
    }

    /// Intents that wait, counted in the ring.
    pub fn queued(&self) -> u32 {
        let ring = self.intent.part(intent::RING, INTENTS.words());
        u32::try_from(self.intents.waiting(INTENTS, ring)).unwrap_or(u32::MAX)
    }

    /// Intents taken.
    pub fn taken(&self) -> u64 {
        self.intents.received()
    }

    /// Verdicts that the ring has room for now.
    pub fn verdict_slots_free(&mut self) -> usize {
        let free = self.verdicts.free(VERDICTS, self.intent.word(intent::VERDICTS_READ));
        usize::try_from(free).unwrap_or(0)
    }

    /// Sends a verdict.
    ///
    /// # Errors
    /// Gives it back when the ring is full.
    pub fn push_verdict(&mut self, verdict: &Verdict) -> Result<(), Verdict> {
        let mut words = [0; VERDICT_WORDS];
        put_verdict(verdict, &mut words);
        let ring = self.telemetry.part(telemetry::VERDICT_RING, VERDICTS.words());
        let read = self.intent.word(intent::VERDICTS_READ);
        if self.verdicts.send(VERDICTS, ring, read, &words) { Ok(()) } else { Err(*verdict) }
    }

    /// Publishes the newest state.
    pub fn publish(&mut self, value: &Telemetry) {
        let mut words = [0; TELEMETRY_WORDS];
        put_telemetry(value, &mut words);
        let slots = usize::try_from(crate::board::SLOTS).unwrap_or(0);
        let board = self.telemetry.part(telemetry::BOARD, BOARD_STRIDE * slots);
        self.board.publish(board, BOARD_STRIDE, self.telemetry.word(telemetry::HEAD), &words);
    }

    /// Writes an event into the lossy ring: the oldest one is overwritten, readers count what they
    /// missed.
    pub fn push_event(&mut self, event: &[u64; EVENT_WORDS]) {
        let ring = self.telemetry.part(telemetry::EVENT_RING, EVENTS.words());
        let place = usize::try_from(self.events % EVENTS.slots).unwrap_or(0) * EVENTS.stride;
        let slot = ring.get(place..place + EVENTS.stride).unwrap_or(&[]);
        let (Some(sequence), Some(sum)) = (at(slot, 0), at(slot, 1)) else { return };
        // Zero first: a reader that meets the slot half-written sees no sequence that it expects.
        sequence.store(0, Ordering::Relaxed);
        std::sync::atomic::fence(Ordering::Release);
        store(slot.get(SLOT_HEAD..).unwrap_or(&[]), event);
        sum.store(u64::from(checksum(event)), Ordering::Relaxed);
        self.events += 1;
        sequence.store(self.events, Ordering::Release);
        self.telemetry.word(telemetry::EVENTS_WRITTEN).store(self.events, Ordering::Release);
    }

    /// The peer's heartbeat: a claim; only its change counts.
    pub fn heartbeat(&self) -> u64 {
        self.intent.word(intent::HEARTBEAT).load(Ordering::Acquire)
    }

    /// The peer's stop counter; any change latches.
    pub fn stops(&self) -> u64 {
        self.intent.word(intent::STOPS).load(Ordering::Acquire)
    }

    /// The peer's emergency-stop counter; any change latches.
    pub fn estops(&self) -> u64 {
        self.intent.word(intent::ESTOPS).load(Ordering::Acquire)
    }

    /// Intents that the peer claims to have submitted.
    pub fn submitted(&self) -> u64 {
        self.intent.word(intent::SUBMITTED).load(Ordering::Acquire)
    }

    /// Intents that the peer claims to have had returned by a full ring.
    pub fn returned(&self) -> u64 {
        self.intent.word(intent::RETURNED).load(Ordering::Acquire)
    }
}
