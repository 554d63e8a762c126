//! An intent as words: what all of it says first, then each quantity for all axes.

use super::words::{Put, Take, byte, half};
use crate::records::{AXES_MAX, AxisRequest, Intent, IntentKind, TraceId};

/// Words of an intent.
pub const WORDS: usize = 7 + AXES_MAX + 5 * AXES_MAX / 2;

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
    for axis in &intent.axes {
        put.number(axis.position_rad);
    }
    put.singles(intent.axes.iter().map(|axis| axis.velocity_end_rad_s));
    put.singles(intent.axes.iter().map(|axis| axis.velocity_peak_rad_s));
    put.singles(intent.axes.iter().map(|axis| axis.acceleration_peak_rad_s2));
    put.singles(intent.axes.iter().map(|axis| axis.jerk_peak_rad_s3));
    put.singles(intent.axes.iter().map(|axis| axis.effort_max_nm));
}

/// Words as an intent. Real time.
pub fn take(words: &[u64; WORDS]) -> Intent {
    let mut take = Take::new(words);
    let number = take.word();
    let second = take.word();
    let (epoch, axes_mask) = take.pair();
    let (issued_ns, lease_until_ns) = (take.word(), take.word());
    let trace = TraceId(take.bytes());
    let mut axes = [AxisRequest::default(); AXES_MAX];
    for axis in &mut axes {
        axis.position_rad = take.number();
    }
    take.singles(axes.iter_mut().map(|axis| &mut axis.velocity_end_rad_s));
    take.singles(axes.iter_mut().map(|axis| &mut axis.velocity_peak_rad_s));
    take.singles(axes.iter_mut().map(|axis| &mut axis.acceleration_peak_rad_s2));
    take.singles(axes.iter_mut().map(|axis| &mut axis.jerk_peak_rad_s3));
    take.singles(axes.iter_mut().map(|axis| &mut axis.effort_max_nm));
    Intent {
        number,
        version: half(second, 0),
        kind: kind(byte(second, 2)),
        agent: half(second, 2),
        epoch,
        issued_ns,
        lease_until_ns,
        trace,
        axes_mask,
        axes,
    }
}
