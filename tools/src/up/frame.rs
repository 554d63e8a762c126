//! The block on the terminal, drawn into cells.

use std::fmt::Write;
use std::time::Duration;

use mechos_operator::{AxisStatus, Status};
use mechos_robot::{AxisSpec, Robot};
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use crate::report;

/// Columns of an axis' bar.
const BAR: usize = 41;
/// Rows besides the axes.
const OTHER_ROWS: usize = 7;

/// Rows that the block wants.
pub fn height(robot: &Robot) -> u16 {
    u16::try_from(robot.axes.len() + OTHER_ROWS).unwrap_or(u16::MAX)
}

/// Draws the block; what does not fit is left out.
pub fn draw(robot: &Robot, status: Option<&Status>, left: Option<Duration>, buffer: &mut Buffer) {
    let lines = match status {
        Some(status) => lines(robot, status, left),
        None => vec![Line::styled(
            "mechos-rt does not answer; it may be stopped: `mechos fault cont rt`",
            Style::new().fg(Color::Red),
        )],
    };
    let area = buffer.area;
    for (line, row) in lines.iter().zip(area.top()..area.bottom()) {
        buffer.set_line(area.left(), row, line, area.width);
    }
}

fn lines(robot: &Robot, status: &Status, left: Option<Duration>) -> Vec<Line<'static>> {
    let mut lines = vec![head(status, left), numbers(status), intents(status), Line::default()];
    let width = robot.axes.iter().map(|axis| axis.name.len()).max().unwrap_or(0);
    let axes = robot.axes.iter().zip(&status.axes);
    lines.extend(axes.map(|(spec, axis)| axis_line(spec, axis, width)));
    lines.push(Line::default());
    let advice = report::advice(status).map_or(String::new(), |advice| format!("next: {advice}"));
    lines.push(Line::styled(advice, Style::new().fg(Color::Yellow)));
    let hint = "Ctrl-C ends in order. In another terminal: mechos stop | estop | status | fault";
    lines.push(Line::styled(hint, Style::new().fg(Color::DarkGray)));
    lines
}

fn head(status: &Status, left: Option<Duration>) -> Line<'static> {
    let mode = match status.mode.as_str() {
        "armed" => Style::new().fg(Color::Green),
        "halted" => Style::new().fg(Color::Red),
        _ => Style::new().fg(Color::Yellow),
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let left = left.map_or(String::new(), |left| format!("  {:.0} s left", left.as_secs_f64()));
    let real_time = if status.host.realtime { "" } else { "  NO REAL TIME" };
    let off = match status.stops_disabled.join(", ") {
        names if names.is_empty() => names,
        names => format!("  SWITCHED OFF: {names}"),
    };
    Line::from(vec![
        Span::styled(status.robot.clone(), bold),
        Span::raw("  "),
        Span::styled(report::mode_words(status), mode.add_modifier(Modifier::BOLD)),
        Span::raw(format!("  profile {}  {} Hz{left}", status.profile, report::rate_hz(status))),
        Span::styled(format!("{real_time}{off}"), Style::new().fg(Color::Red)),
    ])
}

fn numbers(status: &Status) -> Line<'static> {
    let Status { ticks, skipped, misses, .. } = status;
    let wake = report::percentiles(&status.wake_us);
    Line::raw(format!(
        "ticks {ticks} +{skipped} skipped   wake-up {wake}   missed {} wake {} compute {} send",
        misses.late_wake, misses.late_compute, misses.late_send
    ))
}

fn intents(status: &Status) -> Line<'static> {
    let sums = &status.intents;
    let planner = match (status.pids.cognition, status.operator_has_control) {
        (Some(_), false) => "planner connected",
        (Some(_), true) => "planner waits for the operator",
        (None, _) => "NO PLANNER",
    };
    Line::raw(format!(
        "intents {} submitted, {} done, {} refused, {} pre-empted, {} expired, {} aborted   {planner}",
        sums.submitted, sums.completed, sums.refused, sums.preempted, sums.expired, sums.aborted
    ))
}

fn axis_line(spec: &AxisSpec, axis: &AxisStatus, width: usize) -> Line<'static> {
    let state = match axis.state.as_str() {
        "enabled" => Style::new().fg(Color::Green),
        "fault" | "offline" | "misconfigured" | "quick-stop" => Style::new().fg(Color::Red),
        _ => Style::new().fg(Color::Yellow),
    };
    Line::from(vec![
        Span::raw(format!("{:<width$} ", axis.name)),
        Span::styled(bar(spec, axis), Style::new().fg(Color::Cyan)),
        Span::raw(format!(" {:>7.3} rad {:>7.3} rad/s ", axis.position_rad, axis.velocity_rad_s)),
        Span::styled(axis.state.clone(), state),
    ])
}

