//! CAN interfaces.

use std::fs;
use std::path::Path;

use socketcan::nl::CanState;

use super::super::can_link::Link;
use super::super::demand::CanBus;
use super::super::finding::Finding;
use super::super::finding::Severity::{Failure, Note, Ok as Right, Unknown, Warning};
use super::Bench;

/// A bus of the robot on `can0`, with a device behind it.
fn with_can(test: &str, link: Link) -> Bench {
    let mut bench = Bench::good(test);
    let (name, interface) = ("upper".into(), "can0".into());
    bench.demand.buses = vec![CanBus { name, interface, bitrate: 1_000_000, drives: 3 }];
    for (file, text) in [("type", "280"), ("flags", "0x40081"), ("tx_queue_len", "10")] {
        bench.write(&format!("sys/class/net/can0/{file}"), text);
    }
    bench.write("sys/class/net/can0/threaded", "0");
    bench.write("sys/class/net/can0/device/vendor", "0x1a07");
    bench.write("proc/154/comm", "irq/44-can0");
    bench.write("proc/154/stat", &stat("irq/44-can0", 85, 1));
    bench.facts.live.as_mut().unwrap().links.insert("can0".into(), Ok(link));
    bench
}

fn stat(name: &str, priority: u32, policy: u32) -> String {
    format!("154 ({name}) S {} {priority} {policy} 0", ["0"; 36].join(" "))
}

const LINK: Link = Link {
    bitrate: Some(1_000_000),
    restart_ms: Some(0),
    state: Some(CanState::ErrorActive),
    errors: None,
};

#[test]
fn a_well_set_up_can_interface_is_right() {
    let bench = with_can("can-good", LINK);
    let can: Vec<Finding> =
        bench.all().into_iter().filter(|found| found.id.starts_with("can.")).collect();
    assert_eq!(can.len(), 7, "{can:#?}");
    assert!(can.iter().all(|found| found.severity == Right), "{can:#?}");
}

#[test]
fn a_wrong_controller_is_set_up_anew() {
    let set_up = "sudo ip link set can0 down && sudo ip link set can0 type can bitrate 1000000 \
                  restart-ms 0 && sudo ip link set can0 up";
    let cases = [
        ("bitrate", Link { bitrate: Some(500_000), ..LINK }, Failure),
        ("bitrate", Link { bitrate: None, ..LINK }, Failure),
        ("restart", Link { restart_ms: Some(100), ..LINK }, Warning),
        ("controller", Link { state: Some(CanState::BusOff), ..LINK }, Failure),
    ];
    for (index, (thing, link, severity)) in cases.into_iter().enumerate() {
        let found = with_can(&format!("can-{index}"), link).find(&format!("can.can0.{thing}"));
        assert_eq!((found.severity, found.mend.as_deref()), (severity, Some(set_up)), "{thing}");
    }
    let bench = with_can("can-passive", Link { state: Some(CanState::ErrorPassive), ..LINK });
    assert_eq!(bench.find("can.can0.controller").severity, Warning);
    let bench = with_can("can-silent", Link::default());
    for thing in ["bitrate", "restart", "controller"] {
        assert_eq!(bench.find(&format!("can.can0.{thing}")).severity, Unknown, "{thing}");
    }
}

#[test]
fn an_interface_that_is_down_or_missing_stops_the_daemon() {
    let bench = with_can("can-down", LINK);
    bench.turns("sys/class/net/can0/flags", "0x40080", "can.can0.state", Failure);
    bench.remove("sys/class/net/can0");
    let found = bench.find("can.can0.present");
    assert_eq!(found.severity, Failure);
    assert!(found.mend.unwrap().contains("ip link set can0 up type can bitrate 1000000"));
}

#[test]
fn short_and_long_queues_and_slow_threads_are_found() {
    let mut bench = with_can("can-queue", LINK);
    let file = "sys/class/net/can0/tx_queue_len";
    let mend = bench.turns(file, "5", "can.can0.queue", Warning);
    assert_eq!(mend, "sudo ip link set can0 txqueuelen 10");
    bench.write(file, "1000");
    assert_eq!(bench.find("can.can0.queue").severity, Note);
    bench.demand.buses[0].drives = 12;
    assert!(bench.find("can.can0.queue").mend.unwrap().ends_with("txqueuelen 16"));
    let mend = bench.turns("proc/154/stat", &stat("irq/44-can0", 50, 1), "can.can0.irq", Warning);
    assert!(mend.contains("chrt --fifo --pid 85"), "{mend}");
    bench.remove("proc/154");
    assert_eq!(bench.find("can.can0.irq").severity, Unknown);
    bench.write("proc/160/comm", "napi/can0-7");
    bench.write("proc/160/stat", &stat("napi/can0-7", 0, 0));
    bench.turns("sys/class/net/can0/threaded", "1", "can.can0.napi", Warning);
}

#[test]
fn a_virtual_interface_is_shown_as_such() {
    let bench = with_can("can-virtual", Link::default());
    let net = bench.folder.path().join("sys/class/net");
    fs::remove_dir_all(net.join("can0/device")).unwrap();
    fs::rename(net.join("can0"), net.join("real")).unwrap();
    let home = bench.folder.path().join("sys/devices/virtual/net");
    fs::create_dir_all(&home).unwrap();
    fs::rename(net.join("real"), home.join("can0")).unwrap();
    let to = Path::new("../../devices/virtual/net/can0");
    std::os::unix::fs::symlink(to, net.join("can0")).unwrap();
    assert_eq!(bench.find("can.can0.virtual").severity, Note);
    assert!(bench.all().iter().all(|found| found.id != "can.can0.bitrate"));
}
