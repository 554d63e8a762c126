//! Refused for what the machine would be: ids, identifiers, limits, scales, bus load.

use super::{ARM6, arm6_with, refused, wrong};
use crate::Robot;

#[test]
fn rates_out_of_range() {
    for rate in ["49", "10001", "0", "-1000", "99999999999"] {
        wrong("rate_hz = 1000", &format!("rate_hz = {rate}"), "rate_hz");
    }
}

#[test]
fn a_rate_that_drives_cannot_be_told() {
    for rate in ["60", "300", "3000", "7000"] {
        let refusal = wrong("rate_hz = 1000", &format!("rate_hz = {rate}"), "rate_hz");
        assert!(refusal.allowed.contains("60C2h"), "{refusal}");
    }
}

#[test]
fn two_drives_with_one_id_on_a_bus() {
    let refusal = wrong("node = 2", "node = 1", "axes[shoulder].node");
    assert_eq!(refusal.found, "1, as `base` on the same bus `upper`");
}

#[test]
fn one_id_on_two_buses_is_allowed() {
    assert!(Robot::parse(&arm6_with("node = 4", "node = 1"), "f").is_ok());
}

#[test]
fn a_drive_with_the_hosts_id() {
    wrong("node = 2", "node = 0x7F", "axes[shoulder].node");
}

#[test]
fn a_drive_whose_emcy_is_the_stop_or_sync() {
    let stop = wrong("node = 2", "node = 0x70", "axes[shoulder].node");
    assert!(stop.found.ends_with("is the COB-ID of the stop"), "{stop}");
    let sync = wrong("node = 2", "node = 0x78", "axes[shoulder].node");
    assert!(sync.found.ends_with("is the COB-ID of the SYNC"), "{sync}");
}

#[test]
fn a_stop_that_is_not_below_every_cyclic_identifier() {
    let key = "canopen.stop_cob_id";
    for id in ["0x0F8", "0x0FF", "0x181", "0x702", "0x000", "0x080"] {
        wrong("stop_cob_id = 0x0F0", &format!("stop_cob_id = {id}"), key);
    }
    let refusal = wrong("sync_cob_id = 0x0F8", "sync_cob_id = 0x080", key);
    assert!(refusal.allowed.starts_with("a stop COB-ID below every cyclic one"), "{refusal}");
}

#[test]
fn no_axis_and_no_bus() {
    let before = &ARM6[..ARM6.find("[[axes]]").unwrap()];
    assert_eq!(refused(&format!("axes = []\n{before}")).found, "0 axes");
    assert_eq!(refused(before).key, "axes");
    let buses = before.find("[[buses]]").unwrap();
    let axes = &ARM6[ARM6.find("[[axes]]").unwrap()..];
    let refusal = refused(&format!("buses = []\n{}{axes}", &before[..buses]));
    assert_eq!((refusal.key.as_str(), refusal.found.as_str()), ("buses", "no bus"));
}

#[test]
fn more_axes_than_a_record_has_room_for() {
    let first = ARM6.find("[[axes]]").unwrap();
    let refusal = refused(&format!("{}{}", &ARM6[..first], axes(33)));
    assert_eq!(refusal.found, "33 axes");
}

#[test]
fn more_drives_than_a_bus_has_room_for() {
    let before = arm6_with("rate_hz = 1000", "rate_hz = 50");
    let before = &before[..before.find("[[axes]]").unwrap()];
    assert!(Robot::parse(&format!("{before}{}", axes(24)), "f").is_ok());
    let refusal = refused(&format!("{before}{}", axes(25)));
    assert_eq!(refusal.key, "axes[a24].bus");
}

/// So many axes, all on the wrist's bus.
fn axes(count: usize) -> String {
    let last = &ARM6[ARM6.rfind("[[axes]]").unwrap()..];
    let axis = |index: usize| {
        let named = last.replacen("wrist3", &format!("a{index}"), 1);
        named.replacen("node = 6", &format!("node = {}", index + 1), 1) + "\n"
    };
    (0..count).map(axis).collect()
}

