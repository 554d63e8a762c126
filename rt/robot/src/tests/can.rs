//! arm6 on the kernel's CAN, as shipped: the same arm, another bus, another profile.

use super::ARM6;
use crate::Robot;
use crate::budgets::Profile;
use crate::spec::BusKind;

const TWO_CPUS: &str = include_str!("../../../robots/arm6-can.toml");
const ONE_CPU: &str = include_str!("../../../robots/arm6-can-1cpu.toml");

fn robot(text: &str) -> Robot {
    Robot::parse(text, "shipped").unwrap()
}

/// The lines that say something, without those of `[threads]`.
fn apart_from_threads(text: &str) -> Vec<&str> {
    let mut table = "";
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter(|line| {
            if line.starts_with('[') {
                table = line;
            }
            table != "[threads]"
        })
        .collect()
}

#[test]
fn arm6_is_strict_on_the_kernels_can_and_its_planner_has_a_user() {
    for (text, one_cpu) in [(TWO_CPUS, false), (ONE_CPU, true)] {
        let robot = robot(text);
        assert!(!robot.is_simulated());
        assert_eq!(robot.profile, Profile::Strict);
        assert_eq!(robot.cognition.uid, Some(65534));
        assert_eq!(robot.threads.shared_cpu, one_cpu);
        let kinds: Vec<_> = robot.buses.iter().map(|bus| bus.kind.clone()).collect();
        let vcan = |n| BusKind::SocketCan { interface: format!("vcan{n}") };
        assert_eq!(kinds, [vcan(0), vcan(1)]);
    }
}

#[test]
fn the_one_cpu_file_differs_only_in_its_threads() {
    assert_eq!(apart_from_threads(TWO_CPUS), apart_from_threads(ONE_CPU));
    let (two, one) = (robot(TWO_CPUS).threads, robot(ONE_CPU).threads);
    for (two, one) in [
        (two.control, one.control),
        (two.bus, one.bus),
        (two.deadline, one.deadline),
        (two.guardian, one.guardian),
    ] {
        assert_eq!((two.priority, 0), (one.priority, one.cpu));
    }
}

#[test]
fn it_is_arm6_but_for_buses_profile_and_planner() {
    let (simulated, can) = (robot(ARM6), robot(TWO_CPUS));
    assert_eq!(simulated.axes, can.axes);
    assert_eq!(simulated.threads, can.threads);
    assert_eq!(simulated.gate, can.gate);
    assert_eq!(simulated.reactions, can.reactions);
}
