//! Brings one drive from whatever it is doing to configured, verified and operational, without
//! power. One frame at a time, one SDO request outstanding.
//!
//! A drive may still run when its master starts (the daemon was restarted): it is told to stop by
//! SDO, which works whatever its PDOs are, and only then taken out of operational.

use super::Config;
use super::objects::{CONTROLWORD, Controlword, PowerState, STATUSWORD};
use super::setup::{Action, Step};
use crate::canopen::error::{Failure, SetupError};
use crate::canopen::sdo::{self, Outcome, Request, Size};
use crate::canopen::{Object, nmt};
use crate::frame::Frame;

/// Longest wait for one SDO answer, ns. Drives answer within milliseconds; a simulator on a busy
/// host may be kept waiting by its scheduler.
pub(super) const SDO_TIMEOUT_NS: u64 = 500 * NS_PER_MS;
/// Longest that a running drive may take to stop and give up power, ns.
const BRAKING_MAX_NS: u64 = 5_000 * NS_PER_MS;
/// After this time a drive that holds in quick stop has its power taken, ns.
const QUICK_STOP_MAX_NS: u64 = 2_000 * NS_PER_MS;
/// Longest wait after NMT start for heartbeats (beside their periods) and status, ns, and how often
/// it is tried.
const START_MAX_NS: u64 = 500 * NS_PER_MS;
const START_TRIES_MAX: u32 = 4;
const NS_PER_MS: u64 = 1_000_000;

/// What was on the bus without being asked for, for the sequence's last step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// When a heartbeat in operational last came, ns.
    pub operational_ns: Option<u64>,
    /// When a cyclic status last came, ns.
    pub status_ns: Option<u64>,
    /// When a heartbeat of the host was last on the wire, ns.
    pub host_ns: Option<u64>,
}

