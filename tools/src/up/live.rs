//! What a person sees while the machine runs: on a terminal a block that is drawn anew in place,
//! elsewhere a line now and then.
//!
//! The terminal stays in its ordinary mode: Ctrl-C is a signal, and what was printed before stays.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use mechos_operator::Status;
use mechos_robot::Robot;
use ratatui::buffer::Buffer;
use ratatui::crossterm::terminal;
use ratatui::layout::Rect;

use super::frame;
use crate::{print, report};

/// Between two drawings of the block.
const REDRAW: Duration = Duration::from_millis(200);
/// Between two lines where nothing happens.
const LINE: Duration = Duration::from_secs(2);
/// Widest block, columns.
const WIDTH_MAX: u16 = 110;

/// Where it is shown.
pub enum Live {
    /// A terminal.
    Terminal(Block),
    /// A pipe or a file.
    Lines(Lines),
    /// Standard output belongs to one JSON object; what happens goes to standard error.
    Events,
}

/// The block on a terminal.
pub struct Block {
    rows: u16,
    drawn: Option<Instant>,
    colour: bool,
}

/// Lines on a pipe.
#[derive(Default)]
pub struct Lines {
    mode: String,
    written: Option<Instant>,
}

impl Live {
    /// As standard output allows.
    pub fn new(json: bool) -> Live {
        let is_terminal = std::io::stdout().is_terminal();
        match (json, is_terminal) {
            (true, _) => Live::Events,
            (false, true) => {
                Live::Terminal(Block { rows: 0, drawn: None, colour: print::colour(true) })
            }
            (false, false) => Live::Lines(Lines::default()),
        }
    }

    /// Something happened.
    pub fn event(&mut self, text: &str) {
        match self {
            Live::Terminal(block) => {
                block.erase();
                print::line(text);
            }
            Live::Lines(_) => print::line(text),
            Live::Events => print::note(text),
        }
    }

    /// How it stands; none where the daemon does not answer.
    pub fn show(&mut self, robot: &Robot, status: Option<&Status>, left: Option<Duration>) {
        match self {
            Live::Terminal(block) => block.show(robot, status, left),
            Live::Lines(lines) => lines.show(status),
            Live::Events => {}
        }
    }

    /// The last of it: what comes next stands below.
    pub fn close(&mut self) {
        if let Live::Terminal(block) = self {
            block.erase();
        }
    }
}

impl Block {
    fn show(&mut self, robot: &Robot, status: Option<&Status>, left: Option<Duration>) {
        let now = Instant::now();
        if self.drawn.is_some_and(|drawn| now.duration_since(drawn) < REDRAW) {
            return;
        }
        self.drawn = Some(now);
        // A terminal that does not know its size says 0.
        let known = terminal::size().ok().filter(|(columns, rows)| *columns > 0 && *rows > 0);
        let (columns, rows) = known.unwrap_or((80, 24));
        // The last column and row stay free, so that the terminal never scrolls or wraps.
        let width = columns.saturating_sub(1).min(WIDTH_MAX);
        let height = frame::height(robot).min(rows.saturating_sub(1));
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        frame::draw(robot, status, left, &mut buffer);
        self.erase();
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(frame::ansi(&buffer, self.colour).as_bytes());
        let _ = out.flush();
        self.rows = height;
    }

    /// Back to the block's first row, and nothing below it.
    fn erase(&mut self) {
        if self.rows > 0 {
            let mut out = std::io::stdout().lock();
            let _ = write!(out, "\x1b[{}A\r\x1b[J", self.rows);
            let _ = out.flush();
            self.rows = 0;
        }
    }
}

impl Lines {
    fn show(&mut self, status: Option<&Status>) {
        let now = Instant::now();
        let mode = status.map_or("mechos-rt does not answer".to_owned(), report::mode_words);
        let due = self.written.is_none_or(|written| now.duration_since(written) >= LINE);
        if mode == self.mode && !due {
            return;
        }
        self.written = Some(now);
        print::line(match status {
            Some(status) => line(status),
            None => mode.clone(),
        });
        self.mode = mode;
    }
}

fn line(status: &Status) -> String {
    let Status { ticks, skipped, misses, intents, .. } = status;
    format!(
        "{:<10} tick {ticks} (+{skipped} skipped)  wake-up {}  misses {}/{}/{}  intents {} done, {} \
         refused  profile {}",
        report::mode_words(status),
        report::percentiles(&status.wake_us),
        misses.late_wake,
        misses.late_compute,
        misses.late_send,
        intents.completed,
        intents.refused,
        status.profile
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_mode_profile_latency_and_misses() {
        let status = Status {
            mode: "armed".into(),
            profile: "relaxed".into(),
            ticks: 12,
            ..Status::default()
        };
        let line = line(&status);
        for part in ["armed", "tick 12", "wake-up p50", "misses 0/0/0", "profile relaxed"] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}
