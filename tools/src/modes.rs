//! `mechos modes`: the kernel's own table, as text or JSON.

use std::fmt::Write;

use mechos_kernel::mode::{Row, table};
use serde_json::json;

use crate::failure::Failure;
use crate::print;

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
    let widest = rows.iter().flat_map(|row| [row.event.len(), row.to.len()]).max().unwrap_or(0);
    let mut out = format!("{:<widest$}", "mode");
    for event in &events {
        let _ = write!(out, "  {event:<widest$}");
    }
    for mode in modes {
        let _ = write!(out, "\n{mode:<widest$}");
        for event in &events {
            let row = rows.iter().find(|row| row.from == mode && row.event == *event);
            let to = row.map_or("", |row| if row.to == mode { "." } else { row.to });
            let _ = write!(out, "  {to:<widest$}");
        }
    }
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    format!(
        "{}\n\n. changes nothing. Only an operator's arm powers the drives, only a reset leaves Halted.\n",
        lines.join("\n")
    )
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
