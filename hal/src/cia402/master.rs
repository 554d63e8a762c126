//! The master of one CiA 402 drive: set-up, power, setpoints, and what it makes of the drive's
//! heartbeats, boot-ups, errors and silence.

use super::Config;
use super::objects::{self, ERROR_CODE, MODE_CSP, MODE_DISPLAY, PowerState};
use super::observed::Observed;
use super::power::{Order, Power, View};
use super::sequence::{Heard, Progress, SDO_TIMEOUT_NS, Sequence};
use super::setup;
use super::units::Scaled;
use crate::bus::Received;
use crate::canopen::heartbeat::{self, Consumer, NmtState};
use crate::canopen::sdo::{self, Outcome, Request, Size};
use crate::drive::{
    ConfigError, Drive, DriveCommand, DriveFeedback, DriveGoal, DriveState, HostFault, Outbox,
    SetupError,
};
use crate::network::is_stopped;

/// A status counts as fresh for so many periods (or the heartbeat's time, where that is longer).
const FRESH_PERIODS: u64 = 10;

/// Where the master is with its drive.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Looking for it, stopping it, configuring it. Entered at start, after a boot-up or a silence
    /// without power, and on an operator's edge out of the two phases below.
    SettingUp,
    /// Configured and verified; left on loss or a host's fault.
    Operating(Power),
    /// Lost while powered. Left on an operator's edge only.
    Lost(HostFault),
    /// The set-up failed. Left on an operator's edge, or when the drive restarts.
    Misconfigured(SetupError),
}

/// The master of one CiA 402 drive.
pub struct Cia402 {
    node: u8,
    stop_cob_id: u16,
    host_node: u8,
    scaled: Scaled,
    fresh_max_ns: u64,
    phase: Phase,
    sequence: Sequence,
    sdo: sdo::Client,
    heartbeat: Consumer,
    heard: Heard,
    observed: Observed,
    goal: DriveGoal,
    fault_resets: Option<u32>,
    /// An operator's edge that has not been carried out yet.
    is_reset_pending: bool,
    is_mode_verified: bool,
    /// The error code of the present fault has been asked for.
    is_code_asked: bool,
    /// What the outstanding request of an operating drive is for.
    question: Option<Question>,
}

/// What an operating drive is asked by SDO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// The mode in force, before operation is enabled.
    Mode,
    /// The code of a fault whose emergency message was missed.
    ErrorCode,
}

impl Cia402 {
    /// A drive of which nothing has been heard yet.
    ///
    /// # Errors
    /// Names the value that cannot be, and what it may be.
    pub fn new(config: &Config) -> Result<Cia402, ConfigError> {
        let scaled = Scaled::new(config)?;
        let steps = setup::steps(config, &scaled);
        Ok(Cia402 {
            node: config.node,
            stop_cob_id: config.stop_cob_id,
            host_node: config.host_node,
            scaled,
            fresh_max_ns: (FRESH_PERIODS * config.period_ns).max(config.heartbeat_timeout_ns),
            phase: Phase::SettingUp,
            sequence: Sequence::new(config, steps),
            sdo: sdo::Client::new(config.node, SDO_TIMEOUT_NS),
            heartbeat: Consumer::new(config.node, config.heartbeat_timeout_ns),
            heard: Heard::default(),
            observed: Observed::new(config.node),
            goal: DriveGoal::Off,
            fault_resets: None,
            is_reset_pending: false,
            is_mode_verified: false,
            is_code_asked: false,
            question: None,
        })
    }

    /// The drive has power, or was about to get it: its loss now is a fault.
    fn is_powered(&self) -> bool {
        match self.phase {
            Phase::Operating(power) => {
                power.is_wanted() || self.observed.state().is_some_and(PowerState::is_powered)
            }
            _ => false,
        }
    }

    fn set_up_again(&mut self) {
        self.phase = Phase::SettingUp;
        self.sequence.restart();
        self.sdo.give_up();
        self.question = None;
        self.heard = Heard::default();
    }

    /// The drive is not what it was: a fault where it had power, else set up again by itself.
    fn lose(&mut self, fault: HostFault) {
        match self.phase {
            Phase::Operating(_) if self.is_powered() => self.phase = Phase::Lost(fault),
            Phase::Operating(_) => self.set_up_again(),
            Phase::SettingUp | Phase::Lost(_) | Phase::Misconfigured(_) => {}
        }
    }

