//! When the report is read, and what keeps the machine from arming.

use mechos_operator::GuardianStatus;

use super::*;

fn keeper(file: Option<PathBuf>, certifying: bool) -> CertificateKeeper {
    let status = CertificateStatus { required: true, certifying, ..CertificateStatus::default() };
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
fn a_report_without_an_end_is_refused_by_its_length() {
    let text = refusal(Some("/dev/zero".into()));
    assert!(text.contains("longer than 16777216 bytes (16 MiB)"), "{text}");
}

#[test]
fn certifying_waives_it() {
    let shared = Shared::default();
    let mut keeper = keeper(None, true);
    keeper.here.weakened_by = vec!["mechos-rt --allow-faults".to_owned()];
    keeper.judge(&shared);
    keeper.turn(&shared, Some(1), 1);
    assert!(keeper.before_arming(&shared), "the kernel decides");
    assert!(!shared.certificate_missing.load(Ordering::Relaxed));
    assert_eq!(keeper.status().refusals, Vec::<String>::new());
}

#[test]
fn the_report_is_read_while_disarmed_only() {
    let shared = Shared::default();
    let mut keeper = keeper(None, false);
    keeper.stale = true;
    assert!(!keeper.before_arming(&shared));
    keeper.turn(&shared, None, 1);
    assert_eq!(keeper.status().refusals, Vec::<String>::new(), "nothing was read");
    shared.disarmed.store(true, Ordering::Relaxed);
    assert!(keeper.before_arming(&shared));
    assert_eq!(keeper.status().refusals.len(), 1);
}

#[test]
fn what_became_known_of_the_guardian_meanwhile_is_judged_once_disarmed() {
    let shared = Shared::default();
    let mut keeper = keeper(None, false);
    keeper.stale = true;
    shared.disarmed.store(true, Ordering::Relaxed);
    keeper.turn(&shared, None, 1);
    assert!(!keeper.stale && shared.certificate_missing.load(Ordering::Relaxed));
}

#[test]
fn options_that_take_away_what_was_tried_stand_among_the_refusals() {
    let shared = Shared::default();
    let mut keeper = keeper(None, false);
    keeper.here.weakened_by = vec!["mechos-rt --allow-no-rt".to_owned()];
    keeper.judge(&shared);
    assert!(shared.certificate_missing.load(Ordering::Relaxed));
    assert!(keeper.status().refusals[0].contains("mechos-rt --allow-no-rt"));
}

#[test]
fn a_guardian_with_another_robot_file_opens_an_interlock_of_its_own() {
    let shared = Shared::default();
    let mut keeper = keeper(None, false);
    keeper.here.config_sha256 = "c".to_owned();
    let said = |config: &str| {
        let config_sha256 = Some(config.to_owned());
        let binary_sha256 = Some("g".to_owned());
        Some(GuardianStatus { binary_sha256, config_sha256, ..GuardianStatus::default() })
    };
    keeper.guardian.turn(Some(7), 0, |_| said("other"));
    keeper.judge(&shared);
    assert!(shared.guardian_differs.load(Ordering::Relaxed));
    assert!(keeper.status().refusals[0].contains("another robot file"));
    keeper.guardian.turn(Some(8), 0, |_| said("c"));
    keeper.judge(&shared);
    assert!(!shared.guardian_differs.load(Ordering::Relaxed));
}
