//! `mechos-guardian`: stops the drives when `mechos-rt` cannot.
#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )
)]

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mechos_rt::args::StopPath;
use mechos_rt::guardian::{Options, run};
use mechos_rt::host::allocator::Counting;
use tracing_subscriber::EnvFilter;

/// The MechOS guardian: watches mechos-rt and stops every drive when it is lost.
#[derive(Debug, Parser)]
#[command(name = "mechos-guardian", version)]
struct Args {
    /// The robot file.
    #[arg(long, value_name = "FILE")]
    robot: PathBuf,
    /// The runtime directory with the sockets.
    #[arg(long, value_name = "DIR")]
    runtime: PathBuf,
    /// Switch a stop path off; simulated buses only. May be repeated; `guardian` is this one.
    #[arg(long, value_name = "PATH")]
    disable_stop: Vec<StopPath>,
    /// Take `mechos fault` on a real bus too, for tests of the stops.
    #[arg(long)]
    allow_faults: bool,
}

/// Counts what real-time threads ask of the heap while the machine is armed.
#[global_allocator]
static HEAP: Counting = Counting;

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = EnvFilter::try_from_env("MECHOS_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter)
        .init();
    let options = Options {
        robot: args.robot,
        runtime: args.runtime,
        disabled: args.disable_stop.contains(&StopPath::Guardian),
        allow_faults: args.allow_faults,
        others_disabled: args.disable_stop.iter().any(|path| *path != StopPath::Guardian),
    };
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mechos-guardian: {error}");
            ExitCode::from(2)
        }
    }
}
