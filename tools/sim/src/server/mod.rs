//! The process around the world: sockets, clock, log. One thread does it all.
//!
//! Each round: read the clock; take in everything that had come by then; let the world advance to
//! that time and hand out what was on the wire; sleep until the next wire time or the next datagram.
//! So nothing is delivered before its wire time, no frame is overtaken by modelled time, and after
//! the process was held up, what came meanwhile takes effect at the times at which it came. A frame
//! on an attached interface begins a round at once: drives answer a SYNC without delay.

mod attached;
pub mod operator;
pub mod peer;
pub mod realtime;
pub mod socket;
pub mod token;

#[cfg(test)]
mod attached_tests;
mod desk;
#[cfg(test)]
mod tests;

use std::io;
use std::io::Read as _;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use arrayvec::ArrayVec;
use hal::simbus::wire::{ClientMessage, Refusal, SimMessage, WireError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::SockType;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

use crate::bus::arbiter::QUEUE_MAX;
use crate::control::SOCKET_NAME;
use crate::interface::InterfaceError;
use crate::log::Log;
use crate::spec::{BusSpec, WorldSpec};
use crate::world::{Identity, World};
use attached::{Attached, RETRY_NS};
use hal::bus::BusError;
use operator::Connection;
use peer::{Incoming, Peer, Scratch, Stage};
use realtime::now_ns;
use socket::{BindError, Listener};
use token::Token;

/// Usual distance of rounds, ns: two frames at 1 Mbit/s.
pub const ROUND_NS: u64 = 200_000;
/// Most clients of all buses together.
pub const PEERS_MAX: usize = 64;
/// Most connections to the control socket.
const CONNECTIONS_MAX: usize = 8;
/// A client must say hello in this time, ns.
const HELLO_MAX_NS: u64 = 1_000_000_000;
/// Housekeeping comes this often, ns.
const SWEEP_NS: u64 = 100_000_000;
/// Modelled time passes at most this far between two looks at the sockets, ns.
const SLICE_NS: u64 = 1_000_000;
/// After a signal the end comes by itself at the latest then, ns.
const CLOSING_MAX_NS: u64 = 5_000_000_000;
/// Datagrams taken from one client in one round.
const BATCH_MAX: usize = 64;
/// Attached interfaces and the rest, that one sleep waits for.
const DESCRIPTORS_MAX: usize = 33;
/// Readiness taken in one round.
const EVENTS_MAX: usize = 64;

/// Where and how to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// Runtime directory, made with mode 0700 if it is missing.
    pub runtime: PathBuf,
    /// Frame log.
    pub log: Option<PathBuf>,
    /// Seed of the injected frame losses.
    pub seed: u64,
    /// Rounds begin at least this far apart while frames are on their way, ns; `ROUND_NS` as a
    /// rule. Less delivers sooner after the wire time and costs more of a CPU.
    pub round_ns: u64,
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// An interface on which drives may not be attached.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// An interface that cannot be opened.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The frame log.
    #[error("frame log: {0}")]
    Log(io::Error),
    /// Anything else of the system.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl From<Errno> for ServerError {
    fn from(errno: Errno) -> Self {
        Self::System(errno.into())
    }
}

/// The serving process.
pub struct Server {
    spec: WorldSpec,
    world: World,
    epoll: Epoll,
    /// One a bus; none where the bus is an attached interface.
    listeners: Vec<Option<Listener>>,
    attached: Vec<Attached>,
    control: Listener,
    signal: (UnixStream, UnixStream),
    peers: Vec<Option<Peer>>,
    connections: Vec<Option<Connection>>,
    scratch: Scratch,
    log: Log,
    realtime: bool,
    late_max_ns: u64,
    round_ns: u64,
    sweep_ns: u64,
    closing_ns: Option<u64>,
}

