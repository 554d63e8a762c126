//! Why `mechos up` did not come up.

use std::io;
use std::path::{Path, PathBuf};

use mechos_robot::RobotError;
use mechos_sim::interface::InterfaceError;

use super::confine::ConfineError;
use crate::runtime_dir::RuntimeDirError;

/// Why the machine did not start. What had been started has been ended.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Options that do not go together, or not with this robot.
    #[error("{0}")]
    Options(String),
    /// An interface on which no drives may be simulated.
    #[error("--sim-drives: {0}")]
    Interface(#[from] InterfaceError),
    /// The robot file cannot be read.
    #[error("cannot read the robot file {}: {source}. Give one that exists with --robot; without --robot the built-in six-axis arm is used", path.display())]
    RobotFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The robot file is refused.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// The runtime directory.
    #[error(transparent)]
    RuntimeDir(#[from] RuntimeDirError),
    /// A program is not where this one is.
    #[error("{name} is not in {}, beside mechos: build all programs with `cargo build --release`", folder.display())]
    Missing {
        /// Its name.
        name: &'static str,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A file in the runtime directory.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another one runs.
    #[error("a machine runs in {} already (mechos up, process {pid}): look at it with `mechos status`, end it with `mechos down`, or start another with --runtime", runtime.display())]
    Runs {
        /// The runtime directory.
        runtime: PathBuf,
        /// Its process, 0 where unknown.
        pid: i32,
    },
    /// Processes of one that was killed run on.
    #[error("{names} of an earlier `mechos up` still run in {}: end them in order with `mechos down`", runtime.display())]
    LeftOver {
        /// The runtime directory.
        runtime: PathBuf,
        /// Which ones.
        names: String,
    },
    /// A process could not be started.
    #[error("cannot start {name}: {source}")]
    Spawn {
        /// Its name.
        name: &'static str,
        /// Why not.
        source: ConfineError,
    },
    /// A process died while it started.
    #[error("{name} {how} while it started. The end of {}:\n{tail}", log.display())]
    Ended {
        /// Its name.
        name: &'static str,
        /// How.
        how: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A process never answered.
    #[error("{name} did not answer within {seconds} s. The end of {}:\n{tail}", log.display())]
    Silent {
        /// Its name.
        name: &'static str,
        /// How long was waited.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The end was asked for before everything ran.
    #[error("ended by signal {0} before it was done")]
    Interrupted(i32),
    /// Signals cannot be watched.
    #[error("cannot watch for signals: {0}")]
    Signals(io::Error),
}

impl StartError {
    /// A file, what was tried with it, and why it failed.
    pub fn file(what: &'static str, path: &Path, source: io::Error) -> StartError {
        StartError::File { what, path: path.to_owned(), source }
    }
}
