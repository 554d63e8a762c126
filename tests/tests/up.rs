//! `mechos` as a user runs it.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use mechos_operator::{Client, Status};
use mechos_tests::binaries::program;
use mechos_tests::machine::{Options, PATIENCE, turn};
use mechos_tests::now_ns;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let path =
            std::env::temp_dir().join(format!("mechos-up-{}-{}", std::process::id(), now_ns()));
        std::fs::create_dir(&path).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mechos(folder: &Folder, args: &[&str]) -> Output {
    Command::new(program("mechos"))
        .args(args)
        .current_dir(&folder.0)
        .env("MECHOS_RUNTIME_DIR", folder.0.join("run"))
        .output()
        .expect("mechos runs")
}

fn text(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}\n{}", String::from_utf8_lossy(&output.stderr))
}

#[test]
fn up_for_ten_seconds_moves_every_axis_and_brings_it_home() {
    let _turn = turn();
    let folder = Folder::new();
    let output = mechos(&folder, &["up", "--for", "10s", "--json"]);
    assert!(output.status.success(), "{}", text(&output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let status: Status = serde_json::from_value(json.clone()).expect("the status' form");
    let robot = mechos_robot::Robot::load(&Options::default().robot).unwrap();
    assert!(status.intents.hold(), "the sums of the protocol hold: {:?}", status.intents);
    assert!(status.intents.completed > 0);
    assert_eq!(status.axes.len(), robot.axes.len());
    for (axis, spec) in status.axes.iter().zip(&robot.axes) {
        assert!(axis.travel_rad >= 0.5, "{} travelled {} rad", axis.name, axis.travel_rad);
        let off = (axis.end_rad - spec.home_rad).abs();
        assert!(off < 0.01, "{} ended {off} rad from home", axis.name);
        assert!(axis.start_rad.is_finite());
    }
    assert!(status.halts.is_empty(), "{:?}", status.halts);
    let elapsed_ticks = status.ticks + status.skipped;
    assert!(elapsed_ticks as f64 * status.period_ns as f64 * 1e-9 >= 10.0, "{elapsed_ticks}");
    for name in ["control", "deadline", "bus-upper", "bus-wrist"] {
        let thread = status.rt.threads.iter().find(|thread| thread.name == name);
        let thread = thread.unwrap_or_else(|| panic!("no thread {name}"));
        assert!(!thread.policy.is_empty());
        if status.host.realtime {
            assert_eq!((thread.policy.as_str(), thread.locked), ("SCHED_FIFO", true), "{name}");
            assert!(thread.priority > 0 && thread.cpu.is_some());
        }
    }
    for key in ["late_wake", "late_compute", "late_send"] {
        assert!(json["misses"][key].is_u64(), "misses.{key}");
    }
    for key in ["p50", "p99", "p99_9", "max"] {
        assert!(json["wake_us"][key].as_f64().unwrap() > 0.0, "wake_us.{key}");
    }
}

fn status(folder: &Folder) -> Option<Status> {
    let path = folder.0.join("run").join(mechos_operator::OPERATOR_SOCKET);
    Client::connect(path, Duration::from_secs(2)).ok()?.status().ok()
}

fn wait_for(folder: &Folder, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
    let until = Instant::now() + PATIENCE;
    loop {
        match status(folder) {
            Some(status) if wanted(&status) => return status,
            last => assert!(Instant::now() < until, "waited in vain for {what}; last: {last:?}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_killed_daemon_is_started_again_halted_and_is_armed_by_an_operator_only() {
    let _turn = turn();
    let folder = Folder::new();
    let mut up = Command::new(program("mechos"))
        .arg("up")
        .env("MECHOS_RUNTIME_DIR", folder.0.join("run"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let first = wait_for(&folder, "mode armed", |status| status.mode == "armed");
    let output = mechos(&folder, &["fault", "kill", "rt"]);
    assert!(output.status.success(), "{}", text(&output));
    let again = wait_for(&folder, "another daemon", |status| status.pids.rt != first.pids.rt);
    assert_eq!((again.mode.as_str(), again.cause.as_str()), ("halted", "rt-lost"));
    std::thread::sleep(Duration::from_secs(2));
    wait_for(&folder, "it to stay halted", |status| status.mode == "halted");
    let output = mechos(&folder, &["arm"]);
    assert!(!output.status.success(), "armed without a reset: {}", text(&output));
    for command in ["reset", "arm"] {
        let output = mechos(&folder, &[command]);
        assert!(output.status.success(), "{command}: {}", text(&output));
    }
    wait_for(&folder, "motion", |s| s.axes.iter().all(|axis| axis.travel_rad > 0.05));
    kill(Pid::from_raw(up.id() as i32), Signal::SIGINT).unwrap();
    let until = Instant::now() + PATIENCE;
    let end = loop {
        if let Some(end) = up.try_wait().unwrap() {
            break end;
        }
        assert!(Instant::now() < until, "`mechos up` does not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(end.success(), "{end}");
    assert!(status(&folder).is_none(), "a daemon is left behind");
}

#[test]
fn a_wrong_robot_file_is_explained_and_nothing_starts() {
    let folder = Folder::new();
    let text_of_arm = std::fs::read_to_string(Options::default().robot).unwrap();
    let wrong = text_of_arm.replacen("rate_hz", "rate_herz", 1);
    assert_ne!(wrong, text_of_arm);
    let file = folder.0.join("wrong.toml");
    std::fs::write(&file, wrong).unwrap();
    for args in [&["up", "--robot", "wrong.toml"][..], &["robot", "check", "wrong.toml"]] {
        let output = mechos(&folder, args);
        assert!(!output.status.success());
        let said = text(&output);
        assert!(said.contains("rate_herz") && said.contains("wrong.toml"), "{said}");
    }
}

#[test]
fn commands_without_a_machine_say_how_to_start_one() {
    let folder = Folder::new();
    for command in ["arm", "disarm", "stop", "estop", "reset", "status"] {
        let output = mechos(&folder, &[command]);
        assert!(!output.status.success());
        assert!(text(&output).contains("mechos up"), "{command}: {}", text(&output));
    }
}

#[test]
fn modes_prints_the_table() {
    let folder = Folder::new();
    let output = mechos(&folder, &["modes"]);
    assert!(output.status.success());
    let said = text(&output).to_lowercase();
    for mode in ["disarmed", "arming", "armed", "stopping", "halted"] {
        assert!(said.contains(mode), "{mode} is missing:\n{said}");
    }
}
