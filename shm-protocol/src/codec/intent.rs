//! An intent as words: what all of it says first, then each quantity for all axes.

use super::words::{Put, Take, byte, half, low};
use crate::records::{AXES_MAX, AxisRequest, Intent, IntentKind, TraceId};

/// Words of one single-precision quantity of all axes, two a word.
const PAIRS: usize = AXES_MAX / 2;

/// Words of an intent.
pub const WORDS: usize = 7 + AXES_MAX + 5 * PAIRS;

/// The fields in their order.
pub const FIELDS: &str = "intent 1: number; version:16 kind:8 - agent:16@32; epoch:32 mask:32; \
     issued_ns; lease_until_ns; trace[2]; position[32]; velocity_end/2[16]; velocity_peak/2[16]; \
     acceleration/2[16]; jerk/2[16]; effort/2[16]";

const _: () = assert!(AXES_MAX == 32 && WORDS == 119, "an intent fills one slot of 1,024 bytes");

/// The kind's number on the page.
fn number(kind: IntentKind) -> u8 {
    match kind {
        IntentKind::MoveJoints => 1,
        IntentKind::Hold => 2,
        IntentKind::Stop => 3,
        IntentKind::EStop => 4,
        IntentKind::Unknown(number) => number,
    }
}

fn kind(number: u8) -> IntentKind {
    match number {
        1 => IntentKind::MoveJoints,
        2 => IntentKind::Hold,
        3 => IntentKind::Stop,
        4 => IntentKind::EStop,
        other => IntentKind::Unknown(other),
    }
}

/// An intent as words.
pub fn put(intent: &Intent, words: &mut [u64; WORDS]) {
    let mut put = Put::new(words);
    put.word(intent.number);
    let kind = u64::from(number(intent.kind));
    put.word(u64::from(intent.version) | kind << 16 | u64::from(intent.agent) << 32);
    put.pair(intent.epoch, intent.axes_mask);
    put.word(intent.issued_ns);
    put.word(intent.lease_until_ns);
    put.bytes(&intent.trace.0);
    put.block::<AXES_MAX>(|words| {
        for (word, axis) in words.iter_mut().zip(&intent.axes) {
            *word = axis.position_rad.to_bits();
        }
    });
    put.singles::<PAIRS, _>(&intent.axes, |axis| axis.velocity_end_rad_s);
    put.singles::<PAIRS, _>(&intent.axes, |axis| axis.velocity_peak_rad_s);
    put.singles::<PAIRS, _>(&intent.axes, |axis| axis.acceleration_peak_rad_s2);
    put.singles::<PAIRS, _>(&intent.axes, |axis| axis.jerk_peak_rad_s3);
    put.singles::<PAIRS, _>(&intent.axes, |axis| axis.effort_max_nm);
}

/// Words as an intent.
pub fn take(words: &[u64; WORDS]) -> Intent {
    take_first(words, AXES_MAX)
}

/// Words as an intent of which only so many axes are read; the others ask for nothing. A receiver with
/// fewer axes saves the work, which a sender could have it do in vain in every tick. Real time.
pub fn take_first(words: &[u64; WORDS], axis_count: usize) -> Intent {
    let mut take = Take::new(words);
    let number = take.word();
    let second = take.word();
    let (epoch, axes_mask) = take.pair();
    let (issued_ns, lease_until_ns) = (take.word(), take.word());
    let trace = TraceId(take.bytes());
    let mut intent = Intent {
        number,
        version: half(second, 0),
        kind: kind(byte(second, 2)),
        agent: half(second, 2),
        epoch,
        issued_ns,
        lease_until_ns,
        trace,
        axes_mask,
        axes: [AxisRequest::default(); AXES_MAX],
    };
    let positions = take.block::<AXES_MAX>();
    let [velocity_end, velocity_peak, acceleration, jerk, effort] =
        std::array::from_fn(|_| take.block::<PAIRS>());
    let first = intent.axes.get_mut(..axis_count.min(AXES_MAX)).unwrap_or_default();
    for (index, axis) in first.iter_mut().enumerate() {
        *axis = AxisRequest {
            position_rad: f64::from_bits(positions.get(index).copied().unwrap_or(0)),
            velocity_end_rad_s: single(velocity_end, index),
            velocity_peak_rad_s: single(velocity_peak, index),
            acceleration_peak_rad_s2: single(acceleration, index),
            jerk_peak_rad_s3: single(jerk, index),
            effort_max_nm: single(effort, index),
        };
    }
    intent
}

/// The number of this axis, two a word.
fn single(words: &[u64; PAIRS], axis: usize) -> f32 {
    let word = words.get(axis / 2).copied().unwrap_or(0);
    f32::from_bits(if axis.is_multiple_of(2) { low(word) } else { low(word >> 32) })
}
