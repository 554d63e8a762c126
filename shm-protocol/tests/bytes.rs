//! A planner that knows nothing but the README's tables: every number below stands there. It shows
//! that the tables are enough for another language, and holds them to the code.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod common;

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};

use common::*;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use shm_protocol::records::*;
use shm_protocol::{Connected, LinkServer};

/// A page as words, for the rest of the test.
fn mapped(page: &OwnedFd, bytes: usize, protection: ProtFlags) -> &'static [AtomicU64] {
    let length = NonZeroUsize::new(bytes).unwrap();
    assert_eq!(nix::sys::stat::fstat(page).unwrap().st_size, bytes as i64);
    // SAFETY: a fresh mapping of this length, never unmapped, reached as atomics only.
    unsafe {
        let start = mmap(None, length, protection, MapFlags::MAP_SHARED, page, 0).unwrap();
        std::slice::from_raw_parts(start.cast().as_ref(), bytes / 8)
    }
}

struct Planner {
    intent: &'static [AtomicU64],
    telemetry: &'static [AtomicU64],
    connected: Connected,
    _peer: Raw,
    _directory: Directory,
}

fn planner() -> Planner {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    let (peer, [intent, telemetry]) = raw_pages(&mut server, &path);
    let intent = mapped(&intent, 66_432, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE);
    let telemetry = mapped(&telemetry, 82_048, ProtFlags::PROT_READ);
    let connected = raw_go(&mut server, &peer);
    Planner { intent, telemetry, connected, _peer: peer, _directory: directory }
}

/// The checksum: CRC-32C in three lanes.
fn checksum(words: &[u64]) -> u64 {
    let lane = |lane| words.iter().copied().skip(lane).step_by(3).collect::<Vec<_>>();
    let mut last = lane(2);
    last.push(crc(&lane(0)) | crc(&lane(1)) << 32);
    crc(&last)
}

/// CRC-32C, bit by bit.
fn crc(words: &[u64]) -> u64 {
    let sum = words.iter().flat_map(|word| word.to_le_bytes()).fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    });
    u64::from(!sum)
}

/// The words at `byte` of a page.
fn at(page: &[AtomicU64], byte: usize, count: usize) -> Vec<u64> {
    page[byte / 8..][..count].iter().map(|word| word.load(Acquire)).collect()
}

fn singles(low: f32, high: f32) -> u64 {
    u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32
}

fn bits(word: u64, first: u32, last: u32) -> u64 {
    word << (63 - last) >> (63 - last + first)
}

#[test]
fn the_headers_name_magic_generation_and_kind() {
    let planner = planner();
    for (page, kind) in [(planner.intent, 1), (planner.telemetry, 2)] {
        let header = at(page, 0, 5);
        assert_eq!(header[0].to_le_bytes(), *b"MECHOS\0\x01");
        assert_eq!((header[1], header[3], header[4]), (1, 1, kind));
    }
}

#[test]
fn an_intent_of_another_language_arrives_intact() {
    let mut planner = planner();
    let axes: [AxisRequest; AXES_MAX] = std::array::from_fn(|axis| AxisRequest {
        position_rad: axis as f64 + 0.5,
        velocity_end_rad_s: axis as f32 + 1.0,
        velocity_peak_rad_s: axis as f32 + 2.0,
        acceleration_peak_rad_s2: axis as f32 + 3.0,
        jerk_peak_rad_s3: axis as f32 + 4.0,
        effort_max_nm: axis as f32 + 5.0,
    });
    let trace = TraceId(std::array::from_fn(|byte| byte as u8 + 1));
    let expected = Intent { kind: IntentKind::MoveJoints, trace, axes, ..intent(77) };
    for sent in 0..130u64 {
        let mut words = [0; 119];
        words[0] = 77;
        words[1] = 1 | 1 << 16 | 3 << 32;
        words[2] = 4 | 0b11_1111 << 32;
        (words[3], words[4]) = (5, 6);
        words[5] = u64::from_le_bytes([1, 2, 3, 4, 5, 6, 7, 8]);
        words[6] = u64::from_le_bytes([9, 10, 11, 12, 13, 14, 15, 16]);
        for axis in 0..32 {
            words[7 + axis] = (axis as f64 + 0.5).to_bits();
        }
        for pair in 0..16 {
            let axis = 2.0 * pair as f32;
            for (quantity, first) in [39, 55, 71, 87, 103].into_iter().enumerate() {
                let value = axis + quantity as f32 + 1.0;
                words[first + pair] = singles(value, value + 1.0);
            }
        }
        let slot = &planner.intent[(896 + 91 * sent as usize % 64 * 1024) / 8..][..128];
        for (word, value) in slot[1..].iter().zip(words) {
            word.store(value, Release);
        }
        let sequence = sent + 1;
        let sum = checksum(&[&[sequence], &words[..]].concat());
        slot[0].store(sequence | sum << 32, Release);
        let claim = planner.connected.end.pop(AXES_MAX).unwrap();
        assert_eq!(claim, Claim { intent: expected, intact: true });
        assert_eq!(at(planner.telemetry, 128, 1), [sequence], "taken");
    }
}

#[test]
fn the_planner_s_words_are_where_the_table_says() {
    let mut planner = planner();
    for (byte, value) in [(128, 11), (256, 12), (384, 13), (512, 14), (640, 15)] {
        planner.intent[byte / 8].store(value, Release);
    }
    let end = &mut planner.connected.end;
    let found = [end.heartbeat(), end.stops(), end.estops(), end.submitted(), end.returned()];
    assert_eq!(found, [11, 12, 13, 14, 15]);
    for number in 0..256 {
        end.push_verdict(&verdict(number)).unwrap();
    }
    planner.intent[768 / 8].store(200, Release);
    assert_eq!(planner.connected.end.verdict_slots_free(), 200);
}

