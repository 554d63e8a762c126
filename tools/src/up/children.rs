//! One child process: started, asked whether it serves, ended within a bound.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mechos_operator::{Client, GUARDIAN_SOCKET, OPERATOR_SOCKET};
use mechos_sim::control;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::plan::Program;
use super::{StartError, confine};
use crate::processes::Process;

/// The model endpoint's key: for the planner alone.
const KEY_VARIABLE: &str = "MECHOS_API_KEY";
/// How long one question to a starting process may take.
const ASK_MAX: Duration = Duration::from_millis(300);
/// Pause between two looks at a process.
const LOOK: Duration = Duration::from_millis(20);
/// Lines of a log that are shown where a process failed.
const TAIL_LINES: usize = 12;
/// Bytes that are read for them.
const TAIL_BYTES: u64 = 16 * 1024;

/// A running child.
pub struct Running {
    child: Child,
    since: Instant,
}

/// Starts a program, `again` where an earlier one of it has died.
///
/// # Errors
/// [`StartError`]: missing, no log, not started, not confined.
pub fn start(program: &Program, again: bool) -> Result<Running, StartError> {
    if !program.path.is_file() {
        let folder = program.path.parent().unwrap_or(Path::new("")).to_owned();
        return Err(StartError::Missing { name: program.process.name(), folder });
    }
    let log = open_log(&program.log, again)?;
    let second =
        log.try_clone().map_err(|source| StartError::file("open", &program.log, source))?;
    let mut command = Command::new(&program.path);
    command.args(&program.args).stdin(Stdio::null()).stdout(second).stderr(log);
    if again {
        command.args(&program.args_again);
    }
    if let Some((uid, gid)) = program.user {
        command.uid(uid).gid(gid);
    }
    if program.process != Process::Cognition {
        command.env_remove(KEY_VARIABLE);
    }
    // A terminal's Ctrl-C is for `mechos up`, which ends the others in order. The two real-time
    // processes begin sessions of their own, which the leader of a group may not.
    if matches!(program.process, Process::Sim | Process::Cognition) {
        command.process_group(0);
    }
    let name = program.process.name();
    let child = match program.process {
        Process::Cognition => confine::spawn(command),
        _ => command.spawn().map_err(confine::ConfineError::from),
    };
    let child = child.map_err(|source| StartError::Spawn { name, source })?;
    Ok(Running { child, since: Instant::now() })
}

/// A first start begins the log anew, a later one goes on in it.
fn open_log(path: &Path, again: bool) -> Result<File, StartError> {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).append(true);
    let opened = options.open(path).and_then(|file| {
        if !again {
            file.set_len(0)?;
        }
        Ok(file)
    });
    opened.map_err(|source| StartError::file("open", path, source))
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(0)
    }

    /// How long it has lived.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        // The only error is that somebody else has waited for it: then it is gone all the same.
        self.child.try_wait().unwrap_or(Some(ExitStatus::from_raw(0)))
    }

    /// Asks it to end and waits for `grace`; then kills it. Returns how it ended, and whether it had
    /// to be killed. One that was stopped (SIGSTOP) goes on, so that it can end in order.
    pub fn end(&mut self, grace: Duration) -> (Option<ExitStatus>, bool) {
        let pid = Pid::from_raw(self.pid());
        if let Some(status) = self.ended() {
            return (Some(status), false);
        }
        let _ = kill(pid, Signal::SIGTERM);
        let _ = kill(pid, Signal::SIGCONT);
        let until = Instant::now() + grace;
        while Instant::now() < until {
            if let Some(status) = self.ended() {
                return (Some(status), false);
            }
            sleep(LOOK);
        }
        let _ = self.child.kill();
        (self.child.wait().ok(), true)
    }
}

/// Whether a process answers at its socket; the planner serves nobody and counts at once.
pub fn serves(process: Process, runtime: &Path) -> bool {
    let ask = |socket| Client::connect(runtime.join(socket), ASK_MAX).ok();
    match process {
        Process::Sim => control::Client::connect(runtime, ASK_MAX)
            .is_ok_and(|mut client| client.status().is_ok()),
        Process::Guardian => {
            ask(GUARDIAN_SOCKET).is_some_and(|mut client| client.guardian_status().is_ok())
        }
        Process::Rt => ask(OPERATOR_SOCKET).is_some_and(|mut client| client.status().is_ok()),
        Process::Cognition => true,
    }
}

/// The last lines of a log.
pub fn tail(path: &Path) -> String {
    let read = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}

/// How a process ended, in words.
pub fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal().map(Signal::try_from)) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(Ok(signal))) => format!("killed by {signal}"),
        _ => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    fn shell(folder: &Folder, script: &str) -> Program {
        Program {
            process: Process::Sim,
            path: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            args_again: Vec::new(),
            log: folder.path().join("child.log"),
            user: None,
        }
    }

    fn wait_for(text: &str, path: &Path) {
        while !tail(path).contains(text) {
            sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_missing_program_says_how_to_build_it() {
        let folder = Folder::new("missing");
        let program = Program { path: folder.path().join("mechos-sim"), ..shell(&folder, "") };
        let error = start(&program, false).map(drop).unwrap_err().to_string();
        assert!(error.contains("mechos-sim") && error.contains("cargo build --release"), "{error}");
    }

    #[test]
    fn its_output_is_kept_and_its_end_is_seen() {
        let folder = Folder::new("output");
        let program = shell(&folder, "echo one; echo two >&2; exit 3");
        let mut running = start(&program, false).unwrap();
        let status = loop {
            if let Some(status) = running.ended() {
                break status;
            }
            sleep(LOOK);
        };
        assert_eq!(words(status), "ended with status 3");
        assert_eq!(tail(&program.log), "one\ntwo");
    }

    #[test]
    fn a_log_goes_on_at_a_restart_and_begins_anew_at_a_start() {
        let folder = Folder::new("log");
        let program = shell(&folder, "echo line");
        for (again, expected) in [(false, "line"), (true, "line\nline"), (false, "line")] {
            let mut running = start(&program, again).unwrap();
            while running.ended().is_none() {
                sleep(LOOK);
            }
            assert_eq!(tail(&program.log), expected);
        }
    }

    #[test]
    fn a_stopped_one_still_ends_in_order() {
        let folder = Folder::new("stopped");
        let program = shell(&folder, "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done");
        let mut running = start(&program, false).unwrap();
        wait_for("up", &program.log);
        kill(Pid::from_raw(running.pid()), Signal::SIGSTOP).unwrap();
        let (status, killed) = running.end(Duration::from_secs(20));
        assert_eq!((status.and_then(|status| status.code()), killed), (Some(0), false));
    }

    #[test]
    fn one_that_does_not_listen_is_killed_after_its_grace() {
        let folder = Folder::new("deaf");
        let program = shell(&folder, "trap '' TERM; echo up; while :; do sleep 0.05; done");
        let mut running = start(&program, false).unwrap();
        wait_for("up", &program.log);
        let (status, killed) = running.end(Duration::from_millis(100));
        assert!(killed);
        assert_eq!(words(status.unwrap()), "killed by SIGKILL");
    }

    #[test]
    fn only_the_end_of_a_long_log_is_read() {
        let folder = Folder::new("tail");
        let path = folder.path().join("long.log");
        let lines: Vec<String> = (0..5_000).map(|n| format!("line {n}")).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        let tail = tail(&path);
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.ends_with("line 4999"));
    }
}
