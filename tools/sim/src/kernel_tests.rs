//! The world with a bus of the kernel, without a kernel: what is heard is handed in, what drives
//! send is taken out and echoed.

use hal::frame::Frame;

use crate::drive::BOOT_NS;
use crate::machine_tests::spec;
use crate::spec::{BusSpec, DriveSpec, WorldSpec};
use crate::world::{Identity, Name, World};

const MS: u64 = 1_000_000;

/// Sender's name, pid, identifier, when handed in, when on the wire.
type Line = (String, u32, u32, u64, u64);

/// A world whose first bus is the kernel's, and a kernel that echoes at once.
struct Bench {
    world: World,
    now_ns: u64,
    seen: Vec<Line>,
}

impl Bench {
    fn new(drives: u8) -> Self {
        let mut spec = spec(drives);
        spec.buses[0].interface = Some("vcan0".into());
        Self::with(&spec)
    }

    fn with(spec: &WorldSpec) -> Self {
        Self { world: World::new(spec, 1, 0), now_ns: 0, seen: Vec::new() }
    }

    fn booted(drives: u8) -> Self {
        let mut bench = Self::new(drives);
        bench.run(BOOT_NS + MS);
        bench.seen.clear();
        bench
    }

    fn advance(&mut self) {
        let seen = &mut self.seen;
        self.world.advance(self.now_ns, |d| {
            let name = d.sender.name.to_string();
            seen.push((name, d.sender.pid, d.frame.id(), d.recv_ns, d.wire_ns));
        });
    }

    /// Lets time pass; the kernel takes what drives send and echoes it.
    fn run(&mut self, for_ns: u64) {
        self.now_ns += for_ns;
        self.advance();
        while let Some(frame) = self.world.outgoing(0) {
            self.world.sent(0);
            self.world.hear(0, frame, self.now_ns, true);
            self.advance();
        }
    }

    fn hear(&mut self, id: u16, data: &[u8]) {
        self.world.hear(0, Frame::new(id, data).unwrap(), self.now_ns, false);
    }

    /// Asks node 1 for its device type (object 1000h) and lets a millisecond pass.
    fn ask(&mut self) {
        self.hear(0x601, &[0x40, 0, 0x10, 0, 0, 0, 0, 0]);
        self.run(MS);
    }

    fn ids(&self) -> Vec<u32> {
        self.seen.iter().map(|line| line.2).collect()
    }
}

#[test]
fn drives_answer_what_they_hear_and_senders_are_named_as_far_as_known() {
    let mut bench = Bench::booted(2);
    let asked_ns = bench.now_ns;
    bench.ask();
    let answered_ns = bench.now_ns;
    let asked = ("can".to_owned(), 0, 0x601, asked_ns, asked_ns);
    let answer = ("drive:1".to_owned(), 0, 0x581, asked_ns, answered_ns);
    assert_eq!(bench.seen, [asked, answer]);
}

#[test]
fn an_echo_stands_once_in_the_log_under_its_drives_name() {
    let mut bench = Bench::new(2);
    bench.run(BOOT_NS + MS);
    let seen: Vec<_> = bench.seen.iter().map(|line| (line.0.as_str(), line.2)).collect();
    assert_eq!(seen, [("drive:1", 0x701), ("drive:2", 0x702)]);
}

#[test]
fn a_frame_takes_effect_at_the_time_at_which_it_came() {
    let mut bench = Bench::booted(1);
    let came_ns = bench.now_ns + 300_000;
    bench.world.hear(
        0,
        Frame::new(0x601, &[0x40, 0, 0x10, 0, 0, 0, 0, 0]).unwrap(),
        came_ns,
        false,
    );
    bench.now_ns = came_ns - 1;
    bench.advance();
    assert_eq!(bench.world.outgoing(0), None);
    bench.now_ns = came_ns;
    bench.advance();
    assert_eq!(bench.world.outgoing(0).map(|frame| frame.id()), Some(0x581));
}

#[test]
fn a_silent_drive_sends_nothing_and_a_deaf_one_hears_nothing() {
    let mut bench = Bench::booted(1);
    assert!(bench.world.silence("axis1", Some(2 * MS), false));
    bench.ask();
    assert_eq!(bench.ids(), [0x601]);
    bench.run(2 * MS);
    bench.seen.clear();
    bench.ask();
    assert_eq!(bench.ids(), [0x601, 0x581]);
    assert!(bench.world.silence("axis1", None, true));
    bench.ask();
    assert_eq!(bench.ids(), [0x601, 0x581, 0x601]);
}

#[test]
fn dropped_frames_reach_no_drive_and_leave_none() {
    let mut bench = Bench::booted(1);
    bench.world.drop_frames(Some(0), 100.0, 5 * MS);
    bench.ask();
    // It was on the kernel's bus, and is recorded; no drive has heard it.
    assert_eq!(bench.ids(), [0x601]);
    assert_eq!(bench.world.counters(0).destroyed, 1);
    bench.run(5 * MS);
    bench.world.drop_frames(Some(0), 0.0, 0);
    bench.hear(0x601, &[0x40, 0, 0x10, 0, 0, 0, 0, 0]);
    bench.world.drop_frames(Some(0), 100.0, 5 * MS);
    // What a drive sends by itself is destroyed on its way out.
    assert!(bench.world.trip("axis1", 0x2310));
    bench.run(MS);
    assert_eq!(bench.world.outgoing(0), None);
    assert!(bench.world.counters(0).destroyed >= 2);
}

#[test]
fn what_the_kernel_refuses_is_counted() {
    let mut bench = Bench::booted(1);
    bench.hear(0x601, &[0x40, 0, 0x10, 0, 0, 0, 0, 0]);
    bench.now_ns += MS;
    bench.advance();
    bench.world.unsent(0);
    assert_eq!((bench.world.outgoing(0), bench.world.counters(0).overflowed), (None, 1));
}

#[test]
fn an_error_frame_was_never_on_the_bus() {
    let mut bench = Bench::booted(1);
    let error = Frame::error(0x040, [0; 8]).unwrap();
    bench.world.hear(0, error, bench.now_ns, false);
    bench.run(MS);
    assert!(bench.seen.is_empty());
}

#[test]
fn modelled_and_kernels_buses_live_side_by_side() {
    let modelled = BusSpec { name: "modelled".into(), bitrate: 1_000_000, interface: None };
    let mut spec = spec(1);
    spec.buses[0].interface = Some("vcan0".into());
    spec.buses.push(modelled);
    spec.drives.push(DriveSpec { bus: 1, ..DriveSpec::example(2) });
    let mut bench = Bench::with(&spec);
    let identity = Identity { name: Name::from("rt").unwrap(), pid: 7 };
    assert!(bench.world.connect(0, identity).is_none(), "the kernel's bus has clients of its own");
    let host = bench.world.connect(1, identity).unwrap();
    bench.run(BOOT_NS + MS);
    bench.seen.clear();
    let request = Frame::new(0x602, &[0x40, 0, 0x10, 0, 0, 0, 0, 0]).unwrap();
    bench.world.submit(host, request, bench.now_ns).unwrap();
    bench.ask();
    let mut ids = bench.ids();
    ids.sort_unstable();
    assert_eq!(ids, [0x581, 0x582, 0x601, 0x602]);
}
