//! The whole machine in modelled time, driven by frames alone, as a master would.

use crate::drive::nmt::NmtState;
use crate::drive::objects::*;
use crate::drive::power::Power;
use crate::drive::{BOOT_NS, Observed};
use crate::spec::{BusSpec, DriveSpec, WorldSpec};
use crate::world::{ClientId, Identity, Name, World};
use hal::frame::Frame;

const MS: u64 = 1_000_000;
const STOP_ID: u16 = 0x0f0;
const SYNC_ID: u16 = 0x0f8;
const HOST: u16 = 0x7f;

pub(crate) fn spec(drives: u8) -> WorldSpec {
    WorldSpec {
        buses: vec![BusSpec { name: "can0".into(), bitrate: 1_000_000, interface: None }],
        drives: (1..=drives).map(DriveSpec::example).collect(),
    }
}

fn identity(name: &str, pid: u32) -> Identity {
    Identity { name: Name::from(name).unwrap(), pid }
}

/// A minimal master: one client, its clock, and all that it has received.
struct Bench {
    world: World,
    host: ClientId,
    now_ns: u64,
    seen: Vec<(u64, Frame)>,
    target: f64,
}

impl Bench {
    fn new(drives: u8) -> Self {
        let mut world = World::new(&spec(drives), 1, 0);
        let host = world.connect(0, identity("rt.can0", 7)).unwrap();
        Self { world, host, now_ns: 0, seen: Vec::new(), target: 0.0 }
    }

    /// Booted, configured as MechOS configures, operational.
    fn configured(drives: u8) -> Self {
        let mut bench = Self::new(drives);
        bench.run(BOOT_NS + MS);
        for node in 1..=drives {
            bench.configure(node);
        }
        bench.send(0, &[1, 0]);
        bench.run(MS);
        bench
    }

    fn enabled(drives: u8) -> Self {
        let mut bench = Self::configured(drives);
        for word in [0x06, 0x07, 0x0f] {
            bench.cycle(word);
            bench.cycle(word);
        }
        assert!(bench.observe(1).power == Power::Enabled);
        bench
    }

    fn run(&mut self, for_ns: u64) {
        self.now_ns += for_ns;
        let seen = &mut self.seen;
        self.world.advance(self.now_ns, |d| seen.push((d.wire_ns, d.frame)));
    }

    fn send(&mut self, id: u16, data: &[u8]) {
        self.world.submit(self.host, Frame::new(id, data).unwrap(), self.now_ns).unwrap();
    }

    fn observe(&self, node: u8) -> Observed {
        self.world.drives().find(|(spec, _)| spec.node == node).unwrap().1
    }

    fn of(&self, id: u16) -> Vec<&Frame> {
        self.seen.iter().map(|(_, f)| f).filter(|f| f.id() == u32::from(id)).collect()
    }

    fn write(&mut self, node: u8, index: u16, sub: u8, data: &[u8]) -> [u8; 8] {
        let command = 0x23 | u8::try_from(4 - data.len()).unwrap() << 2;
        let [low, high] = index.to_le_bytes();
        let mut request = vec![command, low, high, sub];
        request.extend_from_slice(data);
        request.resize(8, 0);
        self.send(0x600 + u16::from(node), &request);
        self.run(MS);
        self.of(0x580 + u16::from(node)).last().unwrap().data().try_into().unwrap()
    }

