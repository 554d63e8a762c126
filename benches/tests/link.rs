//! The smoke size of the link's benchmark: two processes, every channel and cell, every record
//! compared on both sides; no time is judged.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

use std::process::{Command, Output};

use serde_json::Value;

fn link(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_link")).args(arguments).output().unwrap()
}

#[test]
fn every_record_arrives_as_it_was_sent() {
    let output = link(&["--smoke", "--json"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["smoke"], true);
    let readings = report["repetitions"][0].as_array().unwrap();
    assert_eq!(readings.len(), 23, "each item once");
    for reading in readings {
        let found = &reading["found"];
        let count = found["times"]["times"]["count"].as_u64();
        let per_s = found["rate"]["per_s"].as_f64();
        assert!(count.is_some_and(|n| n > 0) || per_s.is_some_and(|n| n > 0.0), "{reading}");
    }
    assert_eq!(report["targets"].as_array().unwrap().len(), 7);
}

#[test]
fn the_table_names_every_item_and_what_was_asked_of_the_host() {
    let output = link(&["--smoke"]);
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    for name in ["ring, 56 B, checked", "iceoryx2, 256 B", "pipe, 64 B", "seqlock", "records/s"] {
        assert!(table.contains(name), "no {name} in\n{table}");
    }
    assert!(table.contains("SCHED_FIFO not asked for"), "a smoke run asks for none:\n{table}");
}

#[test]
fn processors_that_are_none_are_refused() {
    let output = link(&["--smoke", "--cores", "zero"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("processors zero"));
}
