//! The certificate's check: what is right passes, and each thing that differs is named.

use crate::certificate::{
    Certificate, FAULTS, FORMAT, Facts, FaultRecord, GuardianFacts, Host, MeasureRecord,
    Provenance, Refusal, check, own,
};

fn host() -> Host {
    Host {
        host: "robot".into(),
        kernel_release: "6.12-rt".into(),
        kernel_version: "#1 PREEMPT_RT".into(),
        preempt_rt: true,
        command_line: "isolcpus=1".into(),
        cpu_model: "A CPU".into(),
        cpus: 2,
        counted: None,
    }
}

fn here() -> Facts {
    Facts {
        host: host(),
        simulated_drives: true,
        config_sha256: "c".into(),
        rt_sha256: "r".into(),
        guardian: GuardianFacts {
            binary_sha256: Some("g".into()),
            config_sha256: Some("c".into()),
        },
        weakened_by: vec![],
    }
}

fn certificate() -> Certificate {
    let stop = MeasureRecord { name: "stop".into(), budget_ns: Some(100), max_ns: Some(100) };
    let shown = MeasureRecord { name: "kill to visible".into(), budget_ns: None, max_ns: None };
    let record = |name: &&str| FaultRecord {
        name: (*name).to_owned(),
        trials: 20,
        failed: 0,
        measures: vec![stop.clone(), shown.clone()],
    };
    Certificate {
        format: FORMAT,
        provenance: Provenance {
            host: host(),
            config_sha256: "c".into(),
            rt_sha256: "r".into(),
            guardian_sha256: "g".into(),
            versions: vec![],
            taken_at: "2026-11-22T19:45:46Z".into(),
        },
        simulated_drives: true,
        faults: FAULTS.iter().map(record).collect(),
    }
}

/// The only refusal after `change`, as words.
fn refused(change: impl FnOnce(&mut Certificate)) -> String {
    let mut certificate = certificate();
    change(&mut certificate);
    let refusals = check(&certificate, &here(), 20);
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    refusals[0].to_string()
}

#[test]
fn one_that_speaks_of_this_host_and_held_arms() {
    assert_eq!(check(&certificate(), &here(), 20), []);
}

#[test]
fn each_difference_is_named() {
    let another = |what: &str, change: fn(&mut Certificate)| {
        let text = refused(change);
        assert!(text.starts_with(&format!("another {what}:")), "{text}");
        assert!(text.contains("mechos certify"), "{text}");
    };
    another("kernel", |c| c.provenance.host.kernel_release = "6.1".into());
    another("kernel", |c| c.provenance.host.kernel_version = "#2 PREEMPT_RT".into());
    another("host", |c| c.provenance.host.host = "laptop".into());
    another("CPU", |c| c.provenance.host.cpu_model = "B".into());
    another("kernel command line", |c| c.provenance.host.command_line = "quiet".into());
    another("count of CPUs", |c| c.provenance.host.cpus = 4);
    another("configuration", |c| c.provenance.config_sha256 = "d".into());
    another("mechos-rt", |c| c.provenance.rt_sha256 = "s".into());
    another("mechos-guardian", |c| c.provenance.guardian_sha256 = "h".into());
}

#[test]
fn a_host_that_was_booted_otherwise_is_refused_with_both_values() {
    let text = refused(|c| c.provenance.host.command_line = "mitigations=off".into());
    assert!(text.contains("from mitigations=off, here is isolcpus=1"), "{text}");
    let text = refused(|c| c.provenance.host.cpus = 4);
    assert!(text.contains("from 4, here is 2"), "{text}");
}

#[test]
fn counted_time_never_certifies_wall_time_nor_the_other_way_round() {
    let counted = Some("counted shift 0".to_owned());
    let text = refused(|c| c.provenance.host.counted = counted.clone());
    assert!(text.contains("counted time") && text.contains("here is wall time"), "{text}");
    let mut lab = here();
    lab.host.counted = counted;
    let refusals = check(&certificate(), &lab, 20);
    assert!(matches!(refusals[..], [Refusal::Another { what: "kind of time", .. }]));
}

