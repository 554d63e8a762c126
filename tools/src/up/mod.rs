//! `mechos up`: starts the machine, arms it if its drives are simulated, shows it, keeps it, ends it.
//!
//! A process that was killed is started again; the daemon then begins Halted, and nothing here ever
//! resets or arms a second time.

mod children;
mod confine;
pub mod crew;
pub mod down;
mod error;
mod frame;
mod live;
mod lock;
pub mod machine;
mod mission;
mod outcome;
mod plan;
pub mod signals;

use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mechos_operator::{Client, Command, OPERATOR_SOCKET, Status};
use mechos_robot::Robot;

pub use error::StartError;
pub use machine::ARM6;

use crate::cli::UpOptions;
use crate::failure::Failure;
use crate::{operator, print};
use crew::{Crew, Notice};
use live::Live;
use machine::Machine;
use mission::{Mission, Order, Wanted};
use outcome::Outcome;
use signals::Asked;

/// Between two questions to the daemon.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How long one status may take: a stopped daemon must not hold up everything else.
const STATUS_MAX: Duration = Duration::from_millis(400);
/// Between two looks at signals and children.
const TURN: Duration = Duration::from_millis(20);
/// How long a controlled stop before the end may take.
const QUIET_MAX: Duration = Duration::from_secs(5);

/// Runs the machine from its start to its end; returns the exit status.
pub fn run(options: &UpOptions) -> ExitCode {
    let json = options.place.json;
    match Machine::prepare(options).and_then(|machine| keep(&machine, options)) {
        Ok(outcome) => {
            outcome.print(json);
            outcome.exit_code()
        }
        Err(error) => {
            let failure = Failure::Start(error);
            if json {
                print::object(&Outcome::never_up(&failure));
            } else {
                print::error(&failure);
            }
            failure.exit_code()
        }
    }
}

/// Keeps the machine from its start to its end.
fn keep(machine: &Machine, options: &UpOptions) -> Result<Outcome, StartError> {
    let mut live = Live::new(options.place.json);
    let mut crew = machine.start()?;
    live.event(&format!(
        "{} is up: {}. Runtime directory {}",
        machine.robot.name,
        machine.names().join(", "),
        machine.runtime.display()
    ));
    let mission = Mission::new(Wanted {
        arm: plan::has_simulated_drives(options, &machine.robot) && !options.no_arm,
        planner: !options.no_cognition,
        length: options.length,
        home_rad: machine.robot.axes.iter().map(|axis| axis.home_rad).collect(),
    });
    let mut watch = Watch {
        robot: &machine.robot,
        runtime: &machine.runtime,
        begun: Instant::now(),
        length: options.length,
        mission,
        live,
        client: None,
        status: None,
        warned: false,
    };
    let ended = watch.until_the_end(&mut crew, &machine.asked);
    watch.live.event("ending in order");
    quiet(&machine.runtime);
    // What stands after the controlled stop; without an answer the last one is kept.
    watch.ask_status();
    watch.live.close();
    let wrong = crew.end();
    Ok(Outcome::new(ended, watch.status, wrong))
}

/// The machine while it runs.
struct Watch<'a> {
    robot: &'a Robot,
    runtime: &'a Path,
    begun: Instant,
    length: Option<Duration>,
    mission: Mission,
    live: Live,
    client: Option<Client>,
    status: Option<Status>,
    warned: bool,
}

impl Watch<'_> {
    /// Well, or why not.
    fn until_the_end(&mut self, crew: &mut Crew, asked: &Asked) -> Result<(), String> {
        let mut asked_at: Option<Instant> = None;
        loop {
            if let Some(signal) = asked.signal() {
                return match self.length {
                    None => Ok(()),
                    Some(_) => Err(format!("ended by signal {signal} before its time was over")),
                };
            }
            for notice in crew.turn(Instant::now()) {
                self.tell(&notice);
                if let Notice::GivenUp { process, how } = notice {
                    return Err(format!("{} never stays up: {how}", process.name()));
                }
            }
            if asked_at.is_none_or(|at| at.elapsed() >= ASK_EVERY) {
                asked_at = Some(Instant::now());
                if let Some(end) = self.turn() {
                    return end;
                }
            }
            sleep(TURN);
        }
    }

    /// One look at the daemon, and what follows from it.
    fn turn(&mut self) -> Option<Result<(), String>> {
        let fresh = self.ask_status();
        let now = self.begun.elapsed();
        let mut order = match self.status.as_ref().filter(|_| fresh) {
            Some(status) => self.mission.step(now, status),
            None => self.mission.silent(now),
        };
        if let Order::Ask(edge) = order {
            let call =
                operator::call(self.runtime, OPERATOR_SOCKET, edge.command(), edge.patience());
            let answer = call.map(drop).map_err(|failure| failure.to_string());
            order = self.mission.answered(self.begun.elapsed(), edge, answer);
        }
        let left = self.mission.armed_at().zip(self.length);
        let left = left.map(|(since, length)| (since + length).saturating_sub(now));
        match order {
            Order::End(end) => return Some(end),
            Order::Say(text) => self.live.event(&text),
            Order::Wait | Order::Ask(_) => {}
        }
        self.live.show(self.robot, self.status.as_ref().filter(|_| fresh), left);
        None
    }

    /// Takes a fresh status; false where the daemon does not answer, and the last one is kept.
    fn ask_status(&mut self) -> bool {
        if self.client.is_none() {
            self.client = Client::connect(self.runtime.join(OPERATOR_SOCKET), STATUS_MAX).ok();
        }
        match self.client.as_mut().map(Client::status) {
            Some(Ok(status)) => {
                self.warn(&status);
                self.status = Some(status);
                true
            }
            _ => {
                self.client = None;
                false
            }
        }
    }

    /// What the host does not grant is said once.
    fn warn(&mut self, status: &Status) {
        if std::mem::replace(&mut self.warned, true) {
            return;
        }
        if !status.host.realtime {
            let profile = &status.profile;
            self.live.event(&format!(
                "THIS HOST GRANTS NO REAL TIME. Going on with profile {profile}; its numbers say \
                 nothing about a host with real time"
            ));
        }
        for warning in &status.host.warnings {
            self.live.event(&format!("host: {warning}"));
        }
    }

    fn tell(&mut self, notice: &Notice) {
        let text = match notice {
            Notice::Died { process, how, pause } => {
                let (name, ms) = (process.name(), pause.as_millis());
                format!("{name} {how}; it is started again in {ms} ms")
            }
            Notice::Again { process, pid } => {
                let name = process.name();
                format!(
                    "{name} runs again (process {pid}); `mechos reset`, then `mechos arm` goes on"
                )
            }
            Notice::GivenUp { process, .. } => format!("{} never stays up", process.name()),
        };
        self.live.event(&text);
    }
}

/// A controlled stop and power off, before anything is ended: a planner that leaves an armed machine
/// would be a loss. Bounded, and no answer is as well: then the daemon's own end stops the drives.
fn quiet(runtime: &Path) {
    let Ok(mut client) = Client::connect(runtime.join(OPERATOR_SOCKET), STATUS_MAX) else { return };
    let _ = client.call(Command::Disarm);
    let until = Instant::now() + QUIET_MAX;
    while Instant::now() < until {
        match client.status() {
            Ok(status) if matches!(status.mode.as_str(), "armed" | "arming" | "stopping") => {
                sleep(TURN);
            }
            _ => return,
        }
    }
}
