//! The daemon, put together: everything is checked, opened, allocated and started here, once.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use arrayvec::ArrayVec;
use hal::bus::{BusError, Filter};
use hal::network::Network;
use mechos_kernel::{Begin, Inputs, Kernel, Outputs};
use mechos_robot::{Robot, RobotError};
use tracing::{info, warn};

use crate::args::{Args, BeginHalted};
use crate::bus::BusThread;
use crate::bus::echo::Echoes;
use crate::bus::logic::BusLogic;
use crate::control::ControlThread;
use crate::deadline::DeadlineThread;
use crate::fence::Fences;
use crate::gather::{LinkDesk, Watchers};
use crate::guarded::{guarded, keep_panics_quiet};
use crate::guardian::WATCHER;
use crate::host::confine::{ThreadKind, confine};
use crate::host::threads::{ThreadPlan, spawn};
use crate::host::{self, HostError};
use crate::housekeeping::Housekeeping;
use crate::housekeeping::certificate::CertificateKeeper;
use crate::housekeeping::status::StatusBook;
use crate::inject::Target;
use crate::ledger::Ledger;
use crate::note::Notes;
use crate::operator_server::BindError;
use crate::port::Port;
use crate::publish::Publisher;
use crate::registry::HardwareRegistry;
use crate::shared::{BUSES_MAX, Shared};
use crate::wiring::{BusEnds, ControlEnds, Wiring};

/// SO_PRIORITY of the stop sockets: passes a full normal band of the queue (linux, pfifo_fast has 6
/// and 7 in its first band; above 6 the kernel wants CAP_NET_ADMIN, and the daemon is no root).
const STOP_PRIORITY: u32 = 6;
/// Exit status of a process that must be restarted: a real-time thread hangs.
pub const EXIT_HUNG: u8 = 70;

/// How long the threads may take to leave, ns.
const LEAVE_MAX_NS: u64 = 2_000_000_000;
/// How often it is looked whether they have, ns.
const LEAVE_LOOK_NS: u64 = 1_000_000;

