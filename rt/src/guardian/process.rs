//! The guardian as a process: checked, locked, its threads started, and its way out.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use mechos_robot::{Budgets, Robot, RobotError};
use rtrb::RingBuffer;
use shm_protocol::LinkError;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tracing::{error, info, warn};

use super::attendant::{Attendant, BusPlace};
use super::bus::{StopBus, filters};
use super::link::{Door, RtPage};
use super::logic::{CONFIRM_MAX_NS, GuardianLogic, LEAVE_MAX_NS};
use super::operator::{Desk, Facts, History, WATCHER};
use super::watch::{Periods, Rings, Watcher};
use super::words::{NOTES_MAX, Words};
use crate::guarded::{be_quiet_in_a_panic, keep_panics_quiet};
use crate::host::confine::{ThreadKind, confine};
use crate::host::slots;
use crate::host::threads::{ThreadPlan, adopt, spawn};
use crate::host::{self, HostError, clock};
use crate::housekeeping::certificate::here::own_sha256;
use crate::operator_server::BindError;

/// Longest time between two looks at mechos-rt's beat, ns.
const TURN_MAX_NS: u64 = 1_000_000;
/// How long a guardian whose watcher panicked goes on sending stops, ns.
const LAST_STAND_NS: u64 = 1_000_000_000;
/// When a guardian that was asked to end does so even with a watcher that hangs, ns.
const END_MAX_NS: u64 = LEAVE_MAX_NS + CONFIRM_MAX_NS + 1_000_000_000;
/// Things that may be handed over before the other side has looked.
const HANDED_MAX: usize = 32;

/// Exit status after a panic of the watcher: fence and stops went out.
const EXIT_PANICKED: u8 = 71;
/// Exit status with a watcher that hangs.
const EXIT_HUNG: u8 = 70;

/// What the guardian is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The robot file.
    pub robot: PathBuf,
    /// The runtime directory with the sockets.
    pub runtime: PathBuf,
    /// `--disable-stop guardian`: watch and beat, but neither fence nor stop.
    pub disabled: bool,
    /// Another stop path was switched off: of no effect here, but simulated buses only.
    pub others_disabled: bool,
    /// `--allow-faults`: take injected faults on a real bus too.
    pub allow_faults: bool,
}

/// Why the guardian did not start. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum GuardianError {
    /// The robot file.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// `--disable-stop` on a real bus.
    #[error("--disable-stop is for simulated buses only; this robot file names a real one")]
    DisableStop,
    /// The operator's socket.
    #[error(transparent)]
    Operator(#[from] BindError),
    /// The socket for mechos-rt.
    #[error("the socket for mechos-rt: {0}")]
    Door(#[from] LinkError),
    /// A thread.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The signal handlers.
    #[error("cannot handle signals: {0}")]
    Signals(std::io::Error),
}

/// How the watcher ended.
enum End {
    Asked,
    Panicked(Box<dyn Any + Send>),
}

/// Runs the guardian until it is asked to end and nothing is left to watch over, or until it must
/// end. Call it from the process' main thread.
///
/// # Errors
/// [`GuardianError`], before anything was sent.
pub fn run(options: &Options) -> Result<ExitCode, GuardianError> {
    let robot = Robot::load(&options.robot)?;
    if (options.disabled || options.others_disabled) && !robot.is_simulated() {
        return Err(GuardianError::DisableStop);
    }
    // A session of its own: neither a terminal's Ctrl-C nor its end reaches the guardian. Refused
    // to the leader of a process group, who has one already.
    let _ = nix::unistd::setsid();
    let words = Arc::new(Words::default());
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&words.terminate))
            .map_err(GuardianError::Signals)?;
    }
    let report = host::probe();
    let _awake = host::latency::hold();
    keep_panics_quiet();
    announce(&robot, &report, options);
    let history = Arc::new(Mutex::new(History::default()));
    let facts = Facts {
        robot: robot.name.clone(),
        profile: robot.profile.name(),
        faults_allowed: robot.is_simulated() || options.allow_faults,
        acts: !options.disabled,
        warnings: report.warnings,
        binary_sha256: own_binary(&robot),
        config_sha256: robot.config_sha256().to_owned(),
    };
    let door = Door::open(&options.runtime)?;
    let desk = Desk::open(&options.runtime, Arc::clone(&words), Arc::clone(&history), facts)?;
    let _main = adopt(ThreadPlan::ordinary("attendant"))?;
    let operator = spawn(ThreadPlan::ordinary("operator"), move || desk.run())?;
    let (watcher, mut attendant) = build(options, &robot, door, &words, history);
    let spec = robot.threads.guardian;
    let plan = ThreadPlan::real_time(WATCHER, spec.priority, spec.cpu);
    let seen = Arc::clone(&words);
    let watcher = spawn(plan, move || {
        confine(ThreadKind::Guardian);
        watch(watcher, &seen)
    })?;
    let code = attend(&mut attendant, watcher);
    words.over.store(true, Ordering::Release);
    let _ = operator.join();
    Ok(ExitCode::from(code))
}

/// What a certificate is compared with; without it mechos-rt does not arm.
fn own_binary(robot: &Robot) -> Option<String> {
    if !robot.require_certificate {
        return None;
    }
    let hash = own_sha256();
    hash.inspect_err(|error| warn!("the guardian's own binary cannot be read: {error}")).ok()
}

