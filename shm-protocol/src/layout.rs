//! Where everything lies on the four pages.
//!
//! A page is a struct of words: what kind of words, its mapping decides. Words with different
//! writers or rhythms keep 128 bytes apart, so that neither false sharing nor the prefetch of
//! neighbouring lines couples them. Offsets are held by the compiler below; the tables are in the
//! crate's README.

use std::mem::{offset_of, size_of};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::board;
use crate::codec::{description, event, intent, telemetry, verdict};
use crate::shape::Shape;
use crate::words::{Load, Store};
use crate::{ring, stamp};

/// First word of every page and message: "MECHOS" and two bytes that no text has.
pub const MAGIC: u64 = u64::from_le_bytes(*b"MECHOS\x00\x01");
/// Version of pages and handshakes.
pub const VERSION: u64 = 1;

/// Words that no other writer's words share a cache line, or its neighbour, with.
pub const LINE_WORDS: usize = 16;

/// The ring of intents: 64 slots of 1,024 bytes.
pub const INTENTS: Shape = Shape::new(64, slot(ring::HEAD + intent::WORDS));
/// The ring of verdicts: 256 slots of 128 bytes.
pub const VERDICTS: Shape = Shape::new(256, slot(ring::HEAD + verdict::WORDS));
/// The ring of events, lossy: 256 slots of 128 bytes.
pub const EVENTS: Shape = Shape::new(256, slot(stamp::HEAD + event::WORDS));
/// The board of telemetry: 8 slots of 1,664 bytes.
pub const TELEMETRY: Shape = Shape::new(board::SLOTS, slot(stamp::HEAD + telemetry::WORDS));
/// Words of a beat: tick, time, mode, energised.
pub const BEAT_WORDS: usize = 4;
/// The board of mechos-rt's beats.
pub const BEATS: Shape = Shape::new(board::SLOTS, slot(stamp::HEAD + BEAT_WORDS));

const fn slot(words: usize) -> usize {
    words.next_multiple_of(LINE_WORDS)
}

/// One word, and the room that keeps its neighbours away.
#[derive(Debug)]
#[repr(C)]
pub struct Line<W> {
    /// The word.
    pub word: W,
    _room: [W; LINE_WORDS - 1],
}

/// What every page begins with; written before the page is handed over.
#[derive(Debug)]
#[repr(C)]
pub struct Header<W> {
    magic: W,
    version: W,
    layout: W,
    generation: W,
    kind: W,
    _room: [W; LINE_WORDS - 5],
}

/// Kinds of page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum PageKind {
    /// The planner writes.
    Intent = 1,
    /// mechos-rt writes.
    Telemetry = 2,
    /// mechos-rt writes, the guardian reads.
    Heartbeat = 3,
    /// The guardian writes, mechos-rt reads.
    Fence = 4,
}

impl<W: Load> Header<W> {
    fn words(&self) -> [&W; 5] {
        [&self.magic, &self.version, &self.layout, &self.generation, &self.kind]
    }

    /// Whether this is the page that was announced.
    pub fn is(&self, kind: PageKind, generation: u32) -> bool {
        // Relaxed: the socket's message ordered it.
        self.words().map(|word| word.load(Ordering::Relaxed)) == values(kind, generation)
    }
}

impl<W: Store> Header<W> {
    /// Writes it.
    pub fn write(&self, kind: PageKind, generation: u32) {
        for (word, value) in self.words().into_iter().zip(values(kind, generation)) {
            // Relaxed: the message that hands the page over orders it.
            word.store(value, Ordering::Relaxed);
        }
    }
}

fn values(kind: PageKind, generation: u32) -> [u64; 5] {
    [MAGIC, VERSION, LAYOUT_HASH, u64::from(generation), kind as u64]
}

/// The intent page: the planner writes, mechos-rt reads.
#[derive(Debug)]
#[repr(C)]
pub struct IntentPage<W> {
    /// Written by mechos-rt before it hands the page over, and never read by it again.
    pub header: Header<W>,
    /// Counts up; mechos-rt watches for change.
    pub heartbeat: Line<W>,
    /// Controlled stops asked for; any change latches.
    pub stops: Line<W>,
    /// Emergency stops asked for; any change latches.
    pub estops: Line<W>,
    /// Intents that the sender tried to submit.
    pub submitted: Line<W>,
    /// Of those, returned to it because the ring was full.
    pub returned: Line<W>,
    /// Verdicts read.
    pub verdicts_read: Line<W>,
    /// The ring of intents.
    pub intents: [W; INTENTS.words()],
}

/// The telemetry page: mechos-rt writes, the planner reads.
#[derive(Debug)]
#[repr(C)]
pub struct TelemetryPage<W> {
    /// As announced in the handshake.
    pub header: Header<W>,
    /// Intents taken from the ring.
    pub intents_read: Line<W>,
    /// Number of the newest telemetry.
    pub newest: Line<W>,
    /// Number of the newest event.
    pub events_written: Line<W>,
    /// What the machine is; written before the page is handed over.
    pub description: [W; slot(description::WORDS)],
    /// The board of telemetry.
    pub telemetry: [W; TELEMETRY.words()],
    /// The ring of verdicts.
    pub verdicts: [W; VERDICTS.words()],
    /// The ring of events.
    pub events: [W; EVENTS.words()],
}