/// Why the daemon did not start. Nothing was powered.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The robot file.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// `--disable-stop` on a real bus.
    #[error("--disable-stop is for simulated buses only; this robot file names a real one")]
    DisableStop,
    /// One user for everything on a real bus.
    #[error(
        "on a real bus cognition needs a user of its own: --cognition-uid, or `uid` under [cognition] in the robot file"
    )]
    SameUser,
    /// Too many buses.
    #[error("{found} buses, {BUSES_MAX} are allowed")]
    Buses {
        /// In the file.
        found: usize,
    },
    /// A bus.
    #[error("bus {name}: {source}")]
    Bus {
        /// Its name.
        name: String,
        /// What it said.
        source: BusError,
    },
    /// The drives' masters.
    #[error("the drives of bus {name}: {source}")]
    Network {
        /// Its name.
        name: String,
        /// What they said.
        source: hal::network::ConfigError,
    },
    /// The operator's socket.
    #[error(transparent)]
    Operator(#[from] BindError),
    /// The planner's socket or its pages.
    #[error("the planner's link: {0}")]
    Link(#[from] shm_protocol::LinkError),
    /// A thread.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The system.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A histogram.
    #[error("cannot make a histogram: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
}

/// Runs the daemon until it is asked to end or must end. Call it from the process' main thread.
///
/// # Errors
/// [`StartError`], before anything was powered.
pub fn run(args: &Args) -> Result<ExitCode, StartError> {
    let robot = Robot::load(&args.robot)?;
    let cognition_uid = check(args, &robot)?;
    // A session of its own: a terminal's Ctrl-C reaches `mechos up`, which ends things in order.
    let _ = nix::unistd::setsid();
    let host = host::probe();
    let _awake = host::latency::hold();
    keep_panics_quiet();
    announce(&host, &robot, args);
    let shared = Arc::new(Shared::default());
    // On a real bus nothing is armed until every thread's grant was read back and is as asked.
    let demanded = args.demand_rt || (!robot.is_simulated() && !args.allow_no_rt);
    shared.real_time_missing.store(demanded, Ordering::Release);
    let fences = Arc::new(Fences::default());
    let registry = registry(args, &robot, &fences)?;
    let common = Common { args, robot: &robot, shared: &shared, fences: &fences };
    let axes: Vec<Vec<usize>> =
        (0..robot.buses.len()).map(|bus| robot.axes_of_bus(bus).collect()).collect();
    let wiring = Wiring::new(&axes)
        .map_err(|source| StartError::System { what: "making the rings", source })?;
    let buses = wiring.buses.into_iter().enumerate();
    let buses: Vec<BusThread> =
        buses.map(|(bus, ends)| common.bus_thread(bus, ends)).collect::<Result<_, _>>()?;
    let deadline = common.deadline_thread(wiring.deadline)?;
    let watcher = robot.threads.guardian;
    let watcher = ThreadPlan::real_time(WATCHER, watcher.priority, watcher.cpu);
    let ledger = Ledger::new(demanded).with_guardian(watcher);
    let same_user = cognition_uid == nix::unistd::geteuid().as_raw();
    let lost = Arc::clone(&wiring.housekeeping.lost);
    let mut book = StatusBook::new(&robot, args, host, same_user, ledger, lost)?;
    book.certificate = CertificateKeeper::new(args, &robot)
        .map_err(|source| StartError::System { what: "hashing what runs", source })?;
    book.certificate.judge(&shared);
    let mut housekeeping = Housekeeping::new(
        &robot,
        &args.runtime,
        book,
        cognition_uid,
        (Arc::clone(&shared), Arc::clone(&fences), Arc::clone(&registry)),
        wiring.housekeeping,
    )?;
    // A guardian that has latched a loss hands it on: this process then begins Halted.
    let latched = housekeeping.meet_guardian().or(args.begin_halted.map(BeginHalted::cause));
    let begin = latched.map_or(Begin::Disarmed, |cause| Begin::Halted { cause, detail: 0 });
    let control = common.control_thread(begin, wiring.control);
    let threads = start(&robot, &shared, &registry, buses, deadline, control)?;
    let code = {
        let _halt = registry.guard();
        housekeeping.run()
    };
    let code = leave(&shared, threads, code);
    housekeeping.goodbye();
    Ok(ExitCode::from(code))
}

/// What may not be combined; returns the user that cognition runs as.
fn check(args: &Args, robot: &Robot) -> Result<u32, StartError> {
    let simulated = robot.is_simulated();
    if !args.disable_stop.is_empty() && !simulated {
        return Err(StartError::DisableStop);
    }
    if robot.buses.len() > BUSES_MAX {
        return Err(StartError::Buses { found: robot.buses.len() });
    }
    let own = nix::unistd::geteuid().as_raw();
    let uid = args.cognition_uid.or(robot.cognition.uid).unwrap_or(own);
    if uid == own && !simulated {
        return Err(StartError::SameUser);
    }
    Ok(uid)
}

fn announce(host: &host::HostReport, robot: &Robot, args: &Args) {
    let profile = robot.profile.name();
    info!(robot = robot.name, profile, rate_hz = robot.rate_hz, "mechos-rt starts");
    for warning in &host.warnings {
        warn!("{warning}");
    }
    if !host.realtime {
        let simulated = robot.is_simulated();
        warn!(
            "THIS HOST GRANTS NO REAL TIME. {}",
            match (simulated, args.allow_no_rt) {
                (true, _) => "Going on, because every bus of this robot is simulated.",
                (false, true) =>
                    "Going on, because --allow-no-rt was given: deadlines will be missed.",
                (false, false) => "Arming is refused on a real bus unless --allow-no-rt is given.",
            }
        );
    }
    if args.allow_faults && !robot.is_simulated() {
        warn!(
            "FAULTS MAY BE INJECTED ON A REAL BUS (--allow-faults): anybody who may operate this \
               machine can stall, kill and silence what drives its motors"
        );
    }
    let off = args.stops_disabled().names();
    if !off.is_empty() {
        warn!(?off, "stop paths are switched off");
    }
}

fn open(port: &mut Port, robot: &Robot, bus: usize) -> Result<(), StartError> {
    port.open().map_err(|source| StartError::Bus { name: bus_name(robot, bus), source })
}

fn bus_name(robot: &Robot, bus: usize) -> String {
    robot.buses.get(bus).map_or_else(String::new, |spec| spec.name.clone())
}

fn registry(
    args: &Args,
    robot: &Robot,
    fences: &Arc<Fences>,
) -> Result<Arc<HardwareRegistry>, StartError> {
    let ports = stop_ports(&args.runtime, robot, "rt.drop")?;
    let stop = hal::network::stop_frame(robot.stop_cob_id);
    let enabled = !args.stops_disabled().drop;
    let fences = Arc::clone(fences);
    Ok(HardwareRegistry::new(ports, stop, enabled, move || fences.is_up()))
}

/// One open stop socket a bus; only its own echo passes the filter.
fn stop_ports(runtime: &Path, robot: &Robot, name: &str) -> Result<Vec<Port>, StartError> {
    (0..robot.buses.len())
        .map(|bus| {
            let address = robot.bus_address(bus, runtime);
            let filters = vec![Filter::exactly(robot.stop_cob_id)];
            let mut port = Port::new(address, name.to_owned(), filters, Some(STOP_PRIORITY));
            open(&mut port, robot, bus)?;
            Ok(port)
        })
        .collect()
}

/// What every thread is built from.
struct Common<'a> {
    args: &'a Args,
    robot: &'a Robot,
    shared: &'a Arc<Shared>,
    fences: &'a Arc<Fences>,
}

