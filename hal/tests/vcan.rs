//! The kernel's CAN, where this host has an interface `vcan0` (or the one named by `MECHOS_VCAN`).
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::time::{Duration, Instant};

use hal::bus::{Bus, BusAddress, Filter, Received, open};
use hal::frame::{Frame, FrameKind};

fn interface() -> Option<String> {
    let name = std::env::var("MECHOS_VCAN").unwrap_or_else(|_| "vcan0".into());
    if std::path::Path::new("/sys/class/net").join(&name).exists() {
        return Some(name);
    }
    // Straight to the terminal: what a passing test prints is swallowed otherwise.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: no CAN interface {name} here, nothing of the kernel's CAN was tested; to have \
         one: ip link add {name} type vcan && ip link set {name} up"
    );
    None
}

/// The next frame of `bus`, other than error frames, within a second.
fn next(bus: &mut dyn Bus) -> Option<Received> {
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        match bus.receive().unwrap() {
            Some(received) if received.frame.kind() != FrameKind::Error => return Some(received),
            _ => std::thread::yield_now(),
        }
    }
    None
}

#[test]
fn frames_cross_the_kernels_bus_and_own_ones_are_echoed() {
    let Some(interface) = interface() else { return };
    let address = BusAddress::SocketCan { interface };
    let mut one = open(&address, "one", &[], Some(6)).unwrap();
    let mut two = open(&address, "two", &[Filter::exactly(0x123)], None).unwrap();
    one.send(&Frame::new(0x124, &[9]).unwrap()).unwrap();
    let frame = Frame::new(0x123, &[1, 2, 3]).unwrap();
    one.send(&frame).unwrap();
    let received = next(two.as_mut()).unwrap();
    assert_eq!((received.frame, received.echo), (frame, false));
    let first = next(one.as_mut()).unwrap();
    assert!(first.echo && first.frame.id() == 0x124);
    let second = next(one.as_mut()).unwrap();
    assert!(second.echo && second.frame == frame && second.time_ns >= first.time_ns);
    assert_eq!((one.lost(), two.lost()), (0, 0));
}