    fn heard_heartbeat(&mut self, state: NmtState, time_ns: u64) {
        match state {
            NmtState::BootUp => {
                self.lose(HostFault::Rebooted);
                self.observed.forget();
                if !matches!(self.phase, Phase::Lost(_)) {
                    self.set_up_again();
                }
                self.sdo.reset();
            }
            NmtState::Operational => self.heard.operational_ns = Some(time_ns),
            NmtState::PreOperational | NmtState::Stopped => self.lose(HostFault::LeftOperational),
        }
    }

    /// Notices an operator's edge and carries it out where it can be.
    fn see_resets(&mut self, command: &DriveCommand) {
        let before = self.fault_resets.replace(command.fault_resets);
        if before.is_some_and(|before| before != command.fault_resets) {
            self.is_reset_pending = true;
            if matches!(self.phase, Phase::Lost(_) | Phase::Misconfigured(_)) {
                self.set_up_again();
            }
        }
    }

    /// A pending edge meets a configured drive: a fault is left, anything else needs nothing.
    fn reset(&mut self, now_ns: u64, power: &mut Power) {
        if self.goal == DriveGoal::Enabled {
            // An edge is not kept for a fault that comes after it.
            self.is_reset_pending = false;
        }
        if self.is_reset_pending && self.goal == DriveGoal::Off {
            self.is_reset_pending = false;
            match self.observed.state() {
                Some(PowerState::Fault) => power.reset(now_ns),
                // Still braking: the edge waits for it.
                Some(PowerState::FaultReaction) => self.is_reset_pending = true,
                _ => self.observed.set_error_code(0),
            }
        }
    }

    fn is_fresh(&self, now_ns: u64) -> bool {
        let position = self.observed.position();
        position.is_some_and(|(at_ns, _)| now_ns.saturating_sub(at_ns) <= self.fresh_max_ns)
    }

    fn send(&mut self, order: Order, setpoint_rad: f64, out: &mut Outbox) {
        let measured = self.observed.position().map_or(0, |(_, counts)| counts);
        let (word, target) = match order {
            Order::Nothing => return,
            Order::Hold(word) => (word, measured),
            Order::Follow => match self.scaled.counts(setpoint_rad) {
                Some(counts) => (objects::Controlword::ENABLE_OPERATION, counts),
                None => {
                    self.phase = Phase::Lost(HostFault::SetpointRange);
                    return;
                }
            },
            Order::Fail(fault) => {
                self.phase = Phase::Lost(fault);
                return;
            }
        };
        // One frame a drive and tick: `network::DRIVES_MAX` leaves room.
        let _ = out.push(objects::setpoint(self.node, word, target));
    }

    /// Reads what only SDO can tell while the drive operates.
    fn ask(&mut self, now_ns: u64, power: Power, out: &mut Outbox) -> bool {
        let is_enabling = matches!(power, Power::Enabling { .. });
        if let Some(outcome) = self.sdo.poll(now_ns) {
            match (self.question.take(), outcome) {
                (Some(Question::ErrorCode), Outcome::Done(code)) => {
                    self.observed.set_error_code(u16::try_from(code).unwrap_or(u16::MAX));
                }
                (Some(Question::Mode), Outcome::Done(mode)) if mode == u32::from(MODE_CSP) => {
                    self.is_mode_verified = is_enabling;
                }
                (Some(Question::Mode), _) if is_enabling => {
                    self.phase = Phase::Lost(HostFault::Mode);
                }
                _ => {}
            }
            return false;
        }
        let is_fault = self.observed.state() == Some(PowerState::Fault);
        let request = if self.sdo.is_busy() {
            return false;
        } else if is_enabling && !self.is_mode_verified {
            self.question = Some(Question::Mode);
            Request::Read(MODE_DISPLAY, Size::One)
        } else if is_fault && self.observed.error_code() == 0 && !self.is_code_asked {
            self.is_code_asked = true;
            self.question = Some(Question::ErrorCode);
            Request::Read(ERROR_CODE, Size::Two)
        } else {
            return false;
        };
        out.push(self.sdo.begin(request, now_ns)).is_ok()
    }
}

