//! All children together: started in order, started again when killed, ended in order.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::StartError;
use super::children::{self, Running};
use super::plan::Program;
use super::signals::Asked;
use crate::processes::Process;

/// How long a process may take until it answers.
const START_MAX: Duration = Duration::from_secs(20);
/// Pause between two looks at a starting process.
const LOOK: Duration = Duration::from_millis(20);

/// When a dead process is started again: pauses double, and a process that never stays up is
/// given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// First pause.
    const PAUSE_MIN: Duration = Duration::from_millis(200);
    /// Longest pause.
    const PAUSE_MAX: Duration = Duration::from_secs(5);
    /// A process that lived this long counts as well again.
    const WELL: Duration = Duration::from_secs(10);
    /// Deaths in a row after which it is given up.
    const FAILURES_MAX: u32 = 10;

    /// The pause before the next start after a life of that length; none: given up.
    pub fn died(&mut self, lived: Duration) -> Option<Duration> {
        if lived >= Self::WELL {
            self.failures = 0;
        }
        self.failures += 1;
        if self.failures >= Self::FAILURES_MAX {
            return None;
        }
        let doubled = Self::PAUSE_MIN * 2_u32.saturating_pow(self.failures - 1);
        Some(doubled.min(Self::PAUSE_MAX))
    }
}

/// What happened to a child.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// It died and will be started again.
    Died {
        /// Which one.
        process: Process,
        /// How, with the end of its log where it ended by itself.
        how: String,
        /// When it is started again.
        pause: Duration,
    },
    /// It runs again.
    Again {
        /// Which one.
        process: Process,
        /// Its new id.
        pid: i32,
    },
    /// It never stays up: everything has to end.
    GivenUp {
        /// Which one.
        process: Process,
        /// Why.
        how: String,
    },
}

enum Life {
    Up(Running),
    Down { again_at: Instant },
    GivenUp,
}

struct Keeper {
    program: Program,
    life: Life,
    backoff: Backoff,
}

/// The children.
pub struct Crew {
    runtime: PathBuf,
    keepers: Vec<Keeper>,
}

impl Crew {
    /// Nobody yet.
    pub fn new(runtime: PathBuf) -> Crew {
        Crew { runtime, keepers: Vec::new() }
    }

    /// Starts one program and waits until it answers.
    ///
    /// # Errors
    /// [`StartError`], with the end of its log where it died or stayed silent.
    pub fn start(&mut self, program: Program, asked: &Asked) -> Result<(), StartError> {
        let process = program.process;
        let log = program.log.clone();
        let running = children::start(&program, false)?;
        self.note_pid(process, running.pid());
        let life = Life::Up(running);
        self.keepers.push(Keeper { program, life, backoff: Backoff::default() });
        let name = process.name();
        let until = Instant::now() + START_MAX;
        loop {
            if let Some(Life::Up(running)) = self.keepers.last_mut().map(|keeper| &mut keeper.life)
                && let Some(status) = running.ended()
            {
                let (how, tail) = (children::words(status), children::tail(&log));
                return Err(StartError::Ended { name, how, log, tail });
            }
            if children::serves(process, &self.runtime) {
                return Ok(());
            }
            if let Some(signal) = asked.signal() {
                return Err(StartError::Interrupted(signal));
            }
            if Instant::now() >= until {
                let (seconds, tail) = (START_MAX.as_secs(), children::tail(&log));
                return Err(StartError::Silent { name, seconds, log, tail });
            }
            sleep(LOOK);
        }
    }

    /// The id under which a process was last started.
    pub fn pid(&self, process: Process) -> Option<i32> {
        let keeper = self.keepers.iter().find(|keeper| keeper.program.process == process)?;
        match &keeper.life {
            Life::Up(running) => Some(running.pid()),
            Life::Down { .. } | Life::GivenUp => None,
        }
    }

    /// Whether a process has ended, and how; it is not started again by asking.
    pub fn ended(&mut self, process: Process) -> Option<String> {
        let keeper = self.keepers.iter_mut().find(|keeper| keeper.program.process == process)?;
        match &mut keeper.life {
            Life::Up(running) => running.ended().map(children::words),
            Life::Down { .. } | Life::GivenUp => Some("ended".to_owned()),
        }
    }

    /// Starts a process that has ended again, without waiting until it answers.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_again(&mut self, process: Process) -> Result<(), StartError> {
        let found = self.keepers.iter_mut().find(|keeper| keeper.program.process == process);
        let Some(keeper) = found else { return Ok(()) };
        let running = children::start(&keeper.program, true)?;
        let pid = running.pid();
        keeper.life = Life::Up(running);
        self.note_pid(process, pid);
        Ok(())
    }

    /// Looks at every child once; starts again what is due.
    pub fn turn(&mut self, now: Instant) -> Vec<Notice> {
        let mut notices = Vec::new();
        for keeper in &mut self.keepers {
            notices.extend(keeper.turn(now));
        }
        for notice in &notices {
            if let Notice::Again { process, pid } = *notice {
                self.note_pid(process, pid);
            }
        }
        notices
    }

    /// Ends everything: the planner, the daemon, the guardian, the simulator last. Returns what did
    /// not end in order.
    pub fn end(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        for process in [Process::Cognition, Process::Rt, Process::Guardian, Process::Sim] {
            let found = self.keepers.iter_mut().find(|keeper| keeper.program.process == process);
            let Some(Keeper { life: Life::Up(running), .. }) = found else { continue };
            let grace = grace(process);
            let (status, killed) = running.end(grace);
            let name = process.name();
            if killed {
                wrong.push(format!(
                    "{name} did not end within {} s and was killed",
                    grace.as_secs()
                ));
            } else if let Some(status) = status.filter(|status| !status.success()) {
                wrong.push(format!("{name} {}", children::words(status)));
            }
            let _ = std::fs::remove_file(process.pid_file(&self.runtime));
        }
        self.keepers.clear();
        wrong
    }

    /// For `mechos fault`; without it only a planner that lost its connection is not found.
    fn note_pid(&self, process: Process, pid: i32) {
        let _ = std::fs::write(process.pid_file(&self.runtime), format!("{pid}\n"));
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.end();
    }
}

