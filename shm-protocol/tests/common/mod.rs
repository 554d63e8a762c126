//! What the tests share: a directory that goes away, records, and a peer that speaks the handshake
//! by hand, so that it can say what no honest one would.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
    UnixAddr, bind, connect, listen, recvmsg, sendmsg, socket,
};
use shm_protocol::layout::{LAYOUT_HASH, MAGIC, VERSION};
use shm_protocol::records::*;
use shm_protocol::{Client, Connected, LinkNews, LinkServer, PageSet};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A directory of this test alone.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("mechos-shm-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

pub fn description() -> Description {
    let mut name = [0; 24];
    name[..4].copy_from_slice(b"arm6");
    let mut axis_name = [0; 24];
    axis_name[..8].copy_from_slice(b"shoulder");
    let axis = AxisDescription {
        name: axis_name,
        position_min_rad: -2.8,
        position_max_rad: 2.9,
        velocity_max_rad_s: 1.5,
        acceleration_max_rad_s2: 5.0,
        jerk_max_rad_s3: 50.0,
        effort_max_nm: 40.0,
        home_rad: 0.5,
    };
    Description {
        name,
        period_ns: 1_000_000,
        lease_max_ns: 500_000_000,
        heartbeat_timeout_ns: 50_000_000,
        intents_per_second_max: 50,
        axis_count: 6,
        axes: [axis; AXES_MAX],
    }
}

pub fn intent(number: u64) -> Intent {
    Intent {
        number,
        version: INTENT_VERSION,
        kind: IntentKind::MoveJoints,
        agent: 3,
        epoch: 4,
        issued_ns: 5,
        lease_until_ns: 6,
        trace: TraceId([7; 16]),
        axes_mask: 0b11_1111,
        axes: [AxisRequest { position_rad: number as f64, ..Default::default() }; AXES_MAX],
    }
}

pub fn verdict(number: u64) -> Verdict {
    Verdict {
        number,
        trace: TraceId([7; 16]),
        kind: VerdictKind::Refused,
        rule: Rule::Stoppable,
        axis: 2,
        cause: Cause::None,
        epoch: 4,
        tick: 99,
        decided_ns: 100,
        value: 3.0,
        limit: 2.0,
        nearest: 1.0,
    }
}

pub fn telemetry(tick: u64) -> Telemetry {
    Telemetry {
        tick,
        published_ns: 2,
        mode: ModeCode::Armed,
        cause: Cause::None,
        cause_detail: 0,
        epoch: 4,
        operator_has_control: false,
        active_intent: 1,
        counters: IntentCounters::default(),
        axis_count: 6,
        axes: [AxisTelemetry { position_rad: tick as f64, ..Default::default() }; AXES_MAX],
    }
}

pub fn event(tick: u64) -> Event {
    Event {
        tick,
        time_ns: 1,
        kind: EventKind::ModeChanged,
        mode: ModeCode::Halted,
        cause: Cause::DriveLost,
        detail: 2,
    }
}

/// Waits for what `look` finds.
pub fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "what must come did not come");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The server's next news, with page sets from generation `generation` on.
pub fn news(server: &mut LinkServer, generation: u32) -> LinkNews {
    let mut next = generation;
    wait_for(|| {
        server.turn(false, &mut || {
            let set = PageSet::create(&description(), next).unwrap();
            next += 1;
            Some(set)
        })
    })
}

/// Both ends of a connection over a real socket.
pub fn connect_pair(server: &mut LinkServer, path: &Path, generation: u32) -> (Client, Connected) {
    std::thread::scope(|scope| {
        let client = scope.spawn(|| Client::connect(path, PATIENCE).unwrap());
        let LinkNews::Connected(peer) = news(server, generation) else {
            panic!("not connected");
        };
        (client.join().unwrap(), *peer)
    })
}

/// Kinds of the handshake's messages.
pub const HELLO: u64 = 1;
pub const PAGES: u64 = 2;
pub const REFUSED: u64 = 3;
pub const MAPPED: u64 = 4;
pub const GO: u64 = 5;
pub const WELCOME: u64 = 6;

