//! What needs a PREEMPT_RT kernel and its CAN: run in the lab, in counted time at shift 0, under
//! `strict`, on the robot file for one CPU. Smoke sizes; `tools/lab/README.md` names the full ones.

// A test's own helpers fail it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::process::Command;

use mechos_operator::Status;
use mechos_tests::lab::{self, Ran};
use serde_json::Value;

/// The options of the machine with its simulated drives on the guest's vcan0 and vcan1.
const CAN: &str = "--robot $ROBOTS/arm6-can-1cpu.toml --sim-drives";

fn must_succeed(ran: &Ran) {
    assert_eq!(ran.status, 0, "in the guest:\n{}", ran.text);
}

/// The one JSON object in what a script printed.
fn object(text: &str) -> Value {
    let begin = text.find('{').unwrap_or_else(|| panic!("no object in:\n{text}"));
    let end = text.rfind('}').unwrap_or_else(|| panic!("no object in:\n{text}"));
    serde_json::from_str(&text[begin..=end]).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}

#[test]
fn the_whole_machine_runs_on_the_kernels_can_and_candump_reads_its_frames() {
    let script = format!(
        "candump -r 8388608 -L vcan0 vcan1 >/run/frames & sleep 0.2
         $BIN/mechos up {CAN} --for 2s --json 2>/run/said || {{ cat /run/said; exit 1; }}
         kill %1; wait; cp /run/frames /mnt/io/"
    );
    let Some(ran) = lab::counted(&script, 560) else { return };
    must_succeed(&ran);
    let status: Status = serde_json::from_value(object(&ran.text)).expect("the status");
    assert_eq!(status.profile, "strict");
    assert_eq!((status.skipped, status.halts.len()), (0, 0), "{status:#?}");
    assert!(status.axes.iter().all(|axis| axis.travel_rad > 0.2), "{status:#?}");
    assert!(status.ledger.demanded && status.ledger.held, "{status:#?}");
    assert_eq!((status.ledger.violations, status.ledger.page_faults), (0, 0), "{status:#?}");

    let frames = std::fs::read_to_string(ran.left.join("frames")).expect("candump's log");
    let count = |word: &str| frames.lines().filter(|line| line.contains(word)).count();
    for bus in ["vcan0", "vcan1"] {
        let syncs = count(&format!("{bus} 0F8#"));
        assert!(syncs > 2_000, "{syncs} SYNC on {bus}");
        // Both stop sockets of the daemon and the guardian's proved themselves.
        assert!(count(&format!("{bus} 0F0#0200")) >= 2, "no proof of the stop frame on {bus}");
    }
    for node in 1..=6 {
        let bus = if node <= 3 { "vcan0" } else { "vcan1" };
        for (what, id) in [("setpoints", 0x200), ("positions", 0x180)] {
            let seen = count(&format!("{bus} {:03X}#", id + node));
            assert!(seen > 1_500, "{seen} {what} of node {node}");
        }
        assert!(count(&format!("{bus} {:03X}#05", 0x700 + node)) > 50, "heartbeats of {node}");
    }
}

#[test]
fn the_tests_of_hal_pass_on_the_kernels_can() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["test", "-p", "hal", "--test", "vcan", "--no-run", "--message-format", "json"]);
    build.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    let folder = mechos_tests::binaries::folder();
    if folder.ends_with("release") {
        build.arg("--release");
    }
    build.env("CARGO_TARGET_DIR", folder.parent().expect("the target directory"));
    let output = build.output().expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program = messages
        .filter(|message| message["target"]["name"] == "vcan")
        .find_map(|message| message["executable"].as_str().map(str::to_owned))
        .unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let Some(ran) = lab::counted(&format!("{program} --test-threads 1"), 300) else { return };
    must_succeed(&ran);
    assert!(!ran.text.contains("SKIPPED"), "{}", ran.text);
    assert!(ran.text.contains("test result: ok"), "{}", ran.text);
}

#[test]
fn a_wake_up_is_compared_with_cyclictests_in_one_boot_and_spinning_hides_it() {
    let script = format!(
        "$BIN/mechos latency {CAN} --cycles 1500 --warm-up 200ms --wake spin:60 --load=cpu \
         --versus-cyclictest --blocks 1 --json 2>/run/said || {{ cat /run/said; exit 1; }}"
    );
    let Some(ran) = lab::counted(&script, 560) else { return };
    must_succeed(&ran);
    let report = object(&ran.text);
    let rows = report["comparison"]["rows"].as_array().expect("rows");
    let max = rows.iter().find(|row| row["value"] == "max").expect("a maximum");
    let ns = |side: &str| max[side].as_u64().unwrap_or_else(|| panic!("no {side} in {max}"));
    let (control_ns, cyclictest_ns) = (ns("control_ns"), ns("cyclictest_ns"));
    eprintln!(
        "longest of 1500, counted shift 0: spinning {control_ns} ns, cyclictest {cyclictest_ns} ns"
    );
    // A smoke size: what is promised, a tenth, is for 100,000 cycles.
    assert!(cyclictest_ns > 1_000 && control_ns * 2 < cyclictest_ns, "{max}");
    let paths = report["paths"].as_array().expect("paths");
    assert!(paths.iter().all(|path| path["count"].as_u64() > Some(0)), "{paths:#?}");
}

#[test]
fn every_stop_of_a_killed_and_of_a_late_daemon_is_inside_its_budget() {
    let script = format!(
        "$BIN/mechos certify {CAN} --allow-faults --times 2 \
         --faults control-stalled,rt-killed,cognition-killed --out /mnt/io --json \
         2>/run/said || {{ cat /run/said; exit 1; }}"
    );
    let Some(ran) = lab::counted(&script, 560) else { return };
    must_succeed(&ran);
    assert!(ran.left.join("certificate.json").is_file());
    assert!(ran.left.join("certificate.html").is_file());
}
