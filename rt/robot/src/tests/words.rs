//! Refused for how it is written: keys, numbers, words, names.

use super::{ARM6, arm6_with, line_of, refused, wrong};
use crate::{Robot, RobotError};

const VELOCITY: &str = "velocity_max_rad_s = 1.5";
const AXIS_LIMITS: &str = "axes[base].limits.";

#[test]
fn a_file_that_is_not_there() {
    let error = Robot::load("/nowhere/arm7.toml").unwrap_err();
    assert!(matches!(error, RobotError::Read { .. }));
    assert!(error.to_string().starts_with("cannot read the robot file /nowhere/arm7.toml: "));
}

#[test]
fn a_refusal_reads_as_a_sentence() {
    let refusal =
        wrong(VELOCITY, "velocity_max_rad_s = -1", "axes[base].limits.velocity_max_rad_s");
    assert_eq!(refusal.line, line_of(VELOCITY));
    let expected = format!(
        "arm6.toml, line {}: axes[base].limits.velocity_max_rad_s: found -1; allowed is a number \
         from 0.001 to 1000 rad/s",
        refusal.line
    );
    assert_eq!(refusal.to_string(), expected);
}

#[test]
fn broken_toml() {
    let refusal = refused(&arm6_with(VELOCITY, "velocity_max_rad_s = = 1"));
    assert_eq!(refusal.line, line_of(VELOCITY));
}

#[test]
fn an_empty_file() {
    assert_eq!(refused("").key, "name");
}

#[test]
fn a_key_written_twice() {
    let refusal = refused(&arm6_with(VELOCITY, "velocity_max_rad_s = 1\nvelocity_max_rad_s = 2"));
    assert_eq!(refusal.line, line_of(VELOCITY) + 1);
    assert!(refusal.found.contains("duplicate key"), "{refusal}");
}

#[test]
fn an_unknown_key() {
    let key = "axes[base].limits.velocity_max_deg_s";
    let refusal = wrong("velocity_max_rad_s = 1.5", "velocity_max_deg_s = 90", key);
    assert_eq!(refusal.line, line_of(VELOCITY));
    assert!(refusal.allowed.contains("`velocity_max_rad_s`"), "{refusal}");
}

#[test]
fn an_unknown_key_at_the_top() {
    wrong("rate_hz = 1000", "rate_hz = 1000\nrate_khz = 1", "rate_khz");
}

#[test]
fn an_unknown_budget() {
    let refusal = wrong("[threads]", "[budgets]\ndead_ms = 1\n[threads]", "budgets.dead_ms");
    assert!(refusal.allowed.contains("`deadline_ms`"), "{refusal}");
}

#[test]
fn a_missing_limit() {
    for (index, limit) in ARM6
        .lines()
        .skip_while(|line| *line != "[axes.limits]")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .enumerate()
    {
        let key = limit.split(' ').next().unwrap();
        let refusal = wrong(&format!("{limit}\n"), "", &format!("{AXIS_LIMITS}{key}"));
        assert_eq!((refusal.found.as_str(), refusal.line), ("nothing", line_of("[axes.limits]")));
        assert!(refusal.allowed.starts_with("a number from "), "{index} {refusal}");
    }
}

#[test]
fn missing_limits_altogether() {
    let from = ARM6.find("[axes.limits]").unwrap();
    let to = ARM6.find("[axes.drive]").unwrap();
    let refusal = refused(&format!("{}{}", &ARM6[..from], &ARM6[to..]));
    assert_eq!(refusal.key, "axes[base].limits");
}

#[test]
fn a_missing_stop_reaction() {
    for key in crate::file::REACTION_KEYS {
        let refusal = wrong(&format!("{key} = \"halt\"\n"), "", &format!("reactions.{key}"));
        assert!(refusal.allowed.contains("`stop` (controlled stop, power off)"), "{refusal}");
    }
}

#[test]
fn an_axis_that_does_not_say_what_follows_its_halt() {
    let refusal = wrong("after_halt = \"power-off\"\n", "", "axes[base].after_halt");
    assert!(refusal.allowed.starts_with("`power-off` or `brake`"), "{refusal}");
}

