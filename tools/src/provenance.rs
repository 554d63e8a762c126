//! Where and with what a measurement was made: stands in every report.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use mechos_robot::certificate::Provenance;
use mechos_robot::certificate::{Host, LAB_VARIABLE, sha256};

use crate::processes::Process;

/// Takes it for a robot file's text and the programs in `folder`.
///
/// # Errors
/// A program cannot be read.
pub fn take(config: &str, folder: &Path) -> io::Result<Provenance> {
    let program = |process: Process| sha256(File::open(folder.join(process.name()))?);
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let versions = Process::ALL
        .iter()
        .map(|process| format!("{} {}", process.name(), env!("CARGO_PKG_VERSION")))
        .collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Ok(Provenance {
        host: Host::read(read, std::env::var(LAB_VARIABLE).ok()),
        config_sha256: sha256(config.as_bytes())?,
        rt_sha256: program(Process::Rt)?,
        guardian_sha256: program(Process::Guardian)?,
        versions,
        taken_at: utc(now.as_secs()),
    })
}

/// `2026-11-22T19:45:46Z` of seconds since 1970. Civil date from days: 400-year eras that begin on
/// 1 March, so that the leap day is the last day of a year.
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn times_are_utc() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_795_376_746), "2026-11-22T19:45:46Z");
        assert_eq!(utc(1_798_761_599), "2026-12-31T23:59:59Z");
    }

    #[test]
    fn every_part_is_filled_in_and_a_missing_program_is_an_error() {
        let folder = Folder::new("provenance");
        assert!(take("a", folder.path()).is_err());
        std::fs::write(folder.path().join("mechos-rt"), "abc").unwrap();
        std::fs::write(folder.path().join("mechos-guardian"), "abc").unwrap();
        let taken = take("abc", folder.path()).unwrap();
        assert!(taken.rt_sha256.starts_with("ba7816bf"));
        assert_eq!(
            (&taken.config_sha256, &taken.guardian_sha256),
            (&taken.rt_sha256, &taken.rt_sha256)
        );
        let host = &taken.host;
        for part in [&host.host, &host.kernel_release, &host.kernel_version, &host.command_line] {
            assert!(!part.is_empty(), "{taken:?}");
        }
        assert!(host.cpus > 0);
    }
}