#[test]
fn a_value_over_its_budget_is_named_whatever_else_the_report_says() {
    let text = refused(|c| c.faults[7].measures[0].max_ns = Some(101));
    assert!(text.contains("rt-killed") && text.contains("101 ns, allowed 100 ns"), "{text}");
    refused(|c| c.faults[7].measures[0].max_ns = None);
}

#[test]
fn every_fault_must_have_been_tried_often_enough_and_measured() {
    let text = refused(|c| drop(c.faults.remove(0)));
    assert!(text.contains("cognition-killed"), "{text}");
    let text = refused(|c| c.faults[0].trials = 19);
    assert!(text.contains("19 times") && text.contains("--times 20"), "{text}");
    let text = refused(|c| c.faults[0].failed = 1);
    assert!(text.contains("1 of 20"), "{text}");
    let mut none = certificate();
    none.faults[0].trials = 0;
    assert_eq!(check(&none, &here(), 0).len(), 1, "never is never enough");
}

#[test]
fn only_a_real_drive_need_not_fall_silent() {
    let mut real = certificate();
    real.simulated_drives = false;
    real.faults.retain(|fault| fault.name != "drive-silent" && fault.name != "feedback-stale");
    let motors = Facts { simulated_drives: false, ..here() };
    assert_eq!(check(&real, &motors, 20), []);
    real.simulated_drives = true;
    assert_eq!(check(&real, &here(), 20).len(), 2);
}

#[test]
fn what_simulated_drives_showed_arms_no_motors() {
    let motors = Facts { simulated_drives: false, ..here() };
    let refusals = check(&certificate(), &motors, 20);
    assert!(matches!(refusals.as_slice(), [Refusal::Another { what: "kind of drives", .. }]));
}

#[test]
fn a_guardian_that_is_not_known_does_not_arm() {
    let facts = Facts { guardian: GuardianFacts::default(), ..here() };
    assert_eq!(check(&certificate(), &facts, 20), [Refusal::GuardianUnknown]);
    let mut half = here();
    half.guardian.config_sha256 = None;
    assert_eq!(check(&certificate(), &half, 20), [Refusal::GuardianUnknown]);
}

#[test]
fn a_guardian_that_has_loaded_another_robot_file_does_not_arm() {
    let mut facts = here();
    facts.guardian.config_sha256 = Some("other".into());
    let refusals = check(&certificate(), &facts, 20);
    assert!(matches!(refusals.as_slice(), [Refusal::GuardianConfiguration { .. }]));
    let text = refusals[0].to_string();
    assert!(text.contains("sha256 other") && text.contains("mechos-rt c;"), "{text}");
    assert_eq!(own(&facts), refusals, "no report mends it");
}

#[test]
fn an_option_that_takes_away_what_was_tried_does_not_arm_whatever_the_report_says() {
    let facts = Facts { weakened_by: vec!["mechos-rt --allow-no-rt".into()], ..here() };
    let refusals = check(&certificate(), &facts, 20);
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    let text = refusals[0].to_string();
    assert!(text.contains("mechos-rt --allow-no-rt") && text.contains("start without it"));
    assert_eq!(own(&facts), refusals);
}

#[test]
fn a_report_survives_the_way_and_what_is_none_is_refused() {
    let text = serde_json::to_string(&certificate()).unwrap();
    assert_eq!(Certificate::parse(&text, "c.json").unwrap(), certificate());
    let other = text.replacen("\"format\":1", "\"format\":2", 1);
    for wrong in ["", "{}", "[1]", &text[..text.len() - 1], &other] {
        let error = Certificate::parse(wrong, "c.json").unwrap_err().to_string();
        assert!(error.contains("c.json") && error.contains("make a new one"), "{error}");
    }
}
