//! Nothing allocates once networks and buses are made: set-up, enabling, motion, faults, errors,
//! and sending and receiving on the simulated bus.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::thread;

use common::{Bench, STOP, TICK_NS, Trick};
use hal::bus::{Bus, Received};
use hal::drive::{DriveGoal, DriveState};
use hal::frame::Frame;
use hal::network::stop_frame;
use hal::simbus::client::SimBus;
use hal::simbus::wire::{ClientMessage, DATAGRAM_MAX, SimMessage};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept, bind, listen, recv,
    send, socket,
};

thread_local! {
    static COUNTING: Cell<bool> = const { Cell::new(false) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    // While a thread ends its locals may be gone; then nothing is being measured either.
    let _ = COUNTING.try_with(|counting| {
        if counting.get() {
            COUNT.with(|count| count.set(count.get() + 1));
        }
    });
}

// SAFETY: every call goes on to the system's allocator unchanged; counting touches no memory that
// comes from it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations and releases during `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    COUNT.with(|count| count.set(0));
    COUNTING.with(|counting| counting.set(true));
    work();
    COUNTING.with(|counting| counting.set(false));
    COUNT.with(Cell::get)
}

/// Ticks as `Bench::tick`, counting what the network's own calls allocate.
fn run(bench: &mut Bench, ticks: usize) {
    for _ in 0..ticks {
        let Bench { network, out, commands, now_ns, .. } = bench;
        let counted = allocations(|| {
            network.cycle(*now_ns, commands, out);
            for index in 0..network.len() {
                std::hint::black_box(network.feedback(index, *now_ns));
            }
            std::hint::black_box(network.all_stopped());
        });
        assert_eq!(counted, 0, "in cycle");
        let frames: Vec<Frame> = out.iter().copied().collect();
        let mut answers = Vec::new();
        for frame in &frames {
            let echo = Received { frame: *frame, time_ns: bench.now_ns + 1, echo: true };
            assert_eq!(allocations(|| bench.network.on_frame(&echo)), 0, "in on_frame {frame:?}");
            for drive in &mut bench.drives {
                drive.receive(frame, &mut answers);
            }
        }
        for drive in &mut bench.drives {
            drive.tick(&mut answers);
        }
        for frame in answers {
            deliver(bench, frame);
        }
        bench.now_ns += TICK_NS;
    }
}

fn deliver(bench: &mut Bench, frame: Frame) {
    let received = Received { frame, time_ns: bench.now_ns + 1, echo: false };
    assert_eq!(allocations(|| bench.network.on_frame(&received)), 0, "in on_frame {frame:?}");
}

#[test]
fn counting_counts() {
    assert!(allocations(|| drop(std::hint::black_box(Box::new(1)))) >= 2);
}

#[test]
fn a_network_does_not_allocate() {
    let mut bench = Bench::new(&[1, 2, 3]);
    bench.drives[2].tricks.insert((0x6085, 0, true), Trick::Abort(0x0609_0031));
    run(&mut bench, 500);
    assert_eq!(bench.feedback(2).state, DriveState::Misconfigured);
    bench.goal(DriveGoal::Enabled);
    run(&mut bench, 100);
    assert_eq!(bench.feedback(0).state, DriveState::Enabled);
    deliver(&mut bench, Frame::new(0x701, &[0]).unwrap());
    deliver(&mut bench, stop_frame(STOP));
    deliver(&mut bench, Frame::new(0x082, &[0x30, 0x81, 1, 0, 0, 0, 0, 0]).unwrap());
    run(&mut bench, 100);
    bench.goal(DriveGoal::Halt);
    run(&mut bench, 50);
    bench.goal(DriveGoal::Off);
    bench.reset();
    run(&mut bench, 2_000);
}

#[test]
fn the_simulated_bus_does_not_allocate() {
    let path = std::env::temp_dir().join(format!("hal-no-alloc-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener =
        socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&listener, Backlog::new(1).unwrap()).unwrap();
    let server = thread::spawn(move || {
        let accepted = accept(listener.as_raw_fd()).unwrap();
        // SAFETY: `accept` gave a new descriptor that nobody else owns.
        let peer = unsafe { OwnedFd::from_raw_fd(accepted) };
        let mut input = [0; DATAGRAM_MAX];
        let mut output = [0; DATAGRAM_MAX];
        for _ in 0..=100 {
            let len = recv(peer.as_raw_fd(), &mut input, MsgFlags::empty()).unwrap();
            let reply = match ClientMessage::decode(&input[..len]) {
                Ok(ClientMessage::Hello { .. }) => SimMessage::Welcome,
                Ok(ClientMessage::Send(frame)) => {
                    SimMessage::Received(Received { frame, time_ns: 1, echo: true })
                }
                Err(_) => return,
            };
            send(peer.as_raw_fd(), reply.encode(&mut output), MsgFlags::empty()).unwrap();
        }
    });
    let mut bus = SimBus::connect(&path, "counted", &[]).unwrap();
    let frame = Frame::new(0x123, &[1, 2, 3]).unwrap();
    let counted = allocations(|| {
        for _ in 0..100 {
            bus.send(&frame).unwrap();
            while bus.receive().unwrap().is_none() {
                thread::yield_now();
            }
        }
    });
    assert_eq!(counted, 0);
    server.join().unwrap();
    let counted = allocations(|| {
        assert!(bus.send(&frame).is_err());
        assert!(bus.receive().is_err());
    });
    assert_eq!(counted, 0, "errors of a lost bus");
}
