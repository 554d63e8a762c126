//! Records as words. Encoding and decoding are total: any words give a value, any value gives
//! words; what a value means is judged by whoever takes it.
//!
//! The tables of word offsets stand in the crate's README.

use crate::records::{
    AXES_MAX, AxisDescription, AxisRequest, AxisTelemetry, Cause, Description, Intent,
    IntentCounters, IntentKind, ModeCode, Rule, Telemetry, TraceId, Verdict, VerdictKind,
};

/// Words of an intent.
pub const INTENT_WORDS: usize = 8 + 4 * AXES_MAX;
/// Words of a verdict.
pub const VERDICT_WORDS: usize = 10;
/// Words of telemetry.
pub const TELEMETRY_WORDS: usize = 16 + 6 * AXES_MAX;
/// Words of the description.
pub const DESCRIPTION_WORDS: usize = 8 + 10 * AXES_MAX;

/// Writes words in order.
struct Put<'w>(std::slice::IterMut<'w, u64>);

impl Put<'_> {
    fn word(&mut self, value: u64) {
        if let Some(word) = self.0.next() {
            *word = value;
        }
    }

    fn number(&mut self, value: f64) {
        self.word(value.to_bits());
    }

    fn pair(&mut self, low: u32, high: u32) {
        self.word(u64::from(low) | u64::from(high) << 32);
    }

    fn bytes<const N: usize>(&mut self, bytes: &[u8; N]) {
        for eight in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(eight) {
                *to = *from;
            }
            self.word(u64::from_le_bytes(word));
        }
    }
}

/// Reads words in order; past the end there are zeros.
struct Take<'w>(std::slice::Iter<'w, u64>);

impl Take<'_> {
    fn word(&mut self) -> u64 {
        self.0.next().copied().unwrap_or(0)
    }

    fn number(&mut self) -> f64 {
        f64::from_bits(self.word())
    }

    fn pair(&mut self) -> (u32, u32) {
        let word = self.word();
        (low(word), low(word >> 32))
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for eight in bytes.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            for (to, from) in eight.iter_mut().zip(word) {
                *to = from;
            }
        }
        bytes
    }
}

fn low(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}

fn byte(word: u64, at: u32) -> u8 {
    (word >> (8 * at) & 0xff) as u8
}

fn half(word: u64, at: u32) -> u16 {
    (word >> (16 * at) & 0xffff) as u16
}

impl IntentKind {
    /// The number on the page.
    pub fn number(self) -> u8 {
        match self {
            IntentKind::MoveJoints => 1,
            IntentKind::Hold => 2,
            IntentKind::Stop => 3,
            IntentKind::EStop => 4,
            IntentKind::Unknown(number) => number,
        }
    }

    /// The kind of a number.
    pub fn from_number(number: u8) -> IntentKind {
        match number {
            1 => IntentKind::MoveJoints,
            2 => IntentKind::Hold,
            3 => IntentKind::Stop,
            4 => IntentKind::EStop,
            other => IntentKind::Unknown(other),
        }
    }
}

/// An intent as words.
pub fn put_intent(intent: &Intent, words: &mut [u64; INTENT_WORDS]) {
    let mut put = Put(words.iter_mut());
    put.word(intent.number);
    let kind = u64::from(intent.kind.number());
    put.word(u64::from(intent.version) | kind << 16 | u64::from(intent.agent) << 32);
    put.pair(intent.epoch, intent.axes_mask);
    put.word(intent.issued_ns);
    put.word(intent.lease_until_ns);
    put.bytes(&intent.trace.0);
    put.word(0);
    for axis in &intent.axes {
        put.number(axis.position_rad);
        put.pair(axis.velocity_end_rad_s.to_bits(), axis.velocity_peak_rad_s.to_bits());
        put.pair(axis.acceleration_peak_rad_s2.to_bits(), axis.jerk_peak_rad_s3.to_bits());
        put.pair(axis.effort_max_nm.to_bits(), 0);
    }
}