impl Keeper {
    fn turn(&mut self, now: Instant) -> Option<Notice> {
        let process = self.program.process;
        match &mut self.life {
            Life::GivenUp => None,
            Life::Up(running) => {
                let status = running.ended()?;
                let lived = running.age();
                let mut how = children::words(status);
                if status.code().is_some_and(|code| code != 0) {
                    how = format!(
                        "{how}. The end of its log:\n{}",
                        children::tail(&self.program.log)
                    );
                }
                Some(self.died(now, lived, how))
            }
            Life::Down { again_at } if now < *again_at => None,
            Life::Down { .. } => match children::start(&self.program, true) {
                Ok(running) => {
                    let pid = running.pid();
                    self.life = Life::Up(running);
                    Some(Notice::Again { process, pid })
                }
                Err(error) => Some(self.died(now, Duration::ZERO, error.to_string())),
            },
        }
    }

    fn died(&mut self, now: Instant, lived: Duration, how: String) -> Notice {
        let process = self.program.process;
        match self.backoff.died(lived) {
            Some(pause) => {
                self.life = Life::Down { again_at: now + pause };
                Notice::Died { process, how, pause }
            }
            None => {
                self.life = Life::GivenUp;
                Notice::GivenUp { process, how }
            }
        }
    }
}

/// How long a process may take to end; each has a shorter bound of its own.
pub fn grace(process: Process) -> Duration {
    Duration::from_secs(match process {
        Process::Cognition => 4,
        Process::Rt => 10,
        Process::Guardian => 20,
        Process::Sim => 8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    /// A planner that is none: the only process that needs no socket to count as started.
    fn fake(folder: &Folder, script: &str) -> Program {
        Program {
            process: Process::Cognition,
            path: "/bin/sh".into(),
            args: vec!["-c".into(), script.into(), "fake".into()],
            args_again: vec!["again".into()],
            log: folder.path().join("fake.log"),
            user: None,
        }
    }

    fn until(crew: &mut Crew, wanted: impl Fn(&Notice) -> bool) -> Notice {
        loop {
            if let Some(notice) = crew.turn(Instant::now()).into_iter().find(|n| wanted(n)) {
                return notice;
            }
            sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_then_it_is_given_up() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> =
            std::iter::from_fn(|| backoff.died(Duration::ZERO)).map(|p| p.as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]);
    }

    #[test]
    fn a_long_life_forgives() {
        let mut backoff = Backoff::default();
        for _ in 0..100 {
            assert_eq!(backoff.died(Backoff::WELL), Some(Backoff::PAUSE_MIN));
        }
    }

    #[test]
    fn a_killed_one_is_started_again_with_its_own_words() {
        let folder = Folder::new("again");
        let mut crew = Crew::new(folder.path().to_owned());
        let script = "echo \"begun $1\"; exec sleep 60";
        let program = fake(&folder, script);
        let log = program.log.clone();
        crew.start(program, &Asked::nothing()).unwrap();
        let Life::Up(running) = &crew.keepers[0].life else { panic!("not up") };
        let first = running.pid();
        kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
        let died = until(&mut crew, |notice| matches!(notice, Notice::Died { .. }));
        assert!(matches!(died, Notice::Died { how, .. } if how == "killed by SIGKILL"));
        let again = until(&mut crew, |notice| matches!(notice, Notice::Again { .. }));
        assert!(matches!(again, Notice::Again { pid, .. } if pid != first));
        let noted = std::fs::read_to_string(Process::Cognition.pid_file(folder.path())).unwrap();
        assert_eq!(
            again,
            Notice::Again { process: Process::Cognition, pid: noted.trim().parse().unwrap() }
        );
        while !children::tail(&log).contains("begun again") {
            sleep(Duration::from_millis(5));
        }
        // sleep(1) ends by the signal itself, which is told.
        assert_eq!(crew.end(), ["mechos-cognition killed by SIGTERM"]);
        assert!(!Process::Cognition.pid_file(folder.path()).exists());
    }

    #[test]
    fn one_that_dies_at_once_shows_its_log() {
        let folder = Folder::new("dies");
        let mut crew = Crew::new(folder.path().to_owned());
        let program = Program {
            process: Process::Rt,
            ..fake(&folder, "echo 'the drive is on fire' >&2; exit 2")
        };
        let error = crew.start(program, &Asked::nothing()).unwrap_err().to_string();
        assert!(error.contains("status 2") && error.contains("on fire"), "{error}");
    }

    #[test]
    fn a_start_can_be_interrupted() {
        let folder = Folder::new("interrupted");
        let mut crew = Crew::new(folder.path().to_owned());
        let program = Program { process: Process::Rt, ..fake(&folder, "exec sleep 60") };
        let error = crew.start(program, &Asked::with(15)).unwrap_err();
        assert!(matches!(error, StartError::Interrupted(15)), "{error}");
    }
}