fn announce(robot: &Robot, report: &host::HostReport, options: &Options) {
    let budget_ns = robot.budgets.guardian_ns;
    info!(robot = robot.name, profile = robot.profile.name(), budget_ns, "mechos-guardian starts");
    for warning in &report.warnings {
        warn!("{warning}");
    }
    if options.allow_faults && !robot.is_simulated() {
        warn!("FAULTS MAY BE INJECTED ON A REAL BUS (--allow-faults)");
    }
    if options.disabled {
        warn!("the guardian is switched off: it watches, and stops nothing");
    }
}

/// The watcher and the attendant, joined by their rings.
fn build(
    options: &Options,
    robot: &Robot,
    door: Door,
    words: &Arc<Words>,
    history: Arc<Mutex<History>>,
) -> (Watcher<RtPage>, Attendant) {
    let (fresh, fresh_out) = RingBuffer::new(HANDED_MAX);
    let (retired_in, retired) = RingBuffer::new(HANDED_MAX);
    let (notes_in, notes) = RingBuffer::new(NOTES_MAX);
    let budgets = &robot.budgets;
    let periods = Periods { turn_ns: turn_ns(budgets), sync_ns: budgets.feedback_age_ns / 2 };
    let nodes =
        |bus| robot.axes_of_bus(bus).filter_map(|axis| robot.axes.get(axis)).map(|axis| axis.node);
    let stop_buses = (0..robot.buses.len())
        .map(|bus| StopBus::new(robot.stop_cob_id, robot.sync_cob_id, nodes(bus)))
        .collect();
    let watcher = Watcher::new(
        GuardianLogic::new(budgets.guardian_ns, !options.disabled),
        stop_buses,
        Rings { fresh: fresh_out, retired: retired_in, notes: notes_in },
        Arc::clone(words),
        periods,
    );
    let attendant = Attendant {
        door,
        buses: places(robot, &options.runtime),
        fresh,
        retired,
        notes,
        words: Arc::clone(words),
        history,
        page_with_watcher: false,
        energised: false,
    };
    (watcher, attendant)
}

/// Between two turns: a millisecond at the most, several within each budget, in step with the daemon's
/// periods, so that the turns stay where they are between its beats.
fn turn_ns(budgets: &Budgets) -> u64 {
    let longest_ns =
        TURN_MAX_NS.min(budgets.guardian_ns / 4).min(budgets.watcher_beat_ns / 3).max(1);
    let period_ns = budgets.period_ns.max(1);
    match longest_ns / period_ns {
        0 => period_ns / period_ns.div_ceil(longest_ns),
        whole => whole * period_ns,
    }
}

fn places(robot: &Robot, runtime: &Path) -> Vec<BusPlace> {
    let specs = robot.buses.iter().enumerate();
    specs
        .map(|(bus, spec)| {
            let address = robot.bus_address(bus, runtime);
            BusPlace::new(spec.name.clone(), address, filters(robot.stop_cob_id))
        })
        .collect()
}

/// The watcher's thread: turns at absolute times. A panic latches the fence and sends stops.
fn watch(mut watcher: Watcher<RtPage>, words: &Words) -> End {
    be_quiet_in_a_panic();
    let turns = AssertUnwindSafe(|| {
        loop {
            let now_ns = clock::now_ns();
            if watcher.turn(now_ns).is_break() {
                return;
            }
            slots::set_armed(words.energised.load(Ordering::Relaxed));
            clock::sleep_until(watcher.next_turn_ns(now_ns));
        }
    });
    match catch_unwind(turns) {
        Ok(()) => End::Asked,
        Err(cause) => {
            last_stand(&mut watcher);
            End::Panicked(cause)
        }
    }
}

fn last_stand(watcher: &mut Watcher<RtPage>) {
    let until_ns = clock::now_ns().saturating_add(LAST_STAND_NS);
    // A second panic, in the last stand itself, must not keep the process from ending: what was
    // latched stays on the page, and mechos-rt misses the beat.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        loop {
            let now_ns = clock::now_ns();
            if watcher.last_stand(now_ns, until_ns) == ControlFlow::Break(()) {
                return;
            }
            clock::sleep_until(now_ns.saturating_add(TURN_MAX_NS));
        }
    }));
}

/// Attends to the watcher until it ends; returns the exit status.
fn attend(attendant: &mut Attendant, watcher: JoinHandle<End>) -> u8 {
    let mut asked_ns = None;
    while !watcher.is_finished() {
        attendant.turn();
        if attendant.words.terminate.load(Ordering::Relaxed) {
            let now_ns = clock::now_ns();
            let since_ns = *asked_ns.get_or_insert(now_ns);
            if now_ns.saturating_sub(since_ns) >= END_MAX_NS {
                error!("the real-time thread hangs: ending without it");
                return EXIT_HUNG;
            }
        }
    }
    let end = watcher.join();
    attendant.log();
    match end {
        Ok(End::Asked) => {
            info!("the guardian ends");
            0
        }
        Ok(End::Panicked(cause)) | Err(cause) => {
            let text = cause.downcast_ref::<&str>().copied().unwrap_or("no text");
            error!(text, "the real-time thread panicked: fence up, stops sent, ending");
            EXIT_PANICKED
        }
    }
}
