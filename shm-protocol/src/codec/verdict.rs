//! A verdict as words.

use super::words::{Put, Take, byte, cause, half};
use crate::records::{Rule, TraceId, Verdict, VerdictKind};

/// Words of a verdict.
pub const WORDS: usize = 10;

/// The fields in their order.
pub const FIELDS: &str = "verdict 1: number; kind:8 rule:8 axis:8 - cause:16@32; epoch:32 -; tick; \
     decided_ns; trace[2]; value; limit; nearest";

const KINDS: [VerdictKind; 7] = [
    VerdictKind::Accepted,
    VerdictKind::Clamped,
    VerdictKind::Refused,
    VerdictKind::Preempted,
    VerdictKind::Completed,
    VerdictKind::Expired,
    VerdictKind::Aborted,
];

/// Every rule; a test holds them to their numbers.
pub(super) const RULES: [Rule; 19] = [
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

/// A verdict as words. Real time.
pub fn put(verdict: &Verdict, words: &mut [u64; WORDS]) {
    let mut put = Put::new(words);
    put.word(verdict.number);
    put.word(
        verdict.kind as u64
            | (verdict.rule as u64) << 8
            | u64::from(verdict.axis) << 16
            | (verdict.cause as u64) << 32,
    );
    put.pair(verdict.epoch, 0);
    put.word(verdict.tick);
    put.word(verdict.decided_ns);
    put.bytes(&verdict.trace.0);
    put.number(verdict.value);
    put.number(verdict.limit);
    put.number(verdict.nearest);
}

/// Words as a verdict; none when its kind or rule is not known.
pub fn take(words: &[u64; WORDS]) -> Option<Verdict> {
    let mut take = Take::new(words);
    let number = take.word();
    let second = take.word();
    let kind = KINDS.into_iter().find(|kind| *kind as u8 == byte(second, 0))?;
    let rule = RULES.into_iter().find(|rule| *rule as u8 == byte(second, 1))?;
    let (epoch, _) = take.pair();
    let (tick, decided_ns) = (take.word(), take.word());
    let trace = TraceId(take.bytes());
    let (value, limit, nearest) = (take.number(), take.number(), take.number());
    Some(Verdict {
        number,
        trace,
        kind,
        rule,
        axis: byte(second, 2),
        cause: cause(half(second, 2)),
        epoch,
        tick,
        decided_ns,
        value,
        limit,
        nearest,
    })
}
