//! `mechos down`: ends what `mechos up` started, in order, whether or not that still lives.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::crew::grace;
use super::lock::{Holder, take};
use super::quiet;
use crate::cli::Place;
use crate::failure::Failure;
use crate::processes::{Process, runs};
use crate::{print, runtime_dir};

/// How long `mechos up` may take to end everything.
const UP_MAX: Duration = Duration::from_secs(60);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Ends the machine in the runtime directory.
///
/// # Errors
/// [`Failure`]: nothing runs, or something does not end.
pub fn down(place: &Place) -> Result<(), Failure> {
    let runtime = runtime_dir::existing(place.runtime.as_deref())?;
    let ended = match take(&runtime)? {
        Holder::Other(pid) => up(&runtime, pid)?,
        // Held until everything has ended, so that nobody starts in between.
        Holder::Us(_lock) => left_over(&runtime)?,
    };
    if place.json {
        print::object(&json!({ "ok": true, "ended": ended }));
    } else if ended.is_empty() {
        print::line("nothing runs here; start it with `mechos up`");
    } else {
        print::line(format!("ended: {}", ended.join(", ")));
    }
    Ok(())
}

fn up(runtime: &Path, pid: Option<i32>) -> Result<Vec<&'static str>, Failure> {
    let pid = pid.filter(|pid| runs(*pid, "mechos"));
    if let Some(pid) = pid {
        // A process that has just ended is as well.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
    }
    let until = Instant::now() + UP_MAX;
    while let Holder::Other(_) = take(runtime)? {
        if Instant::now() >= until {
            let (pid, seconds) = (pid.unwrap_or(0), UP_MAX.as_secs());
            return Err(Failure::Lingers { what: "mechos up", pid, seconds });
        }
        sleep(LOOK);
    }
    Ok(vec!["mechos up"])
}

/// In the order in which `mechos up` ends them.
fn left_over(runtime: &Path) -> Result<Vec<&'static str>, Failure> {
    quiet(runtime);
    let mut ended = Vec::new();
    for process in [Process::Cognition, Process::Rt, Process::Guardian, Process::Sim] {
        let Some(pid) = process.pid(runtime) else { continue };
        let what = process.name();
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
        let limit = grace(process);
        let until = Instant::now() + limit;
        while runs(pid, what) {
            if Instant::now() >= until {
                return Err(Failure::Lingers { what, pid, seconds: limit.as_secs() });
            }
            sleep(LOOK);
        }
        let _ = std::fs::remove_file(process.pid_file(runtime));
        ended.push(what);
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn where_nothing_runs_nothing_is_ended() {
        let folder = Folder::new("down-none");
        let place = Place { runtime: Some(folder.path().to_owned()), json: false };
        down(&place).unwrap();
        assert!(left_over(folder.path()).unwrap().is_empty());
    }
}
