//! What may be written behind `mechos latency`, and behind its two hidden helpers.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::Place;
use crate::duration;

/// How the path is measured.
#[derive(Clone, Debug, Args)]
pub struct LatencyOptions {
    /// The robot file; without it the built-in six-axis arm, simulated.
    #[arg(long, value_name = "FILE", conflicts_with = "attach")]
    pub robot: Option<PathBuf>,
    /// Where and how. Without --runtime a directory of its own, removed at the end.
    #[command(flatten)]
    pub place: Place,
    /// Measure for this long: 10s, 1.5m, 500ms.
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse, default_value = "10s")]
    pub length: Duration,
    /// Measure so many cycles instead; with --versus-cyclictest of each side.
    #[arg(long, value_name = "N", conflicts_with = "length",
          value_parser = clap::value_parser!(u64).range(100..=1_000_000_000))]
    pub cycles: Option<u64>,
    /// Let it run so long after arming before anything counts.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "1s")]
    pub warm_up: Duration,
    /// Load beside it: cpu, memory, io; without a value all three.
    #[arg(long, value_name = "KINDS", value_enum, value_delimiter = ',', num_args = 0..=3,
          require_equals = true, default_missing_value = "cpu,memory,io")]
    pub load: Vec<LoadKind>,
    /// The simulated drives sit on the robot file's kernel CAN; virtual interfaces only.
    #[arg(long)]
    pub sim_drives: bool,
    /// Measure the machine that runs in the runtime directory, once an operator has armed it.
    #[arg(long)]
    pub attach: bool,
    /// How the control thread waits for its tick, instead of as the robot file says.
    #[arg(long, value_name = "sleep|spin[:US]", value_parser = wake, conflicts_with = "attach")]
    pub wake: Option<WakeWord>,
    /// Measure cyclictest in turn with the machine, at its priority, CPU and period.
    #[arg(long, conflicts_with = "attach")]
    pub versus_cyclictest: bool,
    /// Turns of each side.
    #[arg(long, value_name = "N", default_value_t = 5, requires = "versus_cyclictest",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub blocks: u32,
    /// Exit with 1 where the wake-up is worse than cyclictest's by more than is promised.
    #[arg(long, requires = "versus_cyclictest")]
    pub check: bool,
    /// The picture.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Of the times at which the planner writes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// What keeps the host busy meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum LoadKind {
    /// One busy thread a CPU.
    Cpu,
    /// Threads that stream over more memory than caches hold.
    Memory,
    /// A file that is written and synchronised over and over.
    Io,
}

impl LoadKind {
    /// The word for it on a command line.
    pub fn word(self) -> &'static str {
        match self {
            LoadKind::Cpu => "cpu",
            LoadKind::Memory => "memory",
            LoadKind::Io => "io",
        }
    }
}

/// How the control thread waits, as asked for on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeWord {
    /// Asleep until the tick.
    Sleep,
    /// Asleep until so many µs before it, then watching the clock.
    Spin(u32),
}

/// Margin of a spin without a number, µs.
const SPIN_MARGIN_US: u32 = 100;

fn wake(text: &str) -> Result<WakeWord, String> {
    let allowed = "allowed are sleep, spin and spin:US, with US from 1 to 10000";
    let (word, margin) = match text.split_once(':') {
        Some((word, margin)) => (word, Some(margin.parse::<u32>().map_err(|_| allowed)?)),
        None => (text, None),
    };
    match (word, margin) {
        ("sleep", None) => Ok(WakeWord::Sleep),
        ("spin", margin @ (None | Some(1..=10_000))) => {
            Ok(WakeWord::Spin(margin.unwrap_or(SPIN_MARGIN_US)))
        }
        _ => Err(allowed.to_owned()),
    }
}

/// What the measuring planner is told. It ends when its standard input ends.
#[derive(Clone, Debug, Args)]
pub struct PeerOptions {
    /// The runtime directory of the machine.
    #[arg(long)]
    pub runtime: PathBuf,
    /// Of the times at which it writes.
    #[arg(long)]
    pub seed: u64,
    /// Nominal start of tick 0: no timer of it goes off beside a tick's start.
    #[arg(long, default_value_t = 0)]
    pub schedule_start_ns: u64,
    /// A CPU that it stays away from, where there is another.
    #[arg(long)]
    pub avoid_cpu: Option<usize>,
}

/// What the load is told. It ends when its standard input ends.
#[derive(Clone, Debug, Args)]
pub struct LoadOptions {
    /// What to do.
    #[arg(long, value_enum, value_delimiter = ',', required = true)]
    pub kinds: Vec<LoadKind>,
    /// Where to write.
    #[arg(long)]
    pub folder: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn latency(args: &[&str]) -> Result<LatencyOptions, String> {
        let line = ["mechos", "latency"].iter().chain(args);
        match Cli::try_parse_from(line).map_err(|error| error.to_string())?.command {
            Command::Latency(options) => Ok(*options),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn load_without_a_value_is_all_of_it() {
        assert_eq!(latency(&[]).unwrap().load, []);
        let all = [LoadKind::Cpu, LoadKind::Memory, LoadKind::Io];
        assert_eq!(latency(&["--load"]).unwrap().load, all);
        assert_eq!(latency(&["--load=io"]).unwrap().load, [LoadKind::Io]);
        assert!(latency(&["--load=noise"]).is_err());
    }

    #[test]
    fn wake_takes_its_margin() {
        let wake = |text| latency(&["--wake", text]).map(|options| options.wake.unwrap());
        assert_eq!(wake("sleep"), Ok(WakeWord::Sleep));
        assert_eq!(wake("spin"), Ok(WakeWord::Spin(SPIN_MARGIN_US)));
        assert_eq!(wake("spin:60"), Ok(WakeWord::Spin(60)));
        for wrong in ["spin:0", "spin:x", "sleep:3", "doze", "spin:10001"] {
            assert!(wake(wrong).unwrap_err().contains("spin:US"), "{wrong}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for line in [
            &["--check"][..],
            &["--blocks", "3"],
            &["--attach", "--versus-cyclictest"],
            &["--attach", "--robot", "x.toml"],
            &["--for", "3s", "--cycles", "1000"],
            &["--cycles", "3"],
        ] {
            assert!(latency(line).is_err(), "{line:?}");
        }
        assert!(latency(&["--versus-cyclictest", "--blocks", "3", "--check"]).is_ok());
    }
}
