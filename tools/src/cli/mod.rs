//! What may be written on the command line.

mod fault;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use fault::{FaultKind, Target};

use crate::duration;
use crate::latency::options::{LatencyOptions, LoadOptions, PeerOptions};

/// The exit codes, as `mechos --help` shows them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused, or not ended well
  2  wrong command line or robot file
  3  nothing runs in the runtime directory, or it does not answer
  4  the machine could not be started
Of `mechos doctor`, by the worst finding:
  0  ok or notes   5  something unknown   10  warnings   20  failures

The runtime directory is --runtime, else $MECHOS_RUNTIME_DIR, else $XDG_RUNTIME_DIR/mechos, else
/tmp/mechos-UID.

The hardware emergency stop stays outside all of this.";

/// MechOS: a hard real-time process between a planner that nobody can trust and a robot's motors.
#[derive(Clone, Debug, Parser)]
#[command(name = "mechos", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Start everything, arm a robot whose drives are simulated, show it, end in order on Ctrl-C.
    Up(Box<UpOptions>),
    /// End in order what `mechos up` started, also where `mechos up` itself is gone.
    Down(Place),
    /// Power the drives and let the planner move them.
    Arm(Place),
    /// Controlled stop, then power off.
    Disarm(Place),
    /// Controlled stop, latched until `reset`.
    Stop(Place),
    /// The drives' fastest stop, latched until `reset`; asked of mechos-rt and of the guardian.
    Estop(Place),
    /// Halted to Disarmed, once every axis stands.
    Reset(Place),
    /// Move to the home pose; the planner waits until `resume`.
    Home(Place),
    /// Let the planner have the machine again.
    Resume(Place),
    /// Mode, cause, axes, latencies, misses, sums.
    Status(Place),
    /// Measure the whole path, from the timer to the frame and back, beside cyclictest if asked.
    Latency(Box<LatencyOptions>),
    /// The measuring planner of `latency`.
    #[command(hide = true)]
    LatencyPeer(PeerOptions),
    /// The load of `latency`.
    #[command(hide = true)]
    LatencyLoad(LoadOptions),
    /// Inject a fault, on simulated buses or where `up --allow-faults` runs.
    Fault {
        /// Which one.
        #[command(subcommand)]
        kind: FaultKind,
        /// Where.
        #[command(flatten)]
        place: Place,
    },
    /// What this host grants a robot and what it takes away, each with what mends it.
    Doctor(DoctorOptions),
    /// Make every fault many times, measure the stops, write a report that arming can require.
    Certify(Box<CertifyOptions>),
    /// Listens on every bus for `mechos certify`.
    #[command(hide = true)]
    CertifyObserver(ObserverOptions),
    /// Print the kernel's mode table.
    Modes {
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// About robot files.
    Robot {
        /// What about them.
        #[command(subcommand)]
        command: RobotCommand,
    },
}

