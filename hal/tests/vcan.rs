//! The kernel's CAN, where this host has an interface `vcan0` (or the one named by `MECHOS_VCAN`).
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::time::{Duration, Instant};

use hal::bus::{Bus, BusAddress, BusError, ControllerState, Filter, Received, open};
use hal::frame::{Frame, FrameKind};

fn interface() -> Option<String> {
    let name = std::env::var("MECHOS_VCAN").unwrap_or_else(|_| "vcan0".into());
    if std::path::Path::new("/sys/class/net").join(&name).exists() {
        return Some(name);
    }
    // Straight to the terminal: what a passing test prints is swallowed otherwise.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED here for want of the CAN interface {name}; tests/lab.rs runs the same in the lab. To \
         have one: ip link add {name} type vcan && ip link set {name} up"
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
    let both = [Filter::exactly(0x123), Filter::exactly(0x124)];
    let mut one = open(&address, "one", &both, Some(6)).unwrap();
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

#[test]
fn fd_frames_cross_where_the_interface_has_them_and_are_refused_elsewhere() {
    let Some(interface) = interface() else { return };
    let mtu = std::fs::read_to_string(format!("/sys/class/net/{interface}/mtu")).unwrap();
    let address = BusAddress::SocketCan { interface };
    let mut bus = open(&address, "fd", &[Filter::exactly(0x125)], None).unwrap();
    let frame = Frame::fd(0x125, false, &[5; 64]).unwrap();
    if mtu.trim() == "72" {
        bus.send(&frame).unwrap();
        assert_eq!(next(bus.as_mut()).unwrap().frame, frame);
    } else {
        assert!(matches!(bus.send(&frame), Err(BusError::Unsupported { kind: FrameKind::Fd })));
    }
}

#[test]
fn an_error_frame_passes_every_filter_and_moves_the_state() {
    let Some(interface) = interface() else { return };
    let address = BusAddress::SocketCan { interface };
    let mut writer = open(&address, "writer", &[], None).unwrap();
    let mut bus = open(&address, "reader", &[Filter::exactly(0x7FE)], None).unwrap();
    writer.send(&Frame::error(0x040, [0; 8]).unwrap()).unwrap();
    let end = Instant::now() + Duration::from_secs(1);
    while bus.state() != ControllerState::BusOff && Instant::now() < end {
        let _ = bus.receive().unwrap();
    }
    assert_eq!(bus.state(), ControllerState::BusOff);
}
