//! The words of `mechos fault`.

use clap::{Subcommand, ValueEnum};

/// The faults.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum FaultKind {
    /// The control thread computes nothing for so many ms.
    StallControl {
        /// How long, ms.
        #[arg(value_parser = clap::value_parser!(u32).range(1..=60_000))]
        ms: u32,
    },
    /// A real-time thread panics: control, deadline, bus-NAME, guardian.
    Panic {
        /// Its name, as `mechos status` shows it.
        thread: String,
    },
    /// A real-time thread never leaves its present cycle.
    Loop {
        /// Its name, as `mechos status` shows it.
        thread: String,
    },
    /// The control thread allocates, as none may after arming.
    Allocate,
    /// The control thread makes a system call that is not on its list.
    Call,
    /// A control tick computes for so many us beside its work.
    Busy {
        /// How long, us.
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        us: u32,
    },
    /// A control tick touches fresh pages until it is past its execution budget.
    PageFault,
    /// A control tick waits for a lock that another thread holds so long.
    Lock {
        /// How long, us.
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        us: u32,
    },
    /// SIGKILL to a process.
    Kill {
        /// Which one.
        process: Target,
    },
    /// SIGSTOP to a process.
    Stop {
        /// Which one.
        process: Target,
    },
    /// SIGCONT to a process.
    Cont {
        /// Which one.
        process: Target,
    },
    /// A drive sends nothing more.
    Silence {
        /// Name of its axis.
        drive: String,
        /// For how long, ms; without it for good, 0 ends a silence.
        ms: Option<u64>,
    },
    /// Frames are destroyed on the wire, without repetition.
    DropFrames {
        /// Share of the frames, 0 to 100.
        #[arg(value_parser = percent)]
        percent: f64,
        /// For how long, ms.
        ms: u64,
        /// Name of the bus; without it every bus.
        #[arg(long)]
        bus: Option<String>,
    },
}

/// A process that a fault may hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// The simulator.
    #[value(alias = "mechos-sim")]
    Sim,
    /// The guardian.
    #[value(alias = "mechos-guardian")]
    Guardian,
    /// The real-time daemon.
    #[value(alias = "mechos-rt")]
    Rt,
    /// The planner.
    #[value(alias = "mechos-cognition")]
    Cognition,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err("allowed is a number from 0 to 100".to_owned()),
    }
}