/// Where a running machine is found, and how the answer is printed.
#[derive(Clone, Debug, Default, Args)]
pub struct Place {
    /// The runtime directory with the sockets.
    #[arg(long, value_name = "DIR", global = true)]
    pub runtime: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What `mechos doctor` looks at.
#[derive(Clone, Debug, Default, Args)]
pub struct DoctorOptions {
    /// The robot file to judge the host by; without it the built-in arm6, as if its buses were real,
    /// and every CAN interface that there is.
    #[arg(long, value_name = "FILE")]
    pub robot: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    /// Look at the files below another root: of a mounted image, or of a test.
    #[arg(long, value_name = "DIR", hide = true)]
    pub root: Option<PathBuf>,
}

/// How `mechos up` starts the machine.
#[derive(Clone, Debug, Default, Args)]
pub struct UpOptions {
    /// The robot file; without it the built-in six-axis arm, simulated.
    #[arg(long, value_name = "FILE")]
    pub robot: Option<PathBuf>,
    /// Where and how.
    #[command(flatten)]
    pub place: Place,
    /// Count this long from arming, then home, disarm and end: 10s, 1.5m, 500ms.
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
    pub length: Option<Duration>,
    /// Leave arming to the operator: `mechos arm`.
    #[arg(long)]
    pub no_arm: bool,
    /// Simulate the drives also on the kernel's CAN interfaces of the robot file; virtual ones (vcan)
    /// only.
    #[arg(long)]
    pub sim_drives: bool,
    /// Let `mechos fault` work on the kernel's CAN interfaces too: for tests of the stops.
    #[arg(long)]
    pub allow_faults: bool,
    /// The simulator writes a JSON line for each frame.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Switch a stop path off; simulated buses only. May be repeated.
    #[arg(long, value_name = "PATH", value_enum)]
    pub disable_stop: Vec<StopPath>,
    /// Arm on a real bus although the host does not grant real time.
    #[arg(long)]
    pub allow_no_rt: bool,
    /// Run the planner as this user; needed on a real bus.
    #[arg(long, value_name = "NAME", conflicts_with = "no_cognition")]
    pub cognition_user: Option<String>,
    /// Start no planner.
    #[arg(long)]
    pub no_cognition: bool,
    /// End in order when standard input ends: for programs that start this one.
    #[arg(long, hide = true)]
    pub until_stdin_ends: bool,
    /// The planner.
    #[command(flatten)]
    pub planner: PlannerOptions,
    /// Set by `mechos certify`, whose machine makes the certificate that arming may need.
    #[arg(skip)]
    pub certifying: bool,
}

/// A campaign of faults.
#[derive(Clone, Debug, Args)]
pub struct CertifyOptions {
    /// The robot file; without it the built-in six-axis arm, simulated.
    #[arg(long, value_name = "FILE")]
    pub robot: Option<PathBuf>,
    /// Simulate the drives of a robot whose buses are virtual CAN interfaces.
    #[arg(long)]
    pub sim_drives: bool,
    /// Inject faults although the robot's buses are real: its motors move and are stopped hard, again
    /// and again.
    #[arg(long)]
    pub allow_faults: bool,
    /// Which faults: names with commas between them, or all.
    #[arg(long, value_name = "LIST", default_value = "all")]
    pub faults: String,
    /// How often each.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub times: u32,
    /// What every moment and target is drawn from; without it one is chosen and reported.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// An earlier report of the same machine, such as that of a campaign that was interrupted: its
    /// trials count, and only those that it lacks are made. May be repeated.
    #[arg(long, value_name = "REPORT")]
    pub with: Vec<PathBuf>,
    /// Where the report goes.
    #[arg(long, value_name = "DIR", default_value = "certificate")]
    pub out: PathBuf,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Runtime directory of the machine under test; without it one of its own.
    #[arg(long, value_name = "DIR")]
    pub runtime: Option<PathBuf>,
}

/// What the observer of a campaign is told.
#[derive(Clone, Debug, Args)]
pub struct ObserverOptions {
    /// The robot file.
    #[arg(long, value_name = "FILE")]
    pub robot: PathBuf,
    /// The runtime directory.
    #[arg(long, value_name = "DIR")]
    pub runtime: PathBuf,
}

/// What is handed on to `mechos-cognition`.
#[derive(Clone, Debug, Default, Args)]
pub struct PlannerOptions {
    /// Who plans.
    #[arg(long, value_enum, default_value_t, conflicts_with = "no_cognition")]
    pub planner: Planner,
    /// The model's OpenAI-compatible endpoint on this host, plain http.
    #[arg(long, value_name = "URL", required_if_eq("planner", "model"))]
    pub endpoint: Option<String>,
    /// The model's name at the endpoint.
    #[arg(long, value_name = "NAME", required_if_eq("planner", "model"))]
    pub model: Option<String>,
    /// What the model is to do.
    #[arg(long, value_name = "TEXT")]
    pub task: Option<String>,
    /// A file with the endpoint's key, readable by its owner only.
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
}

/// Who plans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Planner {
    /// A pick, place and home task; needs nothing installed.
    #[default]
    Embedded,
    /// A language model behind an OpenAI-compatible endpoint.
    Model,
}

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

impl StopPath {
    /// The word for it on a command line.
    pub fn word(self) -> &'static str {
        match self {
            StopPath::Kernel => "kernel",
            StopPath::Deadline => "deadline",
            StopPath::Guardian => "guardian",
            StopPath::Watchdog => "watchdog",
            StopPath::Drop => "drop",
        }
    }
}

