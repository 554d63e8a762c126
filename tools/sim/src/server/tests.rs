//! The server with real sockets. Times are only ever compared in the direction that cannot fail on
//! a slow host: not before the wire time; and waits end as soon as what is awaited has come.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hal::bus::{Bus, BusError, Filter, Received};
use hal::frame::Frame;
use hal::simbus::client::SimBus;

use super::realtime::now_ns;
use super::{Options, ROUND_NS, Server, ServerError};
use crate::control::{Client, ControlError, Request};
use crate::spec::{BusSpec, DriveSpec, WorldSpec};

const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    runtime: PathBuf,
    stopper: std::os::unix::net::UnixStream,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl Running {
    fn start(bitrate: u32, drives: u8) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("mechos-sim-{}-{number}", std::process::id());
        let runtime = std::env::temp_dir().join(name);
        let spec = WorldSpec {
            buses: vec![BusSpec { name: "can0".into(), bitrate, interface: None }],
            drives: (1..=drives).map(DriveSpec::example).collect(),
        };
        let log = Some(runtime.join("frames.jsonl"));
        std::fs::create_dir(&runtime).unwrap();
        let options = Options { runtime: runtime.clone(), log, seed: 1, round_ns: ROUND_NS };
        let server = Server::new(spec, &options).unwrap();
        let stopper = server.stopper().unwrap();
        let thread = Some(std::thread::spawn(move || server.run(false)));
        Self { runtime, stopper, thread }
    }

    fn connect(&self, name: &str, filters: &[Filter]) -> SimBus {
        SimBus::connect(&self.runtime.join("bus-can0.sock"), name, filters).unwrap()
    }

    fn control(&self) -> Client {
        Client::connect(&self.runtime, PATIENCE).unwrap()
    }

    fn end(&mut self) -> String {
        std::io::Write::write_all(&mut self.stopper, b"x").unwrap();
        self.thread.take().unwrap().join().unwrap().unwrap();
        std::fs::read_to_string(self.runtime.join("frames.jsonl")).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = std::io::Write::write_all(&mut self.stopper, b"x");
        let _ = self.thread.take().map(JoinHandle::join);
        let _ = std::fs::remove_dir_all(&self.runtime);
    }
}

fn frame(id: u16, data: &[u8]) -> Frame {
    Frame::new(id, data).unwrap()
}

/// The next frame with this identifier.
fn await_id(bus: &mut SimBus, id: u32) -> Received {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        match bus.receive().unwrap() {
            Some(received) => {
                assert!(received.time_ns <= now_ns(), "delivered before its wire time");
                if received.frame.id() == id {
                    return received;
                }
            }
            None => std::thread::sleep(Duration::from_micros(200)),
        }
    }
    panic!("frame {id:#x} never came");
}

fn exists(path: &Path, name: &str) -> bool {
    path.join(name).exists()
}

#[test]
fn two_clients_see_each_others_frames_and_their_own_echo() {
    let sim = Running::start(1_000_000, 0);
    let (mut a, mut b) = (sim.connect("a", &[]), sim.connect("b", &[]));
    let before = now_ns();
    a.send(&frame(0x101, &[1, 2, 3])).unwrap();
    let (echo, seen) = (await_id(&mut a, 0x101), await_id(&mut b, 0x101));
    assert!(echo.echo && !seen.echo);
    assert_eq!((seen.frame, seen.time_ns), (frame(0x101, &[1, 2, 3]), echo.time_ns));
    assert!(seen.time_ns >= before + 68_000, "68 bits at least");
    b.send(&frame(0x102, &[])).unwrap();
    assert!(!await_id(&mut a, 0x102).echo);
    assert!(await_id(&mut b, 0x102).echo);
}

#[test]
fn filters_hold_back_what_was_not_asked_for() {
    let sim = Running::start(1_000_000, 0);
    let mut a = sim.connect("a", &[]);
    let mut b = sim.connect("b", &[Filter::exactly(0x0f0)]);
    a.send(&frame(0x200, &[])).unwrap();
    a.send(&frame(0x0f0, &[2, 0])).unwrap();
    let start = Instant::now();
    let first = loop {
        assert!(start.elapsed() < PATIENCE);
        if let Some(received) = b.receive().unwrap() {
            break received;
        }
    };
    assert_eq!(first.frame.id(), 0x0f0);
}

