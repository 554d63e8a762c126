//! The description as words.

use super::words::{Put, Take};
use crate::records::{AXES_MAX, AxisDescription, Description};

/// Words of the description.
pub const WORDS: usize = 7 + 10 * AXES_MAX;

/// The fields in their order.
pub const FIELDS: &str = "description 1: name[3]; period_ns; lease_max_ns; heartbeat_timeout_ns; \
     intents_per_second:32 axes:32; axis[32]{name[3]; position_min; position_max; velocity_max; \
     acceleration_max; jerk_max; effort_max; home}";

#[allow(clippy::cast_possible_truncation, reason = "AXES_MAX is 32")]
pub(super) const AXES_MAX_U8: u8 = AXES_MAX as u8;

/// The description as words.
pub fn put(description: &Description, words: &mut [u64; WORDS]) {
    let mut put = Put::new(words);
    put.bytes(&description.name);
    put.word(description.period_ns);
    put.word(description.lease_max_ns);
    put.word(description.heartbeat_timeout_ns);
    put.pair(description.intents_per_second_max, u32::from(description.axis_count));
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
pub fn take(words: &[u64; WORDS]) -> Description {
    let mut take = Take::new(words);
    let name = take.bytes();
    let (period_ns, lease_max_ns) = (take.word(), take.word());
    let heartbeat_timeout_ns = take.word();
    let (intents_per_second_max, axis_count) = take.pair();
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
    let axis_count = u8::try_from(axis_count).unwrap_or(u8::MAX).min(AXES_MAX_U8);
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
