//! Telemetry as words.

use super::words::{Put, Take, byte, cause, half, mode};
use crate::records::{AXES_MAX, AxisTelemetry, IntentCounters, Telemetry};

/// Words of telemetry.
pub const WORDS: usize = 13 + 6 * AXES_MAX;

/// The fields in their order.
pub const FIELDS: &str = "telemetry 1: tick; published_ns; mode:8 axes:8 operator:8 - cause:16@32; \
     cause_detail:32 epoch:32; active_intent; accepted; clamped; refused; preempted; completed; \
     expired; aborted; active; axis[32]{position; velocity; effort; setpoint; age_ns; \
     state:8 - fault:16@16}";

/// Telemetry as words. Real time.
pub fn put(telemetry: &Telemetry, words: &mut [u64; WORDS]) {
    let mut put = Put::new(words);
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
    let counters = &telemetry.counters;
    put.word(counters.accepted);
    put.word(counters.clamped);
    put.word(counters.refused);
    put.word(counters.preempted);
    put.word(counters.completed);
    put.word(counters.expired);
    put.word(counters.aborted);
    put.word(counters.active);
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
pub fn take(words: &[u64; WORDS]) -> Telemetry {
    let mut take = Take::new(words);
    let (tick, published_ns) = (take.word(), take.word());
    let third = take.word();
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
    let mut axes = [AxisTelemetry::default(); AXES_MAX];
    for axis in &mut axes {
        axis.position_rad = take.number();
        axis.velocity_rad_s = take.number();
        axis.effort_nm = take.number();
        axis.setpoint_rad = take.number();
        axis.age_ns = take.word();
        let last = take.word();
        (axis.state, axis.fault_code) = (byte(last, 0), half(last, 1));
    }
    Telemetry {
        tick,
        published_ns,
        mode: mode(byte(third, 0)),
        cause: cause(half(third, 2)),
        cause_detail,
        epoch,
        operator_has_control: byte(third, 2) != 0,
        active_intent,
        counters,
        axis_count: byte(third, 1).min(super::description::AXES_MAX_U8),
        axes,
    }
}
