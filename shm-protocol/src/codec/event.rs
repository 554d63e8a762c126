//! An event as words.

use super::words::{Put, Take, byte, cause, half, low, mode};
use crate::records::{Event, EventKind};

/// Words of an event.
pub const WORDS: usize = 3;

/// The fields in their order.
pub const FIELDS: &str = "event 1: tick; time_ns; kind:8 mode:8 cause:16 detail:32";

/// An event as words. Real time.
pub fn put(event: &Event, words: &mut [u64; WORDS]) {
    let mut put = Put::new(words);
    put.word(event.tick);
    put.word(event.time_ns);
    put.word(
        event.kind as u64
            | (event.mode as u64) << 8
            | (event.cause as u64) << 16
            | u64::from(event.detail) << 32,
    );
}

/// Words as an event; none when its kind is not known.
pub fn take(words: &[u64; WORDS]) -> Option<Event> {
    let mut take = Take::new(words);
    let (tick, time_ns, third) = (take.word(), take.word(), take.word());
    let kind = EventKind::ALL.into_iter().find(|kind| *kind as u8 == byte(third, 0))?;
    Some(Event {
        tick,
        time_ns,
        kind,
        mode: mode(byte(third, 1)),
        cause: cause(half(third, 1)),
        detail: low(third >> 32),
    })
}
