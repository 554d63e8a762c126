//! `mechos certify` as a user runs it: a report whose numbers are consistent, and a robot that
//! arms by it and by no other.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mechos_operator::{Client, Status};
use mechos_robot::certificate::{Certificate, FAULTS, FaultRecord};
use mechos_tests::binaries::program;
use mechos_tests::machine::{Options, PATIENCE, turn};
use mechos_tests::now_ns;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let name = format!("mechos-certify-test-{}-{}", std::process::id(), now_ns());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a folder");
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mechos(folder: &Folder, args: &[&str]) -> Output {
    Command::new(program("mechos")).args(args).current_dir(&folder.0).output().expect("it runs")
}

fn text(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}\n{}", String::from_utf8_lossy(&output.stderr))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

#[test]
fn a_campaign_writes_a_report_whose_numbers_are_consistent() {
    let _turn = turn();
    let folder = Folder::new();
    let faults = "cognition-killed,control-stalled,rt-killed";
    let args =
        ["certify", "--times", "2", "--faults", faults, "--seed", "11", "--out", "out", "--json"];
    let output = mechos(&folder, &args);
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}\n{}", text(&output)));
    let report: Value = serde_json::from_str(&read(&folder.path("out/certificate.json"))).unwrap();
    assert_eq!(output.status.success(), report["held"].as_bool().unwrap(), "{}", text(&output));
    assert_eq!(
        (&said["ok"], &report["seed"], &report["times"]),
        (&report["held"], &11.into(), &2.into())
    );
    let all = report["faults"].as_array().unwrap();
    assert_eq!(all.len(), 3);
    for fault in all {
        let name = fault["name"].as_str().unwrap();
        assert_eq!((&fault["trials"], &fault["failed"]), (&2.into(), &0.into()), "{fault:#}");
        let measures = fault["measures"].as_array().unwrap();
        let mut held = true;
        for measure in measures {
            let values = numbers(&measure["values_ns"]);
            assert!(!values.is_empty(), "{name}: {measure:#}");
            assert_eq!(measure["max_ns"].as_u64(), values.iter().copied().max(), "{name}");
            if let Some(budget) = measure["budget_ns"].as_u64() {
                let inside = values.iter().all(|value| *value <= budget);
                assert_eq!(measure["held"].as_bool(), Some(inside), "{name}: {measure:#}");
                assert_eq!(values.len(), 2, "every trial of a bounded measure: {name}");
                held &= inside;
            }
        }
        assert_eq!(fault["held"].as_bool(), Some(held), "{name}");
        for trial in fault["each"].as_array().unwrap() {
            let fault_ns = trial["fault_ns"].as_u64().unwrap();
            let stops = numbers(&trial["stops_ns"]);
            assert_eq!(stops.len(), 2, "a stop on both buses");
            assert!(stops.iter().all(|stop| *stop > fault_ns), "{name}: {trial:#}");
            assert!(trial["speed_rad_s"].as_f64().unwrap() > 0.05, "it moved: {trial:#}");
        }
        let who: Vec<&String> = fault["stopped_by"].as_object().unwrap().keys().collect();
        let expected = match name {
            "cognition-killed" => "kernel: cognition-lost",
            "control-stalled" => "deadline thread: deadline-control",
            _ => "guardian: ",
        };
        assert!(who.iter().all(|who| who.starts_with(expected)), "{name}: {who:?}");
    }
    let page = read(&folder.path("out/certificate.html"));
    assert!(page.contains("It is not a safety certification"));
    assert_eq!(page.matches("<svg").count(), 3);
    let certificate = Certificate::parse(report.to_string(), "report").unwrap();
    assert_eq!(certificate.faults.iter().map(FaultRecord::held).collect::<Vec<_>>(), {
        let held = all.iter().map(|fault| fault["held"].as_bool().unwrap());
        held.collect::<Vec<_>>()
    });
}

#[test]
fn a_campaign_goes_on_from_an_earlier_report_and_makes_only_what_it_lacks() {
    let _turn = turn();
    let folder = Folder::new();
    let certify = |more: &[&str]| {
        let output = mechos(&folder, &[&["certify", "--json"], more].concat());
        let report = folder.path("out/certificate.json");
        let report: Value = serde_json::from_str(&read(&report)).unwrap();
        (output, report)
    };
    let one = ["--out", "out", "--seed", "3", "--times", "1", "--faults", "control-panic"];
    let (output, first) = certify(&one);
    assert_eq!(first["faults"].as_array().unwrap().len(), 1, "{}", text(&output));
    let earlier = folder.path("earlier.json");
    std::fs::copy(folder.path("out/certificate.json"), &earlier).unwrap();
    let earlier = earlier.to_str().unwrap();
    let more = ["--out", "out", "--with", earlier, "--times", "2", "--faults", "cognition-killed"];
    let (output, second) = certify(&more);
    let faults = second["faults"].as_array().unwrap();
    let trials: Vec<_> = faults.iter().map(|f| (f["name"].as_str(), &f["trials"])).collect();
    let two = Value::from(2);
    let both = [(Some("cognition-killed"), &two), (Some("control-panic"), &two)];
    assert_eq!((trials, &second["seed"]), (both.to_vec(), &3.into()), "{}", text(&output));
    assert_eq!(faults[1]["each"][0], first["faults"][0]["each"][0], "it is not made again");
    // Its time was on this machine's clock too: the new one came later.
    let made_at = |trial: usize| faults[1]["each"][trial]["fault_ns"].as_u64().unwrap();
    assert!(made_at(1) > made_at(0));
    let output = mechos(&folder, &["certify", "--with", earlier, "--seed", "4", "--json"]);
    assert!(text(&output).contains("the seed is 3 there and 4 here"), "{}", text(&output));
}

