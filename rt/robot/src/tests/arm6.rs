//! The shipped robot, and what the other packages are told of it.

use std::path::Path;

use hal::bus::BusAddress;
use mechos_kernel::config::Reaction;

use super::{ARM6, arm6_with};
use crate::certificate::sha256;
use crate::{Profile, Robot};

const MS: u64 = 1_000_000;

fn arm6() -> Robot {
    Robot::parse(ARM6, "arm6.toml").unwrap()
}

/// Room that the axis needs at full speed: until braking begins, and to brake at its own limit.
fn stopping_room(robot: &Robot, axis: usize) -> f64 {
    let limits = &robot.axes[axis].limits;
    let v = limits.velocity_max_rad_s;
    v * 0.2 + v * v / (2.0 * limits.acceleration_max_rad_s2)
}

#[test]
fn arm6_is_right() {
    let robot = arm6();
    assert_eq!(robot.name, "arm6");
    assert_eq!((robot.axes.len(), robot.buses.len()), (6, 2));
    assert_eq!(robot.profile, Profile::Relaxed);
    assert!(robot.is_simulated());
    assert_eq!(robot.axes_of_bus(1).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(robot.axis_named("wrist3"), Some(5));
    assert_eq!((robot.stop_cob_id, robot.sync_cob_id, robot.host_node), (0x0F0, 0x0F8, 0x7F));
}

#[test]
fn arm6_is_right_under_strict_too() {
    let robot =
        Robot::parse(&arm6_with("profile = \"relaxed\"", "profile = \"strict\""), "arm6.toml")
            .unwrap();
    assert_eq!(robot.budgets.watchdog_ns, 10 * MS);
    for bus in &robot.buses {
        assert!((78.0..80.0).contains(&bus.load.percent), "{}", bus.load.percent);
    }
}

#[test]
fn the_load_is_that_of_the_worst_case() {
    // Per tick three RPDO1 and three TPDO1 of 115 bits and a SYNC of 55; three TPDO2 of 115 every
    // 25 ticks; heartbeats of 65: the host's every 80 ms, three drives' every 50 ms; a stop of 75
    // every 200 ms.
    let expected =
        1000.0 * (690.0 + 55.0 + 345.0 / 25.0) + 65.0 / 0.08 + 3.0 * 65.0 / 0.05 + 75.0 / 0.2;
    for bus in &arm6().buses {
        let found = bus.load.bits_per_second;
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        assert!((bus.load.percent - expected / 1e4).abs() < 1e-6);
    }
}

#[test]
fn home_and_start_leave_room_to_stop() {
    let robot = arm6();
    for (index, axis) in robot.axes.iter().enumerate() {
        let room = stopping_room(&robot, index).max(0.9);
        for pose in [axis.home_rad, axis.sim.start_rad] {
            assert!(axis.limits.position_min_rad + room <= pose, "{}", axis.name);
            assert!(pose <= axis.limits.position_max_rad - room, "{}", axis.name);
        }
    }
}

#[test]
fn motors_of_arm6_can_brake_as_fast_as_their_drives_are_told() {
    for axis in &arm6().axes {
        let quick_stop = axis.sim.inertia_kg_m2 * axis.limits.quick_stop_deceleration_rad_s2;
        assert!(quick_stop < axis.limits.effort_max_nm, "{}", axis.name);
        assert!(axis.limits.effort_max_nm < axis.sim.torque_max_nm, "{}", axis.name);
    }
}

#[test]
fn the_kernel_is_told_the_slowest_stop_path() {
    let robot = arm6();
    let config = robot.kernel_config();
    assert_eq!(config.axes.len(), 6);
    assert_eq!(config.axes[2].limits, robot.axes[2].limits);
    // The drives' watchdog and one heartbeat frame of 65 bits.
    assert_eq!(config.budgets.reaction_max_ns, 200 * MS + 65_000);
    assert_eq!(config.budgets.watcher_beat_ns, 100 * MS);
    assert_eq!(config.reactions.process_lost, Reaction::Halt);
    assert_eq!(config.gate.agents_mask, 0b11);
    assert!(config.reacts);
}

#[test]
fn the_network_is_told_its_own_drives() {
    let robot = arm6();
    let network = robot.network_config(1, true);
    let nodes: Vec<_> = network.drives.iter().map(|drive| drive.node).collect();
    assert_eq!(nodes, [4, 5, 6]);
    assert_eq!(network.host_heartbeat_ns, 80 * MS);
    assert_eq!(network.drives[0].watchdog_ms, 200);
    assert_eq!(network.drives[0].heartbeat_ms, 50);
    assert_eq!(network.drives[0].velocity_max_rad_s, 2.5);
    assert!(robot.network_config(7, true).drives.is_empty());
}

#[test]
fn the_masters_take_arm6() {
    let robot = arm6();
    for bus in 0..robot.buses.len() {
        for watchdog in [true, false] {
            assert!(hal::network::Network::new(&robot.network_config(bus, watchdog)).is_ok());
        }
    }
}

#[test]
fn without_the_watchdog_the_drives_are_told_zero() {
    let network = arm6().network_config(0, false);
    assert!(network.drives.iter().all(|drive| drive.watchdog_ms == 0));
}

#[test]
fn a_bus_is_a_socket_in_the_runtime_directory() {
    let (robot, runtime) = (arm6(), Path::new("/run/mechos"));
    let path = runtime.join("bus-upper.sock");
    assert_eq!(robot.bus_address(0, runtime), BusAddress::Sim { path });

    let real = arm6_with("profile = \"relaxed\"", "profile = \"strict\"").replacen(
        "kind = \"sim\"",
        "kind = \"socketcan\"\ninterface = \"can0\"",
        1,
    );
    let robot = Robot::parse(&real, "arm6.toml").unwrap();
    assert!(!robot.is_simulated());
    let interface = "can0".to_owned();
    assert_eq!(robot.bus_address(0, runtime), BusAddress::SocketCan { interface });
}

#[test]
fn a_planner_is_told_names_limits_and_home() {
    let description = arm6().description();
    assert_eq!(description.axis_count, 6);
    assert_eq!(&description.name[..5], b"arm6\0");
    assert_eq!(&description.axes[1].name[..9], b"shoulder\0");
    assert_eq!(description.axes[1].home_rad, -0.5);
    assert_eq!(description.period_ns, MS);
    assert_eq!(description.heartbeat_timeout_ns, 250 * MS);
    assert_eq!(description.intents_per_second_max, 50);
}

#[test]
fn the_hash_follows_the_text() {
    let other = Robot::parse(&format!("{ARM6}\n"), "arm6.toml").unwrap();
    assert_eq!(arm6().config_sha256(), sha256(ARM6.as_bytes()).unwrap());
    assert_ne!(arm6().config_sha256(), other.config_sha256());
}

#[test]
fn the_hash_is_of_what_was_checked_not_of_what_the_file_holds_meanwhile() {
    let path = std::env::temp_dir().join(format!("mechos-robot-{}.toml", std::process::id()));
    std::fs::write(&path, ARM6).unwrap();
    let robot = Robot::load(&path);
    std::fs::write(&path, "name = \"another\"\n").unwrap();
    let hash = robot.unwrap().config_sha256().to_owned();
    let _ = std::fs::remove_file(&path);
    assert_eq!(hash, arm6().config_sha256());
}

#[test]
fn without_a_profile_the_buses_decide() {
    let simulated = arm6_with("profile = \"relaxed\"", "");
    assert_eq!(Robot::parse(&simulated, "f").unwrap().profile, Profile::Relaxed);
    let real = simulated
        .replace("kind = \"sim\"", "kind = \"socketcan\"\ninterface = \"can0\"")
        .replacen("can0", "can1", 1);
    assert_eq!(Robot::parse(&real, "f").unwrap().profile, Profile::Strict);
}

#[test]
fn written_budgets_replace_the_profiles() {
    let text = arm6_with("[threads]", "[budgets]\ndeadline_ms = 20\narming_ms = 2500.5\n[threads]");
    let robot = Robot::parse(&text, "arm6.toml").unwrap();
    assert_eq!(robot.budgets.deadline_ns, 20 * MS);
    assert_eq!(robot.budgets.arming_ns, 2_500_500_000);
    assert_eq!(robot.budgets.guardian_ns, 100 * MS);
}
