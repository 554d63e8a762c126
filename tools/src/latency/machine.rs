//! The machine that is measured: a `mechos up` of its own, or one that runs already.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mechos_operator::{Client, Command as Ask, LatencyPath, OPERATOR_SOCKET, Status};
use mechos_robot::Robot;
use nix::unistd::{Gid, Uid, User};

use super::children::Helper;
use super::error::LatencyError;
use super::options::LatencyOptions;
use super::path::Distribution;
use crate::failure::Failure;
use crate::operator::{self, ANSWER_MAX};
use crate::runtime_dir;

/// How long starting, and ending in order, may take.
const START_MAX: Duration = Duration::from_secs(60);
/// How long an operator is waited for to arm what is not ours.
const OPERATOR_MAX: Duration = Duration::from_secs(60);
/// How long interlocks may take to close.
const CLOSING_MAX: Duration = Duration::from_secs(20);
/// How long a controlled stop may take.
const DISARM_MAX: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(50);

/// The machine, from start to end.
pub struct Machine {
    runtime: PathBuf,
    up: Option<Helper>,
    /// The planner's group may pass through the runtime directory.
    opened: bool,
}

impl Machine {
    /// Starts one without a planner, unarmed.
    ///
    /// # Errors
    /// [`LatencyError::NotStarted`] with the reason that `mechos up` gave.
    pub fn start(
        options: &LatencyOptions,
        robot: &Robot,
        robot_file: &Path,
        runtime: &Path,
    ) -> Result<Machine, Failure> {
        let mut command = own_program()?;
        command.args(["up", "--no-cognition", "--no-arm", "--json", "--until-stdin-ends"]);
        command.arg("--robot").arg(robot_file).arg("--runtime").arg(runtime);
        if options.sim_drives {
            command.arg("--sim-drives");
        }
        command.stderr(Stdio::null());
        let mut up = Helper::start("mechos up", command)?;
        let until = Instant::now() + START_MAX;
        while status(runtime).is_err() {
            if up.ended().is_some() || Instant::now() >= until {
                let said = up.line(Duration::from_secs(1)).unwrap_or_default();
                return Err(LatencyError::NotStarted(reason(&said)).into());
            }
            sleep(LOOK);
        }
        let group = planner(robot)?.map(|(_, group)| group);
        if group.is_some() {
            runtime_dir::prepare(Some(runtime), group)?;
        }
        Ok(Machine { runtime: runtime.to_owned(), up: Some(up), opened: group.is_some() })
    }

    /// One that runs already.
    pub fn attach(runtime: &Path) -> Machine {
        Machine { runtime: runtime.to_owned(), up: None, opened: false }
    }

    /// Arms it, or waits until an operator has armed what is not ours.
    ///
    /// # Errors
    /// The daemon's refusal, or [`LatencyError::NotArmed`].
    pub fn arm(&self) -> Result<(), Failure> {
        let until = Instant::now() + OPERATOR_MAX;
        if self.up.is_some() {
            operator::arm(&self.runtime, CLOSING_MAX)?;
        }
        loop {
            let status = self.status()?;
            if status.mode == "armed" {
                return Ok(());
            }
            if Instant::now() >= until || status.mode == "halted" {
                let mend =
                    "arm it with `mechos arm`, without a planner (`mechos up --no-cognition`)";
                return Err(LatencyError::NotArmed {
                    seconds: OPERATOR_MAX.as_secs(),
                    mode: crate::report::mode_words(&status),
                    mend: mend.to_owned(),
                }
                .into());
            }
            sleep(LOOK);
        }
    }

    /// Controlled stop and power off, before its planner leaves.
    ///
    /// # Errors
    /// The daemon's refusal, or [`LatencyError::Ended`].
    pub fn disarm(&self) -> Result<(), Failure> {
        operator::call(&self.runtime, OPERATOR_SOCKET, Ask::Disarm, ANSWER_MAX)?;
        let until = Instant::now() + DISARM_MAX;
        loop {
            let status = self.status()?;
            match status.mode.as_str() {
                "disarmed" => return Ok(()),
                "armed" | "stopping" if Instant::now() < until => sleep(LOOK),
                _ => return Err(LatencyError::Ended(crate::report::mode_words(&status)).into()),
            }
        }
    }

    /// The daemon's state.
    ///
    /// # Errors
    /// No answer.
    pub fn status(&self) -> Result<Status, Failure> {
        status(&self.runtime)
    }

    /// The daemon's distributions; with `reset` they are empty afterwards.
    ///
    /// # Errors
    /// No answer, a refusal, or an answer that cannot be read.
    pub fn distributions(&self, reset: bool) -> Result<Vec<Distribution>, Failure> {
        let mut client = Client::connect(self.runtime.join(OPERATOR_SOCKET), ANSWER_MAX)?;
        let mut all = Vec::new();
        for path in LatencyPath::ALL {
            let told = client.call(Ask::Latency { path, reset })?.latency;
            let told = told.ok_or_else(|| {
                LatencyError::Stopped("mechos-rt answered without a distribution".to_owned())
            })?;
            all.push(Distribution::from_daemon(&told).map_err(LatencyError::from)?);
        }
        Ok(all)
    }

    /// Ends it in order, where it is ours.
    ///
    /// # Errors
    /// [`LatencyError::Ended`] with the reason.
    pub fn end(mut self) -> Result<(), LatencyError> {
        let Some(up) = self.up.take() else { return Ok(()) };
        let (lines, well) = up.end(START_MAX)?;
        if self.opened {
            // The next `mechos up` here has no planner and wants it closed.
            let closed = Permissions::from_mode(0o700);
            std::fs::set_permissions(&self.runtime, closed)
                .map_err(|source| LatencyError::file("close", &self.runtime, source))?;
        }
        let said = lines.last().map(String::as_str).unwrap_or_default();
        if well { Ok(()) } else { Err(LatencyError::Ended(reason(said))) }
    }
}

/// This program again, for a helper.
///
/// # Errors
/// [`LatencyError::File`] where its own path is not known.
pub fn own_program() -> Result<Command, LatencyError> {
    let own = std::env::current_exe()
        .map_err(|source| LatencyError::file("find the path of", Path::new("mechos"), source))?;
    Ok(Command::new(own))
}

/// User and group that the robot file keeps for the planner, where they are not ours.
///
/// # Errors
/// [`LatencyError::Options`] for a user whom the system does not know.
pub fn planner(robot: &Robot) -> Result<Option<(Uid, Gid)>, LatencyError> {
    let Some(uid) = robot.cognition.uid.map(Uid::from_raw) else { return Ok(None) };
    if uid == nix::unistd::geteuid() {
        return Ok(None);
    }
    match User::from_uid(uid) {
        Ok(Some(user)) => Ok(Some((user.uid, user.gid))),
        _ => Err(LatencyError::Options(format!(
            "the robot file's planner is user {uid}, and there is none; make one with `useradd \
             --system NAME`"
        ))),
    }
}

fn status(runtime: &Path) -> Result<Status, Failure> {
    Ok(Client::connect(runtime.join(OPERATOR_SOCKET), ANSWER_MAX)?.status()?)
}

/// The reason in the JSON object of `mechos up`.
fn reason(said: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(said).unwrap_or_default();
    let found = ["/reason", "/error/text"].iter().find_map(|at| value.pointer(at)?.as_str());
    found.map_or_else(|| "it gave no reason".to_owned(), str::to_owned)
}