#[test]
fn a_client_that_never_reads_delays_nobody_and_its_losses_are_counted() {
    let sim = Running::start(8_000_000, 0);
    let mut deaf = sim.connect("deaf", &[]);
    let mut busy = sim.connect("busy", &[Filter::exactly(0x7ff)]);
    let mut control = sim.control();
    let start = Instant::now();
    let mut sent = 0_u64;
    loop {
        assert!(start.elapsed() < PATIENCE, "{sent} frames were not enough");
        for _ in 0..500 {
            match busy.send(&frame(0x100, &[])) {
                Ok(()) => sent += 1,
                Err(BusError::Full) => std::thread::sleep(Duration::from_millis(1)),
                Err(other) => panic!("{other}"),
            }
        }
        let status = control.status().unwrap();
        let dropped = status.buses[0].clients.iter().find(|c| c.name == "deaf").unwrap().dropped;
        if dropped > 0 {
            break;
        }
    }
    // The bus still carries frames while the deaf client's queue is full.
    busy.send(&frame(0x7ff, &[])).unwrap();
    assert!(await_id(&mut busy, 0x7ff).echo);
    // Once it reads again it gets frames again.
    while deaf.receive().unwrap().is_some() {}
    busy.send(&frame(0x123, &[])).unwrap();
    await_id(&mut deaf, 0x123);
}

#[test]
fn drives_live_on_the_bus_and_the_log_names_every_sender() {
    let mut sim = Running::start(1_000_000, 2);
    let mut host = sim.connect("rt.can0", &[]);
    host.send(&frame(0, &[0x81, 0])).unwrap();
    await_id(&mut host, 0x702);
    host.send(&frame(0x602, &[0x40, 0x18, 0x10, 1, 0, 0, 0, 0])).unwrap();
    let answer = await_id(&mut host, 0x582);
    assert_eq!(answer.frame.data(), [0x43, 0x18, 0x10, 1, 0x4f, 0x4d, 0, 0]);
    drop(host);
    let log = sim.end();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |sender: &str| lines.iter().find(|line| line["sender"] == sender).unwrap();
    let request = of("rt.can0");
    assert_eq!((&request["id"], &request["data"]), (&0.into(), &"8100".into()));
    assert_eq!((&request["bus"], &request["pid"]), (&"can0".into(), &std::process::id().into()));
    assert_eq!(of("drive:2")["pid"], 0);
    for line in &lines {
        assert!(line["wire_ns"].as_u64() > line["recv_ns"].as_u64(), "{line}");
    }
    assert!(lines.is_sorted_by_key(|line| line["wire_ns"].as_u64()));
}

#[test]
fn the_control_socket_injects_faults_and_explains_refusals() {
    let sim = Running::start(1_000_000, 2);
    let mut host = sim.connect("rt.can0", &[]);
    let mut control = sim.control();
    host.send(&frame(0, &[0x81, 0])).unwrap();
    await_id(&mut host, 0x701);
    let reply = control.call(&Request::Trip { drive: "axis1".into(), code: 0x4310 }).unwrap();
    assert!(reply.t_ns > 0);
    assert_eq!(await_id(&mut host, 0x081).frame.data()[..2], [0x10, 0x43]);
    let status = control.status().unwrap();
    assert_eq!((status.drives[0].power.as_str(), status.drives[0].error_code), ("fault", 0x4310));
    assert_eq!(status.buses[0].clients[0].name, "rt.can0");
    let request = Request::Silence { drive: "nobody".into(), ms: None, deaf: false };
    match control.call(&request) {
        Err(ControlError::Refused(why)) => assert!(why.contains("axis1, axis2"), "{why}"),
        other => panic!("{other:?}"),
    }
    let silence = Request::Silence { drive: "axis2".into(), ms: None, deaf: false };
    control.call(&silence).unwrap();
    let drop = Request::DropFrames { percent: 101.0, ms: 5, bus: None };
    assert!(matches!(control.call(&drop), Err(ControlError::Refused(_))));
}

#[test]
fn it_ends_when_its_clients_have_left_and_removes_its_sockets() {
    let mut sim = Running::start(1_000_000, 1);
    let mut host = sim.connect("rt.can0", &[]);
    std::io::Write::write_all(&mut sim.stopper, b"x").unwrap();
    host.send(&frame(0x123, &[])).unwrap();
    await_id(&mut host, 0x123);
    assert!(exists(&sim.runtime, "sim.sock"));
    drop(host);
    sim.thread.take().unwrap().join().unwrap().unwrap();
    assert!(!exists(&sim.runtime, "sim.sock") && !exists(&sim.runtime, "bus-can0.sock"));
}

