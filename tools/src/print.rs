//! Printing: colour only where a person reads it, and never a panic for a closed pipe.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use serde::Serialize;

/// Whether escape sequences may be written to a terminal.
pub fn colour(is_terminal: bool) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    is_terminal && !refused && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Writes a line to standard output.
pub fn line(text: impl Display) {
    // Nobody reads any more: nothing is left to say to them.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes a line to standard error.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes one JSON object and a line's end to standard output.
pub fn object(value: &impl Serialize) {
    let mut out = std::io::stdout().lock();
    if serde_json::to_writer(&mut out, value).is_ok() {
        let _ = writeln!(out);
        let _ = out.flush();
    }
}

/// Writes an error to standard error.
pub fn error(text: impl Display) {
    let mut out = std::io::stderr().lock();
    let (begin, end) =
        if colour(std::io::stderr().is_terminal()) { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    let _ = writeln!(out, "{begin}error:{end} {text}");
}
