//! The certificate that arming may need: read at the start, when a guardian connects, and before
//! each arming. Whether it holds is decided by `mechos_robot::certificate`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use mechos_operator::{CertificateStatus, Client, GUARDIAN_SOCKET};
use mechos_robot::certificate::{
    Certificate, CertificateError, Facts, Host, LAB_VARIABLE, REPORT_MAX, check, sha256,
};
use mechos_robot::{BusKind, Robot};
use tracing::{error, info, warn};

use crate::args::Args;
use crate::shared::Shared;

/// The program that runs, also where its file was replaced meanwhile.
const OWN_BINARY: &str = "/proc/self/exe";
/// How long the guardian may take to tell its binary. Housekeeping does nothing else meanwhile.
const ASK_MAX: Duration = Duration::from_millis(300);

/// Keeps the certificate's state.
#[derive(Default)]
pub struct CertificateKeeper {
    status: CertificateStatus,
    file: Option<PathBuf>,
    guardian_socket: PathBuf,
    guardian: Option<i32>,
    here: Facts,
    trials_min: u32,
}

impl CertificateKeeper {
    /// Hashes what runs, where a certificate is required.
    ///
    /// # Errors
    /// The robot file or the program cannot be read again.
    pub fn new(args: &Args, robot: &Robot) -> std::io::Result<CertificateKeeper> {
        let required = robot.require_certificate;
        let waived = required && args.certifying;
        if waived {
            warn!("ARMING WITHOUT A CERTIFICATE (--certifying): this run is to make one");
        }
        let status = CertificateStatus {
            required,
            certifying: args.certifying,
            file: args.certificate.as_ref().map(|file| file.display().to_string()),
            refusals: Vec::new(),
        };
        let here = match required && !waived {
            true => facts(robot)?,
            false => Facts::default(),
        };
        Ok(CertificateKeeper {
            status,
            file: args.certificate.clone(),
            guardian_socket: args.runtime.join(GUARDIAN_SOCKET),
            guardian: None,
            here,
            trials_min: robot.certificate_trials_min,
        })
    }

    /// For the operator's status.
    pub fn status(&self) -> &CertificateStatus {
        &self.status
    }

    /// Another guardian is another binary, perhaps.
    pub fn turn(&mut self, shared: &Shared, guardian: Option<i32>) {
        if !self.binds() || guardian == self.guardian || shared.armed.load(Ordering::Acquire) {
            return;
        }
        self.guardian = guardian;
        self.here.guardian_sha256 = guardian.and_then(|_| guardians_binary(&self.guardian_socket));
        self.judge(shared);
    }

    /// Reads the report anew and opens or closes the interlock.
    pub fn judge(&mut self, shared: &Shared) {
        if !self.binds() {
            return;
        }
        let refusals = match self.file.as_deref().ok_or(CertificateError::NotNamed).and_then(read) {
            Ok(certificate) => check(&certificate, &self.here, self.trials_min)
                .iter()
                .map(ToString::to_string)
                .collect(),
            Err(error) => vec![error.to_string()],
        };
        // Release pairs with the control thread's Acquire at its next tick.
        shared.certificate_missing.store(!refusals.is_empty(), Ordering::Release);
        if refusals != self.status.refusals || self.status.refusals.is_empty() {
            for refusal in &refusals {
                error!("no arming without a certificate: {refusal}");
            }
            if refusals.is_empty() {
                info!(file = self.status.file, "the certificate holds");
            }
        }
        self.status.refusals = refusals;
    }

    fn binds(&self) -> bool {
        self.status.required && !self.status.certifying
    }
}

fn facts(robot: &Robot) -> std::io::Result<Facts> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    Ok(Facts {
        host: Host::read(read, std::env::var(LAB_VARIABLE).ok()),
        simulated_drives: robot.buses.iter().all(|bus| has_no_device(&bus.kind)),
        config_sha256: robot.config_sha256().to_owned(),
        rt_sha256: own_sha256()?,
        guardian_sha256: None,
    })
}

/// Whether a bus has no hardware: the kernel links an interface to the device behind it. (A serial
/// adapter under slcan has no such link; its frames are taken for those of a virtual interface.)
fn has_no_device(kind: &BusKind) -> bool {
    match kind {
        BusKind::Sim => true,
        BusKind::SocketCan { interface } => {
            !Path::new("/sys/class/net").join(interface).join("device").exists()
        }
    }
}

/// SHA-256 of the program that runs.
///
/// # Errors
/// It cannot be read.
pub fn own_sha256() -> std::io::Result<String> {
    sha256(File::open(OWN_BINARY)?)
}

/// From the guardian itself: another process' program cannot be read where it has capabilities.
fn guardians_binary(socket: &Path) -> Option<String> {
    Client::connect(socket, ASK_MAX).ok()?.guardian_status().ok()?.binary_sha256
}

fn read(path: &Path) -> Result<Certificate, CertificateError> {
    let file = path.display().to_string();
    let opened = match File::open(path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(CertificateError::Missing { file });
        }
        Err(source) => return Err(CertificateError::Read { file, source }),
    };
    let mut text = String::new();
    match opened.take(REPORT_MAX).read_to_string(&mut text) {
        Ok(_) => Certificate::parse(&text, &file),
        Err(source) => Err(CertificateError::Read { file, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeper(file: Option<PathBuf>, certifying: bool) -> CertificateKeeper {
        let status =
            CertificateStatus { required: true, certifying, ..CertificateStatus::default() };
        CertificateKeeper { status, file, ..CertificateKeeper::default() }
    }

    fn refusal(file: Option<PathBuf>) -> String {
        let shared = Shared::default();
        let mut keeper = keeper(file, false);
        keeper.judge(&shared);
        assert!(shared.certificate_missing.load(Ordering::Relaxed));
        assert_eq!(keeper.status().refusals.len(), 1);
        keeper.status().refusals[0].clone()
    }

    #[test]
    fn no_report_a_missing_one_and_one_that_is_none_keep_the_machine_from_arming() {
        assert!(refusal(None).contains("--certificate"));
        let missing = std::env::temp_dir().join("no-certificate-here.json");
        assert!(refusal(Some(missing)).contains("mechos certify"));
        assert!(refusal(Some("/proc/version".into())).contains("no report"));
        assert!(refusal(Some("/".into())).contains("cannot be read"));
    }

    #[test]
    fn certifying_waives_it() {
        let shared = Shared::default();
        let mut keeper = keeper(None, true);
        keeper.judge(&shared);
        keeper.turn(&shared, Some(1));
        assert!(!shared.certificate_missing.load(Ordering::Relaxed));
    }
}