impl Drive for Cia402 {
    fn on_frame(&mut self, received: &Received) {
        let Received { frame, time_ns, echo } = received;
        if frame.id() == u32::from(self.stop_cob_id) && frame.standard_data().is_some() {
            if let Phase::Operating(power) = &mut self.phase {
                power.stop_seen();
            }
            return;
        }
        if *echo {
            if heartbeat::decode(frame, self.host_node).is_some() {
                self.heard.host_ns = Some(*time_ns);
            }
            return;
        }
        self.sdo.on_frame(frame);
        if let Some(state) = self.heartbeat.on_frame(frame, *time_ns) {
            self.heard_heartbeat(state, *time_ns);
        } else if self.observed.on_frame(frame, *time_ns) {
            self.heard.status_ns = Some(*time_ns);
        }
    }

    fn cycle(&mut self, now_ns: u64, command: &DriveCommand, out: &mut Outbox) {
        self.goal = command.goal;
        self.see_resets(command);
        if !self.heartbeat.is_alive(now_ns) {
            self.lose(HostFault::HeartbeatLost);
        }
        if self.observed.state() != Some(PowerState::Fault) {
            self.is_code_asked = false;
        }
        let mut power = match self.phase {
            Phase::Operating(power) => power,
            // A lost drive may still hear: power is taken from it, never given.
            Phase::Lost(_) if self.observed.statusword().is_some() => Power::Dropped,
            _ => return,
        };
        if matches!(self.phase, Phase::Operating(_)) {
            self.reset(now_ns, &mut power);
        }
        let was_enabling = matches!(power, Power::Enabling { .. });
        let order = power.step(&View {
            now_ns,
            goal: self.goal,
            state: self.observed.state(),
            is_fresh: self.is_fresh(now_ns),
            is_mode_verified: self.is_mode_verified && was_enabling,
        });
        if !was_enabling {
            self.is_mode_verified = false;
        }
        if let Phase::Operating(kept) = &mut self.phase {
            *kept = power;
        }
        self.send(order, command.position_rad, out);
    }

    fn service(&mut self, now_ns: u64, out: &mut Outbox) -> bool {
        match self.phase {
            Phase::Operating(power) => return self.ask(now_ns, power, out),
            Phase::Lost(_) | Phase::Misconfigured(_) => return false,
            Phase::SettingUp => {}
        }
        let progress = self.sequence.service(now_ns, &mut self.sdo, &self.heard);
        if let Some(statusword) = self.sequence.take_statusword() {
            self.observed.set_statusword(statusword);
        }
        match progress {
            Progress::Waiting => false,
            Progress::Send(frame) => out.push(frame).is_ok(),
            Progress::Done => {
                // A goal that was already there is no order to give power: it has to change first.
                let is_wanted = self.goal == DriveGoal::Enabled;
                let power = if is_wanted { Power::Dropped } else { Power::Off };
                self.phase = Phase::Operating(power);
                false
            }
            Progress::Failed(error) => {
                self.phase = Phase::Misconfigured(error);
                self.is_reset_pending = false;
                false
            }
        }
    }

    fn leaves_room(&self) -> bool {
        self.phase == Phase::SettingUp && self.sequence.is_configuring()
    }

    fn feedback(&self, now_ns: u64) -> DriveFeedback {
        let (state, error) = match self.phase {
            Phase::SettingUp if self.sequence.is_probing() => (DriveState::Offline, None),
            Phase::SettingUp => (DriveState::Configuring, None),
            Phase::Operating(power) => (power.drive_state(self.observed.state()), None),
            Phase::Lost(_) => (DriveState::Fault, None),
            Phase::Misconfigured(error) => (DriveState::Misconfigured, Some(error)),
        };
        let fault_code = match self.phase {
            Phase::Lost(fault) => fault as u16,
            _ => self.observed.error_code(),
        };
        let position = self.observed.position();
        DriveFeedback {
            state,
            position_rad: position.map_or(0.0, |(_, counts)| self.scaled.position_rad(counts)),
            velocity_rad_s: self.observed.velocity_rad_s(&self.scaled),
            effort_nm: self.observed.effort_nm(&self.scaled),
            position_time_ns: position.map(|(time_ns, _)| time_ns),
            alive: self.heartbeat.is_alive(now_ns),
            homed: matches!(self.phase, Phase::Operating(_)) && position.is_some(),
            fault_code,
            statusword: self.observed.statusword().unwrap_or(0),
            error,
        }
    }

    fn stopped(&self) -> bool {
        match self.observed.statusword() {
            Some(statusword) => is_stopped(statusword),
            // It said that it has restarted, hence has no power, and nothing since.
            None => self.phase == Phase::Lost(HostFault::Rebooted),
        }
    }
}
