//! What is so here: this host, what runs on it, and with which options it was started.

use std::fs::File;

use hal::interface::is_virtual;
use mechos_robot::certificate::{Facts, GuardianFacts, Host, LAB_VARIABLE, sha256};
use mechos_robot::{BusKind, Robot};

use crate::args::Args;

/// The program that runs, also where its file was replaced meanwhile.
const OWN_BINARY: &str = "/proc/self/exe";

/// Reads it, as far as it is known without the guardian.
///
/// # Errors
/// The program cannot be read.
pub fn facts(args: &Args, robot: &Robot) -> std::io::Result<Facts> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    Ok(Facts {
        host: Host::read(read, std::env::var(LAB_VARIABLE).ok()),
        simulated_drives: robot.buses.iter().all(|bus| has_no_device(&bus.kind)),
        config_sha256: robot.config_sha256().to_owned(),
        rt_sha256: own_sha256()?,
        guardian: GuardianFacts::default(),
        weakened_by: weakened_by(args),
    })
}

/// SHA-256 of the program that runs.
///
/// # Errors
/// It cannot be read.
pub fn own_sha256() -> std::io::Result<String> {
    sha256(File::open(OWN_BINARY)?)
}

/// Whether a bus can have no motor on it.
fn has_no_device(kind: &BusKind) -> bool {
    match kind {
        BusKind::Sim => true,
        BusKind::SocketCan { interface } => is_virtual(interface),
    }
}

/// This process' options that take away what a report tried: it was made on granted real time, with
/// every stop path on, and is to hold for a machine that nobody tells to fail.
fn weakened_by(args: &Args) -> Vec<String> {
    let off = args.stops_disabled().names();
    let paths = off.iter().map(|path| format!("mechos-rt --disable-stop {path}"));
    let flags = [
        (args.allow_no_rt, "mechos-rt --allow-no-rt"),
        (args.allow_faults, "mechos-rt --allow-faults"),
    ];
    let given = flags.into_iter().filter(|(is_given, _)| *is_given);
    given.map(|(_, option)| option.to_owned()).chain(paths).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn weakened(options: &[&str]) -> Vec<String> {
        let words = ["mechos-rt", "--robot", "r", "--runtime", "d"];
        weakened_by(&Args::parse_from(words.iter().chain(options)))
    }

    #[test]
    fn options_that_take_away_what_was_tried_are_named() {
        assert_eq!(weakened(&["--demand-rt", "--certificate", "c"]), Vec::<String>::new());
        assert_eq!(weakened(&["--allow-no-rt"]), ["mechos-rt --allow-no-rt"]);
        assert_eq!(weakened(&["--allow-faults"]), ["mechos-rt --allow-faults"]);
        let two = ["--disable-stop", "kernel", "--disable-stop", "drop"];
        assert_eq!(
            weakened(&two),
            ["mechos-rt --disable-stop kernel", "mechos-rt --disable-stop drop"]
        );
    }

    #[test]
    fn an_interface_that_cannot_be_looked_at_may_have_motors() {
        assert!(has_no_device(&BusKind::Sim));
        assert!(!has_no_device(&BusKind::SocketCan { interface: "nocan9".to_owned() }));
    }
}