#[test]
fn a_second_simulator_in_one_directory_is_refused() {
    let sim = Running::start(1_000_000, 0);
    let options = Options { runtime: sim.runtime.clone(), log: None, seed: 1, round_ns: ROUND_NS };
    let spec = WorldSpec { buses: Vec::new(), drives: Vec::new() };
    let error = Server::new(spec, &options).err().unwrap();
    assert!(error.to_string().contains("already running"), "{error}");
}

#[test]
fn after_a_hold_up_frames_take_effect_at_the_times_at_which_they_came() {
    use hal::simbus::wire::{ClientMessage, DATAGRAM_MAX};
    use nix::sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket,
    };
    use std::os::fd::AsRawFd;
    let runtime = std::env::temp_dir().join(format!("mechos-sim-held-{}", std::process::id()));
    let log = runtime.join("frames.jsonl");
    std::fs::create_dir(&runtime).unwrap();
    let options =
        Options { runtime: runtime.clone(), log: Some(log.clone()), seed: 1, round_ns: ROUND_NS };
    let buses = vec![BusSpec { name: "can0".into(), bitrate: 1_000_000, interface: None }];
    let mut server = Server::new(WorldSpec { buses, drives: Vec::new() }, &options).unwrap();

    let flags = SockFlag::SOCK_CLOEXEC;
    let client = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
    let address = UnixAddr::new(&runtime.join("bus-can0.sock")).unwrap();
    connect(client.as_raw_fd(), &address).unwrap();
    let mut buffer = [0; DATAGRAM_MAX];
    let mut say = |message: ClientMessage| {
        let bytes = message.encode(&mut buffer);
        send(client.as_raw_fd(), bytes, MsgFlags::empty()).unwrap();
    };
    say(ClientMessage::Hello { name: "held".try_into().unwrap(), filters: Default::default() });
    for _ in 0..3 {
        server.round();
    }
    // Nobody serves for as long as this takes: more frames than a transmit queue holds.
    let mut sent = Vec::new();
    for _ in 0..200 {
        let before = now_ns();
        say(ClientMessage::Send(frame(0x123, &[])));
        sent.push((before, now_ns()));
        std::thread::sleep(Duration::from_micros(200));
    }
    server.round();
    drop(server);
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_dir_all(&runtime).unwrap();
    let came: Vec<u64> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["recv_ns"].as_u64().unwrap())
        .collect();
    assert_eq!(came.len(), sent.len());
    let tolerance = 100_000;
    for (came, (before, after)) in came.iter().zip(sent) {
        assert!(
            *came + tolerance >= before && *came <= after + tolerance,
            "{came} {before} {after}"
        );
    }
}

#[test]
fn another_version_is_refused_and_nonsense_harms_nobody() {
    use hal::simbus::wire::{Refusal, SimMessage};
    use nix::sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, socket,
    };
    use std::os::fd::AsRawFd;
    let sim = Running::start(1_000_000, 0);
    let mut witness = sim.connect("witness", &[]);
    for (bytes, refusal) in [
        (&b"MOSB\x63\0\x01\0"[..], Refusal::Version),
        (&b"hello, is anybody here?"[..], Refusal::NoHello),
        (&[0x5a; 4096][..], Refusal::NoHello),
    ] {
        let flags = SockFlag::SOCK_CLOEXEC;
        let client = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
        let address = UnixAddr::new(&sim.runtime.join("bus-can0.sock")).unwrap();
        connect(client.as_raw_fd(), &address).unwrap();
        send(client.as_raw_fd(), bytes, MsgFlags::empty()).unwrap();
        let mut answer = [0; 256];
        let len = recv(client.as_raw_fd(), &mut answer, MsgFlags::empty()).unwrap();
        assert_eq!(SimMessage::decode(&answer[..len]), Ok(SimMessage::Refused(refusal)));
        assert_eq!(recv(client.as_raw_fd(), &mut answer, MsgFlags::empty()), Ok(0), "closed");
    }
    witness.send(&frame(1, &[])).unwrap();
    await_id(&mut witness, 1);
}