/// From limit to limit: `o` where the axis is, `:` where home is.
fn bar(spec: &AxisSpec, axis: &AxisStatus) -> String {
    let limits = &spec.limits;
    let span = limits.position_max_rad - limits.position_min_rad;
    let at = |position_rad: f64, column: usize| {
        let share = (position_rad - limits.position_min_rad) / span;
        // Columns are compared as numbers: a position that was never measured is in none of them.
        let column = column as f64;
        (share * (BAR - 1) as f64 - column).abs() <= 0.5
    };
    let cell = |column| match (at(axis.position_rad, column), at(spec.home_rad, column)) {
        (true, _) => 'o',
        (false, true) => ':',
        (false, false) => '-',
    };
    format!("[{}]", (0..BAR).map(cell).collect::<String>())
}

/// The cells as text for a terminal, one line a row.
pub fn ansi(buffer: &Buffer, colour: bool) -> String {
    let area = buffer.area;
    let mut out = String::new();
    for row in area.top()..area.bottom() {
        let mut style = (Color::Reset, Modifier::empty());
        for column in area.left()..area.right() {
            let Some(cell) = buffer.cell((column, row)) else { continue };
            if colour && (cell.fg, cell.modifier) != style {
                style = (cell.fg, cell.modifier);
                out.push_str(&select(cell));
            }
            out.push_str(cell.symbol());
        }
        let kept = out.trim_end_matches(' ').len();
        out.truncate(kept);
        out.push_str(if colour { "\x1b[0m\n" } else { "\n" });
    }
    out
}

/// The sequence that selects a cell's style (ECMA-48, SGR).
fn select(cell: &Cell) -> String {
    let mut sequence = "\x1b[0".to_owned();
    if cell.modifier.contains(Modifier::BOLD) {
        sequence.push_str(";1");
    }
    let number = match cell.fg {
        Color::Red => 31,
        Color::Green => 32,
        Color::Yellow => 33,
        Color::Cyan => 36,
        Color::DarkGray => 90,
        _ => 39,
    };
    let _ = write!(sequence, ";{number}m");
    sequence
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;

    fn robot() -> Robot {
        Robot::parse(super::super::ARM6, "arm6.toml").unwrap()
    }

    fn moving(robot: &Robot) -> Status {
        let axes = robot.axes.iter().map(|spec| AxisStatus {
            name: spec.name.clone(),
            position_rad: spec.limits.position_max_rad,
            state: "enabled".into(),
            ..AxisStatus::default()
        });
        Status {
            robot: robot.name.clone(),
            mode: "armed".into(),
            cause: "none".into(),
            profile: "relaxed".into(),
            period_ns: 1_000_000,
            axes: axes.collect(),
            ..Status::default()
        }
    }

    fn text(status: Option<&Status>, width: u16, height: u16) -> String {
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        draw(&robot(), status, Some(Duration::from_secs(7)), &mut buffer);
        ansi(&buffer, false)
    }

    #[test]
    fn the_block_shows_mode_profile_time_and_every_axis() {
        let robot = robot();
        let status = moving(&robot);
        let text = text(Some(&status), 110, height(&robot));
        assert!(text.starts_with("arm6  armed  profile relaxed  1000 Hz  7 s left"), "{text}");
        for axis in &robot.axes {
            assert!(text.contains(&axis.name), "{} is missing", axis.name);
        }
        assert!(text.contains("-o] "), "{text}");
        assert!(text.contains("Ctrl-C"));
        assert_eq!(text.lines().count(), usize::from(height(&robot)));
    }

    #[test]
    fn a_small_terminal_gets_what_fits() {
        let status = moving(&robot());
        let text = text(Some(&status), 20, 3);
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|line| line.chars().count() <= 20));
        assert_eq!(super::super::frame::tests::text(Some(&status), 0, 0), "");
    }

    #[test]
    fn a_daemon_that_does_not_answer_is_said() {
        assert!(text(None, 100, 3).contains("does not answer"));
    }

    #[test]
    fn a_position_never_measured_is_nowhere_on_the_bar() {
        let robot = robot();
        let axis = AxisStatus { position_rad: f64::NAN, ..AxisStatus::default() };
        assert!(!bar(&robot.axes[0], &axis).contains('o'));
    }

    #[test]
    fn colour_is_left_out_where_it_is_not_wanted() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 1));
        buffer.set_line(0, 0, &Line::styled("halted", Style::new().fg(Color::Red)), 40);
        assert_eq!(ansi(&buffer, false), "halted\n");
        assert_eq!(ansi(&buffer, true), "\x1b[0;31mhalted\x1b[0;39m\x1b[0m\n");
    }
}