/// What one call of [`Sequence::service`] came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Progress {
    /// Waiting.
    Waiting,
    /// Send this.
    Send(Frame),
    /// The drive is configured, verified and operational.
    Done,
    /// The set-up failed.
    Failed(SetupError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Asking for the statusword until somebody answers.
    Probing,
    /// It runs: quick stop asked for at `since_ns`.
    Braking { since_ns: u64, asked: Asked },
    /// To be taken into pre-operational.
    PreOperational,
    /// At step `at` of the list; `reading`: reading (back).
    Steps { at: usize, reading: bool },
    /// NMT start sent `tries` times, last at `sent_ns`.
    Starting { sent_ns: u64, tries: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Stop,
    Status,
    PowerOff,
    StatusOff,
}

pub(super) struct Sequence {
    node: u8,
    /// Longest wait for what must be heard after NMT start.
    start_max_ns: u64,
    /// A drive's watchdog runs from the first heartbeat that it hears: without one since 1016 was
    /// written it would not stop by itself.
    needs_host: bool,
    steps: Vec<Step>,
    stage: Stage,
    /// Read by SDO, for whoever watches the drive.
    statusword: Option<u16>,
}

impl Sequence {
    pub fn new(config: &Config, steps: Vec<Step>) -> Sequence {
        let beats_ms = 2 * u64::from(config.heartbeat_ms) + u64::from(config.watchdog_ms);
        Sequence {
            node: config.node,
            start_max_ns: START_MAX_NS + beats_ms * NS_PER_MS,
            needs_host: config.watchdog_ms > 0,
            steps,
            stage: Stage::Probing,
            statusword: None,
        }
    }

    /// Begins again with nothing known of the drive.
    pub fn restart(&mut self) {
        self.stage = Stage::Probing;
        self.statusword = None;
    }

    /// Nobody has answered yet.
    pub fn is_probing(&self) -> bool {
        self.stage == Stage::Probing
    }

    /// The drive was told to be pre-operational, and not yet to start.
    pub fn is_configuring(&self) -> bool {
        matches!(self.stage, Stage::Steps { .. })
    }

    /// A statusword read by SDO that has not been taken yet.
    pub fn take_statusword(&mut self) -> Option<u16> {
        self.statusword.take()
    }

    /// Goes on as far as one frame goes.
    pub fn service(&mut self, now_ns: u64, sdo: &mut sdo::Client, heard: &Heard) -> Progress {
        if let Stage::Starting { sent_ns, tries } = self.stage {
            return self.starting(now_ns, sent_ns, tries, heard);
        }
        let ended = sdo.poll(now_ns);
        if ended.is_none() && sdo.is_busy() {
            return Progress::Waiting;
        }
        if let Some(outcome) = ended {
            match self.take(now_ns, outcome) {
                Ok(None) => {}
                Ok(Some(frame)) => return Progress::Send(frame),
                Err(error) => return Progress::Failed(error),
            }
        }
        if self.stage == Stage::PreOperational {
            self.stage = Stage::Steps { at: 0, reading: false };
            return Progress::Send(nmt::command(nmt::Command::EnterPreOperational, self.node));
        }
        match self.request() {
            Some(request) => Progress::Send(sdo.begin(request, now_ns)),
            None => self.start(now_ns, 1),
        }
    }

    /// What to ask at this stage; `None` when all steps are done.
    fn request(&self) -> Option<Request> {
        Some(match self.stage {
            Stage::Braking { asked: Asked::Stop, .. } => {
                Request::Write(CONTROLWORD, Size::Two, Controlword::QUICK_STOP.into())
            }
            Stage::Braking { asked: Asked::PowerOff, .. } => {
                Request::Write(CONTROLWORD, Size::Two, Controlword::DISABLE_VOLTAGE.into())
            }
            Stage::Probing | Stage::Braking { .. } => Request::Read(STATUSWORD, Size::Two),
            Stage::Steps { at, reading } => {
                let step = self.steps.get(at)?;
                match step.action {
                    Action::Write(value) | Action::WriteIfThere(value) if !reading => {
                        Request::Write(step.object, step.size, value)
                    }
                    _ => Request::Read(step.object, step.size),
                }
            }
            Stage::PreOperational | Stage::Starting { .. } => return None,
        })
    }

    /// Takes the end of the stage's request; may give an NMT frame to send.
    fn take(&mut self, now_ns: u64, outcome: Outcome) -> Result<Option<Frame>, SetupError> {
        match self.stage {
            Stage::Probing => match outcome {
                Outcome::Done(value) => self.probed(now_ns, value),
                Outcome::Aborted(_) => return Err(self.failed(outcome)),
                // Answers to somebody who asked before this master began are let pass.
                Outcome::WrongAnswer { .. } => {}
                Outcome::TimedOut => {
                    // It may be in NMT stopped, where SDO is dead.
                    return Ok(Some(nmt::command(nmt::Command::EnterPreOperational, self.node)));
                }
            },
            Stage::Braking { since_ns, asked } => {
                let Outcome::Done(value) = outcome else { return Err(self.failed(outcome)) };
                self.braked(now_ns, since_ns, asked, value)?;
            }
            Stage::Steps { at, reading } => self.stepped(at, reading, outcome)?,
            Stage::PreOperational | Stage::Starting { .. } => {}
        }
        Ok(None)
    }

    fn note(&mut self, value: u32) -> Option<PowerState> {
        let statusword = statusword(value);
        self.statusword = Some(statusword);
        PowerState::decode(statusword)
    }

    fn probed(&mut self, now_ns: u64, value: u32) {
        let powered = self.note(value).is_none_or(PowerState::is_powered);
        self.stage = if powered {
            Stage::Braking { since_ns: now_ns, asked: Asked::Stop }
        } else {
            Stage::PreOperational
        };
    }

    fn braked(
        &mut self,
        now_ns: u64,
        since_ns: u64,
        asked: Asked,
        value: u32,
    ) -> Result<(), SetupError> {
        let elapsed_ns = now_ns.saturating_sub(since_ns);
        let next = match asked {
            Asked::Stop => Asked::Status,
            Asked::PowerOff => Asked::StatusOff,
            Asked::Status | Asked::StatusOff => {
                let state = self.note(value);
                let holds = state == Some(PowerState::QuickStopActive);
                if state.is_some_and(|state| !state.is_powered()) {
                    if asked == Asked::StatusOff || state == Some(PowerState::Fault) {
                        self.stage = Stage::PreOperational;
                        return Ok(());
                    }
                    Asked::PowerOff
                } else if elapsed_ns > BRAKING_MAX_NS {
                    let failure = Failure::StillPowered { statusword: statusword(value) };
                    return Err(self.error(STATUSWORD, "statusword", failure));
                } else if holds && asked == Asked::Status && elapsed_ns > QUICK_STOP_MAX_NS {
                    Asked::PowerOff
                } else {
                    asked
                }
            }
        };
        self.stage = Stage::Braking { since_ns, asked: next };
        Ok(())
    }

    fn stepped(&mut self, at: usize, reading: bool, outcome: Outcome) -> Result<(), SetupError> {
        let Some(&step) = self.steps.get(at) else { return Ok(()) };
        let next = Stage::Steps { at: at + 1, reading: false };
        let absent = matches!(outcome, Outcome::Aborted(0x0602_0000 | 0x0609_0011));
        if absent && matches!(step.action, Action::WriteIfThere(_)) {
            self.stage = next;
            return Ok(());
        }
        let Outcome::Done(found) = outcome else { return Err(self.failed(outcome)) };
        let differs = |expected: u32| (found ^ expected) & step.mask != 0;
        match step.action {
            Action::Write(_) | Action::WriteIfThere(_) if !reading => {
                self.stage = Stage::Steps { at, reading: true };
                return Ok(());
            }
            Action::Identify(expected) if differs(expected) => {
                let failure = Failure::Identity { expected, found };
                return Err(self.error(step.object, step.name, failure));
            }
            Action::Verify(written) | Action::Write(written) | Action::WriteIfThere(written)
                if differs(written & step.size.mask()) =>
            {
                let failure = Failure::ReadBack { written, found };
                return Err(self.error(step.object, step.name, failure));
            }
            _ => {}
        }
        self.stage = next;
        Ok(())
    }

    fn start(&mut self, now_ns: u64, tries: u32) -> Progress {
        self.stage = Stage::Starting { sent_ns: now_ns, tries };
        Progress::Send(nmt::command(nmt::Command::Start, self.node))
    }

    fn starting(&mut self, now_ns: u64, sent_ns: u64, tries: u32, heard: &Heard) -> Progress {
        let since = |time_ns: Option<u64>| time_ns.is_some_and(|time_ns| time_ns > sent_ns);
        let limit_ns = self.start_max_ns;
        let is_watched = !self.needs_host || since(heard.host_ns);
        if since(heard.operational_ns) && since(heard.status_ns) && is_watched {
            Progress::Done
        } else if now_ns.saturating_sub(sent_ns) <= limit_ns {
            Progress::Waiting
        } else if tries < START_TRIES_MAX {
            self.start(now_ns, tries + 1)
        } else {
            let limit_ms = milliseconds(limit_ns * u64::from(START_TRIES_MAX));
            let failure = Failure::NotStarted { limit_ms };
            Progress::Failed(self.error(STATUSWORD, "cyclic statusword", failure))
        }
    }

    /// The error of the stage's request, by how it ended.
    fn failed(&self, outcome: Outcome) -> SetupError {
        let failure = match outcome {
            Outcome::Aborted(code) => Failure::Aborted { code },
            Outcome::WrongAnswer { command, object } => Failure::WrongAnswer { command, object },
            Outcome::TimedOut | Outcome::Done(_) => {
                Failure::TimedOut { limit_ms: milliseconds(SDO_TIMEOUT_NS) }
            }
        };
        let (object, name) = match self.stage {
            Stage::Steps { at, .. } => {
                self.steps.get(at).map_or((STATUSWORD, "end"), |step| (step.object, step.name))
            }
            Stage::Braking { asked: Asked::Stop | Asked::PowerOff, .. } => {
                (CONTROLWORD, "controlword")
            }
            _ => (STATUSWORD, "statusword"),
        };
        self.error(object, name, failure)
    }

    fn error(&self, object: Object, name: &'static str, failure: Failure) -> SetupError {
        SetupError { node: self.node, object, name, failure }
    }
}

fn statusword(value: u32) -> u16 {
    u16::try_from(value & 0xFFFF).unwrap_or(0)
}

fn milliseconds(ns: u64) -> u32 {
    u32::try_from(ns / NS_PER_MS).unwrap_or(u32::MAX)
}
