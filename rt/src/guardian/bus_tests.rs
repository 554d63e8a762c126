//! Behaviour of the guardian on one bus, against a bus of queues.

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard};

use hal::bus::{ControllerState, Received};

use super::*;

const STOP: u16 = 0x0F0;
const SYNC: u16 = 0x0F8;
const MS: u64 = 1_000_000;
const ENABLED: u16 = 0x0027;
const SWITCHED_OFF: u16 = 0x0040;

#[derive(Default)]
struct Wire {
    sent: Vec<u32>,
    incoming: std::collections::VecDeque<Received>,
    full: bool,
    gone: bool,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Wire>>);

impl Shared {
    fn borrow(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap()
    }
}

struct FakeBus(Shared);

impl Bus for FakeBus {
    fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        let mut wire = self.0.borrow();
        match (wire.gone, wire.full) {
            (true, _) => Err(BusError::Gone),
            (_, true) => Err(BusError::Full),
            _ => {
                wire.sent.push(frame.id());
                Ok(())
            }
        }
    }

    fn receive(&mut self) -> Result<Option<Received>, BusError> {
        let mut wire = self.0.borrow();
        if wire.gone { Err(BusError::Gone) } else { Ok(wire.incoming.pop_front()) }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        unreachable!("the guardian polls by time")
    }

    fn state(&self) -> ControllerState {
        ControllerState::ErrorActive
    }

    fn lost(&self) -> u64 {
        0
    }
}

fn bus() -> (StopBus, Shared) {
    let wire = Shared::default();
    let mut bus = StopBus::new(STOP, SYNC, [1, 2].into_iter());
    bus.install(Box::new(FakeBus(wire.clone())));
    (bus, wire)
}

fn hear(bus: &mut StopBus, wire: &Shared, id: u16, data: &[u8], echo: bool) {
    let frame = Frame::new(id, data).unwrap();
    wire.borrow().incoming.push_back(Received { frame, time_ns: 0, echo });
    assert!(bus.listen().is_none());
}

fn status(bus: &mut StopBus, wire: &Shared, node: u16, statusword: u16) {
    let [low, high] = statusword.to_le_bytes();
    hear(bus, wire, 0x180 + node, &[low, high, 0, 0, 0, 0], false);
}

fn stops(wire: &Shared) -> usize {
    wire.borrow().sent.iter().filter(|id| **id == u32::from(STOP)).count()
}

const STOPPING: Duty = Duty::Stop { sync_ns: None };

#[test]
fn listening_sends_nothing() {
    let (mut bus, wire) = bus();
    for ms in 0..1000 {
        assert!(bus.turn(ms * MS, Duty::Listen).is_none());
    }
    assert!(wire.borrow().sent.is_empty());
}

#[test]
fn the_stop_goes_first_and_a_sync_asks_for_the_answer() {
    let (mut bus, wire) = bus();
    assert!(bus.turn(7, STOPPING).is_none());
    assert_eq!(wire.borrow().sent, [u32::from(STOP), u32::from(SYNC)]);
    assert_eq!((bus.sent(), bus.first_sent_ns()), (1, 7));
}

#[test]
fn stops_are_repeated_until_every_drive_confirms() {
    let (mut bus, wire) = bus();
    status(&mut bus, &wire, 1, SWITCHED_OFF);
    status(&mut bus, &wire, 2, SWITCHED_OFF);
    for ms in 0..20 {
        let _ = bus.turn(ms * MS, STOPPING);
    }
    assert!(!bus.is_stopped(), "a statusword from before the fence confirms nothing");
    assert_eq!(stops(&wire), 4);
    status(&mut bus, &wire, 1, SWITCHED_OFF);
    let _ = bus.turn(20 * MS, STOPPING);
    assert_eq!(stops(&wire), 5);
    status(&mut bus, &wire, 2, SWITCHED_OFF);
    assert!(bus.is_stopped());
    for ms in 21..1000 {
        let _ = bus.turn(ms * MS, STOPPING);
    }
    assert_eq!(stops(&wire), 5);
}

#[test]
fn a_drive_that_is_powered_again_is_stopped_again() {
    let (mut bus, wire) = bus();
    let _ = bus.turn(0, STOPPING);
    for node in [1, 2] {
        status(&mut bus, &wire, node, SWITCHED_OFF);
    }
    let _ = bus.turn(100 * MS, STOPPING);
    assert_eq!(stops(&wire), 1);
    status(&mut bus, &wire, 2, ENABLED);
    let _ = bus.turn(101 * MS, STOPPING);
    assert_eq!(stops(&wire), 2);
}

#[test]
fn a_full_bus_is_tried_again_soon() {
    let (mut bus, wire) = bus();
    wire.borrow().full = true;
    let _ = bus.turn(0, STOPPING);
    wire.borrow().full = false;
    let _ = bus.turn(MS, STOPPING);
    assert_eq!(stops(&wire), 1);
}

#[test]
fn a_fenced_daemons_drives_are_asked_in_its_place() {
    let (mut bus, wire) = bus();
    let _ = bus.turn(0, STOPPING);
    for node in [1, 2] {
        status(&mut bus, &wire, node, SWITCHED_OFF);
    }
    wire.borrow().sent.clear();
    for ms in 1..=100 {
        let _ = bus.turn(ms * MS, Duty::Stop { sync_ns: Some(2 * MS) });
    }
    assert_eq!(wire.borrow().sent.len(), 50);
    assert_eq!(stops(&wire), 0);
}

#[test]
fn a_socket_is_proved_by_its_own_echo_only() {
    let (mut bus, wire) = bus();
    let _ = bus.turn(0, Duty::Prove);
    assert_eq!(stops(&wire), 1);
    hear(&mut bus, &wire, STOP, &[2, 0], false);
    assert!(!bus.is_proved());
    hear(&mut bus, &wire, STOP, &[2, 0], true);
    assert!(bus.is_proved());
    let _ = bus.turn(1000 * MS, Duty::Prove);
    assert_eq!(stops(&wire), 1);
}

#[test]
fn a_bus_that_has_gone_is_handed_out_and_proves_nothing() {
    let (mut bus, wire) = bus();
    let _ = bus.turn(0, Duty::Prove);
    hear(&mut bus, &wire, STOP, &[2, 0], true);
    wire.borrow().gone = true;
    assert!(bus.listen().is_some());
    assert!(!bus.is_proved());
    assert!(bus.listen().is_none());
    assert!(bus.turn(1, STOPPING).is_none());
}

#[test]
fn a_bus_that_comes_back_in_an_emergency_is_stopped_at_once() {
    let (mut bus, wire) = bus();
    let _ = bus.turn(0, STOPPING);
    wire.borrow().gone = true;
    drop(bus.listen());
    let _ = bus.turn(MS, STOPPING);
    let again = Shared::default();
    bus.install(Box::new(FakeBus(again.clone())));
    let _ = bus.turn(MS + 1, STOPPING);
    assert_eq!(stops(&again), 1);
}

#[test]
fn a_flood_does_not_hold_a_turn() {
    let (mut bus, wire) = bus();
    let frame = Frame::new(0x181, &[0x27, 0, 0, 0, 0, 0]).unwrap();
    let flood = (0..1000).map(|_| Received { frame, time_ns: 0, echo: false });
    wire.borrow().incoming.extend(flood);
    assert!(bus.listen().is_none());
    assert_eq!(wire.borrow().incoming.len(), 1000 - FRAMES_PER_TURN_MAX);
}