/// The heartbeat page: mechos-rt writes, the guardian reads.
#[derive(Debug)]
#[repr(C)]
pub struct HeartbeatPage<W> {
    /// As announced in the handshake.
    pub header: Header<W>,
    /// Number of the newest beat.
    pub newest: Line<W>,
    /// The board of beats.
    pub beats: [W; BEATS.words()],
}

/// The fence page: the guardian writes, mechos-rt reads.
#[derive(Debug)]
#[repr(C)]
pub struct FencePage<W> {
    /// Written by mechos-rt before it hands the page over, and never read by it again.
    pub header: Header<W>,
    /// The guardian's own beat: counts up.
    pub heartbeat: Line<W>,
    /// When the fence was latched, ns; written before the cause.
    pub since: Line<W>,
    /// Cause of the fence; 0: down.
    pub cause: Line<W>,
    /// 1: every stop socket of the guardian was proved.
    pub proved: Line<W>,
}

const _: () = {
    type I = IntentPage<AtomicU64>;
    type T = TelemetryPage<AtomicU64>;
    type H = HeartbeatPage<AtomicU64>;
    type F = FencePage<AtomicU64>;
    assert!(size_of::<Header<AtomicU64>>() == 128 && size_of::<Line<AtomicU64>>() == 128);
    assert!(INTENTS.stride() == 128 && TELEMETRY.stride() == 208);
    assert!(VERDICTS.stride() == 16 && EVENTS.stride() == 16 && BEATS.stride() == 16);
    assert!(offset_of!(I, heartbeat) == 128);
    assert!(offset_of!(I, stops) == 256);
    assert!(offset_of!(I, estops) == 384);
    assert!(offset_of!(I, submitted) == 512);
    assert!(offset_of!(I, returned) == 640);
    assert!(offset_of!(I, verdicts_read) == 768);
    assert!(offset_of!(I, intents) == 896);
    assert!(size_of::<I>() == 896 + 64 * 1024);
    assert!(offset_of!(T, intents_read) == 128);
    assert!(offset_of!(T, newest) == 256);
    assert!(offset_of!(T, events_written) == 384);
    assert!(offset_of!(T, description) == 512);
    assert!(offset_of!(T, telemetry) == 3200);
    assert!(offset_of!(T, verdicts) == 16_512);
    assert!(offset_of!(T, events) == 49_280);
    assert!(size_of::<T>() == 82_048);
    assert!(offset_of!(H, newest) == 128 && offset_of!(H, beats) == 256);
    assert!(size_of::<H>() == 1280);
    assert!(offset_of!(F, heartbeat) == 128 && offset_of!(F, since) == 256);
    assert!(offset_of!(F, cause) == 384 && offset_of!(F, proved) == 512);
    assert!(size_of::<F>() == 640);
};

/// Changes with any offset, slot, or field of a record (FNV-1a over them): two sides that were built
/// from different sources refuse each other.
pub const LAYOUT_HASH: u64 = {
    let numbers = [
        INTENTS.slots(),
        INTENTS.stride() as u64,
        VERDICTS.slots(),
        VERDICTS.stride() as u64,
        EVENTS.slots(),
        EVENTS.stride() as u64,
        TELEMETRY.slots(),
        TELEMETRY.stride() as u64,
        BEATS.slots(),
        BEATS.stride() as u64,
        offset_of!(IntentPage<u64>, heartbeat) as u64,
        offset_of!(IntentPage<u64>, stops) as u64,
        offset_of!(IntentPage<u64>, estops) as u64,
        offset_of!(IntentPage<u64>, submitted) as u64,
        offset_of!(IntentPage<u64>, returned) as u64,
        offset_of!(IntentPage<u64>, verdicts_read) as u64,
        offset_of!(IntentPage<u64>, intents) as u64,
        offset_of!(TelemetryPage<u64>, intents_read) as u64,
        offset_of!(TelemetryPage<u64>, newest) as u64,
        offset_of!(TelemetryPage<u64>, events_written) as u64,
        offset_of!(TelemetryPage<u64>, description) as u64,
        offset_of!(TelemetryPage<u64>, telemetry) as u64,
        offset_of!(TelemetryPage<u64>, verdicts) as u64,
        offset_of!(TelemetryPage<u64>, events) as u64,
        offset_of!(HeartbeatPage<u64>, newest) as u64,
        offset_of!(HeartbeatPage<u64>, beats) as u64,
        offset_of!(FencePage<u64>, heartbeat) as u64,
        offset_of!(FencePage<u64>, since) as u64,
        offset_of!(FencePage<u64>, cause) as u64,
        offset_of!(FencePage<u64>, proved) as u64,
    ];
    let fields = [
        ring::FIELDS,
        intent::FIELDS,
        verdict::FIELDS,
        telemetry::FIELDS,
        description::FIELDS,
        event::FIELDS,
    ];
    hash(&fields, &numbers)
};

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, bounded by the loops")]
const fn hash(texts: &[&str], numbers: &[u64]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut index = 0;
    while index < numbers.len() {
        hash = (hash ^ numbers[index]).wrapping_mul(PRIME);
        index += 1;
    }
    let mut text = 0;
    while text < texts.len() {
        let bytes = texts[text].as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            hash = (hash ^ bytes[index] as u64).wrapping_mul(PRIME);
            index += 1;
        }
        text += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_changes_with_any_number_and_any_field() {
        let hash_of = |text: &str, number| hash(&[text], &[number]);
        assert_ne!(hash_of("a", 1), hash_of("a", 2));
        assert_ne!(hash_of("a", 1), hash_of("b", 1));
        assert_ne!(LAYOUT_HASH, 0);
    }
}
