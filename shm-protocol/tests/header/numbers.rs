//! Every number that the header names, as this crate has it.

use std::collections::BTreeMap;
use std::fmt::Debug;

use shm_protocol::layout::*;
use shm_protocol::records::*;
use shm_protocol::{ring, stamp};

use super::common::{GO, HELLO, MAPPED, PAGES, REFUSED};

const KINDS: [VerdictKind; 7] = [
    VerdictKind::Accepted,
    VerdictKind::Clamped,
    VerdictKind::Refused,
    VerdictKind::Preempted,
    VerdictKind::Completed,
    VerdictKind::Expired,
    VerdictKind::Aborted,
];

const MODES: [ModeCode; 5] =
    [ModeCode::Disarmed, ModeCode::Arming, ModeCode::Armed, ModeCode::Stopping, ModeCode::Halted];

const RULES: [Rule; 19] = [
    Rule::None,
    Rule::Intact,
    Rule::Finite,
    Rule::Version,
    Rule::Epoch,
    Rule::Sequence,
    Rule::Freshness,
    Rule::Lease,
    Rule::Mode,
    Rule::Capability,
    Rule::Rate,
    Rule::Axis,
    Rule::Position,
    Rule::Velocity,
    Rule::Acceleration,
    Rule::Jerk,
    Rule::Effort,
    Rule::Stoppable,
    Rule::Planning,
];

/// By name.
pub fn all() -> BTreeMap<String, u64> {
    assert_eq!(ring::HEAD, stamp::HEAD);
    let mut all: Vec<(String, u64)> = [
        ("MAGIC", MAGIC),
        ("VERSION", VERSION),
        ("LAYOUT_HASH", LAYOUT_HASH),
        // A slot's place is the README's, which tests/bytes.rs reads and writes by.
        ("SLOT_STEP", 91),
        ("SLOT_HEAD", ring::HEAD as u64),
        ("AXES_MAX", AXES_MAX as u64),
        ("INTENT_VERSION", INTENT_VERSION.into()),
        ("AXIS_NONE", AXIS_NONE.into()),
        ("PAGE_INTENT", PageKind::Intent as u64),
        ("PAGE_TELEMETRY", PageKind::Telemetry as u64),
        ("PAGE_HEARTBEAT", PageKind::Heartbeat as u64),
        ("PAGE_FENCE", PageKind::Fence as u64),
        ("MESSAGE_HELLO", HELLO),
        ("MESSAGE_PAGES", PAGES),
        ("MESSAGE_REFUSED", REFUSED),
        ("MESSAGE_MAPPED", MAPPED),
        ("MESSAGE_GO", GO),
        ("SERVICE_LINK", 1),
        ("SERVICE_GUARDIAN", 2),
        ("REFUSAL_MALFORMED", 1),
        ("REFUSAL_VERSION", 2),
        ("REFUSAL_LAYOUT", 3),
        ("REFUSAL_USER", 4),
        ("REFUSAL_BUSY", 5),
        ("REFUSAL_PAGES", 6),
        ("REFUSAL_SERVICE", 7),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let shapes = [INTENTS, VERDICTS, EVENTS, TELEMETRY, BEATS];
    for (name, shape) in ["INTENT", "VERDICT", "EVENT", "TELEMETRY", "BEAT"].into_iter().zip(shapes)
    {
        all.push((format!("{name}_SLOTS"), shape.slots()));
        all.push((format!("{name}_STRIDE"), shape.stride() as u64));
    }
    // The kinds of an intent have their numbers on the page only; the test of the intent asks for them.
    all.extend(super::INTENT_KINDS.map(|(name, number, _)| (format!("INTENT_{name}"), number)));
    all.extend(KINDS.map(|kind| (named("VERDICT", kind), kind as u64)));
    all.extend(RULES.map(|rule| (named("RULE", rule), rule as u64)));
    all.extend(EventKind::ALL.map(|kind| (named("EVENT", kind), kind as u64)));
    all.extend(MODES.map(|mode| (named("MODE", mode), mode as u64)));
    all.extend(Cause::ALL.map(|cause| (named("CAUSE", cause), cause as u64)));
    let count = all.len();
    let all: BTreeMap<_, _> =
        all.into_iter().map(|(name, value)| (format!("MECHOS_{name}"), value)).collect();
    assert_eq!(all.len(), count, "a name twice");
    all
}

/// The name of a value in C: `RtLost` is `RT_LOST`.
fn named(prefix: &str, value: impl Debug) -> String {
    let mut name = prefix.to_owned();
    for letter in format!("{value:?}").chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