impl Server {
    /// Opens all sockets and the log. The drives power on now.
    ///
    /// # Errors
    /// `ServerError`; nothing is left behind.
    pub fn new(spec: WorldSpec, options: &Options) -> Result<Self, ServerError> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&options.runtime)?;
        let control = Listener::open(options.runtime.join(SOCKET_NAME), SockType::Stream)?;
        let attached = Attached::open_all(&spec)?;
        let listen = |bus: &BusSpec| {
            let path = options.runtime.join(format!("bus-{}.sock", bus.name));
            let modelled = bus.interface.is_none();
            modelled.then(|| Listener::open(path, SockType::SeqPacket)).transpose()
        };
        let listeners: Vec<_> = spec.buses.iter().map(listen).collect::<Result<_, _>>()?;
        let names = spec.buses.iter().map(|bus| bus.name.clone()).collect();
        let log = Log::start(options.log.as_deref(), names).map_err(ServerError::Log)?;
        let signal = UnixStream::pair()?;
        signal.0.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&control, readable(Token::Control))?;
        epoll.add(&signal.0, readable(Token::Signal))?;
        for (index, listener) in listeners.iter().enumerate() {
            if let Some(listener) = listener {
                epoll.add(listener, readable(Token::Bus(index)))?;
            }
        }
        let now = now_ns();
        Ok(Self {
            world: World::new(&spec, options.seed, now),
            spec,
            epoll,
            listeners,
            attached,
            control,
            signal,
            peers: Vec::new(),
            connections: Vec::new(),
            scratch: Scratch::default(),
            log,
            realtime: false,
            late_max_ns: 0,
            round_ns: options.round_ns,
            sweep_ns: now + SWEEP_NS,
            closing_ns: None,
        })
    }

    /// One byte written here asks the server to end in order; a signal handler may write it.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn stopper(&self) -> io::Result<UnixStream> {
        self.signal.1.try_clone()
    }

    /// Serves until asked to end: then until every client has left and all drives stand still, five
    /// seconds at the most. `realtime` is what the calling thread was granted.
    ///
    /// # Errors
    /// The system refuses to wait.
    pub fn run(mut self, realtime: bool) -> Result<(), ServerError> {
        self.realtime = realtime;
        while !self.is_over() {
            let now = self.round();
            let waits = self.transmit();
            if now >= self.sweep_ns {
                self.sweep(now);
            }
            self.sleep(now, waits)?;
        }
        Ok(())
    }

    /// Brings the world up to the clock, and gives the time that the clock had. After a hold-up
    /// this goes in slices, and what came is taken in before each: no queue is long enough for all
    /// of it at once, and no frame may be overtaken.
    fn round(&mut self) -> u64 {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let now = now_ns();
        self.scratch.wall_offset_ns = realtime::wall_offset_ns();
        loop {
            let ready = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
            for event in events.iter().take(ready) {
                if let Some(token) = Token::unpack(event.data()) {
                    self.handle(token);
                }
            }
            self.hear(now);
            let until = now.min(self.world.now_ns() + SLICE_NS);
            self.advance(until, now);
            if until >= now {
                return now;
            }
        }
    }

    fn advance(&mut self, until: u64, now: u64) {
        let Self { world, peers, log, late_max_ns, .. } = self;
        world.advance(until, |delivery| {
            log.record(delivery);
            for peer in peers.iter_mut().flatten() {
                peer.deliver(delivery);
            }
            *late_max_ns = (*late_max_ns).max(now.saturating_sub(delivery.wire_ns));
        });
        for index in 0..self.peers.len() {
            self.unthrottle(index);
        }
    }

    /// Sleeps until something is due. While frames are on their way rounds begin `round_ns` apart
    /// and datagrams do not wake the thread: they keep the times at which they came, so that only
    /// deliveries can be late by it, and one wake-up (the dear part) serves several frames. A frame
    /// on an attached interface always wakes it: nothing there is delayed for a model's sake.
    fn sleep(&self, round_began_ns: u64, retry: bool) -> Result<(), ServerError> {
        let retry_ns = if retry { round_began_ns + RETRY_NS } else { u64::MAX };
        let due_ns = self.world.next_wake_ns().unwrap_or(u64::MAX);
        let due_ns = due_ns.min(self.sweep_ns).min(retry_ns);
        let earliest_ns = round_began_ns + self.round_ns;
        let soon = due_ns <= earliest_ns + self.round_ns;
        let until_ns = if soon { due_ns.max(earliest_ns) } else { due_ns };
        let slept = if soon && self.attached.is_empty() {
            let until = TimeSpec::from_duration(Duration::from_nanos(until_ns));
            let flags = ClockNanosleepFlags::TIMER_ABSTIME;
            clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &until).map(|_| ())
        } else {
            let left = Duration::from_nanos(until_ns.saturating_sub(now_ns()));
            let others = (!soon).then(|| self.epoll.0.as_fd());
            let waiting = self.attached.iter().filter_map(Attached::descriptor).chain(others);
            let mut fds: ArrayVec<PollFd, DESCRIPTORS_MAX> = waiting
                .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
                .take(DESCRIPTORS_MAX)
                .collect();
            ppoll(&mut fds, Some(TimeSpec::from_duration(left)), None).map(|_| ())
        };
        match slept {
            Ok(()) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn handle(&mut self, token: Token) {
        match token {
            Token::Bus(bus) => self.accept(bus),
            Token::Control => self.accept_connection(),
            Token::Signal => {
                let _ = self.signal.0.read(&mut [0; 16]);
                self.closing_ns.get_or_insert_with(now_ns);
            }
            Token::Peer(index) => self.read(index),
            Token::Connection(index) => self.serve(index),
        }
    }

    fn accept(&mut self, bus: usize) {
        let Some(stream) = self.listeners.get(bus).and_then(|listener| listener.as_ref()?.accept())
        else {
            return;
        };
        let Some((pid, uid)) = socket::peer(&stream) else { return };
        let peer = Peer::new(stream, bus, pid, now_ns());
        if !socket::is_allowed(uid) {
            self.log.say(format!("a client of user {uid} (process {pid}) was refused"));
            return peer.refuse(Refusal::User);
        }
        let Some(index) = free_place(&mut self.peers, PEERS_MAX) else {
            return peer.refuse(Refusal::Full);
        };
        if self.epoll.add(&peer, readable(Token::Peer(index))).is_ok()
            && let Some(place) = self.peers.get_mut(index)
        {
            *place = Some(peer);
        }
    }

    fn accept_connection(&mut self) {
        let Some(stream) = self.control.accept() else { return };
        if !socket::peer(&stream).is_some_and(|(_, uid)| socket::is_allowed(uid)) {
            return;
        }
        let Some(index) = free_place(&mut self.connections, CONNECTIONS_MAX) else { return };
        let connection = Connection::new(stream);
        if self.epoll.add(&connection, readable(Token::Connection(index))).is_ok()
            && let Some(place) = self.connections.get_mut(index)
        {
            *place = Some(connection);
        }
    }

    /// Takes what a client has sent, as far as its transmit queue has room; the rest stays in its
    /// socket, where the client sees a full bus.
    fn read(&mut self, index: usize) {
        for _ in 0..BATCH_MAX {
            let Some(Some(peer)) = self.peers.get_mut(index) else { return };
            if let Some(id) = peer.id()
                && self.world.room(id) == 0
            {
                peer.throttled = self.epoll.delete(&*peer).is_ok();
                return;
            }
            match peer.read(&mut self.scratch) {
                Incoming::Message(message, came_ns) => {
                    if !self.on_message(index, message, came_ns) {
                        return self.close(index);
                    }
                }
                Incoming::Malformed(error) => {
                    let pid = peer.pid;
                    let version = matches!(error, WireError::Version(_));
                    peer.refuse(if version { Refusal::Version } else { Refusal::NoHello });
                    self.log.say(format!("process {pid} sent what is no message: {error}"));
                    return self.close(index);
                }
                Incoming::Nothing => return,
                Incoming::Gone => return self.close(index),
            }
        }
    }

    /// False if the client must go.
    fn on_message(&mut self, index: usize, message: ClientMessage, came_ns: u64) -> bool {
        let Some(Some(peer)) = self.peers.get_mut(index) else { return false };
        match (message, &peer.stage) {
            (ClientMessage::Send(frame), Stage::Joined { id, .. }) => {
                self.world.submit(*id, frame, came_ns).is_ok()
            }
            (ClientMessage::Hello { name, filters }, Stage::Waiting(_)) => {
                let identity = Identity { name, pid: peer.pid };
                let Some(id) = self.world.connect(peer.bus, identity) else {
                    peer.refuse(Refusal::Full);
                    return false;
                };
                peer.stage = Stage::Joined { id, name, filters };
                peer.answer(&SimMessage::Welcome);
                true
            }
            _ => {
                peer.refuse(Refusal::NoHello);
                false
            }
        }
    }

    fn unthrottle(&mut self, index: usize) {
        let Some(Some(peer)) = self.peers.get_mut(index) else { return };
        if !peer.throttled {
            return;
        }
        let room = peer.id().map_or(0, |id| self.world.room(id));
        if room >= QUEUE_MAX / 2 && self.epoll.add(&*peer, readable(Token::Peer(index))).is_ok() {
            peer.throttled = false;
        }
    }

    fn close(&mut self, index: usize) {
        let Some(peer) = self.peers.get_mut(index).and_then(Option::take) else { return };
        if let Some(id) = peer.id() {
            self.world.disconnect(id);
        }
        let _ = self.epoll.delete(&peer);
    }

    fn serve(&mut self, index: usize) {
        let Some(mut connection) = self.connections.get_mut(index).and_then(Option::take) else {
            return;
        };
        if connection.serve(|request| self.carry_out(request)) {
            if let Some(place) = self.connections.get_mut(index) {
                *place = Some(connection);
            }
        } else {
            let _ = self.epoll.delete(&connection);
        }
    }

    fn sweep(&mut self, now: u64) {
        self.sweep_ns = now + SWEEP_NS;
        self.reattach();
        for index in 0..self.peers.len() {
            if let Some(Some(Peer { stage: Stage::Waiting(since), .. })) = self.peers.get(index)
                && now.saturating_sub(*since) > HELLO_MAX_NS
            {
                self.close(index);
            }
        }
    }

    fn is_over(&self) -> bool {
        let Some(since) = self.closing_ns else { return false };
        let left_alone = self.peers.iter().flatten().all(|peer| peer.id().is_none());
        left_alone && self.world.is_at_rest() || now_ns().saturating_sub(since) > CLOSING_MAX_NS
    }
}

fn readable(token: Token) -> EpollEvent {
    EpollEvent::new(EpollFlags::EPOLLIN, token.pack())
}

/// A free place in a bounded list, made if there is none yet.
fn free_place<T>(list: &mut Vec<Option<T>>, max: usize) -> Option<usize> {
    if let Some(index) = list.iter().position(Option::is_none) {
        return Some(index);
    }
    (list.len() < max).then(|| list.push(None))?;
    Some(list.len() - 1)
}