#[test]
fn an_unknown_fault_is_refused_with_the_known_ones() {
    let folder = Folder::new();
    let output = mechos(&folder, &["certify", "--faults", "power-cut"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("rt-and-guardian-killed"), "{}", text(&output));
}

/// A machine kept by `mechos up`; dropped, it is ended.
struct Up<'a> {
    child: Child,
    folder: &'a Folder,
}

impl<'a> Up<'a> {
    fn start(folder: &'a Folder) -> Up<'a> {
        let child = Command::new(program("mechos"))
            .args(["up", "--robot", "arm.toml", "--runtime", "run", "--no-arm"])
            .current_dir(&folder.0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mechos up starts");
        Up { child, folder }
    }

    fn status(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let path = self.folder.path("run").join(mechos_operator::OPERATOR_SOCKET);
        let until = Instant::now() + PATIENCE;
        loop {
            let client = Client::connect(&path, Duration::from_secs(2)).ok();
            match client.and_then(|mut client| client.status().ok()) {
                Some(status) if wanted(&status) => return status,
                last => assert!(Instant::now() < until, "waited in vain for {what}: {last:?}"),
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn arm(&self) -> Output {
        mechos(self.folder, &["arm", "--runtime", "run"])
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT);
        let _ = self.child.wait();
    }
}

/// arm6 that requires a certificate with one trial of each fault.
fn requiring(folder: &Folder) {
    let arm6 = read(&Options::default().robot);
    let keys = "rate_hz = 1000\nrequire_certificate = true\ncertificate_trials_min = 1";
    let required = arm6.replacen("rate_hz = 1000", keys, 1);
    assert_ne!(arm6, required);
    std::fs::write(folder.path("arm.toml"), required).unwrap();
}

#[test]
fn a_robot_that_requires_a_certificate_arms_by_the_right_one_only() {
    let _turn = turn();
    let folder = Folder::new();
    requiring(&folder);
    {
        let up = Up::start(&folder);
        let status = up.status("an open interlock", |s| s.interlocks == ["certificate"]);
        assert!(status.certificate.required && !status.certificate.certifying);
        let output = up.arm();
        assert!(!output.status.success(), "armed without a certificate");
        assert!(text(&output).contains("mechos certify"), "{}", text(&output));
    }
    let args = ["certify", "--robot", "arm.toml", "--times", "1", "--out", "out"];
    let output = mechos(&folder, &args);
    let report = folder.path("out/certificate.json");
    let certificate = Certificate::parse(read(&report), "report")
        .unwrap_or_else(|error| panic!("{error}\n{}", text(&output)));
    assert_eq!(certificate.faults.len(), FAULTS.len());
    for fault in &certificate.faults {
        assert_eq!(fault.failed, 0, "{}\n{}", fault.name, text(&output));
    }
    let beside = folder.path("arm.certificate.json");
    let right = held(&read(&report));
    std::fs::write(&beside, &right).unwrap();
    let up = Up::start(&folder);
    up.status("the certificate to hold", |s| s.interlocks.is_empty());
    // Read again before each arming: a report that was exchanged meanwhile does not arm.
    let mut wrong: Value = serde_json::from_str(&right).unwrap();
    wrong["provenance"]["rt_sha256"] = "0".repeat(64).into();
    std::fs::write(&beside, wrong.to_string()).unwrap();
    let output = up.arm();
    assert!(!output.status.success(), "armed by another binary's certificate");
    assert!(text(&output).contains("another mechos-rt"), "{}", text(&output));
    std::fs::write(&beside, &right).unwrap();
    let output = up.arm();
    assert!(output.status.success(), "{}", text(&output));
    up.status("mode armed", |status| status.mode == "armed");
}

/// The report with every time inside its budget: what a busy host took from a trial is not what is
/// tested here.
fn held(report: &str) -> String {
    let mut report: Value = serde_json::from_str(report).unwrap();
    for fault in report["faults"].as_array_mut().unwrap() {
        for measure in fault["measures"].as_array_mut().unwrap() {
            if let Some(budget) = measure["budget_ns"].as_u64() {
                let max = measure["max_ns"].as_u64().unwrap_or(0).min(budget);
                measure["max_ns"] = max.into();
            }
        }
    }
    report.to_string()
}
