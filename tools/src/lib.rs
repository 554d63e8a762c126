//! The command line of MechOS: starts the machine, keeps it, asks it, breaks it on purpose.
//!
//! Promises: every wait has a bound; every error says what to do next; a process that was killed is
//! started again and never re-armed; with `--json` exactly one JSON object on standard output.
//! Forbids: unsafe code, IP sockets, any way around the operator's sockets. See `README.md` for the
//! files from the outside in.

#![forbid(unsafe_code)]

mod certify;
pub mod cli;
mod clock;
mod doctor;
mod duration;
mod failure;
mod fault;
pub mod latency;
mod modes;
mod operator;
pub mod plot;
mod print;
mod processes;
pub mod provenance;
mod report;
mod robot;
mod runtime_dir;
#[cfg(test)]
mod testing;
mod up;

use std::process::ExitCode;

use cli::{Cli, Command, Place, RobotCommand};
use failure::Failure;

/// Runs one command; returns the process' exit status, see [`cli::EXIT_CODES`].
pub fn run(cli: Cli) -> ExitCode {
    let (json, result) = match cli.command {
        Command::Up(options) => return up::run(&options),
        Command::Doctor(options) => {
            return doctor::run(&options).unwrap_or_else(|failure| failed(&failure, options.json));
        }
        Command::Latency(options) => {
            let json = options.place.json;
            return latency::run(&options).unwrap_or_else(|failure| failed(&failure, json));
        }
        Command::LatencyPeer(options) => (false, latency::plan(&options)),
        Command::LatencyLoad(options) => (false, latency::load(&options)),
        Command::Certify(options) => return certify::run(&options),
        Command::CertifyObserver(options) => return certify::observer::run(&options),
        Command::Modes { json } => (json, modes::print(json)),
        Command::Robot { command: RobotCommand::Check { file, json } } => {
            (json, robot::check(&file, json))
        }
        Command::Fault { kind, place } => (place.json, fault::inject(&kind, &place)),
        Command::Arm(place) => ask(operator::Edge::Arm, &place),
        Command::Disarm(place) => ask(operator::Edge::Disarm, &place),
        Command::Stop(place) => ask(operator::Edge::Stop, &place),
        Command::Reset(place) => ask(operator::Edge::Reset, &place),
        Command::Home(place) => ask(operator::Edge::Home, &place),
        Command::Resume(place) => ask(operator::Edge::Resume, &place),
        Command::Estop(place) => (place.json, operator::estop(&place)),
        Command::Status(place) => (place.json, operator::status(&place)),
        Command::Down(place) => (place.json, up::down::down(&place)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failed(&failure, json),
    }
}

fn ask(edge: operator::Edge, place: &Place) -> (bool, Result<(), Failure>) {
    (place.json, operator::ask(edge, place))
}

fn failed(failure: &Failure, json: bool) -> ExitCode {
    if json {
        print::object(&failure.json());
    } else {
        print::error(failure);
    }
    failure.exit_code()
}
