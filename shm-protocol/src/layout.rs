//! Where everything lies on the pages, in words of 8 bytes. One cache line is 8 words; words with
//! different writers or rhythms keep 16 words apart.

use crate::board::SLOTS;
use crate::encode::{DESCRIPTION_WORDS, INTENT_WORDS, TELEMETRY_WORDS, VERDICT_WORDS};
use crate::ring::{SLOT_HEAD, Shape};

/// First word of every page.
pub const MAGIC: u64 = u64::from_le_bytes(*b"MECHOS\x00\x01");
/// Version of pages and handshakes.
pub const VERSION: u64 = 1;

/// Header words of every page.
pub mod header {
    /// [`super::MAGIC`].
    pub const MAGIC: usize = 0;
    /// [`super::VERSION`].
    pub const VERSION: usize = 1;
    /// [`super::LAYOUT_HASH`].
    pub const LAYOUT: usize = 2;
    /// Generation of the connection.
    pub const GENERATION: usize = 3;
    /// Which page it is: 1 intent, 2 telemetry, 3 heartbeat, 4 fence.
    pub const KIND: usize = 4;
}

/// Kinds of page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum PageKind {
    /// Cognition writes.
    Intent = 1,
    /// mechos-rt writes.
    Telemetry = 2,
    /// mechos-rt writes, the guardian reads.
    Heartbeat = 3,
    /// The guardian writes, mechos-rt reads.
    Fence = 4,
}

/// The intent page: cognition writes, mechos-rt reads.
pub mod intent {
    use super::{INTENTS, Shape};

    /// Heartbeat: counts up.
    pub const HEARTBEAT: usize = 16;
    /// Stops asked for: any change latches.
    pub const STOPS: usize = 32;
    /// Emergency stops asked for: any change latches.
    pub const ESTOPS: usize = 48;
    /// Intents that the sender tried to submit.
    pub const SUBMITTED: usize = 64;
    /// Of those, returned because the ring was full.
    pub const RETURNED: usize = 65;
    /// Verdicts read.
    pub const VERDICTS_READ: usize = 80;
    /// The ring of intents.
    pub const RING: usize = 96;
    /// Words of the page.
    pub const WORDS: usize = RING + Shape::words(&INTENTS);
}

/// The telemetry page: mechos-rt writes, cognition reads.
pub mod telemetry {
    use super::{BOARD_STRIDE, DESCRIPTION_WORDS, EVENTS, SLOTS, Shape, VERDICTS};

    /// Intents taken from the ring.
    pub const INTENTS_READ: usize = 16;
    /// Number of the newest telemetry.
    pub const HEAD: usize = 32;
    /// Events written.
    pub const EVENTS_WRITTEN: usize = 48;
    /// The description, written before the page is handed over.
    pub const DESCRIPTION: usize = 64;
    /// The board of telemetry.
    pub const BOARD: usize = (DESCRIPTION + DESCRIPTION_WORDS).next_multiple_of(16);
    /// The ring of verdicts.
    pub const VERDICT_RING: usize = BOARD + BOARD_STRIDE * SLOTS as usize;
    /// The ring of events.
    pub const EVENT_RING: usize = VERDICT_RING + Shape::words(&VERDICTS);
    /// Words of the page.
    pub const WORDS: usize = EVENT_RING + Shape::words(&EVENTS);
}

/// The heartbeat page: mechos-rt writes, the guardian reads. A board of one small value.
pub mod heartbeat {
    use super::SLOTS;

    /// Number of the newest beat.
    pub const HEAD: usize = 16;
    /// The board.
    pub const BOARD: usize = 32;
    /// Words from slot to slot.
    pub const STRIDE: usize = 16;
    /// Words of a beat: tick, time, mode, energised.
    pub const BEAT_WORDS: usize = 4;
    /// Words of the page.
    pub const WORDS: usize = BOARD + STRIDE * SLOTS as usize;
}

/// The fence page: the guardian writes, mechos-rt reads.
pub mod fence {
    /// The guardian's heartbeat: counts up.
    pub const HEARTBEAT: usize = 16;
    /// Time at which the fence was latched, ns; written before the cause.
    pub const SINCE: usize = 32;
    /// Cause of the fence, 0: down.
    pub const CAUSE: usize = 33;
    /// 1: every stop socket of the guardian was proved.
    pub const PROVED: usize = 48;
    /// Words of the page.
    pub const WORDS: usize = 64;
}

/// The ring of intents.
pub const INTENTS: Shape =
    Shape { slots: 64, stride: (SLOT_HEAD + INTENT_WORDS).next_multiple_of(16) };
/// The ring of verdicts.
pub const VERDICTS: Shape =
    Shape { slots: 256, stride: (SLOT_HEAD + VERDICT_WORDS).next_multiple_of(16) };
/// Words of an event.
pub const EVENT_WORDS: usize = 5;
/// The ring of events; lossy.
pub const EVENTS: Shape =
    Shape { slots: 256, stride: (SLOT_HEAD + EVENT_WORDS).next_multiple_of(16) };
/// Words from telemetry to telemetry on the board.
pub const BOARD_STRIDE: usize = (1 + TELEMETRY_WORDS).next_multiple_of(16);

const _: () = assert!(INTENTS.slots.is_power_of_two() && VERDICTS.slots.is_power_of_two());
const _: () = assert!(INTENTS.stride == 144 && VERDICTS.stride == 16 && EVENTS.stride == 16);
const _: () = assert!(intent::RING.is_multiple_of(16) && telemetry::BOARD.is_multiple_of(16));
const _: () = assert!(telemetry::BOARD == 64 + 328 + 8 && BOARD_STRIDE == 224);
const _: () = assert!(intent::WORDS == 96 + 64 * 144);
const _: () = assert!(telemetry::WORDS == 400 + 8 * 224 + 512 * 16);
const _: () = assert!(heartbeat::BEAT_WORDS < heartbeat::STRIDE);

/// A number that changes with any of the layout's numbers (FNV-1a over them).
pub const LAYOUT_HASH: u64 = {
    let numbers = [
        INTENTS.slots,
        INTENTS.stride as u64,
        VERDICTS.slots,
        VERDICTS.stride as u64,
        EVENTS.slots,
        EVENTS.stride as u64,
        BOARD_STRIDE as u64,
        SLOTS,
        INTENT_WORDS as u64,
        VERDICT_WORDS as u64,
        TELEMETRY_WORDS as u64,
        DESCRIPTION_WORDS as u64,
        EVENT_WORDS as u64,
        intent::HEARTBEAT as u64,
        intent::STOPS as u64,
        intent::ESTOPS as u64,
        intent::SUBMITTED as u64,
        intent::VERDICTS_READ as u64,
        intent::WORDS as u64,
        telemetry::INTENTS_READ as u64,
        telemetry::HEAD as u64,
        telemetry::WORDS as u64,
        heartbeat::WORDS as u64,
        fence::SINCE as u64,
        fence::CAUSE as u64,
        fence::PROVED as u64,
        fence::WORDS as u64,
    ];
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut index = 0;
    #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, bounded by the loop")]
    while index < numbers.len() {
        hash = (hash ^ numbers[index]).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    hash
};
