//! Whether a certificate speaks of this host, this kernel, this configuration and these binaries,
//! and whether every budget held.

use super::{
    Certificate, FAULTS, Facts, FaultRecord, GUARDIAN_ASKED_EVERY_S, Host, SIMULATED_ONLY,
};

/// Why a report does not let a machine arm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A fault was not tried.
    #[error("the report does not try {fault}: run `mechos certify` with all faults")]
    NotTried {
        /// Its name.
        fault: &'static str,
    },
    /// A fault was tried too seldom.
    #[error(
        "the report tries {fault} {trials} times, certificate_trials_min is {min}: run `mechos certify --times {min}`"
    )]
    TooFew {
        /// Its name.
        fault: &'static str,
        /// How often.
        trials: u32,
        /// How often is enough.
        min: u32,
    },
    /// A fault's trials did not all give a measurement.
    #[error(
        "{failed} of {trials} trials of {fault} gave no measurement: look at the report's page"
    )]
    NotMeasured {
        /// Its name.
        fault: &'static str,
        /// Trials without a measurement.
        failed: u32,
        /// All of them.
        trials: u32,
    },
    /// A budget was passed.
    #[error("over budget: {fault}, {measure}: {max_ns} ns, allowed {budget_ns} ns")]
    OverBudget {
        /// The fault.
        fault: &'static str,
        /// What was measured.
        measure: String,
        /// Its largest value, ns; 0 where there is none.
        max_ns: u64,
        /// Its bound, ns.
        budget_ns: u64,
    },
    /// Another host, kernel, CPU, configuration, binary or kind of time.
    #[error(
        "another {what}: the report is from {certified}, here is {here}; run `mechos certify` here"
    )]
    Another {
        /// What differs.
        what: &'static str,
        /// What the report says.
        certified: String,
        /// What is so here.
        here: String,
    },
    /// What the guardian runs is not known yet.
    #[error(
        "the guardian's binary or robot file is not known: no guardian is connected, or it does \
         not say (asked again every {} s)",
        GUARDIAN_ASKED_EVERY_S
    )]
    GuardianUnknown,
    /// The guardian goes by another robot file than mechos-rt.
    #[error(
        "mechos-guardian has loaded another robot file: its text is sha256 {guardian}, that of \
         mechos-rt {here}; start both anew from one file"
    )]
    GuardianConfiguration {
        /// What the guardian has loaded.
        guardian: String,
        /// What mechos-rt has.
        here: String,
    },
    /// A process was started with an option that takes away what the report tried.
    #[error("started with {option}, which no report covers: start without it")]
    Weakened {
        /// The process and its option.
        option: String,
    },
}

/// Everything that keeps this certificate from arming here; empty: it arms.
pub fn check(certificate: &Certificate, here: &Facts, trials_min: u32) -> Vec<Refusal> {
    let mut refusals = own(here);
    refusals.extend(provenance(certificate, here));
    for fault in FAULTS {
        let found = certificate.faults.iter().find(|record| record.name == fault);
        match found {
            Some(record) => refusals.extend(judge(fault, record, trials_min)),
            // Nobody can tell a real drive to fall silent.
            None if !certificate.simulated_drives && SIMULATED_ONLY.contains(&fault) => {}
            None => refusals.push(Refusal::NotTried { fault }),
        }
    }
    refusals
}

/// What keeps this machine from arming whatever a report says.
pub fn own(here: &Facts) -> Vec<Refusal> {
    let weakened = |option: &String| Refusal::Weakened { option: option.clone() };
    let mut refusals: Vec<Refusal> = here.weakened_by.iter().map(weakened).collect();
    if let Some(guardian) = here.guardians_other_config() {
        let (guardian, here) = (guardian.to_owned(), here.config_sha256.clone());
        refusals.push(Refusal::GuardianConfiguration { guardian, here });
    }
    refusals
}

fn provenance(certificate: &Certificate, here: &Facts) -> Vec<Refusal> {
    let from = &certificate.provenance;
    let kernel = |host: &Host| format!("{} {}", host.kernel_release, host.kernel_version);
    let mut refusals = Vec::new();
    let mut same = |what, certified: &str, here: &str| {
        if certified != here {
            let (certified, here) = (certified.to_owned(), here.to_owned());
            refusals.push(Refusal::Another { what, certified, here });
        }
    };
    same("kind of time", &from.host.time(), &here.host.time());
    same("kernel", &kernel(&from.host), &kernel(&here.host));
    same("host", &from.host.host, &here.host.host);
    same("CPU", &from.host.cpu_model, &here.host.cpu_model);
    // Both move latencies: isolated CPUs, idle states, mitigations; and where threads may run.
    same("count of CPUs", &from.host.cpus.to_string(), &here.host.cpus.to_string());
    same("kernel command line", &from.host.command_line, &here.host.command_line);
    let drives = |simulated| if simulated { "simulated" } else { "real" };
    same("kind of drives", drives(certificate.simulated_drives), drives(here.simulated_drives));
    same("configuration", &from.config_sha256, &here.config_sha256);
    same("mechos-rt", &from.rt_sha256, &here.rt_sha256);
    if let Some(guardian) = &here.guardian.binary_sha256 {
        same("mechos-guardian", &from.guardian_sha256, guardian);
    }
    if !here.guardian.is_known() {
        refusals.push(Refusal::GuardianUnknown);
    }
    refusals
}

fn judge(fault: &'static str, record: &FaultRecord, min: u32) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let (trials, failed) = (record.trials, record.failed);
    if trials < min.max(1) {
        refusals.push(Refusal::TooFew { fault, trials, min: min.max(1) });
    }
    if failed > 0 {
        refusals.push(Refusal::NotMeasured { fault, failed, trials });
    }
    for measure in record.measures.iter().filter(|measure| !measure.held()) {
        refusals.push(Refusal::OverBudget {
            fault,
            measure: measure.name.clone(),
            max_ns: measure.max_ns.unwrap_or(0),
            budget_ns: measure.budget_ns.unwrap_or(0),
        });
    }
    refusals
}