    fn configure(&mut self, node: u8) {
        let id = u32::from(node);
        let off = 1u32 << 31;
        let writes: Vec<(u16, u8, Vec<u8>)> = vec![
            (SYNC_COB_ID, 0, u32::from(SYNC_ID).to_le_bytes().to_vec()),
            (PRODUCER_HEARTBEAT, 0, vec![50, 0]),
            (CONSUMER_HEARTBEAT, 1, (u32::from(HOST) << 16 | 10).to_le_bytes().to_vec()),
            (ERROR_BEHAVIOUR, 1, vec![1]),
            (ABORT_CONNECTION, 0, vec![3, 0]),
            (QUICK_STOP_DECELERATION, 0, 200_000u32.to_le_bytes().to_vec()),
            (FOLLOWING_ERROR_WINDOW, 0, 2_000u32.to_le_bytes().to_vec()),
            (MODE, 0, vec![8]),
            (RPDO_COMMUNICATION, 1, (off | (0x200 + id)).to_le_bytes().to_vec()),
            (RPDO_MAPPING, 0, vec![0]),
            (RPDO_MAPPING, 1, 0x6040_0010u32.to_le_bytes().to_vec()),
            (RPDO_MAPPING, 2, 0x607a_0020u32.to_le_bytes().to_vec()),
            (RPDO_MAPPING, 0, vec![2]),
            (RPDO_COMMUNICATION, 2, vec![1]),
            (RPDO_COMMUNICATION, 1, (0x200 + id).to_le_bytes().to_vec()),
            (RPDO_MAPPING + 3, 1, 0x6040_0010u32.to_le_bytes().to_vec()),
            (RPDO_MAPPING + 3, 0, vec![1]),
            (RPDO_COMMUNICATION + 3, 1, u32::from(STOP_ID).to_le_bytes().to_vec()),
            (TPDO_COMMUNICATION, 1, (off | (0x180 + id)).to_le_bytes().to_vec()),
            (TPDO_MAPPING, 0, vec![0]),
            (TPDO_MAPPING, 1, 0x6041_0010u32.to_le_bytes().to_vec()),
            (TPDO_MAPPING, 2, 0x6064_0020u32.to_le_bytes().to_vec()),
            (TPDO_MAPPING, 0, vec![2]),
            (TPDO_COMMUNICATION, 2, vec![1]),
            (TPDO_COMMUNICATION, 1, (0x180 + id).to_le_bytes().to_vec()),
        ];
        for (index, sub, data) in writes {
            let answer = self.write(node, index, sub, &data);
            assert_eq!(answer[0], 0x60, "{index:x}:{sub} {answer:x?}");
        }
    }

    /// One millisecond of a host: setpoints to all, SYNC, heartbeat.
    fn cycle(&mut self, word: u16) {
        for node in 1..=u8::try_from(self.world.drives().count()).unwrap() {
            let mut data = word.to_le_bytes().to_vec();
            data.extend((self.target * 10_000.0).round().clamp(-2e9, 2e9).to_i32().to_le_bytes());
            self.send(0x200 + u16::from(node), &data);
        }
        self.send(SYNC_ID, &[]);
        self.send(0x700 + HOST, &[5]);
        self.run(MS);
    }

    /// Up to 1.5 rad/s and on.
    fn moving(drives: u8) -> Self {
        let mut bench = Self::enabled(drives);
        let mut velocity = 0.0;
        for _ in 0..300 {
            velocity = f64::min(velocity + 0.01, 1.5);
            bench.target += velocity * 0.001;
            bench.cycle(0x0f);
        }
        assert!((bench.observe(1).velocity_rad_s - 1.5).abs() < 0.1);
        bench
    }
}

trait ToI32 {
    fn to_i32(self) -> i32;
}

impl ToI32 for f64 {
    fn to_i32(self) -> i32 {
        self as i32
    }
}

#[test]
fn a_drive_boots_says_so_and_waits_in_pre_operational() {
    let mut bench = Bench::new(1);
    bench.run(BOOT_NS - 1);
    assert!(bench.seen.is_empty());
    bench.run(MS);
    assert_eq!(bench.of(0x701)[0].data(), [0]);
    assert_eq!(bench.observe(1).nmt, NmtState::PreOperational);
    bench.cycle(0x06);
    assert_eq!(
        bench.observe(1).power,
        Power::SwitchOnDisabled,
        "no process data in pre-operational"
    );
}

#[test]
fn it_beats_as_configured_and_answers_every_sync() {
    let mut bench = Bench::configured(1);
    bench.seen.clear();
    for _ in 0..100 {
        bench.cycle(0x00);
    }
    assert_eq!(bench.of(0x701).len(), 2);
    assert_eq!(bench.of(0x701)[0].data(), [5]);
    assert_eq!(bench.of(0x181).len(), 100);
    assert_eq!(bench.of(0x181)[0].len(), 6);
}

#[test]
fn it_is_enabled_step_by_step_and_follows() {
    let mut bench = Bench::enabled(2);
    for step in 1..=500 {
        bench.target = 0.3 * f64::from(step) / 500.0;
        bench.cycle(0x0f);
    }
    for node in [1, 2] {
        let seen = bench.observe(node);
        assert!((seen.position_rad - 0.3).abs() < 0.01, "{seen:?}");
        assert_eq!(seen.statusword & 0x106f, 0x1027);
    }
}