/// About robot files.
#[derive(Clone, Debug, Subcommand)]
pub enum RobotCommand {
    /// Check a file and show what follows from it: bus loads, budgets, axes.
    Check {
        /// The robot file.
        file: PathBuf,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn up(args: &[&str]) -> Result<UpOptions, String> {
        let line = ["mechos", "up"].iter().chain(args);
        match Cli::try_parse_from(line).map_err(|error| error.to_string())?.command {
            Command::Up(options) => Ok(*options),
            other => Err(format!("{other:?}")),
        }
    }

    fn fault(args: &[&str]) -> Result<FaultKind, String> {
        let line = ["mechos", "fault"].iter().chain(args);
        match Cli::try_parse_from(line).map_err(|error| error.to_string())?.command {
            Command::Fault { kind, .. } => Ok(kind),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn up_takes_what_the_readme_shows() {
        let plain = up(&[]).unwrap();
        assert!(
            !plain.no_arm && plain.length.is_none() && plain.planner.planner == Planner::Embedded
        );
        let timed = up(&["--for", "10s", "--json"]).unwrap();
        assert_eq!(timed.length, Some(Duration::from_secs(10)));
        assert!(timed.place.json);
        let off = up(&["--disable-stop", "kernel", "--disable-stop", "drop"]).unwrap();
        assert_eq!(off.disable_stop, [StopPath::Kernel, StopPath::Drop]);
    }

    #[test]
    fn drives_are_simulated_and_faults_allowed_only_when_asked() {
        let plain = up(&[]).unwrap();
        assert!(!plain.sim_drives && !plain.allow_faults);
        let asked = up(&["--sim-drives", "--allow-faults"]).unwrap();
        assert!(asked.sim_drives && asked.allow_faults);
    }

    #[test]
    fn the_doctor_takes_a_robot_file_or_none() {
        let line = ["mechos", "doctor", "--json", "--robot", "r.toml"];
        let Command::Doctor(options) = Cli::try_parse_from(line).unwrap().command else {
            panic!("no doctor");
        };
        assert!(options.json && options.robot == Some("r.toml".into()) && options.root.is_none());
        assert!(matches!(
            Cli::try_parse_from(["mechos", "doctor"]).unwrap().command,
            Command::Doctor(_)
        ));
    }

    #[test]
    fn a_model_needs_its_endpoint_and_name() {
        let error = up(&["--planner", "model"]).unwrap_err();
        assert!(error.contains("--endpoint") && error.contains("--model"), "{error}");
        let given = ["--planner", "model", "--endpoint", "http://127.0.0.1:1/v1", "--model", "m"];
        assert_eq!(up(&given).unwrap().planner.model.as_deref(), Some("m"));
    }

    #[test]
    fn a_wrong_time_says_what_is_allowed() {
        let error = up(&["--for", "10"]).unwrap_err();
        assert!(error.contains("10s"), "{error}");
    }

    #[test]
    fn every_stop_path_is_its_own_word() {
        for path in StopPath::value_variants() {
            assert_eq!(up(&["--disable-stop", path.word()]).unwrap().disable_stop, [*path]);
        }
    }

    #[test]
    fn faults_read_as_documented() {
        assert_eq!(fault(&["stall-control", "30"]), Ok(FaultKind::StallControl { ms: 30 }));
        let kill = FaultKind::Kill { process: Target::Rt };
        assert_eq!(fault(&["kill", "rt"]), Ok(kill.clone()));
        assert_eq!(fault(&["kill", "mechos-rt"]), Ok(kill));
        let silence = FaultKind::Silence { drive: "shoulder".into(), ms: None };
        assert_eq!(fault(&["silence", "shoulder"]), Ok(silence));
        let drop = FaultKind::DropFrames { percent: 50.0, ms: 100, bus: None };
        assert_eq!(fault(&["drop-frames", "50", "100"]), Ok(drop));
        assert!(fault(&["drop-frames", "NaN", "100"]).is_err());
        assert_eq!(fault(&["busy", "300"]), Ok(FaultKind::Busy { us: 300 }));
        assert_eq!(fault(&["page-fault"]), Ok(FaultKind::PageFault));
        assert_eq!(fault(&["lock", "300"]), Ok(FaultKind::Lock { us: 300 }));
        assert!(fault(&["lock", "0"]).is_err());
        assert!(fault(&["stall-control", "0"]).is_err());
        assert!(fault(&["kill", "init"]).is_err());
    }

    #[test]
    fn json_and_runtime_may_stand_behind_the_fault() {
        let line = ["mechos", "fault", "panic", "control", "--json", "--runtime", "/run/m"];
        let Command::Fault { place, .. } = Cli::try_parse_from(line).unwrap().command else {
            panic!("no fault");
        };
        assert!(place.json && place.runtime == Some("/run/m".into()));
    }
}