#[test]
fn a_verdict_and_an_event_are_read_by_the_tables() {
    let mut planner = planner();
    let trace = TraceId(std::array::from_fn(|byte| byte as u8 + 1));
    for sent in 0..300u64 {
        let sent_verdict = Verdict { cause: Cause::RtLost, trace, ..verdict(sent) };
        planner.connected.end.push_verdict(&sent_verdict).unwrap();
        let slot = at(planner.telemetry, 16_512 + 91 * sent as usize % 256 * 128, 11);
        let sequence = sent + 1;
        let payload = &slot[1..];
        assert_eq!(slot[0], sequence | checksum(&[&[sequence], payload].concat()) << 32);
        assert_eq!((payload[0], payload[2], payload[3], payload[4]), (sent, 4, 99, 100));
        let found = [(0, 7), (8, 15), (16, 23), (32, 47)];
        assert_eq!(found.map(|(first, last)| bits(payload[1], first, last)), [3, 17, 2, 17]);
        assert_eq!(payload[5].to_le_bytes(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(payload[6].to_le_bytes(), [9, 10, 11, 12, 13, 14, 15, 16]);
        assert_eq!([7, 8, 9].map(|word| f64::from_bits(payload[word])), [3.0, 2.0, 1.0]);
        planner.intent[768 / 8].store(sequence, Release);

        planner.connected.end.push_event(&event(sequence));
        assert_eq!(at(planner.telemetry, 384, 1), [sequence]);
        let slot = at(planner.telemetry, 49_280 + 91 * sequence as usize % 256 * 128, 4);
        assert_eq!(slot[..3], [2 * sequence, sequence, 1]);
        let found = [(0, 7), (8, 15), (16, 31), (32, 63)];
        assert_eq!(found.map(|(first, last)| bits(slot[3], first, last)), [1, 4, 8, 2]);
    }
}

#[test]
fn telemetry_is_read_by_the_tables() {
    let mut planner = planner();
    let mut sent = telemetry(9);
    (sent.cause, sent.cause_detail, sent.operator_has_control) = (Cause::DriveLost, 21, true);
    sent.counters = IntentCounters {
        accepted: 31,
        clamped: 32,
        refused: 33,
        preempted: 34,
        completed: 35,
        expired: 36,
        aborted: 37,
        active: 38,
    };
    for (axis, to) in sent.axes.iter_mut().enumerate() {
        let base = 100.0 * axis as f64;
        (to.position_rad, to.velocity_rad_s) = (base + 1.0, base + 2.0);
        (to.effort_nm, to.setpoint_rad) = (base + 3.0, base + 4.0);
        (to.age_ns, to.state, to.fault_code) = (axis as u64 + 5, axis as u8, 0x8611);
    }
    for number in 1..20u64 {
        planner.connected.end.publish(&sent);
        assert_eq!(at(planner.telemetry, 256, 1), [number]);
        let slot = at(planner.telemetry, 3_200 + 91 * number as usize % 8 * 1_664, 206);
        assert_eq!(slot[0], 2 * number);
        let words = &slot[1..];
        assert_eq!((words[0], words[1], words[4]), (9, 2, 1));
        let found = [(0, 7), (8, 15), (16, 23), (32, 47)];
        assert_eq!(found.map(|(first, last)| bits(words[2], first, last)), [2, 6, 1, 8]);
        assert_eq!((bits(words[3], 0, 31), bits(words[3], 32, 63)), (21, 4));
        assert_eq!(words[5..13], [31, 32, 33, 34, 35, 36, 37, 38]);
        for axis in 0..32 {
            let base = 100.0 * axis as f64;
            let found = [13, 14, 15, 16].map(|word| f64::from_bits(words[word + 6 * axis]));
            assert_eq!(found, [base + 1.0, base + 2.0, base + 3.0, base + 4.0]);
            assert_eq!(words[17 + 6 * axis], axis as u64 + 5);
            let last = words[18 + 6 * axis];
            assert_eq!((bits(last, 0, 7), bits(last, 16, 31)), (axis as u64, 0x8611));
        }
    }
}

#[test]
fn the_description_is_read_by_the_tables() {
    let planner = planner();
    let words = at(planner.telemetry, 512, 327);
    let expected = description();
    assert_eq!(words[0].to_le_bytes(), *b"arm6\0\0\0\0");
    assert_eq!(words[1..6], [0, 0, 1_000_000, 500_000_000, 50_000_000]);
    assert_eq!((bits(words[6], 0, 31), bits(words[6], 32, 63)), (50, 6));
    for (axis, entry) in expected.axes.iter().enumerate() {
        let value = |word: usize| f64::from_bits(words[word + 10 * axis]);
        let name: Vec<u8> =
            (7..10).flat_map(|word| words[word + 10 * axis].to_le_bytes()).collect();
        assert_eq!(name, entry.name);
        assert_eq!((value(10), value(11)), (entry.position_min_rad, entry.position_max_rad));
        assert_eq!(value(12), entry.velocity_max_rad_s);
        assert_eq!(value(13), entry.acceleration_max_rad_s2);
        assert_eq!(value(14), entry.jerk_max_rad_s3);
        assert_eq!(value(15), entry.effort_max_nm);
        assert_eq!(value(16), entry.home_rad);
    }
}