#[test]
fn one_stop_frame_stops_every_axis_on_its_ramp_and_it_stands_still() {
    let mut bench = Bench::moving(3);
    let before = bench.observe(1).position_rad;
    bench.send(STOP_ID, &[2, 0]);
    bench.run(MS);
    for node in 1..=3 {
        assert_eq!(bench.observe(node).power, Power::QuickStop);
        assert_eq!(bench.observe(node).statusword & 0x6f, 0x07);
    }
    bench.run(150 * MS);
    for node in 1..=3 {
        let seen = bench.observe(node);
        assert_eq!(seen.power, Power::SwitchOnDisabled);
        assert!(seen.at_rest, "{seen:?}");
        let travelled = seen.position_rad - before;
        let ideal = 1.5 * 1.5 / (2.0 * 20.0);
        assert!(travelled > 0.8 * ideal && travelled < 1.2 * ideal, "{travelled} {ideal}");
    }
}

#[test]
fn after_a_quick_stop_a_stale_setpoint_moves_nothing() {
    let mut bench = Bench::moving(1);
    bench.send(STOP_ID, &[2, 0]);
    bench.run(150 * MS);
    let stands = bench.observe(1).position_rad;
    for _ in 0..100 {
        bench.target += 0.001;
        bench.cycle(0x0f);
    }
    assert_eq!(bench.observe(1).position_rad, stands);
    assert_eq!(bench.observe(1).power, Power::SwitchOnDisabled);
}

#[test]
fn a_host_gone_silent_trips_the_consumer_in_modelled_time() {
    let mut bench = Bench::moving(2);
    let (last, _) = *bench.seen.iter().rfind(|(_, f)| f.id() == 0x700 + u32::from(HOST)).unwrap();
    bench.seen.clear();
    bench.run(200 * MS);
    let (trip, frame) = bench.seen.iter().find(|(_, f)| f.id() == 0x081).copied().unwrap();
    assert_eq!(&frame.data()[..3], [0x30, 0x81, 0x10]);
    assert!(trip > last + 10 * MS && trip < last + 11 * MS, "{}", trip - last);
    assert!(bench.observe(1).at_rest);
    assert_eq!(bench.of(0x081).len(), 1, "the other drive's heartbeat does not count");
    bench.cycle(0x00);
    assert_eq!(bench.of(0x081).last().unwrap().data()[..2], [0, 0], "heard again");
}

#[test]
fn a_simulator_that_was_held_up_takes_heartbeats_at_the_times_they_came() {
    let mut bench = Bench::enabled(1);
    for millisecond in 0..60 {
        let came = bench.now_ns + millisecond * MS;
        let beat = Frame::new(0x700 + HOST, &[5]).unwrap();
        bench.world.submit(bench.host, beat, came).unwrap();
    }
    bench.seen.clear();
    bench.run(60 * MS);
    assert_eq!(bench.observe(1).power, Power::Enabled);
    assert!(bench.of(0x081).is_empty());
}

#[test]
fn without_a_configured_watchdog_a_drive_goes_on() {
    let mut bench = Bench::moving(1);
    bench.write(1, ABORT_CONNECTION, 0, &[0, 0]);
    bench.run(500 * MS);
    assert_eq!(bench.observe(1).power, Power::Enabled);
}

#[test]
fn a_jump_of_the_setpoint_is_a_following_error() {
    let mut bench = Bench::enabled(1);
    bench.target = 1.0;
    bench.seen.clear();
    for _ in 0..300 {
        bench.cycle(0x0f);
    }
    assert_eq!(bench.of(0x081)[0].data()[..3], [0x11, 0x86, 0x01]);
    let seen = bench.observe(1);
    assert_eq!((seen.power, seen.error_code), (Power::Fault, ERROR_FOLLOWING));
    assert_eq!(seen.statusword & 0x204f, 0x2008);
    assert!(seen.at_rest);
    bench.cycle(0x00);
    bench.cycle(0x80);
    bench.run(MS);
    assert_eq!(bench.observe(1).power, Power::SwitchOnDisabled, "reset by the rising edge");
    assert_eq!(bench.of(0x081).last().unwrap().data()[..3], [0, 0, 0]);
}

