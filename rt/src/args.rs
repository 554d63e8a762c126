//! What the daemon is told on its command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use shm_protocol::records::Cause;

use crate::shared::StopsDisabled;

/// One of the five independent ways to a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StopPath {
    /// The kernel's reactions to faults.
    Kernel,
    /// The deadline thread.
    Deadline,
    /// The guardian process.
    Guardian,
    /// The drives' own watchdogs.
    Watchdog,
    /// The hardware registry's `Drop`.
    Drop,
}

/// Why a restarted daemon begins Halted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BeginHalted {
    /// The real-time process before this one was lost.
    RtLost,
}

impl BeginHalted {
    /// The cause to latch.
    pub fn cause(self) -> Cause {
        match self {
            BeginHalted::RtLost => Cause::RtLost,
        }
    }
}

/// The MechOS real-time daemon: checks and shapes every intent and speaks CAN to the drives.
#[derive(Clone, Debug, Parser)]
#[command(name = "mechos-rt", version)]
pub struct Args {
    /// The robot file.
    #[arg(long, value_name = "FILE")]
    pub robot: PathBuf,
    /// The runtime directory with the sockets.
    #[arg(long, value_name = "DIR")]
    pub runtime: PathBuf,
    /// Switch a stop path off; simulated buses only, and no robot file with `require_certificate`
    /// is armed then. May be repeated.
    #[arg(long, value_name = "PATH")]
    pub disable_stop: Vec<StopPath>,
    /// Begin Halted, as after a loss: an operator must reset first.
    #[arg(long, value_name = "CAUSE")]
    pub begin_halted: Option<BeginHalted>,
    /// Arm on a real bus although the host does not grant real time; never beside a robot file with
    /// `require_certificate`.
    #[arg(long)]
    pub allow_no_rt: bool,
    /// Hold simulated buses to the rule of real ones: arm only while every real-time thread has
    /// what was asked for it.
    #[arg(long, conflicts_with = "allow_no_rt")]
    pub demand_rt: bool,
    /// Take `mechos fault` on a real bus too: for tests of the stops, with the motors' power off or
    /// nobody in reach. Beside a robot file with `require_certificate` nothing is armed then.
    #[arg(long)]
    pub allow_faults: bool,
    /// The report of `mechos certify` that a robot file with `require_certificate` arms by.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// Arm without a certificate, to make one: set by `mechos certify`, shown in the status.
    #[arg(long, conflicts_with_all = ["certificate", "disable_stop"])]
    pub certifying: bool,
    /// The user that cognition runs as; the daemon's own is accepted for simulated buses only.
    #[arg(long, value_name = "UID")]
    pub cognition_uid: Option<u32>,
}

/// What a refused fault is answered on a real bus.
pub const FAULTS_REFUSED: &str = "faults are injected on simulated buses only; for a test on a real \
     or virtual CAN bus start with --allow-faults (mechos up --allow-faults)";

impl Args {
    /// The switched-off stop paths.
    pub fn stops_disabled(&self) -> StopsDisabled {
        let off = |path| self.disable_stop.contains(&path);
        StopsDisabled {
            kernel: off(StopPath::Kernel),
            deadline: off(StopPath::Deadline),
            guardian: off(StopPath::Guardian),
            watchdog: off(StopPath::Watchdog),
            drop: off(StopPath::Drop),
        }
    }
}
