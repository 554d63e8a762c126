//! The robot file as it is measured: as given, or with another wake-up.

use std::path::Path;

use mechos_robot::{Robot, RobotError};

use super::error::LatencyError;
use super::options::{LatencyOptions, WakeWord};
use crate::failure::Failure;
use crate::up::ARM6;

/// A robot file's text, checked.
pub struct Asked {
    /// The text.
    pub text: String,
    /// What follows from it.
    pub robot: Robot,
}

/// Reads, changes and checks the robot file; of a machine that runs already, the copy in its runtime
/// directory.
///
/// # Errors
/// [`Failure::Robot`]; [`LatencyError::Options`] for a wake-up that cannot be written into it.
pub fn read(options: &LatencyOptions, runtime: &Path) -> Result<Asked, Failure> {
    let running = options.attach.then(|| runtime.join("robot.toml"));
    let (mut text, name) = match options.robot.as_ref().or(running.as_ref()) {
        None => (ARM6.to_owned(), "arm6.toml (built in)".to_owned()),
        Some(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|source| RobotError::Read { file: name.clone(), source })?;
            (text, name)
        }
    };
    if let Some(wake) = options.wake {
        text = with_wake(&text, wake).ok_or_else(|| {
            let found = format!("--wake needs a line [threads] in {name}; there is none");
            LatencyError::Options(found)
        })?;
    }
    let robot = Robot::parse(&text, &name)?;
    Ok(Asked { text, robot })
}

/// Replaces the keys of the wake-up under `[threads]`; none where there is no such table.
fn with_wake(text: &str, wake: WakeWord) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 64);
    let (mut inside, mut found) = (false, false);
    for line in text.lines() {
        let bare = line.trim();
        if bare.starts_with('[') {
            inside = bare.split('#').next().unwrap_or_default().trim() == "[threads]";
        }
        let key = bare.split('=').next().unwrap_or_default().trim();
        if inside && matches!(key, "wake" | "spin_margin_us") {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        if inside && !std::mem::replace(&mut found, true) {
            match wake {
                WakeWord::Sleep => out.push_str("wake = \"sleep\"\n"),
                WakeWord::Spin(us) => {
                    out.push_str(&format!("wake = \"spin\"\nspin_margin_us = {us}\n"));
                }
            }
        }
    }
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wake_up_is_replaced_under_threads_and_nowhere_else() {
        let text =
            "[a]\nwake = 3\n\n[threads] # who\ncontrol = 1\nwake = \"sleep\"\n[b]\nwake = 4\n";
        let spin = with_wake(text, WakeWord::Spin(60)).unwrap();
        let expected = "[a]\nwake = 3\n\n[threads] # who\nwake = \"spin\"\nspin_margin_us = 60\n\
                        control = 1\n[b]\nwake = 4\n";
        assert_eq!(spin, expected);
        let sleep = with_wake(&spin, WakeWord::Sleep).unwrap();
        assert!(!sleep.contains("spin") && sleep.matches("wake = \"sleep\"").count() == 1);
        assert_eq!(with_wake("[a]\n", WakeWord::Sleep), None);
    }
}