#[test]
fn a_missed_deadline_answered_by_less_than_a_halt() {
    for word in ["stop", "hold"] {
        let by = format!("deadline_missed = \"{word}\"");
        let refusal = wrong("deadline_missed = \"halt\"", &by, "reactions.deadline_missed");
        assert!(refusal.allowed.starts_with("`halt`"), "{refusal}");
    }
}

#[test]
fn a_reaction_that_is_none() {
    let refusal =
        wrong("process_lost = \"halt\"", "process_lost = \"ignore\"", "reactions.process_lost");
    assert_eq!(refusal.found, "`ignore`");
    assert!(refusal.allowed.starts_with("`halt` (fastest stop"), "{refusal}");
}

#[test]
fn numbers_that_are_none() {
    for number in ["nan", "+inf", "-inf", "1e999"] {
        let by = format!("velocity_max_rad_s = {number}");
        let refusal = wrong(VELOCITY, &by, "axes[base].limits.velocity_max_rad_s");
        assert!(refusal.allowed.ends_with("rad/s"), "{refusal}");
    }
    wrong("home_rad = 0.0", "home_rad = nan", "axes[base].home_rad");
    wrong("standstill_rad_s = 0.02", "standstill_rad_s = nan", "standstill_rad_s");
    wrong("start_rad = 0.1", "start_rad = nan", "axes[base].sim.start_rad");
    wrong("counts_per_rad = 100000.0", "counts_per_rad = nan", "axes[base].drive.counts_per_rad");
    for number in ["nan", "1e999", "0", "-1", "\"soon\""] {
        let budgets = format!("[budgets]\ndeadline_ms = {number}\n[threads]");
        let refusal = wrong("[threads]", &budgets, "budgets.deadline_ms");
        assert_eq!(refusal.allowed, "a number from 0.001 to 60000 ms");
    }
}

#[test]
fn a_word_where_a_number_belongs() {
    let refusal =
        wrong(VELOCITY, "velocity_max_rad_s = \"fast\"", "axes[base].limits.velocity_max_rad_s");
    assert_eq!(refusal.found, "string \"fast\"");
    assert_eq!(refusal.allowed, "a number from 0.001 to 1000 rad/s");
}

#[test]
fn a_fraction_where_a_whole_number_belongs() {
    wrong("node = 1", "node = 1.5", "axes[base].node");
}

#[test]
fn names_that_are_none() {
    for name in ["", "Base", "base joint", "../base", "a-name-longer-than-the-page-has"] {
        let refusal = refused(&arm6_with("name = \"base\"", &format!("name = \"{name}\"")));
        assert!(refusal.allowed.starts_with("1 to 24 characters"), "{refusal}");
    }
    wrong("name = \"arm6\"", "name = \"Arm 6\"", "name");
}

#[test]
fn names_given_twice() {
    let axis = wrong("name = \"elbow\"", "name = \"base\"", "axes[base].name");
    assert_eq!(axis.line, line_of("name = \"elbow\""));
    assert_eq!(axis.found, "\"base\" a second time");
    let bus = wrong("name = \"wrist\"", "name = \"upper\"", "buses[upper].name");
    assert_eq!(bus.line, line_of("name = \"wrist\""));
}

#[test]
fn no_text_brings_the_reader_down() {
    let lines: Vec<_> = ARM6.lines().collect();
    for index in 0..lines.len() {
        let mut text = lines.clone();
        let line = text.remove(index);
        let _ = Robot::parse(&text.join("\n"), "f");
        text.push(line);
        let _ = Robot::parse(&text.join("\n"), "f");
        let swapped = ARM6.replacen(line, &line.replace(['0', '1'], "-9"), 1);
        let _ = Robot::parse(&swapped, "f");
    }
    for end in (0..ARM6.len()).step_by(23) {
        let _ = Robot::parse(&ARM6[..end], "f");
    }
}
