//! `mechos doctor` on the host that runs this test, whatever that host is.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::process::{Command, Output};

use mechos_tests::binaries;
use serde_json::Value;

fn doctor(args: &[&str]) -> Output {
    Command::new(binaries::program("mechos")).arg("doctor").args(args).output().unwrap()
}

fn object(args: &[&str]) -> (Value, i32) {
    let output = doctor(args);
    let text = String::from_utf8(output.stdout).unwrap();
    (serde_json::from_str(&text).unwrap(), output.status.code().unwrap())
}

fn finding<'a>(object: &'a Value, id: &str) -> &'a Value {
    let findings = object["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("no {id}"))
}

#[test]
fn the_exit_status_is_that_of_the_worst_finding() {
    let (object, code) = object(&["--json"]);
    let status = |severity: &str| match severity {
        "ok" | "note" => 0,
        "unknown" => 5,
        "warning" => 10,
        "failure" => 20,
        other => panic!("{other}"),
    };
    let findings = object["findings"].as_array().unwrap();
    let worst = findings.iter().map(|finding| status(finding["severity"].as_str().unwrap())).max();
    assert_eq!(Some(code), worst);
    assert_eq!(status(object["worst"].as_str().unwrap()), code);
}

#[test]
fn the_kernel_is_told_as_it_is() {
    let version = fs::read_to_string("/proc/sys/kernel/version").unwrap();
    let expected = if version.contains("PREEMPT_RT") { "ok" } else { "failure" };
    let (object, _) = object(&["--json"]);
    assert_eq!(finding(&object, "kernel.preempt_rt")["severity"], expected);
}

#[test]
fn nothing_below_an_empty_root_is_right_by_not_being_there() {
    let (object, code) = object(&["--json", "--root", "/proc/self/task/none"]);
    assert!(code >= 5, "exit status {code}");
    for id in ["kernel.preempt_rt", "rights.priority", "cpu.isolcpus", "clock.source"] {
        assert_eq!(finding(&object, id)["severity"], "unknown", "{id}");
    }
}

#[test]
fn a_wrong_robot_file_is_no_finding() {
    let output = doctor(&["--robot", "/dev/null", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["error"]["code"], "robot-file");
}