#[test]
fn a_bus_that_does_not_exist() {
    let refusal = wrong("bus = \"wrist\"", "bus = \"hand\"", "axes[wrist1].bus");
    assert_eq!(refusal.allowed, "a bus: `upper`, `wrist`");
}

#[test]
fn a_bus_of_no_kind() {
    wrong("kind = \"sim\"", "kind = \"ethercat\"", "buses[upper].kind");
}

#[test]
fn a_bit_rate_that_no_drive_has() {
    wrong("bitrate = 1_000_000", "bitrate = 999_999", "buses[upper].bitrate");
}

#[test]
fn a_real_bus_without_an_interface_and_a_simulated_one_with() {
    let strict = arm6_with("profile = \"relaxed\"", "");
    let real = strict.replacen("kind = \"sim\"", "kind = \"socketcan\"", 1);
    assert_eq!(refused(&real).key, "buses[upper].kind");
    let key = "buses[upper].interface";
    wrong("kind = \"sim\"", "kind = \"sim\"\ninterface = \"can0\"", key);
}

#[test]
fn one_interface_for_two_buses() {
    let real = "kind = \"socketcan\"\ninterface = \"can0\"";
    let text = arm6_with("profile = \"relaxed\"", "").replace("kind = \"sim\"", real);
    let refusal = refused(&text);
    assert_eq!(refusal.key, "buses[wrist].interface");
    assert_eq!(refusal.found, "\"can0\" a second time");
}

#[test]
fn home_outside_the_limits() {
    let refusal = wrong("home_rad = 0.0", "home_rad = 3.0", "axes[base].home_rad");
    assert_eq!(refusal.allowed, "-2.9 to 2.9 rad, the axis' own limits");
    wrong("start_rad = 0.1", "start_rad = -3.0", "axes[base].sim.start_rad");
}

#[test]
fn limits_the_wrong_way_round() {
    let key = "axes[base].limits.position_max_rad";
    wrong("position_max_rad = 2.9", "position_max_rad = -2.9", key);
}

#[test]
fn a_scale_that_the_drive_has_no_room_for() {
    let key = "axes[base].drive.counts_per_rad";
    for scale in ["1e9", "-1e9", "1.0", "0.0"] {
        let refusal = wrong("counts_per_rad = 100000.0", &format!("counts_per_rad = {scale}"), key);
        assert!(refusal.found.starts_with("a scale that makes "), "{refusal}");
    }
    let effort = "axes[base].drive.effort_per_mille_nm";
    wrong("effort_per_mille_nm = 0.15", "effort_per_mille_nm = 0.001", effort);
}

#[test]
fn a_bus_that_has_too_much_to_carry() {
    let text = ARM6.replace("bus = \"wrist\"", "bus = \"upper\"");
    let refusal = refused(&text);
    assert_eq!(refusal.key, "buses[upper]");
    assert_eq!(refusal.line, 1 + ARM6[..ARM6.find("[[buses]]").unwrap()].lines().count());
    assert!(refusal.found.starts_with("6 drives that load bus `upper` by 147."), "{refusal}");
    assert!(refusal.mend.contains("torque_pdo_every"), "{refusal}");
    wrong("torque_pdo_every = 25", "torque_pdo_every = 1", "buses[upper]");
    wrong("bitrate = 1_000_000", "bitrate = 500_000", "buses[upper]");
}

#[test]
fn agents_that_have_no_number() {
    wrong("agents = [0, 1]", "agents = [0, 64]", "cognition.agents[1]");
    wrong("agents = [0, 1]", "agents = [-1]", "cognition.agents[0]");
}

#[test]
fn a_gate_without_bounds() {
    wrong("lease_max_ms = 10000\n", "", "gate.lease_max_ms");
    wrong("lease_max_ms = 10000", "lease_max_ms = 1e12", "gate.lease_max_ms");
    let key = "gate.intents_per_second_max";
    wrong("intents_per_second_max = 50", "intents_per_second_max = 0", key);
    wrong("stoppable = \"refuse\"", "stoppable = \"allow\"", "gate.excess.stoppable");
}
