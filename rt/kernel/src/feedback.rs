//! What is read out of the measured axes: standstill, power, interlocks.

use crate::config::{AxisConfig, Config};
use crate::io::{AxisFeedback, AxisState, Inputs, Interlocks};
use crate::mode::Mode;

/// Feedback of an axis that the inputs do not have.
const MISSING: AxisFeedback = AxisFeedback {
    state: AxisState::Offline,
    position_rad: 0.0,
    velocity_rad_s: 0.0,
    effort_nm: 0.0,
    age_ns: u64::MAX,
    homed: false,
    alive: false,
    fault_code: 0,
};

/// Each configured axis with its feedback.
pub fn axes<'a>(
    config: &'a Config,
    inputs: &'a Inputs,
) -> impl Iterator<Item = (&'a AxisConfig, &'a AxisFeedback)> + Clone {
    let measured = inputs.axes.iter().chain(std::iter::repeat(&MISSING));
    config.axes.iter().zip(measured)
}

/// The position is young enough and a number.
pub fn is_fresh(config: &Config, axis: &AxisFeedback) -> bool {
    axis.age_ns <= config.budgets.feedback_age_max_ns
        && axis.position_rad.is_finite()
        && axis.velocity_rad_s.is_finite()
}

/// Known to stand still.
pub fn stands(config: &Config, axis: &AxisFeedback) -> bool {
    is_fresh(config, axis) && axis.velocity_rad_s.abs() <= config.standstill_rad_s
}

/// Every axis is known to stand still.
pub fn all_stand(config: &Config, inputs: &Inputs) -> bool {
    axes(config, inputs).all(|(_, axis)| stands(config, axis))
}

/// A reset may be taken: no axis is known to move or to follow setpoints. Of a drive that is not set
/// up (a new process, a drive that was switched off and on) nothing but that can be known; it is
/// stopped and set up before anything else, and arming asks for all the rest.
pub fn may_reset(config: &Config, inputs: &Inputs) -> bool {
    axes(config, inputs).all(|(_, axis)| match axis.state {
        AxisState::Offline | AxisState::Configuring | AxisState::Misconfigured => {
            stands(config, axis) || !is_fresh(config, axis)
        }
        // Silent, or heard again but set up no more: a drive that was switched off while it moved.
        AxisState::Fault if !is_fresh(config, axis) => true,
        AxisState::Ready | AxisState::QuickStop | AxisState::Fault => stands(config, axis),
        AxisState::Enabling | AxisState::Enabled => false,
    })
}

/// The drive has power, or may have.
pub fn may_be_powered(axis: &AxisFeedback) -> bool {
    matches!(axis.state, AxisState::Enabling | AxisState::Enabled | AxisState::QuickStop)
}

/// The halt is over: every drive is heard, none follows setpoints, and each is either without
/// power or stands.
pub fn halt_is_done(config: &Config, inputs: &Inputs) -> bool {
    axes(config, inputs).all(|(_, axis)| {
        axis.alive
            && match axis.state {
                AxisState::Ready | AxisState::Configuring | AxisState::Misconfigured => true,
                AxisState::QuickStop | AxisState::Fault => stands(config, axis),
                AxisState::Offline | AxisState::Enabling | AxisState::Enabled => false,
            }
    })
}

/// Open interlocks, as [`Interlocks`] bits.
pub fn interlocks(config: &Config, inputs: &Inputs, mode: Mode, config_is_sound: bool) -> u32 {
    let mut open = inputs.health.interlocks;
    let mut set = |condition: bool, bit: u32| open |= if condition { bit } else { 0 };
    for (config_of_axis, axis) in axes(config, inputs) {
        let limits = &config_of_axis.limits;
        let ready = match axis.state {
            AxisState::Ready => true,
            AxisState::Enabling | AxisState::Enabled => mode.is_energised(),
            _ => false,
        };
        let inside = axis.position_rad >= limits.position_min_rad
            && axis.position_rad <= limits.position_max_rad;
        set(!axis.homed, Interlocks::NOT_HOMED);
        // Asked so that a velocity that is not a number counts as moving.
        let slow = axis.velocity_rad_s.abs() <= config.standstill_rad_s;
        set(!slow, Interlocks::MOVING);
        set(!is_fresh(config, axis), Interlocks::FEEDBACK);
        set(!ready, Interlocks::DRIVE_NOT_READY);
        set(!axis.alive, Interlocks::DRIVE_SILENT);
        set(!inside, Interlocks::OUTSIDE_LIMITS);
    }
    let latched = inputs.health.latched.is_some() || matches!(mode, Mode::Halted { .. });
    set(latched, Interlocks::LATCHED);
    set(!config_is_sound, Interlocks::CONFIG);
    open
}
