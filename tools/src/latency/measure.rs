//! One turn: the machine armed, the planner writing, everything counted from one mark to another.

use std::path::Path as FilePath;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mechos_operator::Status;
use mechos_robot::Robot;

use super::children::Helper;
use super::error::LatencyError;
use super::machine::{self, Machine};
use super::options::LatencyOptions;
use super::path::{Distribution, Path};
use super::peer::PeerReport;
use super::window::{Mark, Window};
use crate::failure::Failure;
use crate::up::signals::Asked;

/// How long the planner may take to connect, and to end.
const PLANNER_MAX: Duration = Duration::from_secs(30);
/// Between two looks at the daemon while it is measured.
const WATCH: Duration = Duration::from_millis(500);
/// Between two looks at signals.
const LOOK: Duration = Duration::from_millis(20);
/// How much longer than its nominal length a number of cycles may take.
const SLACK: Duration = Duration::from_secs(30);

/// How long is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So long.
    Time(Duration),
    /// So many ticks at least.
    Cycles(u64),
}

/// What one or several turns found.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Every path, in the order of the way from the timer to the planner.
    pub distributions: Vec<Distribution>,
    /// What else happened.
    pub window: Window,
    /// What the planner did.
    pub planner: PeerReport,
    /// The daemon's state at the end.
    pub status: Status,
}

impl Measured {
    /// Takes another turn's.
    pub fn add(&mut self, other: &Measured) {
        for (sum, part) in self.distributions.iter_mut().zip(&other.distributions) {
            sum.add(part);
        }
        self.window.add(&other.window);
        let (planner, more) = (&mut self.planner, &other.planner);
        planner.written += more.written;
        planner.returned += more.returned;
        planner.refused += more.refused;
        for (sum, part) in planner.quarters.iter_mut().zip(more.quarters) {
            *sum += part;
        }
        planner.ticks_unseen += more.ticks_unseen;
        planner.reasons.extend(more.reasons.iter().cloned());
        planner.reasons.sort();
        planner.reasons.dedup();
        self.status.clone_from(&other.status);
    }
}

/// What one turn needs.
pub struct Turn<'a> {
    /// As asked for.
    pub options: &'a LatencyOptions,
    /// The robot.
    pub robot: &'a Robot,
    /// Where the machine runs.
    pub runtime: &'a FilePath,
    /// How long.
    pub length: Length,
    /// For the planner's times.
    pub seed: u64,
    /// Ctrl-C.
    pub asked: &'a Asked,
}

impl Turn<'_> {
    /// Measures and disarms; the machine runs on.
    ///
    /// # Errors
    /// [`Failure`]: the machine does not arm, does not stay armed, or does not answer.
    pub fn measure(&self, machine: &Machine) -> Result<Measured, Failure> {
        let mut planner = self.planner(machine.status()?.schedule_start_ns)?;
        planner.line(PLANNER_MAX)?;
        machine.arm()?;
        self.pause(self.options.warm_up)?;
        planner.say("reset")?;
        machine.distributions(true)?;
        let begin = Mark::new(machine.status()?);
        self.wait(machine, &begin, &mut planner)?;
        let distributions = machine.distributions(false)?;
        let status = machine.status()?;
        still_armed(&status)?;
        planner.say("end")?;
        let told = planner.line(PLANNER_MAX)?;
        let report: PeerReport = serde_json::from_str(&told)
            .map_err(|error| planner.failed(format!("its report cannot be read: {error}")))?;
        machine.disarm()?;
        planner.end(PLANNER_MAX)?;
        let seen = match &report.feedback_seen {
            Some(carried) => carried.unpack(Path::FeedbackSeen).map_err(LatencyError::from)?,
            None => Distribution::empty(Path::FeedbackSeen).map_err(LatencyError::from)?,
        };
        let window = begin.until(&Mark::new(status.clone()));
        let distributions = distributions.into_iter().chain([seen]).collect();
        Ok(Measured { distributions, window, planner: report, status })
    }

    fn planner(&self, schedule_start_ns: u64) -> Result<Helper, LatencyError> {
        let mut command: Command = machine::own_program()?;
        command.arg("latency-peer").arg("--runtime").arg(self.runtime);
        command.arg("--seed").arg(self.seed.to_string());
        command.arg("--schedule-start-ns").arg(schedule_start_ns.to_string());
        command.arg("--avoid-cpu").arg(self.robot.threads.control.cpu.to_string());
        if let Some((uid, gid)) = machine::planner(self.robot)? {
            use std::os::unix::process::CommandExt;
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
        Helper::start("the measuring planner", command)
    }

    /// Waits until all of the window is over.
    fn wait(&self, machine: &Machine, begin: &Mark, planner: &mut Helper) -> Result<(), Failure> {
        let from = Instant::now();
        match self.length {
            Length::Time(length) => {
                while let Some(left) = length.checked_sub(from.elapsed()) {
                    self.pause(left.min(WATCH))?;
                    self.watch(machine, planner)?;
                }
            }
            Length::Cycles(wanted) => {
                let nominal =
                    Duration::from_secs_f64(wanted as f64 / f64::from(self.robot.rate_hz));
                let patience = nominal * 2 + SLACK;
                loop {
                    let found = self.watch(machine, planner)?.ticks.saturating_sub(begin.ticks());
                    if found >= wanted {
                        break;
                    }
                    if from.elapsed() > patience {
                        let seconds = patience.as_secs();
                        return Err(LatencyError::Slow { found, wanted, seconds }.into());
                    }
                    self.pause(WATCH)?;
                }
            }
        }
        Ok(())
    }

    fn watch(&self, machine: &Machine, planner: &mut Helper) -> Result<Status, Failure> {
        if let Some(how) = planner.ended() {
            return Err(planner.failed(format!("{how} while it was to measure")).into());
        }
        let status = machine.status()?;
        still_armed(&status)?;
        Ok(status)
    }

    fn pause(&self, length: Duration) -> Result<(), LatencyError> {
        pause(length, self.asked)
    }
}

fn still_armed(status: &Status) -> Result<(), LatencyError> {
    if status.mode == "armed" {
        return Ok(());
    }
    Err(LatencyError::Stopped(crate::report::mode_words(status)))
}

/// Sleeps, but not through a signal that asks for the end.
///
/// # Errors
/// [`LatencyError::Interrupted`].
pub fn pause(length: Duration, asked: &Asked) -> Result<(), LatencyError> {
    let until = Instant::now() + length;
    loop {
        if let Some(signal) = asked.signal() {
            return Err(LatencyError::Interrupted(signal));
        }
        match until.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => sleep(left.min(LOOK)),
            _ => return Ok(()),
        }
    }
}
