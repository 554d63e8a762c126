//! What may go wrong while the drives have power, and which reaction answers it.

use shm_protocol::records::Cause;

use crate::config::{Config, Reaction};
use crate::feedback;
use crate::io::{AxisState, Inputs};
use crate::mode::Mode;
use crate::motion::Motion;

/// A fault that is present in this tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it is.
    pub cause: Cause,
    /// Which axis.
    pub detail: u32,
    /// What answers it.
    pub reaction: Reaction,
}

/// The worst fault so far; of equals the first.
#[derive(Default)]
struct Worst(Option<Fault>);

impl Worst {
    fn note(&mut self, present: bool, cause: Cause, axis: usize, reaction: Reaction) {
        if present && self.0.is_none_or(|worst| worst.reaction < reaction) {
            let detail = u32::try_from(axis).unwrap_or(u32::MAX);
            self.0 = Some(Fault { cause, detail, reaction });
        }
    }
}

/// The worst fault present; `None` in modes without power, where nothing can be stopped.
pub fn worst(
    config: &Config,
    inputs: &Inputs,
    mode: Mode,
    setpoints: &[Motion],
    cognition_lost: bool,
) -> Option<Fault> {
    if !mode.is_energised() {
        return None;
    }
    let mut worst = Worst::default();
    processes(config, inputs, cognition_lost, &mut worst);
    drives(config, inputs, mode, &mut worst);
    if !matches!(mode, Mode::Arming { .. }) {
        positions(config, inputs, setpoints, &mut worst);
    }
    worst.0
}

fn processes(config: &Config, inputs: &Inputs, cognition_lost: bool, worst: &mut Worst) {
    let (health, budgets, reactions) = (&inputs.health, &config.budgets, &config.reactions);
    let lost = reactions.process_lost;
    let guardian = health.guardian_beat_age_ns > budgets.watcher_beat_ns;
    let deadline = health.deadline_beat_age_ns > budgets.watcher_beat_ns;
    let housekeeping = health.housekeeping_beat_age_ns > budgets.housekeeping_beat_ns;
    worst.note(guardian, Cause::GuardianLost, 0, lost);
    worst.note(deadline, Cause::DeadlineThreadLost, 0, lost);
    worst.note(housekeeping, Cause::HousekeepingLost, 0, lost);
    worst.note(health.real_time_lost, Cause::RealTimeLost, 0, reactions.real_time_lost);
    worst.note(cognition_lost, Cause::CognitionLost, 0, reactions.cognition_lost);
}

fn drives(config: &Config, inputs: &Inputs, mode: Mode, worst: &mut Worst) {
    let reactions = &config.reactions;
    let arming = matches!(mode, Mode::Arming { .. });
    for (index, (_, axis)) in feedback::axes(config, inputs).enumerate() {
        let as_told = match axis.state {
            AxisState::Enabled => true,
            AxisState::Ready | AxisState::Enabling => arming,
            _ => false,
        };
        let fault = axis.state == AxisState::Fault;
        let silent = !axis.alive || axis.state == AxisState::Offline;
        worst.note(fault, Cause::DriveFault, index, reactions.drive_fault);
        worst.note(silent, Cause::DriveLost, index, reactions.drive_fault);
        worst.note(!as_told, Cause::DriveLeft, index, reactions.drive_fault);
        let stale = !feedback::is_fresh(config, axis);
        worst.note(stale, Cause::FeedbackStale, index, reactions.feedback_stale);
    }
}

fn positions(config: &Config, inputs: &Inputs, setpoints: &[Motion], worst: &mut Worst) {
    let reaction = config.reactions.limit_passed;
    let axes = feedback::axes(config, inputs).zip(setpoints).enumerate();
    for (index, ((axis, measured), setpoint)) in axes {
        let (limits, position) = (&axis.limits, measured.position_rad);
        let room = limits.following_error_max_rad;
        let passed =
            position > limits.position_max_rad + room || position < limits.position_min_rad - room;
        let apart = (position - setpoint.position_rad).abs() > room;
        worst.note(passed, Cause::LimitPassed, index, reaction);
        worst.note(apart, Cause::FollowingError, index, reaction);
    }
}
