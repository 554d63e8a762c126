//! The simulated bus' client against a small server at the other end of a real socket.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use hal::bus::{Bus, BusAddress, BusError, ControllerState, Filter, Received, open};
use hal::frame::Frame;
use hal::simbus::wire::{ClientMessage, DATAGRAM_MAX, Refusal, SimMessage, WireError};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept, bind, listen, recv,
    send, socket,
};

/// The server's end of one connection.
struct Peer(OwnedFd);

impl Peer {
    fn read(&self) -> Option<ClientMessage> {
        let mut buffer = [0; 512];
        let len = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()).unwrap();
        (len > 0).then(|| ClientMessage::decode(&buffer[..len]).unwrap())
    }

    fn say(&self, message: &SimMessage) {
        let mut buffer = [0; DATAGRAM_MAX];
        self.raw(message.encode(&mut buffer));
    }

    fn raw(&self, bytes: &[u8]) {
        send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL).unwrap();
    }
}

/// A socket under a path of its own, and a server that does `act` with the first client.
fn serve(name: &str, act: impl FnOnce(Peer) + Send + 'static) -> (PathBuf, JoinHandle<()>) {
    let path = std::env::temp_dir().join(format!("hal-{name}-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener =
        socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&listener, Backlog::new(4).unwrap()).unwrap();
    let server = thread::spawn(move || {
        let accepted = accept(listener.as_raw_fd()).unwrap();
        // SAFETY: `accept` gave a new descriptor that nobody else owns.
        act(Peer(unsafe { OwnedFd::from_raw_fd(accepted) }));
    });
    (path, server)
}

fn connect(path: &Path, filters: &[Filter]) -> Result<Box<dyn Bus>, BusError> {
    open(&BusAddress::Sim { path: path.to_path_buf() }, "rt.arm", filters, None)
}

fn wait(bus: &dyn Bus) {
    let mut ready = [PollFd::new(bus.descriptor(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut ready, 2_000_u16).unwrap(), 1, "nothing came");
}

/// The next frame, past whatever else makes the socket readable.
fn next(bus: &mut dyn Bus) -> Received {
    loop {
        wait(bus);
        if let Some(received) = bus.receive().unwrap() {
            return received;
        }
    }
}

#[test]
fn frames_go_out_and_come_back_with_time_and_echo() {
    let (path, server) = serve("frames", |peer| {
        let Some(ClientMessage::Hello { name, filters }) = peer.read() else { panic!("no hello") };
        assert_eq!((name.as_str(), filters.as_slice()), ("rt.arm", &[Filter::exactly(0x181)][..]));
        peer.say(&SimMessage::Welcome);
        let Some(ClientMessage::Send(frame)) = peer.read() else { panic!("no frame") };
        peer.say(&SimMessage::Dropped { count: 3 });
        peer.say(&SimMessage::Received(Received { frame, time_ns: 77, echo: true }));
        let error = Frame::error(0x040, [0; 8]).unwrap();
        peer.say(&SimMessage::Received(Received { frame: error, time_ns: 78, echo: false }));
        assert_eq!(peer.read(), None, "until the client leaves");
    });
    let mut bus = connect(&path, &[Filter::exactly(0x181)]).unwrap();
    assert!(bus.receive().unwrap().is_none(), "nothing yet, and no waiting");
    let frame = Frame::new(0x181, &[1, 2]).unwrap();
    bus.send(&frame).unwrap();
    assert_eq!(next(bus.as_mut()), Received { frame, time_ns: 77, echo: true });
    assert_eq!((bus.lost(), bus.state()), (3, ControllerState::ErrorActive));
    next(bus.as_mut());
    assert_eq!(bus.state(), ControllerState::BusOff);
    drop(bus);
    server.join().unwrap();
}

#[test]
fn nobody_there_and_a_refusal_are_told_apart() {
    let absent = PathBuf::from("/nonexistent/bus-a.sock");
    assert!(matches!(connect(&absent, &[]), Err(BusError::Open { .. })));
    let (path, server) = serve("refused", |peer| {
        peer.read();
        peer.say(&SimMessage::Refused(Refusal::Full));
    });
    assert!(matches!(connect(&path, &[]), Err(BusError::Refused(Refusal::Full))));
    server.join().unwrap();
}

#[test]
fn a_simulator_that_ends_is_noticed_on_both_ways() {
    let (path, server) = serve("gone", |peer| {
        peer.read();
        peer.say(&SimMessage::Welcome);
    });
    let mut bus = connect(&path, &[]).unwrap();
    server.join().unwrap();
    assert!(matches!(bus.receive(), Err(BusError::Gone)));
    assert!(matches!(bus.send(&Frame::new(1, &[]).unwrap()), Err(BusError::Gone)));
    assert_eq!(bus.state(), ControllerState::Down);
}

#[test]
fn a_full_way_out_gives_an_error_and_never_waits() {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let (path, server) = serve("full", move |peer| {
        peer.read();
        peer.say(&SimMessage::Welcome);
        let _ = held.recv();
    });
    let mut bus = connect(&path, &[]).unwrap();
    let frame = Frame::new(1, &[0; 8]).unwrap();
    let full = (0..100_000).find_map(|_| bus.send(&frame).err()).unwrap();
    assert!(matches!(full, BusError::Full), "{full}");
    drop(hold);
    server.join().unwrap();
}

#[test]
fn a_peer_that_talks_nonsense_gives_errors() {
    let (path, server) = serve("nonsense", |peer| {
        peer.read();
        peer.say(&SimMessage::Welcome);
        peer.raw(&[1, 2, 3]);
        peer.raw(&[0; 4_000]);
        for _ in 0..16 {
            peer.say(&SimMessage::Dropped { count: u32::MAX });
        }
        peer.read();
    });
    let mut bus = connect(&path, &[]).unwrap();
    for expected in [3, 4_000] {
        wait(bus.as_ref());
        let error = bus.receive().err().unwrap();
        assert!(
            matches!(error, BusError::Protocol(WireError::Length { len }) if len == expected),
            "{error}"
        );
    }
    wait(bus.as_ref());
    // Notices without end do not keep a receiver: it comes back, with an error or with nothing.
    while bus.lost() < 16 * u64::from(u32::MAX) {
        let _ = bus.receive();
    }
    drop(bus);
    server.join().unwrap();
}

#[test]
fn names_and_filters_that_do_not_fit_are_refused() {
    let filters = [Filter::exactly(1); 17];
    let path = PathBuf::from("/nonexistent/bus-a.sock");
    assert!(matches!(connect(&path, &filters), Err(BusError::Client { filters: 17, .. })));
}
