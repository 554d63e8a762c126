//! The real-time daemon.
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
use std::process::ExitCode;

use clap::Parser;
use mechos_rt::args::Args;
use mechos_rt::host::allocator::Counting;

/// Counts what real-time threads ask of the heap while the machine is armed.
#[global_allocator]
static HEAP: Counting = Counting;

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("MECHOS_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .init();
    match mechos_rt::daemon::run(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mechos-rt: {error}");
            ExitCode::from(2)
        }
    }
}
