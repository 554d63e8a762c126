//! `mechos`: the command line of MechOS.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use mechos_tools::cli::Cli;

fn main() -> ExitCode {
    mechos_tools::run(Cli::parse())
}
