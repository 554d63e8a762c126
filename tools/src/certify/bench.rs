//! The machine under test: started, asked, armed, and put together again after each fault.

use std::time::{Duration, Instant};

use hal::bus::{Bus, Filter};
use hal::frame::Frame;
use mechos_operator::{Client, Command, GUARDIAN_SOCKET, GuardianStatus, OPERATOR_SOCKET, Status};
use mechos_sim::control::{Client as SimControl, Request};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::evidence::Evidence;
use super::rescue::Rescue;
use super::watch::Watch;
use crate::cli::UpOptions;
use crate::clock::{now_ns, sleep_until};
use crate::processes::{self, Process};
use crate::up::crew::Crew;
use crate::up::machine::Machine;

/// Between two looks at what has come, ns.
pub const LOOK_NS: u64 = 1_000_000;
/// A bus on which no drive reports for so long is asked, ns; at least three periods.
const QUIET_NS: u64 = 4_000_000;
/// Between two questions to the daemon, ns.
const ASK_NS: u64 = 4_000_000;
/// How long an answer may take: a process that loops or is stopped gives none.
const ANSWER_MAX: Duration = Duration::from_millis(250);
/// How long arming may take to be answered.
const ARMING_MAX: Duration = Duration::from_secs(20);
/// How long the machine may take from anything to armed and moving.
const READY_MAX: Duration = Duration::from_secs(30);
/// An armed machine moves so soon, or its mode is looked at again.
const MOVES_SOON: Duration = Duration::from_millis(100);
/// How long a process may take to end once it was killed or asked to.
const END_MAX: Duration = Duration::from_secs(15);
/// An axis that is this many times faster than the robot's standstill moves.
const MOVING: f64 = 5.0;
/// Name of the client that asks the drives.
const CLIENT: &str = "certify.sync";

/// The machine and everything that looks at it.
pub struct Bench {
    /// What is under test.
    pub machine: Machine,
    /// Its processes.
    pub crew: Crew,
    /// What the buses have shown.
    pub evidence: Evidence,
    /// Kills what loops.
    pub rescue: Rescue,
    watch: Watch,
    client: Option<Client>,
    schedule_start_ns: u64,
    askers: Vec<Option<Box<dyn Bus>>>,
}

impl Bench {
    /// Starts everything.
    ///
    /// # Errors
    /// In words.
    pub fn start(options: &UpOptions) -> Result<Bench, crate::up::StartError> {
        let machine = Machine::prepare(options)?;
        let crew = machine.start()?;
        let words = crate::up::StartError::Options;
        let watch = Watch::start(&machine.robot_file(), &machine.runtime).map_err(words)?;
        let evidence = Evidence::new(&machine.robot);
        let askers = machine.robot.buses.iter().map(|_| None).collect();
        let (client, rescue) = (None, Rescue::start());
        let schedule_start_ns = 0;
        Ok(Bench { machine, crew, evidence, rescue, watch, client, schedule_start_ns, askers })
    }

    /// Everything anew, after a fault from which nothing came back.
    ///
    /// # Errors
    /// In words.
    pub fn start_anew(&mut self) -> Result<(), String> {
        self.client = None;
        self.askers.fill_with(|| None);
        // SIGTERM waits in a stopped process.
        for process in Process::ALL {
            self.signal(process, Signal::SIGCONT);
        }
        let _ = self.crew.end();
        self.crew = self.machine.start().map_err(|error| error.to_string())?;
        self.watch = Watch::start(&self.machine.robot_file(), &self.machine.runtime)?;
        self.evidence = Evidence::new(&self.machine.robot);
        Ok(())
    }

    /// Takes in what has come.
    pub fn pump(&mut self) {
        for record in self.watch.take() {
            self.evidence.feed(&record);
        }
    }

    /// Takes in what comes until `wanted`; false after `limit`.
    pub fn pump_until(&mut self, limit: Duration, wanted: impl Fn(&Evidence) -> bool) -> bool {
        let until = Instant::now() + limit;
        loop {
            self.pump();
            if wanted(&self.evidence) {
                return true;
            }
            if Instant::now() >= until || !self.watch.is_alive() {
                return false;
            }
            sleep_until(now_ns().saturating_add(LOOK_NS));
        }
    }

    /// Sends a signal; returns the time right before.
    pub fn signal(&self, process: Process, signal: Signal) -> u64 {
        let pid = self.crew.pid(process);
        let t_ns = now_ns();
        if let Some(pid) = pid {
            let _ = kill(Pid::from_raw(pid), signal);
        }
        t_ns
    }

    /// Sends a process a signal through one of its real-time threads; returns the time right before.
    ///
    /// The kernel hands a process' signal to its main thread, which runs at ordinary priority: on a
    /// busy CPU it takes SIGSTOP milliseconds later, and until then the process goes on as sound as
    /// before. The thread named here takes it at once, for all of them (kill(2), for a thread's id).
    pub fn hit(&self, process: Process, thread: &str, signal: Signal) -> u64 {
        let found = self.crew.pid(process).and_then(|pid| processes::thread(pid, thread));
        let t_ns = now_ns();
        match found {
            Some(id) => {
                let _ = kill(Pid::from_raw(id), signal);
                t_ns
            }
            None => self.signal(process, signal),
        }
    }

