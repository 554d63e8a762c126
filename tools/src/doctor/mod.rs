//! `mechos doctor`: what this host grants a robot and what it takes away.
//!
//! Promises: changes nothing; every line says what was read and where, what is wanted, why, and what
//! mends it; what could not be read is unknown, never right.

mod can;
mod can_irq;
mod can_link;
mod capability;
mod clock;
mod cpu;
mod demand;
mod facts;
mod finding;
mod host;
mod irq;
mod kernel;
mod memory;
mod mend;
mod power;
mod report;
mod rights;
#[cfg(test)]
mod tests;
mod trial;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::DoctorOptions;
use crate::failure::Failure;
use crate::print;
use demand::Demand;
use facts::Facts;
use finding::{Finding, Severity};

/// A theme's checks: a pure function of what was read and what is asked.
type Checks = fn(&Facts, &Demand) -> Vec<Finding>;

/// Every theme, the one whose lack weighs most first.
const THEMES: [(&str, Checks); 8] = [
    ("Kernel", kernel::checks),
    ("Rights", rights::checks),
    ("CPUs", cpu::checks),
    ("Interrupts", irq::checks),
    ("Power", power::checks),
    ("Memory", memory::checks),
    ("Clock", clock::checks),
    ("CAN", can::checks),
];

/// Runs the command.
///
/// # Errors
/// [`Failure::Robot`]. Findings are no error; they decide the exit status.
pub fn run(options: &DoctorOptions) -> Result<ExitCode, Failure> {
    let demand = Demand::of(options.robot.as_deref())?;
    let facts = match options.root.as_deref() {
        Some(root) if root != Path::new("/") => Facts::below(root, &demand),
        _ => Facts::gather(&demand),
    };
    let is_root = facts.live.as_ref().is_some_and(|live| live.is_root);
    let themes = examine(&facts, &demand);
    if options.json {
        print::object(&object(&demand, &themes, is_root));
    } else {
        let colour = print::colour(std::io::stdout().is_terminal());
        print::line(report::text(&demand, &themes, is_root, colour).trim_end());
    }
    Ok(ExitCode::from(worst(&themes).exit_status()))
}

fn examine(facts: &Facts, demand: &Demand) -> Vec<(&'static str, Vec<Finding>)> {
    THEMES.map(|(theme, checks)| (theme, checks(facts, demand))).into()
}

fn worst(themes: &[(&str, Vec<Finding>)]) -> Severity {
    let all = themes.iter().flat_map(|(_, findings)| findings);
    all.map(|finding| finding.severity).max().unwrap_or(Severity::Unknown)
}

fn object(demand: &Demand, themes: &[(&str, Vec<Finding>)], is_root: bool) -> serde_json::Value {
    let all = themes.iter().flat_map(|(_, findings)| findings).cloned();
    let findings = all.map(|finding| Finding {
        mend: finding.mend.map(|mend| mend::for_user(&mend, is_root)),
        ..finding
    });
    json!({
        "worst": worst(themes),
        "robot": demand.robot,
        "robot_file": demand.file,
        "judged_as_real": demand.is_strict,
        "findings": findings.collect::<Vec<_>>(),
    })
}
