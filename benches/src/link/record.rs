//! What is sent: records that say which one they are, and by whom.

use shm_protocol::records::{AXES_MAX, AxisRequest, INTENT_VERSION, Intent, IntentKind, TraceId};

/// Spreads a word's place over its bits (the golden ratio's).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The process that measures.
    Near,
    /// Its peer.
    Far,
}

/// How much of a record's content is made anew and compared: all of it in a smoke run, its number
/// where time is measured (sequence, checksum and bounds are the channel's own business).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// All.
    Content,
    /// The number.
    Number,
}

/// A record.
pub trait Record: Clone {
    /// One to receive into.
    fn blank() -> Self;

    /// Makes it record `number` of `side`.
    fn renew(&mut self, side: Side, number: u64, check: Check);

    /// Whether it is that.
    fn is(&self, side: Side, number: u64, check: Check) -> bool;
}

impl<const N: usize> Record for [u64; N] {
    fn blank() -> Self {
        [0; N]
    }

    #[inline]
    fn renew(&mut self, side: Side, number: u64, check: Check) {
        match check {
            Check::Content => *self = content(side, number),
            Check::Number => {
                if let Some(first) = self.first_mut() {
                    *first = number;
                }
            }
        }
    }

    #[inline]
    fn is(&self, side: Side, number: u64, check: Check) -> bool {
        match check {
            Check::Content => *self == content(side, number),
            Check::Number => self.first() == Some(&number),
        }
    }
}

/// Words of which no two are alike, in no record the same but for the number in front.
#[inline]
#[must_use]
pub fn content<const N: usize>(side: Side, number: u64) -> [u64; N] {
    let mut place = 0u64;
    let of_side = match side {
        Side::Near => 0,
        Side::Far => u64::MAX,
    };
    std::array::from_fn(|index| {
        place = place.wrapping_add(SPREAD);
        if index == 0 { number } else { number.wrapping_mul(place) ^ place ^ of_side }
    })
}

/// The raw hand-over has one word, and no side: each has its own line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bare(pub u64);

impl Record for Bare {
    fn blank() -> Self {
        Bare(0)
    }

    #[inline]
    fn renew(&mut self, _: Side, number: u64, _: Check) {
        self.0 = number;
    }

    #[inline]
    fn is(&self, _: Side, number: u64, _: Check) -> bool {
        self.0 == number
    }
}

impl Record for Intent {
    fn blank() -> Self {
        intent(Side::Near, 0)
    }

    #[inline]
    fn renew(&mut self, side: Side, number: u64, check: Check) {
        match check {
            Check::Content => *self = intent(side, number),
            Check::Number => self.number = number,
        }
    }

    #[inline]
    fn is(&self, side: Side, number: u64, check: Check) -> bool {
        match check {
            Check::Content => *self == intent(side, number),
            Check::Number => self.number == number,
        }
    }
}

/// An intent whose every field depends on its number, all axes asked for.
fn intent(side: Side, number: u64) -> Intent {
    let words: [u64; 4] = content(side, number);
    let bytes = |word: usize| words.get(word).copied().unwrap_or(0).to_le_bytes();
    let [low, ..] = bytes(1);
    let mut trace = [0; 16];
    for (to, from) in trace.iter_mut().zip(bytes(2).into_iter().chain(bytes(3))) {
        *to = from;
    }
    let mut next = f32::from(low);
    let mut single = || {
        next += 0.25;
        next
    };
    let axes: [AxisRequest; AXES_MAX] = std::array::from_fn(|_| AxisRequest {
        position_rad: f64::from(single()),
        velocity_end_rad_s: single(),
        velocity_peak_rad_s: single(),
        acceleration_peak_rad_s2: single(),
        jerk_peak_rad_s3: single(),
        effort_max_nm: single(),
    });
    Intent {
        number,
        version: INTENT_VERSION,
        kind: IntentKind::MoveJoints,
        agent: u16::from(low),
        epoch: u32::from(low) + 1,
        issued_ns: number.wrapping_mul(1000),
        lease_until_ns: number.wrapping_mul(2000),
        trace: TraceId(trace),
        axes_mask: u32::MAX,
        axes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_itself<R: Record>() {
        let mut record = R::blank();
        record.renew(Side::Near, 7, Check::Content);
        assert!(record.is(Side::Near, 7, Check::Content));
        assert!(!record.is(Side::Far, 7, Check::Content));
        assert!(!record.is(Side::Near, 8, Check::Content));
        record.renew(Side::Near, 8, Check::Number);
        assert!(record.is(Side::Near, 8, Check::Number));
        assert!(!record.is(Side::Near, 8, Check::Content), "the rest is still that of record 7");
    }

    #[test]
    fn a_record_is_itself_and_no_other() {
        only_itself::<[u64; 7]>();
        only_itself::<[u64; 31]>();
        only_itself::<Intent>();
    }
}
