//! `mechos robot check`: what follows from a robot file.

use std::fmt::Write;
use std::path::Path;

use mechos_robot::{BusKind, Robot};
use serde_json::json;

use crate::failure::Failure;
use crate::print;

/// Checks a file and prints what follows from it.
///
/// # Errors
/// [`Failure::Robot`] with line, key, what was found and what is allowed.
pub fn check(file: &Path, as_json: bool) -> Result<(), Failure> {
    let robot = Robot::load(file)?;
    if as_json {
        print::object(&object(&robot));
    } else {
        print::line(text(&robot).trim_end());
    }
    Ok(())
}

fn carrier(kind: &BusKind) -> &str {
    match kind {
        BusKind::Sim => "simulated",
        BusKind::SocketCan { interface } => interface,
    }
}

fn ms(ns: u64) -> f64 {
    std::time::Duration::from_nanos(ns).as_secs_f64() * 1e3
}

fn object(robot: &Robot) -> serde_json::Value {
    let budgets = &robot.budgets;
    let buses = robot.buses.iter().map(|bus| {
        json!({
            "name": bus.name,
            "carrier": carrier(&bus.kind),
            "bitrate": bus.bitrate,
            "load_percent": bus.load.percent,
        })
    });
    let axes = robot.axes.iter().map(|axis| {
        json!({
            "name": axis.name,
            "bus": robot.buses.get(axis.bus).map(|bus| &bus.name),
            "node": axis.node,
            "home_rad": axis.home_rad,
        })
    });
    json!({
        "ok": true,
        "name": robot.name,
        "rate_hz": robot.rate_hz,
        "profile": robot.profile.name(),
        "simulated": robot.is_simulated(),
        "budgets_ms": {
            "execution": ms(budgets.execution_ns),
            "deadline": ms(budgets.deadline_ns),
            "guardian": ms(budgets.guardian_ns),
            "watchdog": ms(budgets.watchdog_ns),
            "hazard": ms(budgets.hazard_ns),
        },
        "buses": buses.collect::<Vec<_>>(),
        "axes": axes.collect::<Vec<_>>(),
    })
}

fn text(robot: &Robot) -> String {
    let budgets = &robot.budgets;
    let mut out = format!(
        "{}: right. {} Hz, profile {}, {} axes\n",
        robot.name,
        robot.rate_hz,
        robot.profile,
        robot.axes.len()
    );
    let _ = writeln!(
        out,
        "budgets, ms: execution {} < deadline {} < guardian {} < drive watchdog {} < hazard {}",
        ms(budgets.execution_ns),
        ms(budgets.deadline_ns),
        ms(budgets.guardian_ns),
        ms(budgets.watchdog_ns),
        ms(budgets.hazard_ns)
    );
    for (index, bus) in robot.buses.iter().enumerate() {
        let axes = robot.axes_of_bus(index).filter_map(|axis| robot.axes.get(axis));
        let axes: Vec<_> = axes.map(|axis| format!("{} (node {})", axis.name, axis.node)).collect();
        let _ = writeln!(
            out,
            "bus {}: {}, {} bit/s, worst-case load {:.1} percent: {}",
            bus.name,
            carrier(&bus.kind),
            bus.bitrate,
            bus.load.percent,
            axes.join(", ")
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_file_shows_its_loads_and_budgets() {
        let robot = Robot::parse(crate::up::ARM6, "arm6.toml").unwrap();
        let text = text(&robot);
        assert!(text.contains("worst-case load") && text.contains("profile relaxed"), "{text}");
        let json = object(&robot);
        assert_eq!(json["axes"].as_array().unwrap().len(), robot.axes.len());
        assert!(json["buses"][0]["load_percent"].as_f64().unwrap() < 80.0);
    }
}
