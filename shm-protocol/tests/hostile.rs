//! A planner that scribbles over everything it may write, at full speed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod common;

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::*;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use shm_protocol::layout::{INTENTS, IntentPage, TelemetryPage};
use shm_protocol::records::AXES_MAX;
use shm_protocol::{Connected, LinkServer, ServerEnd};

/// How long the scribbler goes on.
const SCRIBBLED: Duration = Duration::from_secs(1);

/// A page for the rest of the test.
fn mapped<P>(page: &OwnedFd, writable: bool) -> &'static P {
    let protection =
        if writable { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
    let length = NonZeroUsize::new(size_of::<P>()).unwrap();
    // SAFETY: a fresh mapping, never unmapped, as long as the page, which consists of atomics.
    unsafe {
        mmap(None, length, protection, MapFlags::MAP_SHARED, page, 0).unwrap().cast().as_ref()
    }
}

struct Hostile {
    words: &'static [AtomicU64],
    page: &'static IntentPage<AtomicU64>,
    telemetry: &'static TelemetryPage<AtomicU64>,
    connected: Connected,
    _peer: Raw,
    _directory: Directory,
}

fn hostile() -> Hostile {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    let (peer, [intent, telemetry]) = raw_pages(&mut server, &path);
    let page: &IntentPage<AtomicU64> = mapped(&intent, true);
    let count = size_of::<IntentPage<AtomicU64>>() / 8;
    // SAFETY: the page consists of this many atomics, and is never unmapped.
    let words = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(page).cast(), count) };
    let telemetry = mapped(&telemetry, false);
    let connected = raw_go(&mut server, &peer);
    Hostile { words, page, telemetry, connected, _peer: peer, _directory: directory }
}

/// What mechos-rt does in a tick; all of it bounded.
fn tick(end: &mut ServerEnd, number: u64) {
    let (free, queued) = (end.verdict_slots_free(), end.queued());
    assert!(free <= 256 && queued <= 64);
    for _ in 0..4 {
        if end.verdict_slots_free() < 2 {
            break;
        }
        if let Some(claim) = end.pop(AXES_MAX) {
            end.push_verdict(&verdict(claim.intent.number)).unwrap();
            end.push_verdict(&verdict(claim.intent.number)).unwrap();
        }
    }
    let _ = (end.heartbeat(), end.stops(), end.estops(), end.submitted(), end.returned());
    end.publish(&telemetry(number));
    end.push_event(&event(number));
}

/// Ends the scribbler with the scope.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// xorshift64*, seeded: a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[test]
fn a_scribbler_at_full_speed_changes_nothing_but_its_own_verdicts() {
    let mut hostile = hostile();
    let done = AtomicBool::new(false);
    let mut ticks = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(42);
            while !done.load(Ordering::Relaxed) {
                let value = random.next();
                let index = (random.next() % hostile.words.len() as u64) as usize;
                // Half of it close to what would be believed.
                let value = if value & 1 == 0 { value & 0x1ff } else { value };
                hostile.words[index].store(value, Ordering::Relaxed);
                let slot = (value >> 8) as usize % 64 * INTENTS.stride();
                hostile.page.intents[slot].store(value & 0xffff_ffff_0000_00ff, Ordering::Relaxed);
            }
        });
        // Also when a tick panics, so that the failure shows.
        let _ends = Ends(&done);
        let begun = Instant::now();
        while begun.elapsed() < SCRIBBLED {
            ticks += 1;
            tick(&mut hostile.connected.end, ticks);
        }
    });
    assert_eq!(hostile.telemetry.newest.word.load(Ordering::Acquire), ticks);
    assert_eq!(hostile.telemetry.events_written.word.load(Ordering::Acquire), ticks);
}

#[test]
fn a_ring_of_valid_looking_records_gives_a_bounded_number_of_claims() {
    let mut hostile = hostile();
    let end = &mut hostile.connected.end;
    // Every slot carries the sequence number that is due there, with a wrong checksum.
    for index in 0u64..64 {
        let place = index.wrapping_mul(91) as usize % 64 * INTENTS.stride();
        hostile.page.intents[place].store(index + 1, Ordering::Release);
    }
    assert_eq!(end.queued(), 64);
    let mut claims = 0;
    while let Some(claim) = end.pop(AXES_MAX) {
        assert!(!claim.intact);
        claims += 1;
    }
    assert_eq!((claims, end.taken(), end.queued()), (64, 64, 0));
}

#[test]
fn an_index_of_verdicts_that_cannot_be_frees_nothing() {
    let mut hostile = hostile();
    let (end, read) = (&mut hostile.connected.end, &hostile.page.verdicts_read.word);
    for number in 0..250 {
        end.push_verdict(&verdict(number)).unwrap();
    }
    for lie in [251, 1 << 31, 1 << 32, 1 << 63, u64::MAX] {
        read.store(lie, Ordering::Release);
        assert_eq!(end.verdict_slots_free(), 6, "{lie}");
    }
    read.store(200, Ordering::Release);
    assert_eq!(end.verdict_slots_free(), 206);
    // It goes back: what was counted on stays.
    read.store(0, Ordering::Release);
    assert_eq!(end.verdict_slots_free(), 206);
    for number in 0..206 {
        end.push_verdict(&verdict(number)).unwrap();
    }
    assert_eq!(end.push_verdict(&verdict(1)), Err(verdict(1)));
}

#[test]
fn counters_that_run_backwards_are_only_numbers() {
    let mut hostile = hostile();
    for value in [u64::MAX, 0, 1 << 63] {
        for word in &hostile.words[16..112] {
            word.store(value, Ordering::Release);
        }
        tick(&mut hostile.connected.end, 1);
        assert_eq!(hostile.connected.end.stops(), value);
    }
}
