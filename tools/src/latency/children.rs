//! The helper processes: each lives as long as the pipe to its standard input, in a group of its own,
//! so that a terminal's Ctrl-C is for `mechos latency`, which ends them in order.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::error::LatencyError;

const LOOK: Duration = Duration::from_millis(20);

/// A helper process.
pub struct Helper {
    what: &'static str,
    child: Child,
    lines: Receiver<String>,
}

impl Helper {
    /// Starts one.
    ///
    /// # Errors
    /// [`LatencyError::Helper`].
    pub fn start(what: &'static str, mut command: Command) -> Result<Helper, LatencyError> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let failed = |how: std::io::Error| LatencyError::Helper { what, how: how.to_string() };
        let mut child = command.spawn().map_err(failed)?;
        let (sender, lines) = channel();
        if let Some(out) = child.stdout.take() {
            // Ends with the process' standard output.
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Helper { what, child, lines })
    }

    /// Something is wrong with it.
    pub fn failed(&self, how: impl Into<String>) -> LatencyError {
        LatencyError::Helper { what: self.what, how: how.into() }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// Says a line to it.
    pub fn say(&mut self, word: &str) -> Result<(), LatencyError> {
        let said = self.child.stdin.as_mut().map(|pipe| writeln!(pipe, "{word}"));
        match said {
            Some(Ok(())) => Ok(()),
            _ => Err(self.failed(format!("it does not take the word `{word}`"))),
        }
    }

    /// Its next line.
    pub fn line(&mut self, patience: Duration) -> Result<String, LatencyError> {
        self.lines.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => self.failed(format!("no word within {patience:?}")),
            RecvTimeoutError::Disconnected => self.failed("it ended; its error stands above"),
        })
    }

    /// Closes the pipe and waits; its remaining lines, and how it ended.
    ///
    /// # Errors
    /// [`LatencyError::Helper`] where it had to be killed.
    pub fn end(mut self, grace: Duration) -> Result<(Vec<String>, bool), LatencyError> {
        drop(self.child.stdin.take());
        let until = Instant::now() + grace;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                let lines = self.lines.iter().collect();
                return Ok((lines, status.success()));
            }
            if Instant::now() >= until {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return Err(self.failed(format!("it did not end within {grace:?} and was killed")));
            }
            sleep(LOOK);
        }
    }
}

/// Left behind by an error: the pipe closes, and it has a moment to end in order.
impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let until = Instant::now() + Duration::from_secs(20);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            sleep(LOOK);
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Everything that a pipe still holds, as text.
pub fn rest(pipe: Option<impl Read>) -> String {
    let mut text = String::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_string(&mut text);
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Helper {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Helper::start("a shell", command).unwrap()
    }

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn it_is_heard_and_ends_with_its_pipe() {
        let mut helper = shell("echo ready; read word; echo got $word; cat; echo over");
        assert_eq!(helper.line(PATIENCE).unwrap(), "ready");
        helper.say("x").unwrap();
        assert_eq!(helper.line(PATIENCE).unwrap(), "got x");
        assert!(helper.ended().is_none());
        assert_eq!(helper.end(PATIENCE).unwrap(), (vec!["over".to_owned()], true));
    }

    #[test]
    fn one_that_does_not_end_is_killed() {
        let helper = shell("exec sleep 600");
        let error = helper.end(Duration::from_millis(100)).unwrap_err().to_string();
        assert!(error.contains("a shell") && error.contains("killed"), "{error}");
    }

    #[test]
    fn one_that_ended_is_not_waited_for() {
        let mut helper = shell("exit 3");
        assert!(helper.line(PATIENCE).unwrap_err().to_string().contains("it ended"));
    }
}
