//! What the fuzz targets reach of the private parts; only with `--cfg fuzzing`, which cargo-fuzz sets.

use crate::codec::{description, event, intent, telemetry, verdict};
use crate::error::Refusal;
use crate::handshake::{MESSAGE_WORDS, Message};

/// Reads any words as each of the records. What was read, written and read again must be the same
/// words: false when it is not.
#[must_use]
pub fn records_settle(words: &[u64]) -> bool {
    settles(words, |words, again| {
        intent::put(&intent::take(words), again);
        true
    }) && settles(words, |words, again| {
        verdict::take(words).is_some_and(|verdict| {
            verdict::put(&verdict, again);
            true
        })
    }) && settles(words, |words, again| {
        event::take(words).is_some_and(|event| {
            event::put(&event, again);
            true
        })
    }) && settles(words, |words, again| {
        telemetry::put(&telemetry::take(words), again);
        true
    }) && settles(words, |words, again| {
        description::put(&description::take(words), again);
        true
    })
}

/// `again` reads words and writes what it read; false when they are no such record.
fn settles<const N: usize>(
    words: &[u64],
    again: impl Fn(&[u64; N], &mut [u64; N]) -> bool,
) -> bool {
    let (mut found, mut once, mut twice) = ([0; N], [0; N], [0; N]);
    for (to, from) in found.iter_mut().zip(words) {
        *to = *from;
    }
    !again(&found, &mut once) || again(&once, &mut twice) && once == twice
}

/// Reads any words as a message; what was read, or the refusal, must survive its own words: false
/// when it does not.
#[must_use]
pub fn message_settles(words: &[u64; MESSAGE_WORDS]) -> bool {
    match Message::decode(words) {
        Ok(message) => Message::decode(&message.encode()) == Ok(message),
        Err(refusal) => Refusal::from_words(refusal.to_words()) == refusal,
    }
}
