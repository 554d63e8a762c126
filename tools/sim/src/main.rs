//! `mechos-sim`: serves the buses of a robot file, with its drives simulated.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mechos_robot::Robot;
use mechos_sim::server::{Options, Server, realtime};
use mechos_sim::spec::WorldSpec;
use signal_hook::consts::{SIGINT, SIGTERM};

/// A CAN bus in user space with simulated CiA 402 drives and a plant.
///
/// Ends on SIGTERM or SIGINT once every client has left and all drives stand still, after five
/// seconds at the latest.
#[derive(Parser)]
#[command(name = "mechos-sim", version)]
struct Arguments {
    /// Robot file.
    #[arg(long, value_name = "FILE")]
    robot: PathBuf,
    /// Runtime directory for the sockets.
    #[arg(long, value_name = "DIR")]
    runtime: PathBuf,
    /// Writes a JSON line for each frame.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Decides which frames an injected fault destroys.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Delivers frames in rounds this far apart, in microseconds: less delivers sooner after the
    /// modelled wire time and costs more of a CPU.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(..=1000))]
    round_us: u32,
}

fn main() -> ExitCode {
    match serve(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mechos-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let robot = Robot::load(&arguments.robot)?;
    let spec = WorldSpec::of(&robot);
    let Arguments { runtime, log, seed, round_us, .. } = arguments;
    let options = Options { runtime, log, seed, round_ns: u64::from(round_us) * 1_000 };
    let server = Server::new(spec, &options)?;
    for signal in [SIGTERM, SIGINT] {
        signal_hook::low_level::pipe::register(signal, server.stopper()?)?;
    }
    let grant = realtime::ask();
    if !grant.realtime {
        eprintln!(
            "mechos-sim: no SCHED_FIFO for the bus thread (allow it with: ulimit -r {}); \
             going on without",
            realtime::PRIORITY
        );
    }
    server.run(grant.realtime)?;
    Ok(())
}
