//! `mechos modes`: the kernel's own table, as text or JSON.

use std::fmt::Write;

use mechos_kernel::mode::{Row, table};
use serde_json::json;

use crate::failure::Failure;
use crate::print;

const LEGEND: &str =
    "A dot: nothing changes. Only arm powers the drives, only reset leaves Halted.";

/// Prints the table.
///
/// # Errors
/// None; of the form that every command has.
pub fn print(as_json: bool) -> Result<(), Failure> {
    let rows: Vec<Row> = table().collect();
    if as_json {
        let row = |row: &Row| json!({ "from": row.from, "event": row.event, "to": row.to });
        print::object(&json!({ "transitions": rows.iter().map(row).collect::<Vec<_>>() }));
    } else {
        print::line(text(&rows).trim_end());
    }
    Ok(())
}

/// One line a mode, one column an event; a dot where the event changes nothing.
fn text(rows: &[Row]) -> String {
    let events = distinct(rows.iter().map(|row| row.event));
    let modes = distinct(rows.iter().map(|row| row.from));
    let cell = |mode: &str, event: &str| {
        let row = rows.iter().find(|row| row.from == mode && row.event == event);
        row.map_or("", |row| if row.to == mode { "." } else { row.to })
    };
    let widest = |words: &mut dyn Iterator<Item = usize>| words.max().unwrap_or(0);
    let first = widest(&mut modes.iter().map(|mode| mode.len()));
    let mut out = format!("{:<first$}", "mode");
    let column = |event: &str| {
        widest(&mut modes.iter().map(|mode| cell(mode, event).len()).chain([event.len()]))
    };
    for event in &events {
        let _ = write!(out, "  {event:<width$}", width = column(event));
    }
    for mode in &modes {
        let _ = write!(out, "\n{mode:<first$}");
        for event in &events {
            let _ = write!(out, "  {:<width$}", cell(mode, event), width = column(event));
        }
    }
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    format!("{}\n\n{LEGEND}", lines.join("\n"))
}

fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    words.fold(Vec::new(), |mut kept, word| {
        if !kept.contains(&word) {
            kept.push(word);
        }
        kept
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_and_event_of_the_kernel_is_in_the_text() {
        let rows: Vec<Row> = table().collect();
        let text = text(&rows);
        for row in &rows {
            assert!(text.contains(row.from) && text.contains(row.event), "{row:?}");
        }
        let halted = text.lines().find(|line| line.starts_with("Halted")).unwrap();
        assert!(halted.ends_with("Disarmed"), "{halted}");
    }
}
