//! Refused for when things happen: profiles, nesting of the budgets, threads.

use super::{ARM6, arm6_with, line_of, refused, wrong};
use crate::{Robot, Wake};

#[test]
fn relaxed_on_a_real_bus() {
    let real = arm6_with("kind = \"sim\"", "kind = \"socketcan\"\ninterface = \"can0\"");
    let refusal = refused(&real);
    assert_eq!((refusal.key.as_str(), refusal.line), ("profile", line_of("profile =")));
    assert!(refusal.found.contains("the real bus `upper`"), "{refusal}");
}

#[test]
fn relaxed_on_a_real_bus_passes_with_every_budget_written_out() {
    let written = "[budgets]\nexecution_ms = 0.5\ndeadline_ms = 50\nguardian_ms = 100\n\
                   watchdog_ms = 200\nhazard_ms = 500\nfeedback_age_ms = 60\n\
                   drive_heartbeat_ms = 50\ndrive_heartbeat_timeout_ms = 150\n\
                   host_heartbeat_ms = 80\ncognition_heartbeat_ms = 250\nwatcher_beat_ms = 100\n\
                   housekeeping_beat_ms = 3000\narming_ms = 5000\nstopping_ms = 3000\n[threads]";
    let real = arm6_with("kind = \"sim\"", "kind = \"socketcan\"\ninterface = \"can0\"");
    assert!(Robot::parse(&real.replacen("[threads]", written, 1), "f").is_ok());
    let without = written.replacen("arming_ms = 5000\n", "", 1);
    let refusal = refused(&real.replacen("[threads]", &without, 1));
    assert!(refusal.found.ends_with("no budgets.arming_ms"), "{refusal}");
}

#[test]
fn budgets_that_do_not_nest() {
    let rows = [
        ("execution_ms = 1.1", "execution_ms"),
        ("deadline_ms = 0.5", "deadline_ms"),
        // The deadline's stop frame needs up to 0.19 ms on the wire.
        ("guardian_ms = 50.1", "guardian_ms"),
        ("watchdog_ms = 101", "watchdog_ms"),
        ("hazard_ms = 200", "hazard_ms"),
        ("host_heartbeat_ms = 100", "watchdog_ms"),
        ("drive_heartbeat_timeout_ms = 99", "drive_heartbeat_timeout_ms"),
        ("feedback_age_ms = 1.9", "feedback_age_ms"),
        ("feedback_age_ms = 200", "watchdog_ms"),
        ("watcher_beat_ms = 1", "watcher_beat_ms"),
        ("cognition_heartbeat_ms = 1.9", "cognition_heartbeat_ms"),
    ];
    for (line, key) in rows {
        let table = format!("[budgets]\n{line}\n[threads]");
        let refusal = wrong("[threads]", &table, &format!("budgets.{key}"));
        assert!(refusal.allowed.contains(" ms: "), "{refusal}");
    }
}

#[test]
fn a_watchdog_in_fractions_of_a_millisecond() {
    let refusal =
        wrong("[threads]", "[budgets]\nwatchdog_ms = 150.5\n[threads]", "budgets.watchdog_ms");
    assert!(refusal.allowed.starts_with("whole milliseconds"), "{refusal}");
    wrong(
        "[threads]",
        "[budgets]\ndrive_heartbeat_ms = 50.5\n[threads]",
        "budgets.drive_heartbeat_ms",
    );
}

#[test]
fn an_axis_that_brakes_past_its_hazard_budget() {
    // 200 ms of watchdog, then 1.5 rad/s at 25 rad/s²: 60 ms.
    let refusal = wrong("hazard_ms = 500", "hazard_ms = 260", "axes[base].hazard_ms");
    assert!(refusal.found.starts_with("200.065 ms for the watchdog and 60 ms"), "{refusal}");
    let weak = "quick_stop_deceleration_rad_s2 = 4.0";
    let key = "axes[base].hazard_ms";
    wrong("quick_stop_deceleration_rad_s2 = 25.0", weak, key);
    // Without a budget of its own the axis has the profile's.
    let strict = arm6_with("hazard_ms = 500\n", "").replacen("\"relaxed\"\n", "\"strict\"\n", 1);
    let refusal = refused(&strict);
    assert_eq!(refusal.key, "axes[base].limits.velocity_max_rad_s");
}

#[test]
fn priorities_out_of_range_or_out_of_order() {
    wrong("priority = 90", "priority = 99", "threads.deadline.priority");
    wrong("priority = 70", "priority = 0", "threads.control.priority");
    wrong("priority = 89", "priority = 90", "threads.deadline.priority");
    wrong("priority = 89", "priority = 75", "threads.guardian.priority");
    wrong("priority = 75", "priority = 70", "threads.bus.priority");
}

#[test]
fn watchers_on_the_cpu_of_what_they_watch() {
    let refusal = wrong("priority = 90, cpu = 0", "priority = 90, cpu = 1", "threads.deadline.cpu");
    assert_eq!(refusal.found, "CPU 1 for deadline, where control runs");
    assert!(refusal.mend.contains("shared_cpu = true"), "{refusal}");
    wrong("housekeeping_cpu = 0", "housekeeping_cpu = 1", "threads.housekeeping_cpu");
    let one = ARM6.replace("cpu = 1", "cpu = 0");
    assert_eq!(refused(&one).key, "threads.deadline.cpu");
    let accepted = one.replacen("housekeeping_cpu", "shared_cpu = true\nhousekeeping_cpu", 1);
    assert!(Robot::parse(&accepted, "f").is_ok_and(|robot| robot.threads.shared_cpu));
}

#[test]
fn a_spinning_wake_up_has_a_margin_within_half_a_period() {
    let with = |words: &str| arm6_with("housekeeping_cpu", &format!("{words}\nhousekeeping_cpu"));
    let wake = |words: &str| Robot::parse(&with(words), "f").unwrap().threads.wake;
    assert_eq!(wake("wake = \"sleep\""), Wake::Sleep);
    let spin = wake("wake = \"spin\"\nspin_margin_us = 60");
    assert_eq!(spin, Wake::Spin { margin_ns: 60_000 });
    assert_eq!(refused(&with("wake = \"spin\"")).key, "threads.wake");
    assert_eq!(refused(&with("spin_margin_us = 60")).key, "threads.spin_margin_us");
    let long = refused(&with("wake = \"spin\"\nspin_margin_us = 501"));
    assert_eq!(long.allowed, "at most half a period, 500 us");
    refused(&with("wake = \"spin\"\nspin_margin_us = 0"));
}

#[test]
fn a_cpu_that_no_host_has() {
    wrong("priority = 70, cpu = 1", "priority = 70, cpu = 1024", "threads.control.cpu");
    wrong("priority = 70, cpu = 1", "priority = 70, cpu = -1", "threads.control.cpu");
}
