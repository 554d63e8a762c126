//! The guardian's operator socket: emergency stop, status, and faults to inject. A thread of
//! ordinary priority; the watcher never waits for it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mechos_operator::{
    Command, Fault, GUARDIAN_SOCKET, GuardianStatus, Halt, Pids, RefusalCode, Reply,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use shm_protocol::records::Cause;

use super::words::{Injection, Words};
use crate::args::FAULTS_REFUSED;
use crate::ledger::Ledger;
use crate::names::kebab;
use crate::operator_server::{BindError, OperatorServer};

/// Longest wait for a request before the thread looks whether the process ends.
const WAIT_MS: u16 = 50;
/// How long an emergency stop waits for its fence before it is answered with a refusal.
const FENCE_WAIT: Duration = Duration::from_millis(500);
/// Name of the watcher's thread, here and in the kernel.
pub const WATCHER: &str = "guardian";

/// What the attendant knows and the status shows.
#[derive(Debug, Default)]
pub struct History {
    /// The newest stops, oldest first.
    pub halts: VecDeque<Halt>,
    /// mechos-rt's process.
    pub rt_pid: Option<i32>,
    /// Its threads' ledger: shown, and no interlock of its own.
    pub ledger: Ledger,
}

/// What does not change while the guardian runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The robot's name.
    pub robot: String,
    /// `strict` or `relaxed`.
    pub profile: &'static str,
    /// Every bus is simulated, or `--allow-faults` was given.
    pub faults_allowed: bool,
    /// False for `--disable-stop guardian`.
    pub acts: bool,
    /// What the host did not grant.
    pub warnings: Vec<String>,
    /// SHA-256 of the program that runs, where a certificate needs it.
    pub binary_sha256: Option<String>,
    /// SHA-256 of the robot file's text that was loaded.
    pub config_sha256: String,
}

/// The operator's desk.
pub struct Desk {
    server: OperatorServer,
    words: Arc<Words>,
    history: Arc<Mutex<History>>,
    facts: Facts,
}

impl Desk {
    /// Offers the socket in the runtime directory.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn open(
        runtime: &Path,
        words: Arc<Words>,
        history: Arc<Mutex<History>>,
        facts: Facts,
    ) -> Result<Self, BindError> {
        let server = OperatorServer::bind(&runtime.join(GUARDIAN_SOCKET))?;
        Ok(Self { server, words, history, facts })
    }

    /// Serves until the process ends.
    pub fn run(mut self) {
        while !self.words.over.load(Ordering::Acquire) {
            self.wait();
            for asked in self.server.turn() {
                let reply = self.answer(asked.request.id, &asked.request.command);
                self.server.answer(asked.token, &reply);
            }
        }
    }

    fn wait(&self) {
        let mut waiting: Vec<PollFd> =
            self.server.descriptors().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        if poll(&mut waiting, PollTimeout::from(WAIT_MS)).is_err() {
            sleep(Duration::from_millis(1));
        }
    }

    fn answer(&self, id: u64, command: &Command) -> Reply {
        match command {
            Command::Estop => self.estop(id),
            Command::Status => Reply::with_guardian(id, self.status()),
            Command::Fault { kind } => self.fault(id, kind),
            _ => Reply::refused(
                id,
                RefusalCode::NotHere,
                "the guardian takes estop, status and fault; ask mechos-rt at operator.sock",
            ),
        }
    }

    /// Answered as done only once the fence is really up.
    fn estop(&self, id: u64) -> Reply {
        if !self.facts.acts {
            let text = "the guardian is switched off by --disable-stop guardian; \
                        send the estop to mechos-rt";
            return Reply::refused(id, RefusalCode::Unavailable, text);
        }
        self.words.estops.fetch_add(1, Ordering::Release);
        let until = Instant::now() + FENCE_WAIT;
        while self.words.fence().is_none() {
            if Instant::now() >= until {
                let text = "the guardian's real-time thread does not answer; \
                            use the machine's own emergency stop";
                return Reply::refused(id, RefusalCode::Unavailable, text);
            }
            sleep(Duration::from_millis(1));
        }
        Reply::done(id)
    }

    fn fault(&self, id: u64, fault: &Fault) -> Reply {
        if !self.facts.faults_allowed {
            return Reply::refused(id, RefusalCode::SimulatedOnly, FAULTS_REFUSED);
        }
        let (injection, thread) = match fault {
            Fault::Panic { thread } => (Injection::Panic, thread),
            Fault::Loop { thread } => (Injection::Loop, thread),
            // Everything else is the control thread's.
            _ => {
                let text = "the control thread is mechos-rt's; ask at operator.sock";
                return Reply::refused(id, RefusalCode::NotHere, text);
            }
        };
        if thread != WATCHER {
            let text = format!("no thread '{thread}' here; the guardian's is '{WATCHER}'");
            return Reply::refused(id, RefusalCode::NotHere, text);
        }
        self.words.inject(injection);
        Reply::done(id)
    }

    fn status(&self) -> GuardianStatus {
        let words = &self.words;
        let fence = words.fence();
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let (threads, ledger) = history.ledger.status();
        GuardianStatus {
            robot: self.facts.robot.clone(),
            profile: self.facts.profile.to_owned(),
            connected: words.connected.load(Ordering::Acquire),
            energised: words.energised.load(Ordering::Relaxed),
            fenced: fence.is_some(),
            cause: kebab(&fence.map_or(Cause::None, |fence| fence.cause)),
            fenced_ns: fence.map_or(0, |fence| fence.t_ns),
            beat_age_ns: words.beat_age_ns.load(Ordering::Relaxed),
            beat_age_max_ns: words.beat_age_max_ns.load(Ordering::Relaxed),
            stops_sent: words.stops_sent.load(Ordering::Relaxed),
            sockets_proved: words.proved.load(Ordering::Relaxed),
            halts: history.halts.iter().cloned().collect(),
            threads,
            ledger,
            disabled: !self.facts.acts,
            faults_allowed: self.facts.faults_allowed,
            warnings: self
                .facts
                .warnings
                .iter()
                .chain(history.ledger.warnings())
                .cloned()
                .collect(),
            pids: Pids {
                rt: history.rt_pid,
                guardian: i32::try_from(std::process::id()).ok(),
                cognition: None,
            },
            binary_sha256: self.facts.binary_sha256.clone(),
            config_sha256: Some(self.facts.config_sha256.clone()),
        }
    }
}