#[test]
fn a_fault_is_not_reset_by_a_bit_that_was_set_before() {
    let mut bench = Bench::enabled(1);
    bench.cycle(0x8f);
    assert!(bench.world.trip("axis1", 0x4210));
    for _ in 0..300 {
        bench.cycle(0x8f);
    }
    assert_eq!(bench.observe(1).power, Power::Fault);
}

#[test]
fn nmt_stop_does_what_option_6007_asks_and_ends_process_data() {
    let mut bench = Bench::moving(1);
    bench.send(0, &[2, 0]);
    bench.run(150 * MS);
    assert_eq!(bench.observe(1).nmt, NmtState::Stopped);
    assert!(bench.observe(1).at_rest);
    bench.seen.clear();
    bench.cycle(0x06);
    bench.send(0x601, &[0x40, 0, 0x10, 0, 0, 0, 0, 0]);
    bench.run(MS);
    assert!(bench.of(0x181).is_empty() && bench.of(0x581).is_empty());
}

#[test]
fn a_reset_node_forgets_its_configuration_and_stands() {
    let mut bench = Bench::moving(1);
    bench.send(0, &[0x81, 1]);
    bench.run(100 * MS);
    let seen = bench.observe(1);
    assert!(seen.at_rest);
    assert_eq!((seen.nmt, seen.power), (NmtState::PreOperational, Power::SwitchOnDisabled));
    bench.send(0x601, &[0x40, 0x07, 0x60, 0, 0, 0, 0, 0]);
    bench.run(MS);
    assert_eq!(bench.of(0x581).last().unwrap().data()[4..6], [0, 0]);
}

#[test]
fn a_silenced_drive_says_nothing_and_still_hears_the_stop() {
    let mut bench = Bench::moving(2);
    assert!(bench.world.silence("axis1", None, false));
    bench.seen.clear();
    bench.cycle(0x0f);
    assert!(bench.of(0x181).is_empty());
    assert_eq!(bench.of(0x182).len(), 1);
    bench.send(STOP_ID, &[2, 0]);
    bench.run(150 * MS);
    assert!(bench.observe(1).at_rest);
    assert!(!bench.world.silence("nobody", None, false));
}

#[test]
fn a_drive_cut_off_in_both_directions_stops_by_its_own_watchdog() {
    let mut bench = Bench::moving(2);
    bench.world.silence("axis1", Some(300 * MS), true);
    for _ in 0..200 {
        bench.cycle(0x0f);
    }
    assert!(bench.observe(1).at_rest);
    assert_eq!(bench.observe(2).power, Power::Enabled);
}

#[test]
fn destroyed_frames_reach_nobody() {
    let mut bench = Bench::configured(1);
    bench.world.drop_frames(None, 100.0, 5 * MS);
    bench.seen.clear();
    for _ in 0..5 {
        bench.cycle(0x00);
    }
    assert!(bench.seen.is_empty());
    assert!(bench.world.counters(0).destroyed >= 5);
    bench.run(MS);
    bench.cycle(0x00);
    assert!(!bench.seen.is_empty());
}

#[test]
fn one_seed_and_one_sequence_give_the_same_run_however_time_is_cut() {
    let run = |slice: u64| {
        let mut bench = Bench::moving(3);
        bench.seen.clear();
        bench.world.drop_frames(None, 20.0, 50 * MS);
        bench.send(STOP_ID, &[2, 0]);
        for _ in 0..100 * MS / slice {
            bench.run(slice);
        }
        (bench.seen.clone(), bench.observe(2).position_rad.to_bits())
    };
    assert!(run(100 * MS) == run(125_000));
}

#[test]
fn frames_are_heard_by_drives_and_clients_at_the_same_wire_time() {
    let mut world = World::new(&spec(1), 1, 0);
    let a = world.connect(0, identity("a", 1)).unwrap();
    let _b = world.connect(0, identity("b", 2)).unwrap();
    let frame = Frame::new(0x123, &[1]).unwrap();
    world.submit(a, frame, 5_000).unwrap();
    let mut seen = Vec::new();
    world.advance(MS, |d| seen.push(*d));
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].recv_ns, seen[0].sender.pid, &*seen[0].sender.name), (5_000, 1, "a"));
    assert!(seen[0].wire_ns > 5_000 + 50_000);
    world.disconnect(a);
    assert_eq!(world.room(a), 0);
}