impl Common<'_> {
    fn bus_thread(&self, bus: usize, ends: BusEnds) -> Result<BusThread, StartError> {
        let name = bus_name(self.robot, bus);
        let stops = self.args.stops_disabled();
        let config = self.robot.network_config(bus, !stops.watchdog);
        let network = Network::new(&config)
            .map_err(|source| StartError::Network { name: name.clone(), source })?;
        let address = self.robot.bus_address(bus, &self.args.runtime);
        let mut port = Port::new(address, format!("rt.{name}"), Vec::new(), None);
        open(&mut port, self.robot, bus)?;
        Ok(BusThread {
            bus,
            shared: Arc::clone(self.shared),
            fences: Arc::clone(self.fences),
            port,
            logic: BusLogic::new(network, self.robot.budgets.deadline_ns),
            ends,
            period_ns: self.robot.budgets.period_ns,
            lost: false,
            echoes: Echoes::new(self.robot.sync_cob_id),
            waiting: ArrayVec::new(),
            stop_of_ns: 0,
        })
    }

    fn deadline_thread(&self, notes: Notes) -> Result<DeadlineThread, StartError> {
        let ports = stop_ports(&self.args.runtime, self.robot, "rt.deadline")?;
        let budgets = &self.robot.budgets;
        let proved = vec![false; ports.len()];
        Ok(DeadlineThread {
            shared: Arc::clone(self.shared),
            fences: Arc::clone(self.fences),
            ports,
            stop: hal::network::stop_frame(self.robot.stop_cob_id),
            period_ns: budgets.period_ns,
            deadline_ns: budgets.deadline_ns,
            // Once a period suffices, as long as that is well within what its own watchers allow.
            beat_ns: (budgets.watcher_beat_ns / 4)
                .max(budgets.period_ns)
                .min(budgets.watcher_beat_ns * 2 / 3),
            stops: !self.args.stops_disabled().deadline,
            notes,
            stopped_ns: 0,
            proof_ns: 0,
            proved,
        })
    }

    fn control_thread(&self, begin: Begin, ends: ControlEnds) -> ControlThread {
        let mut config = self.robot.kernel_config();
        config.reacts = !self.args.stops_disabled().kernel;
        let axis_count = config.axes.len();
        ControlThread {
            shared: Arc::clone(self.shared),
            fences: Arc::clone(self.fences),
            execution_ns: self.robot.budgets.execution_ns,
            deadline_ns: self.robot.budgets.deadline_ns,
            kernel: Kernel::new(&config, begin),
            inputs: Inputs::default(),
            outputs: Outputs::new(&config),
            link: LinkDesk::new(ends.links, ends.links_back, axis_count),
            watchers: Watchers::new(
                ends.pages,
                ends.pages_back,
                ends.buses.len(),
                self.robot.budgets.watcher_beat_ns,
                config.reacts,
            ),
            buses: ends.buses,
            feedback: (0..axis_count).map(|_| None).collect(),
            operators: ends.operators,
            publisher: Publisher::new(ends.timings, ends.snapshots, axis_count),
            notes: ends.notes,
            fault_resets: 0,
            wake: self.robot.threads.wake,
            arrived_ns: ArrayVec::new(),
            halt_ns: None,
            previous: None,
            config,
        }
    }
}

/// Starts the real-time threads: watchers first, then the watched.
fn start(
    robot: &Robot,
    shared: &Arc<Shared>,
    registry: &Arc<HardwareRegistry>,
    buses: Vec<BusThread>,
    mut deadline: DeadlineThread,
    mut control: ControlThread,
) -> Result<Vec<JoinHandle<()>>, StartError> {
    let plan = |name: String, spec: mechos_robot::ThreadSpec| {
        ThreadPlan::real_time(name, spec.priority, spec.cpu)
    };
    let both = || (Arc::clone(shared), Arc::clone(registry));
    let mut threads = Vec::new();
    let (words, halt) = both();
    threads.push(spawn(plan("deadline".to_owned(), robot.threads.deadline), move || {
        confine(ThreadKind::Deadline);
        guarded(Target::Deadline, &words, &halt, || deadline.run());
    })?);
    for mut bus in buses {
        let (words, halt) = both();
        let name = format!("bus-{}", bus_name(robot, bus.bus));
        threads.push(spawn(plan(name, robot.threads.bus), move || {
            confine(ThreadKind::Bus);
            guarded(Target::Bus(bus.bus), &words, &halt, || bus.run());
        })?);
    }
    let (words, halt) = both();
    threads.push(spawn(plan("control".to_owned(), robot.threads.control), move || {
        confine(ThreadKind::Control);
        guarded(Target::Control, &words, &halt, || control.run());
    })?);
    Ok(threads)
}

/// Lets the threads leave; returns the exit status. One that hangs is left behind: the process ends
/// all the same, and says so.
fn leave(shared: &Arc<Shared>, threads: Vec<JoinHandle<()>>, code: u8) -> u8 {
    shared.leave.store(true, Ordering::Release);
    let until_ns = host::clock::now_ns().saturating_add(LEAVE_MAX_NS);
    while code != EXIT_HUNG && !threads.iter().all(JoinHandle::is_finished) {
        let now_ns = host::clock::now_ns();
        if now_ns > until_ns {
            return EXIT_HUNG;
        }
        host::clock::sleep_until(now_ns.saturating_add(LEAVE_LOOK_NS));
    }
    code
}