/// Words as an intent.
pub fn take_intent(words: &[u64; INTENT_WORDS]) -> Intent {
    let mut take = Take(words.iter());
    let number = take.word();
    let second = take.word();
    let (epoch, axes_mask) = take.pair();
    let (issued_ns, lease_until_ns) = (take.word(), take.word());
    let trace = TraceId(take.bytes());
    take.word();
    let mut axes = [AxisRequest::default(); AXES_MAX];
    for axis in &mut axes {
        let position_rad = take.number();
        let ((end, peak), (acceleration, jerk), (effort, _)) =
            (take.pair(), take.pair(), take.pair());
        *axis = AxisRequest {
            position_rad,
            velocity_end_rad_s: f32::from_bits(end),
            velocity_peak_rad_s: f32::from_bits(peak),
            acceleration_peak_rad_s2: f32::from_bits(acceleration),
            jerk_peak_rad_s3: f32::from_bits(jerk),
            effort_max_nm: f32::from_bits(effort),
        };
    }
    Intent {
        number,
        version: half(second, 0),
        kind: IntentKind::from_number(byte(second, 2)),
        agent: half(second, 2),
        epoch,
        issued_ns,
        lease_until_ns,
        trace,
        axes_mask,
        axes,
    }
}

const VERDICTS: [VerdictKind; 7] = [
    VerdictKind::Accepted,
    VerdictKind::Clamped,
    VerdictKind::Refused,
    VerdictKind::Preempted,
    VerdictKind::Completed,
    VerdictKind::Expired,
    VerdictKind::Aborted,
];

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

const MODES: [ModeCode; 5] =
    [ModeCode::Disarmed, ModeCode::Arming, ModeCode::Armed, ModeCode::Stopping, ModeCode::Halted];

