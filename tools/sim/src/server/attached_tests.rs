//! The server with its drives on a CAN interface of the kernel, where this host has `vcan0` (or the
//! one named by `MECHOS_VCAN`).

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hal::bus::{Bus, BusAddress, open};
use hal::frame::Frame;

use super::{Options, ROUND_NS, Server, ServerError};
use crate::control::{Client, Request};
use crate::interface::InterfaceError;
use crate::spec::{BusSpec, DriveSpec, WorldSpec};

const PATIENCE: Duration = Duration::from_secs(20);

fn spec(interface: &str) -> WorldSpec {
    let interface = Some(interface.to_owned());
    WorldSpec {
        buses: vec![BusSpec { name: "upper".into(), bitrate: 1_000_000, interface }],
        drives: vec![DriveSpec::example(1), DriveSpec::example(2)],
    }
}

struct Runtime(PathBuf);

impl Runtime {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mechos-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn options(&self) -> Options {
        let (runtime, log) = (self.0.clone(), Some(self.0.join("frames.jsonl")));
        Options { runtime, log, seed: 1, round_ns: ROUND_NS }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn interface() -> Option<String> {
    let name = std::env::var("MECHOS_VCAN").unwrap_or_else(|_| "vcan0".into());
    if std::path::Path::new("/sys/class/net").join(&name).exists() {
        return Some(name);
    }
    // Straight to the terminal: what a passing test prints is swallowed otherwise.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: no CAN interface {name} here, drives on the kernel's CAN were not tested; to have \
         one: ip link add {name} type vcan && ip link set {name} up"
    );
    None
}

/// Sends `request` again and again until a frame with `wanted` comes: a drive that boots is deaf.
fn ask(bus: &mut dyn Bus, request: &Frame, wanted: u32, patience: Duration) -> Option<Frame> {
    let end = Instant::now() + patience;
    let mut asked: Option<Instant> = None;
    while Instant::now() < end {
        if asked.is_none_or(|at| at.elapsed() > Duration::from_millis(100)) {
            bus.send(request).unwrap();
            asked = Some(Instant::now());
        }
        match bus.receive().unwrap() {
            Some(received) if received.frame.id() == wanted => return Some(received.frame),
            _ => std::thread::yield_now(),
        }
    }
    None
}

#[test]
fn an_interface_that_may_be_real_is_refused_and_nothing_is_left() {
    let runtime = Runtime::new("sim-refused");
    let refused = Server::new(spec("lo"), &runtime.options()).map(drop);
    assert!(matches!(refused, Err(ServerError::Interface(InterfaceError::Real { .. }))));
    let refused = Server::new(spec("nocan9"), &runtime.options()).map(drop);
    assert!(matches!(refused, Err(ServerError::Interface(InterfaceError::Absent(_)))));
    assert!(!runtime.0.join("sim.sock").exists());
}

#[test]
fn drives_answer_on_the_kernels_bus() {
    let Some(interface) = interface() else { return };
    let runtime = Runtime::new("sim-attached");
    let server = Server::new(spec(&interface), &runtime.options()).unwrap();
    let mut stopper = server.stopper().unwrap();
    let running = std::thread::spawn(move || server.run(false));
    let mut bus = open(&BusAddress::SocketCan { interface }, "test", &[], None).unwrap();

    let request = Frame::new(0x601, &[0x40, 0, 0x10, 0, 0, 0, 0, 0]).unwrap();
    let answer = ask(bus.as_mut(), &request, 0x581, PATIENCE).unwrap();
    assert_eq!(answer.data().get(..4), Some(&[0x43, 0, 0x10, 0][..]), "object 1000h");

    let mut control = Client::connect(&runtime.0, PATIENCE).unwrap();
    let silence = Request::Silence { drive: "axis1".into(), ms: None, deaf: false };
    control.call(&silence).unwrap();
    let short = Duration::from_millis(300);
    while bus.receive().unwrap().is_some() {}
    assert_eq!(ask(bus.as_mut(), &request, 0x581, short), None, "a silent drive answered");
    let other = Frame::new(0x602, request.data()).unwrap();
    assert!(ask(bus.as_mut(), &other, 0x582, PATIENCE).is_some());

    stopper.write_all(b"x").unwrap();
    running.join().unwrap().unwrap();
    let log = std::fs::read_to_string(runtime.0.join("frames.jsonl")).unwrap();
    let has = |sender: &str, id: u32| {
        let sender = format!("\"sender\":\"{sender}\",\"id\":{id},");
        log.lines().any(|line| line.contains("\"bus\":\"upper\"") && line.contains(&sender))
    };
    assert!(has("can", 0x601) && has("drive:1", 0x581) && has("drive:2", 0x582), "{log}");
}
