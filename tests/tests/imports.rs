//! Who may import whom, and that nothing below the real-time process is async or speaks HTTP.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Workspace packages that each package may depend on, but for tests.
const ALLOWED: [(&str, &[&str]); 11] = [
    ("shm-protocol", &[]),
    ("hal", &[]),
    ("mechos-operator", &[]),
    ("mechos-kernel", &["shm-protocol"]),
    ("mechos-robot", &["shm-protocol", "hal", "mechos-kernel"]),
    ("mechos-rt", &["shm-protocol", "hal", "mechos-kernel", "mechos-robot", "mechos-operator"]),
    ("mechos-cognition", &["shm-protocol"]),
    ("mechos-sim", &["hal", "mechos-robot"]),
    (
        "mechos-tools",
        &["shm-protocol", "hal", "mechos-kernel", "mechos-robot", "mechos-operator", "mechos-sim"],
    ),
    ("mechos-benches", EVERYTHING),
    ("mechos-tests", EVERYTHING),
];

const EVERYTHING: &[&str] = &[
    "shm-protocol",
    "hal",
    "mechos-kernel",
    "mechos-robot",
    "mechos-operator",
    "mechos-rt",
    "mechos-cognition",
    "mechos-sim",
    "mechos-tools",
];

fn cargo(args: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(args).current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_package_imports_only_what_it_may() {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let may = allowed.get(name).unwrap_or_else(|| panic!("{name} has no row in this test"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            let normal = dependency["kind"].is_null();
            let fine = !normal || !names.contains(other) || may.contains(&other);
            assert!(fine, "{name} must not import {other}");
        }
    }
}

#[test]
fn nothing_async_and_no_http_below_the_real_time_process() {
    let forbidden =
        ["tokio", "async-std", "smol", "hyper", "reqwest", "ureq", "tiny_http", "h2", "http"];
    for package in ["mechos-rt", "hal", "shm-protocol"] {
        let tree = cargo(&["tree", "-p", package, "-e", "normal", "--prefix", "none"]);
        assert!(tree.lines().count() > 3, "an empty tree shows nothing");
        for line in tree.lines() {
            let name = line.split_whitespace().next().unwrap_or_default();
            assert!(!forbidden.contains(&name), "{package} depends on {name}");
        }
    }
}