/// A verdict as words.
pub fn put_verdict(verdict: &Verdict, words: &mut [u64; VERDICT_WORDS]) {
    let mut put = Put(words.iter_mut());
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

/// Words as a verdict; none when the kind is not known.
pub fn take_verdict(words: &[u64; VERDICT_WORDS]) -> Option<Verdict> {
    let mut take = Take(words.iter());
    let number = take.word();
    let second = take.word();
    let kind = VERDICTS.into_iter().find(|kind| *kind as u8 == byte(second, 0))?;
    let rule = RULES.into_iter().find(|rule| *rule as u8 == byte(second, 1))?;
    let cause = Cause::from_number(half(second, 2)).unwrap_or_default();
    let (epoch, _) = take.pair();
    let (tick, decided_ns) = (take.word(), take.word());
    let trace = TraceId(take.bytes());
    let (value, limit, nearest) = (take.number(), take.number(), take.number());
    let axis = byte(second, 2);
    Some(Verdict {
        number,
        trace,
        kind,
        rule,
        axis,
        cause,
        epoch,
        tick,
        decided_ns,
        value,
        limit,
        nearest,
    })
}

/// Telemetry as words.
pub fn put_telemetry(telemetry: &Telemetry, words: &mut [u64; TELEMETRY_WORDS]) {
    let mut put = Put(words.iter_mut());
    put.word(telemetry.tick);
    put.word(telemetry.published_ns);
    put.word(
        telemetry.mode as u64
            | u64::from(telemetry.axis_count) << 8
            | u64::from(telemetry.operator_has_control) << 16
            | (telemetry.cause as u64) << 32,
    );
    put.pair(telemetry.cause_detail, telemetry.epoch);
    put.word(telemetry.active_intent);
    let c = &telemetry.counters;
    for count in
        [c.accepted, c.clamped, c.refused, c.preempted, c.completed, c.expired, c.aborted, c.active]
    {
        put.word(count);
    }
    for _ in 13..16 {
        put.word(0);
    }
    for axis in &telemetry.axes {
        put.number(axis.position_rad);
        put.number(axis.velocity_rad_s);
        put.number(axis.effort_nm);
        put.number(axis.setpoint_rad);
        put.word(axis.age_ns);
        put.word(u64::from(axis.state) | u64::from(axis.fault_code) << 16);
    }
}

/// Words as telemetry.
pub fn take_telemetry(words: &[u64; TELEMETRY_WORDS]) -> Telemetry {
    let mut take = Take(words.iter());
    let (tick, published_ns) = (take.word(), take.word());
    let third = take.word();
    let mode = MODES.into_iter().find(|mode| *mode as u8 == byte(third, 0)).unwrap_or_default();
    let (cause_detail, epoch) = take.pair();
    let active_intent = take.word();
    let counters = IntentCounters {
        accepted: take.word(),
        clamped: take.word(),
        refused: take.word(),
        preempted: take.word(),
        completed: take.word(),
        expired: take.word(),
        aborted: take.word(),
        active: take.word(),
    };
    for _ in 13..16 {
        take.word();
    }
    let mut axes = [AxisTelemetry::default(); AXES_MAX];
    for axis in &mut axes {
        let (position_rad, velocity_rad_s) = (take.number(), take.number());
        let (effort_nm, setpoint_rad) = (take.number(), take.number());
        let (age_ns, last) = (take.word(), take.word());
        let (state, fault_code) = (byte(last, 0), half(last, 1));
        *axis = AxisTelemetry {
            position_rad,
            velocity_rad_s,
            effort_nm,
            setpoint_rad,
            age_ns,
            state,
            fault_code,
        };
    }
    Telemetry {
        tick,
        published_ns,
        mode,
        cause: Cause::from_number(half(third, 2)).unwrap_or_default(),
        cause_detail,
        epoch,
        operator_has_control: byte(third, 2) != 0,
        active_intent,
        counters,
        axis_count: byte(third, 1),
        axes,
    }
}

/// The description as words.
pub fn put_description(description: &Description, words: &mut [u64; DESCRIPTION_WORDS]) {
    let mut put = Put(words.iter_mut());
    put.bytes(&description.name);
    put.word(description.period_ns);
    put.word(description.lease_max_ns);
    put.word(description.heartbeat_timeout_ns);
    put.pair(description.intents_per_second_max, u32::from(description.axis_count));
    put.word(0);
    for axis in &description.axes {
        put.bytes(&axis.name);
        put.number(axis.position_min_rad);
        put.number(axis.position_max_rad);
        put.number(axis.velocity_max_rad_s);
        put.number(axis.acceleration_max_rad_s2);
        put.number(axis.jerk_max_rad_s3);
        put.number(axis.effort_max_nm);
        put.number(axis.home_rad);
    }
}

/// Words as the description.
pub fn take_description(words: &[u64; DESCRIPTION_WORDS]) -> Description {
    let mut take = Take(words.iter());
    let name = take.bytes();
    let (period_ns, lease_max_ns) = (take.word(), take.word());
    let heartbeat_timeout_ns = take.word();
    let (intents_per_second_max, axis_count) = take.pair();
    take.word();
    let mut axes = [AxisDescription::default(); AXES_MAX];
    for axis in &mut axes {
        *axis = AxisDescription {
            name: take.bytes(),
            position_min_rad: take.number(),
            position_max_rad: take.number(),
            velocity_max_rad_s: take.number(),
            acceleration_max_rad_s2: take.number(),
            jerk_max_rad_s3: take.number(),
            effort_max_nm: take.number(),
            home_rad: take.number(),
        };
    }
    let axis_count = u8::try_from(axis_count).unwrap_or(u8::MAX).min(AXES_MAX as u8);
    Description {
        name,
        period_ns,
        lease_max_ns,
        heartbeat_timeout_ns,
        intents_per_second_max,
        axis_count,
        axes,
    }
}