/// A message of this version.
pub fn message(kind: u64, arguments: [u64; 3]) -> [u64; 8] {
    [MAGIC, VERSION, LAYOUT_HASH, kind, arguments[0], arguments[1], arguments[2], 0]
}

/// A hello to a planner's socket.
pub fn hello() -> [u64; 8] {
    message(HELLO, [1, 0, 0])
}

/// One end of a socket, by hand.
pub struct Raw(pub OwnedFd);

impl Raw {
    fn socket() -> OwnedFd {
        let flags = SockFlag::SOCK_CLOEXEC;
        socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap()
    }

    pub fn connect(path: &Path) -> Self {
        let socket = Self::socket();
        connect(socket.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
        Self(socket)
    }

    pub fn listen(path: &Path) -> Self {
        let socket = Self::socket();
        bind(socket.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
        listen(&socket, Backlog::new(4).unwrap()).unwrap();
        Self(socket)
    }

    pub fn accept(&self) -> Self {
        let raw = nix::sys::socket::accept(self.0.as_raw_fd()).unwrap();
        // SAFETY: accept has just given this descriptor to us alone.
        Self(unsafe { OwnedFd::from_raw_fd(raw) })
    }

    pub fn send_bytes(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control = if raw.is_empty() { &[][..] } else { &rights[..] };
        let flags = MsgFlags::MSG_NOSIGNAL;
        let parts = [IoSlice::new(bytes)];
        sendmsg::<UnixAddr>(self.0.as_raw_fd(), &parts, control, flags, None).unwrap();
    }

    pub fn send(&self, words: [u64; 8], descriptors: &[BorrowedFd<'_>]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.send_bytes(&bytes, descriptors);
    }

    /// The next message and its descriptors; none when the other side closed.
    pub fn receive(&self) -> Option<([u64; 8], Vec<OwnedFd>)> {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(PATIENCE).unwrap();
        assert_eq!(poll(&mut fds, patience), Ok(1), "no message came");
        let mut bytes = [0; 64];
        let mut space = nix::cmsg_space!([RawFd; 8]);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let found =
            recvmsg::<UnixAddr>(self.0.as_raw_fd(), &mut parts, Some(&mut space), flags).unwrap();
        let mut descriptors = Vec::new();
        for part in found.cmsgs().unwrap() {
            if let ControlMessageOwned::ScmRights(rights) = part {
                // SAFETY: the kernel has just installed these descriptors for us alone.
                descriptors.extend(rights.iter().map(|raw| unsafe { OwnedFd::from_raw_fd(*raw) }));
            }
        }
        if found.bytes == 0 {
            return None;
        }
        let words = std::array::from_fn(|word| {
            u64::from_le_bytes(bytes[8 * word..8 * word + 8].try_into().unwrap())
        });
        Some((words, descriptors))
    }
}

/// A planner's handshake by hand, up to the pages: the two descriptors.
pub fn raw_pages(server: &mut LinkServer, path: &Path) -> (Raw, [OwnedFd; 2]) {
    let peer = Raw::connect(path);
    peer.send(hello(), &[]);
    let mut pages = Some(PageSet::create(&description(), 1).unwrap());
    wait_for(|| {
        assert!(server.turn(false, &mut || pages.take()).is_none());
        pages.is_none().then_some(())
    });
    let (words, descriptors) = peer.receive().unwrap();
    assert_eq!((words[3], words[4]), (PAGES, 1));
    (peer, descriptors.try_into().unwrap())
}

/// The rest of it.
pub fn raw_go(server: &mut LinkServer, peer: &Raw) -> Connected {
    peer.send(message(MAPPED, [0; 3]), &[]);
    let LinkNews::Connected(connected) = wait_for(|| server.turn(false, &mut || None)) else {
        panic!("not connected");
    };
    assert_eq!(peer.receive().unwrap().0[3], GO);
    *connected
}
