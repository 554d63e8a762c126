//! The certificate: what `mechos certify` found on a host, and whether it speaks of this one.
//!
//! Pure: who checks reads the files and hands in what was found. It is evidence of a test, not a
//! certification of safety, and it is not signed: it keeps people from arming by mistake what was
//! never tried, not from forging a file.

mod check;
mod facts;

use serde::{Deserialize, Serialize};

pub use check::{Refusal, check, own};
pub use facts::{Facts, GuardianFacts, Host, LAB_VARIABLE, sha256, sha256_of};

/// The report's form; another one is refused.
pub const FORMAT: u32 = 1;
/// Longest report that is read, bytes: room for [`TRIALS_MIN_MAX`] trials of each fault, and nothing
/// that the daemon's memory would feel.
pub const REPORT_MAX: usize = 16 << 20;
/// The most that a robot file may ask for: a report of so many trials is still read.
pub const TRIALS_MIN_MAX: u32 = 1_000;
/// How often a guardian that has not said what it runs is asked, s.
pub const GUARDIAN_ASKED_EVERY_S: u64 = 2;
/// Trials of each fault that arming needs, unless the robot file says otherwise.
pub const TRIALS_MIN: u32 = 20;

/// Every fault of a campaign, by name. Arming under `require_certificate` needs each.
pub const FAULTS: [&str; 17] = [
    "cognition-killed",
    "cognition-stopped",
    "cognition-closed",
    "control-stalled",
    "control-looping",
    "bus-looping",
    "control-panic",
    "rt-killed",
    "rt-stopped",
    "rt-aborted",
    "guardian-killed",
    "guardian-stopped",
    "deadline-looping",
    "drive-silent",
    "feedback-stale",
    "rt-and-guardian-killed",
    "rt-terminated",
];

/// Faults that only a simulated drive can be told to have.
pub const SIMULATED_ONLY: [&str; 2] = ["drive-silent", "feedback-stale"];

/// Where and with what a measurement was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The host, its kernel, its CPU, and which time ran.
    #[serde(flatten)]
    pub host: Host,
    /// SHA-256 of the robot file's text.
    pub config_sha256: String,
    /// SHA-256 of mechos-rt.
    pub rt_sha256: String,
    /// SHA-256 of mechos-guardian.
    pub guardian_sha256: String,
    /// Versions of what took part, as `name version`.
    pub versions: Vec<String>,
    /// When, UTC, as `2026-11-22T19:45:46Z`.
    pub taken_at: String,
}

/// What a report says, as far as arming depends on it; a report holds more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The report's form.
    pub format: u32,
    /// Where and with what.
    pub provenance: Provenance,
    /// The drives were simulated.
    pub simulated_drives: bool,
    /// The faults that were tried.
    pub faults: Vec<FaultRecord>,
}

/// One fault's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Its name, one of [`FAULTS`].
    pub name: String,
    /// Trials, those that failed included.
    pub trials: u32,
    /// Trials without a measurement: each counts as over budget.
    pub failed: u32,
    /// What was measured.
    pub measures: Vec<MeasureRecord>,
}

/// One measured time of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasureRecord {
    /// What it is.
    pub name: String,
    /// Its bound, ns; absent where it is only shown.
    pub budget_ns: Option<u64>,
    /// The largest value, ns.
    pub max_ns: Option<u64>,
}

impl FaultRecord {
    /// Whether every trial was measured and no budget was passed.
    pub fn held(&self) -> bool {
        self.trials > 0 && self.failed == 0 && self.measures.iter().all(MeasureRecord::held)
    }
}

impl MeasureRecord {
    /// Whether its budget, if it has one, was kept. No value is none that was kept.
    pub fn held(&self) -> bool {
        self.budget_ns.is_none_or(|budget_ns| self.max_ns.is_some_and(|max_ns| max_ns <= budget_ns))
    }
}

/// Why a report is no certificate at all.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No report is named.
    #[error("no report is named: start with --certificate FILE, or with `mechos up`")]
    NotNamed,
    /// There is none.
    #[error("there is no report {file}: make one with `mechos certify`")]
    Missing {
        /// Where it was looked for.
        file: String,
    },
    /// It cannot be read.
    #[error("the report {file} cannot be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It is longer than any report that is read.
    #[error(
        "the report {file} is longer than {} bytes ({} MiB), which is the most that is read: \
         run `mechos certify` with fewer --times",
        REPORT_MAX,
        REPORT_MAX >> 20
    )]
    TooLong {
        /// The file.
        file: String,
    },
    /// It is no report.
    #[error("{file} is no report of `mechos certify`: {found}; make a new one")]
    Unreadable {
        /// The file.
        file: String,
        /// What was found.
        found: String,
    },
}

impl Certificate {
    /// Reads a report's text; `file` stands in refusals.
    ///
    /// # Errors
    /// [`CertificateError::Unreadable`].
    pub fn parse(text: impl AsRef<[u8]>, file: &str) -> Result<Certificate, CertificateError> {
        let unreadable = |found| CertificateError::Unreadable { file: file.to_owned(), found };
        let certificate: Certificate =
            serde_json::from_slice(text.as_ref()).map_err(|error| unreadable(error.to_string()))?;
        if certificate.format != FORMAT {
            let found = format!("form {}, known is {FORMAT}", certificate.format);
            return Err(unreadable(found));
        }
        Ok(certificate)
    }
}
