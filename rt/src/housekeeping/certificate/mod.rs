//! The certificate that arming may need: read at the start, when the guardian says something new,
//! and before each arming. Whether it holds is decided by `mechos_robot::certificate`.
//!
//! The report is read only while the machine is Disarmed: what stands in it is of no use to one that
//! moves, and its length is somebody else's choice.

pub mod here;
mod inquiry;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use mechos_operator::{CertificateStatus, GUARDIAN_SOCKET};
use mechos_robot::Robot;
use mechos_robot::certificate::{Certificate, CertificateError, Facts, REPORT_MAX, check, own};
use tracing::{error, info, warn};

use crate::args::Args;
use crate::shared::Shared;
use here::facts;
use inquiry::{Inquiry, ask};

/// Keeps the certificate's state.
#[derive(Default)]
pub struct CertificateKeeper {
    status: CertificateStatus,
    file: Option<PathBuf>,
    guardian: Inquiry,
    /// What is so here without the guardian's part.
    here: Facts,
    /// Something else is known of the guardian than when the report was read.
    stale: bool,
    trials_min: u32,
}

impl CertificateKeeper {
    /// Hashes what runs, where a certificate is required.
    ///
    /// # Errors
    /// The program cannot be read.
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
            true => facts(args, robot)?,
            false => Facts::default(),
        };
        Ok(CertificateKeeper {
            status,
            file: args.certificate.clone(),
            guardian: Inquiry::new(args.runtime.join(GUARDIAN_SOCKET), robot.is_simulated()),
            here,
            stale: false,
            trials_min: robot.certificate_trials_min,
        })
    }

    /// For the operator's status.
    pub fn status(&self) -> &CertificateStatus {
        &self.status
    }

    /// Hears the guardian, and reads the report anew where that told something.
    pub fn turn(&mut self, shared: &Shared, guardian: Option<i32>, now_ns: u64) {
        if !self.binds() {
            return;
        }
        let quiet = !shared.armed.load(Ordering::Acquire);
        self.stale |= match quiet {
            true => self.guardian.turn(guardian, now_ns, ask),
            false => self.guardian.notice(guardian),
        };
        if self.stale && shared.disarmed.load(Ordering::Acquire) {
            self.judge(shared);
        }
    }

    /// Reads the report anew for an operator who wants to arm. Returns false where the machine is
    /// not Disarmed: then nothing is read, and the edge must not reach the kernel, which could be
    /// Disarmed by then and would go by what was read before.
    #[must_use]
    pub fn before_arming(&mut self, shared: &Shared) -> bool {
        if !self.binds() {
            return true;
        }
        let disarmed = shared.disarmed.load(Ordering::Acquire);
        if disarmed {
            self.judge(shared);
        }
        disarmed
    }

    /// Reads the report anew and opens or closes the interlocks.
    pub fn judge(&mut self, shared: &Shared) {
        if !self.binds() {
            return;
        }
        self.stale = false;
        let here = self.facts_now();
        let differs = here.guardians_other_config().is_some();
        let report = self.file.as_deref().ok_or(CertificateError::NotNamed).and_then(read);
        let (found, unread) = match report {
            Ok(certificate) => (check(&certificate, &here, self.trials_min), None),
            Err(error) => (own(&here), Some(error.to_string())),
        };
        let refusals: Vec<String> = found.iter().map(ToString::to_string).chain(unread).collect();
        // Release pairs with the control thread's Acquire at its next tick.
        shared.guardian_differs.store(differs, Ordering::Release);
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

    /// With what the guardian that is connected has said.
    fn facts_now(&self) -> Facts {
        let mut here = self.here.clone();
        let said = self.guardian.said();
        here.guardian.clone_from(&said.facts);
        here.weakened_by.extend(said.weakened_by.iter().cloned());
        here
    }

    fn binds(&self) -> bool {
        self.status.required && !self.status.certifying
    }
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
    let mut text = Vec::new();
    // One byte more than is allowed tells a report that is too long from one that just fits.
    let room = u64::try_from(REPORT_MAX).unwrap_or(u64::MAX).saturating_add(1);
    match opened.take(room).read_to_end(&mut text) {
        Ok(length) if length > REPORT_MAX => Err(CertificateError::TooLong { file }),
        Ok(_) => Certificate::parse(&text, &file),
        Err(source) => Err(CertificateError::Read { file, source }),
    }
}

#[cfg(test)]
mod tests;
