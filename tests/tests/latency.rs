//! `mechos latency` as a user runs it: every path measured, plausible, and nothing left behind.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mechos_tests::binaries::program;
use mechos_tests::machine::{PATIENCE, turn};
use mechos_tests::now_ns;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The paths, in the order of the way from the timer to the planner.
const PATHS: [&str; 8] = [
    "wake",
    "compute",
    "send",
    "wire",
    "intent-seen",
    "intent-wire",
    "feedback-published",
    "feedback-seen",
];

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let name = format!("mechos-l-{}-{}", std::process::id(), now_ns());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Processes whose command line names that directory.
fn processes_of(runtime: &Path) -> Vec<String> {
    let wanted = runtime.to_str().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(wanted)).collect()
}

#[test]
fn every_path_is_measured_and_the_machine_ends_in_order() {
    let _turn = turn();
    let folder = Folder::new();
    let (runtime, svg) = (folder.0.join("run"), folder.0.join("path.svg"));
    let output = Command::new(program("mechos"))
        .args(["latency", "--for", "2s", "--load=cpu,io", "--json", "--svg"])
        .arg(&svg)
        .arg("--runtime")
        .arg(&runtime)
        .output()
        .expect("mechos runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{errors}", String::from_utf8_lossy(&output.stdout));
    let json: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let paths = json["paths"].as_array().unwrap();
    let names: Vec<_> = paths.iter().map(|path| path["path"].as_str().unwrap()).collect();
    assert_eq!(names, PATHS);
    for path in paths {
        let number = |key: &str| path[key].as_u64().unwrap_or_else(|| panic!("{key}: {path}"));
        let (min, p50, max) = (number("min_ns"), number("p50_ns"), number("max_ns"));
        assert!(number("count") > 0 && min <= p50 && p50 <= max, "{path}");
    }
    let value = |name: &str, key: &str| {
        let path = paths.iter().find(|path| path["path"] == name).unwrap();
        path[key].as_u64().unwrap()
    };
    // What contains another path takes at least as long.
    assert!(value("send", "min_ns") >= value("compute", "min_ns"));
    assert!(value("wire", "p50_ns") >= value("send", "p50_ns"));
    assert!(value("intent-wire", "p50_ns") >= value("intent-seen", "p50_ns"));
    assert!(value("feedback-seen", "p50_ns") >= value("feedback-published", "p50_ns"));
    let ticks = json["window"]["ticks"].as_u64().unwrap();
    assert!(value("wake", "count") >= ticks / 2, "{ticks} ticks");
    assert!(json["planner"]["written"].as_u64().unwrap() > 0);
    assert_eq!(json["planner"]["refused"], 0, "{}", json["planner"]["reasons"]);
    let picture = std::fs::read_to_string(&svg).unwrap();
    assert_eq!(picture.matches(">\nmax ").count(), PATHS.len(), "a mark for every maximum");
    assert_eq!(processes_of(&runtime), Vec::<String>::new());
}

#[test]
fn ctrl_c_ends_machine_planner_and_load() {
    let _turn = turn();
    let folder = Folder::new();
    let runtime = folder.0.join("run");
    let mut child = Command::new(program("mechos"))
        .args(["latency", "--for", "1h", "--load=cpu", "--json", "--runtime"])
        .arg(&runtime)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mechos runs");
    let until = Instant::now() + PATIENCE;
    while !processes_of(&runtime).iter().any(|line| line.contains("latency-peer")) {
        assert!(Instant::now() < until, "no planner: {:?}", processes_of(&runtime));
        std::thread::sleep(Duration::from_millis(10));
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "it was not measured");
    assert_eq!(processes_of(&runtime), Vec::<String>::new());
}

#[test]
fn killed_without_warning_it_leaves_no_armed_machine() {
    let _turn = turn();
    let folder = Folder::new();
    let runtime = folder.0.join("run");
    let mut child = Command::new(program("mechos"))
        .args(["latency", "--for", "1h", "--json", "--runtime"])
        .arg(&runtime)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mechos runs");
    let until = Instant::now() + PATIENCE;
    while !processes_of(&runtime).iter().any(|line| line.contains("latency-peer")) {
        assert!(Instant::now() < until, "no planner: {:?}", processes_of(&runtime));
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let until = Instant::now() + PATIENCE;
    while !processes_of(&runtime).is_empty() {
        assert!(Instant::now() < until, "left behind: {:?}", processes_of(&runtime));
        std::thread::sleep(Duration::from_millis(10));
    }
}
