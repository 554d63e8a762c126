//! Why a command did not do what was asked, and the exit status for it.

use std::process::ExitCode;

use mechos_operator::{CallError, ConnectError};
use mechos_robot::RobotError;
use mechos_sim::control::ControlError;
use serde_json::{Value, json};

use crate::latency::LatencyError;
use crate::processes::SignalError;
use crate::runtime_dir::RuntimeDirError;
use crate::up::StartError;

/// Everything that a command may fail by.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The runtime directory.
    #[error(transparent)]
    RuntimeDir(#[from] RuntimeDirError),
    /// No connection to the daemon or the guardian.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A connection, and no answer to work with.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Neither the daemon nor the guardian took an emergency stop.
    #[error(
        "NOBODY TOOK THE EMERGENCY STOP: use the machine's own. mechos-rt: {rt}. Guardian: {guardian}"
    )]
    Estop {
        /// What the daemon's side said.
        rt: String,
        /// What the guardian's side said.
        guardian: String,
    },
    /// The simulator.
    #[error(transparent)]
    Sim(#[from] ControlError),
    /// The robot file.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// A process that was to be signalled.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// The machine did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is no measurement.
    #[error(transparent)]
    Latency(#[from] LatencyError),
    /// It did not end in the time given.
    #[error(
        "{what} did not end within {seconds} s; look at its log, then end it with `kill -9 {pid}`"
    )]
    Lingers {
        /// Its name.
        what: &'static str,
        /// Its process.
        pid: i32,
        /// How long was waited.
        seconds: u64,
    },
}

impl Failure {
    /// The exit status, as [`crate::cli::EXIT_CODES`] lists them.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code().0)
    }

    /// One object, of the form in which the daemon refuses.
    pub fn json(&self) -> Value {
        let mut error = json!({ "code": self.code().1, "text": self.to_string() });
        if let (Failure::Call(CallError::Refused(refusal)), Some(fields)) =
            (self, error.as_object_mut())
        {
            fields.insert("code".into(), json!(refusal.code));
            fields.insert("interlocks".into(), json!(refusal.interlocks));
        }
        if let (Failure::Robot(RobotError::Refused(refusal)), Some(fields)) =
            (self, error.as_object_mut())
        {
            fields.insert("file".into(), json!(refusal.file));
            fields.insert("line".into(), json!(refusal.line));
            fields.insert("key".into(), json!(refusal.key));
            fields.insert("found".into(), json!(refusal.found));
            fields.insert("allowed".into(), json!(refusal.allowed));
            fields.insert("mend".into(), json!(refusal.mend));
        }
        json!({ "ok": false, "error": error })
    }

    fn code(&self) -> (u8, &'static str) {
        match self {
            Failure::Call(CallError::Refused(_)) => (1, "refused"),
            Failure::Sim(ControlError::Refused(_)) => (1, "refused"),
            Failure::Estop { .. } => (1, "nobody-took-it"),
            Failure::Lingers { .. } => (1, "lingers"),
            Failure::Latency(error) => error.code(),
            Failure::Robot(_) => (2, "robot-file"),
            Failure::Start(StartError::Options(_)) => (2, "options"),
            Failure::Start(StartError::Robot(_) | StartError::RobotFile { .. }) => {
                (2, "robot-file")
            }
            Failure::RuntimeDir(error) if error.is_absence() => (3, "nothing-runs"),
            Failure::RuntimeDir(_) => (4, "runtime-directory"),
            Failure::Connect(_) | Failure::Call(_) | Failure::Sim(_) => (3, "no-answer"),
            Failure::Signal(_) => (3, "no-process"),
            Failure::Start(_) => (4, "not-started"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mechos_operator::{Refusal, RefusalCode};

    #[test]
    fn a_refusal_keeps_the_daemons_own_code() {
        let refusal = Refusal {
            code: RefusalCode::Interlocks,
            text: "open interlocks: fence".into(),
            interlocks: vec!["fence".into()],
        };
        let failure = Failure::from(CallError::Refused(refusal));
        let json = failure.json();
        assert_eq!(json["error"]["code"], "interlocks");
        assert_eq!(json["error"]["interlocks"][0], "fence");
        assert_eq!(failure.code().0, 1);
    }

    #[test]
    fn a_wrong_robot_file_is_told_part_by_part() {
        let error = mechos_robot::Robot::parse("name = 3\n", "wrong.toml").unwrap_err();
        let failure = Failure::from(error);
        assert_eq!(failure.json()["error"]["file"], "wrong.toml");
        assert_eq!(failure.json()["error"]["line"], 1);
        assert_eq!(failure.code().0, 2);
    }

    #[test]
    fn silence_and_refusal_have_different_codes() {
        let path = std::path::PathBuf::from("/o.sock");
        assert_eq!(Failure::from(ConnectError::NothingListens { path: path.clone() }).code().0, 3);
        assert_eq!(Failure::from(CallError::TimedOut { path, timeout_ms: 5 }).code().0, 3);
    }
}