    /// Waits for the end of a process and starts it again.
    ///
    /// # Errors
    /// In words.
    pub fn start_again(&mut self, process: Process) -> Result<(), String> {
        let until = Instant::now() + END_MAX;
        while self.crew.ended(process).is_none() {
            if Instant::now() >= until {
                return Err(format!("{} does not end", process.name()));
            }
            self.pump();
            sleep_until(now_ns().saturating_add(LOOK_NS));
        }
        self.client = None;
        self.crew.start_again(process).map_err(|error| error.to_string())
    }

    /// The daemon's status, where it answers.
    pub fn status(&mut self) -> Option<Status> {
        let client = self.client()?;
        let status = client.status().ok();
        match &status {
            // As of the last daemon that answered: what it is asked about happened in its schedule.
            Some(status) => self.schedule_start_ns = status.schedule_start_ns,
            None => self.client = None,
        }
        status
    }

    /// The nominal start of the tick that `t_ns` lies in; none before the schedule is known.
    pub fn tick_start_ns(&self, t_ns: u64) -> Option<u64> {
        let start_ns = Some(self.schedule_start_ns).filter(|start_ns| *start_ns != 0)?;
        let period_ns = self.machine.robot.budgets.period_ns.max(1);
        let into_ns = t_ns.checked_sub(start_ns)? % period_ns;
        Some(t_ns - into_ns)
    }

    /// The guardian's status, where it answers.
    pub fn guardian_status(&self) -> Option<GuardianStatus> {
        let path = self.machine.runtime.join(GUARDIAN_SOCKET);
        Client::connect(path, ANSWER_MAX).ok()?.guardian_status().ok()
    }

    /// Asks the daemon, or the guardian with its socket's name.
    ///
    /// # Errors
    /// The answer, in words.
    pub fn ask(&mut self, command: Command) -> Result<(), String> {
        let patience = if command == Command::Arm { ARMING_MAX } else { ANSWER_MAX };
        let client = self.client().ok_or("mechos-rt does not answer")?;
        client.call_within(command, patience).map(drop).map_err(|error| error.to_string())
    }

    fn client(&mut self) -> Option<&mut Client> {
        if self.client.is_none() {
            let path = self.machine.runtime.join(OPERATOR_SOCKET);
            self.client = Client::connect(path, ANSWER_MAX).ok();
        }
        self.client.as_mut()
    }

    /// Asks the simulator; returns when it took effect.
    ///
    /// # Errors
    /// In words.
    pub fn ask_sim(&self, request: &Request) -> Result<u64, String> {
        let client = SimControl::connect(&self.machine.runtime, ANSWER_MAX);
        let reply = client.and_then(|mut client| client.call(request));
        reply.map(|reply| reply.t_ns).map_err(|error| error.to_string())
    }

    /// Drives report at SYNC, and whoever sent it may be lost: asks in their place on one bus.
    fn ask_drives(&mut self, bus: usize) {
        let Ok(sync) = Frame::new(self.machine.robot.sync_cob_id, &[]) else { return };
        let address = self.machine.robot.bus_address(bus, &self.machine.runtime);
        let Some(asker) = self.askers.get_mut(bus) else { return };
        if asker.is_none() {
            // Listens to nothing: only the host's own heartbeat id, which no drive sends.
            let nothing = [Filter::exactly(hal::frame::STANDARD_ID_MAX as u16)];
            *asker = hal::bus::open(&address, CLIENT, &nothing, None).ok();
        }
        if asker.as_mut().is_some_and(|bus| bus.send(&sync).is_err()) {
            *asker = None;
        }
    }

    /// Asks the drives of every bus on which none reports.
    pub fn ask_quiet_drives(&mut self) {
        let quiet_ns = QUIET_NS.max(3 * self.machine.robot.budgets.period_ns);
        for bus in self.evidence.quiet_buses(now_ns(), quiet_ns) {
            self.ask_drives(bus);
        }
    }

    /// Resets if it must, arms, and waits until the planner moves the robot.
    ///
    /// # Errors
    /// What it waits for in vain.
    pub fn ready(&mut self) -> Result<(), String> {
        let until = Instant::now() + READY_MAX;
        let mut found = "mechos-rt does not answer".to_owned();
        loop {
            self.pump();
            if let Some(status) = self.status() {
                match status.mode.as_str() {
                    // Armed, and about to be stopped, is not ready yet.
                    "armed" if self.moves(MOVES_SOON) => return Ok(()),
                    "armed" => found = "the planner moves nothing".to_owned(),
                    "halted" => {
                        found = self.ask(Command::Reset).err().unwrap_or_default();
                        // A fenced mechos-rt sends no SYNC, and drives that do not report do not
                        // stand for it.
                        self.ask_quiet_drives();
                    }
                    "disarmed" if status.interlocks.is_empty() => {
                        found = self.ask(Command::Arm).err().unwrap_or_default();
                        continue;
                    }
                    mode => found = format!("mode {mode}, {}", status.interlocks.join(", ")),
                }
            }
            if let Some(signal) = self.machine.asked.signal() {
                return Err(format!("ended by signal {signal}"));
            }
            if Instant::now() >= until {
                return Err(format!("the machine cannot be armed: {found}"));
            }
            sleep_until(now_ns().saturating_add(ASK_NS));
        }
    }

    /// Waits until an axis moves.
    pub fn moves(&mut self, limit: Duration) -> bool {
        let speed = MOVING * self.machine.robot.standstill_rad_s;
        self.pump_until(limit, |evidence| evidence.speed_rad_s() > speed)
    }
}
