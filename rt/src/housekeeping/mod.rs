//! Housekeeping: everything that may take its time. Sockets, page sets, notes, status, the end.
//!
//! It runs on the process' main thread under SCHED_OTHER. It never assigns a mode and never sends
//! a setpoint; a peer's death that it sees goes to the control thread as one word.

pub mod certificate;
mod generations;
mod guardian;
mod halts;
mod latency;
mod link;
mod notes;
mod operators;
pub mod status;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mechos_kernel::Mode;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use shm_protocol::records::Cause;
use tracing::{error, info, warn};

use crate::daemon::{EXIT_HUNG, StartError};
use crate::fence::Fences;
use crate::host::clock;
use crate::host::threads::{ThreadPlan, adopt};
use crate::operator_server::OperatorServer;
use crate::registry::HardwareRegistry;
use crate::shared::Shared;
use crate::wiring::HousekeepingEnds;
use guardian::GuardianKeeper;
use link::LinkKeeper;
use mechos_robot::Robot;
use operators::Desk;
use status::StatusBook;

/// Longest sleep between two turns, ms.
const TURN_MS: u8 = 5;
/// Samples taken in one turn.
const SAMPLES_PER_TURN_MAX: usize = 65_536;
/// A real-time thread that has not come back for this long hangs for good, ns.
const HUNG_NS: u64 = 3_000_000_000;
/// A hang that is still seen after this long is one, ns.
const HUNG_SURE_NS: u64 = 200_000_000;
/// An orderly end that takes longer than this is ended without the kernel's word, ns.
const END_MAX_NS: u64 = 6_000_000_000;

/// The words that every thread shares.
pub type Words = (Arc<Shared>, Arc<Fences>, Arc<HardwareRegistry>);

/// The housekeeper.
pub struct Housekeeping {
    shared: Arc<Shared>,
    registry: Arc<HardwareRegistry>,
    desk: Desk,
    link: LinkKeeper,
    guardian: GuardianKeeper,
    book: StatusBook,
    ends: HousekeepingRings,
    signals: signal_hook::iterator::Signals,
    ending_since_ns: Option<u64>,
    period_ns: u64,
    buses: usize,
    hung_since_ns: Option<u64>,
    panics: u32,
}

/// The rings that are left once the desk and the keepers have theirs.
struct HousekeepingRings {
    timings: Vec<rtrb::Consumer<crate::timing::Timing>>,
    snapshots: rtrb::Consumer<crate::snapshot::Snapshot>,
    notes: Vec<rtrb::Consumer<crate::note::Note>>,
}

impl Housekeeping {
    /// Offers the sockets.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(
        robot: &Robot,
        runtime: &Path,
        book: StatusBook,
        cognition_uid: u32,
        (shared, fences, registry): Words,
        ends: HousekeepingEnds,
    ) -> Result<Self, StartError> {
        let system = |what| move |source| StartError::System { what, source };
        let signals = [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT];
        let signals =
            signal_hook::iterator::Signals::new(signals).map_err(system("waiting for signals"))?;
        let server = OperatorServer::bind(&runtime.join(mechos_operator::OPERATOR_SOCKET))?;
        let names = robot.buses.iter().map(|bus| bus.name.clone()).collect();
        let desk = Desk::new(server, ends.operators, names, &robot.budgets);
        let link = LinkKeeper::new(
            robot,
            runtime,
            cognition_uid,
            Arc::clone(&shared),
            (ends.links, ends.links_back),
        )?;
        let guardian = GuardianKeeper::new(
            runtime,
            Arc::clone(&shared),
            fences,
            (ends.pages, ends.pages_back),
        );
        let rings = HousekeepingRings {
            timings: ends.timings,
            snapshots: ends.snapshots,
            notes: ends.notes,
        };
        let period_ns = robot.budgets.period_ns;
        Ok(Self {
            shared,
            registry,
            desk,
            link,
            guardian,
            book,
            ends: rings,
            signals,
            ending_since_ns: None,
            period_ns,
            buses: robot.buses.len(),
            hung_since_ns: None,
            panics: 0,
        })
    }

    /// Connects to the guardian if it is there; returns the loss that it has latched, if any.
    pub fn meet_guardian(&mut self) -> Option<Cause> {
        self.guardian.meet()
    }

    /// Keeps house until the process is to end; returns its exit status.
    pub fn run(&mut self) -> u8 {
        // The ledger lists this thread beside the real-time ones.
        let _listed = adopt(ThreadPlan::ordinary("housekeeping"));
        loop {
            let now_ns = clock::now_ns();
            self.shared.housekeeping_beat_ns.store(now_ns, Ordering::Release);
            self.sleep();
            let now_ns = clock::now_ns();
            self.take_rings();
            self.desk.turn(&self.shared, &mut self.book, now_ns);
            self.book.pids.cognition = self.link.turn();
            self.book.halts.planner_lost(self.link.lost_ns);
            self.book.pids.guardian = self.guardian.turn(now_ns);
            self.book.ledger.set_guardian(self.book.pids.guardian);
            self.book.certificate.turn(&self.shared, self.book.pids.guardian, now_ns);
            if self.book.ledger.turn(now_ns) {
                let lost = self.book.ledger.is_lost();
                self.shared.real_time_missing.store(lost, Ordering::Release);
            }
            let panics = self.shared.panics.load(Ordering::Acquire);
            if panics != self.panics {
                self.panics = panics;
                error!(
                    panics,
                    "a real-time thread panicked and was caught; the drives were halted"
                );
            }
            if !self.shared.armed.load(Ordering::Acquire) {
                self.registry.tend(now_ns);
            }
            if self.hung(now_ns) {
                return EXIT_HUNG;
            }
            if self.ended(now_ns) {
                return 0;
            }
        }
    }

    /// Tells the guardian that this is an orderly end, if it is one.
    pub fn goodbye(&mut self) {
        if !self.shared.energised.load(Ordering::Acquire) {
            self.guardian.goodbye();
        }
        info!("mechos-rt ends");
    }

    fn sleep(&self) {
        let descriptors = self
            .desk
            .descriptors()
            .chain(self.link.descriptors())
            .chain(self.guardian.descriptors());
        let mut fds: Vec<PollFd<'_>> =
            descriptors.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // An interrupted poll only means a turn sooner.
        let _ = poll(&mut fds, PollTimeout::from(TURN_MS));
    }

    fn take_rings(&mut self) {
        while let Ok(snapshot) = self.ends.snapshots.pop() {
            self.book.snapshot = Some(snapshot);
        }
        for ring in &mut self.ends.timings {
            for _ in 0..SAMPLES_PER_TURN_MAX {
                let Ok(timing) = ring.pop() else { break };
                self.book.latency.add(timing);
            }
        }
        let errands = notes::take(&mut self.ends.notes, &mut self.book);
        for mode in &errands.modes {
            match mode {
                Mode::Arming { .. } => self.book.ledger.armed(clock::now_ns()),
                Mode::Disarmed | Mode::Halted { .. } => self.book.ledger.disarmed(),
                Mode::Armed | Mode::Stopping { .. } => {}
            }
        }
        if errands.pages_touched
            && let Err(error) = self.shared.inject.give_back()
        {
            warn!("pages of an injected fault stay unlocked: {error}");
        }
        for answer in &errands.answers {
            self.desk.answered(answer, &self.book);
        }
        for mode in &errands.modes {
            self.desk.mode_changed(*mode, &self.book);
        }
    }

    /// A real-time thread that hangs for good, or has given up: its stop was sent; the process ends
    /// and the one that follows begins Halted.
    fn hung(&mut self, now_ns: u64) -> bool {
        if self.shared.gave_up.load(Ordering::Acquire) {
            error!("a real-time thread panicked too often; ending, to be started again as Halted");
            self.registry.halt_all();
            return true;
        }
        let start_ns = self.shared.schedule_start_ns.load(Ordering::Acquire);
        if start_ns == 0 {
            return false;
        }
        let completed =
            self.shared.ticks.control.load(Ordering::Acquire).saturating_mul(self.period_ns);
        let control_ns = start_ns.saturating_add(completed);
        let deadline_ns = self.shared.deadline_beat_ns.load(Ordering::Acquire);
        let buses = self.shared.bus_beat_ns.iter().take(self.buses);
        let beats = buses.map(|beat| beat.load(Ordering::Acquire)).filter(|beat| *beat != 0);
        let bus_ns = beats.min().unwrap_or(now_ns);
        let beats = [("control", control_ns), ("deadline", deadline_ns), ("bus", bus_ns)];
        let hung = |(_, beat_ns): &(&str, u64)| now_ns.saturating_sub(*beat_ns) > HUNG_NS;
        let Some((thread, _)) = beats.into_iter().find(hung) else {
            self.hung_since_ns = None;
            return false;
        };
        // This whole process may have been stopped and gone on just now: once is no finding.
        let since_ns = *self.hung_since_ns.get_or_insert(now_ns);
        if now_ns.saturating_sub(since_ns) < HUNG_SURE_NS {
            return false;
        }
        error!(thread, "a real-time thread hangs; ending, to be started again as Halted");
        self.registry.halt_all();
        true
    }

    fn ended(&mut self, now_ns: u64) -> bool {
        if self.ending_since_ns.is_none() && self.signals.pending().next().is_some() {
            info!("asked to end: controlled stop, power off");
            self.ending_since_ns = Some(now_ns);
            self.desk.shut_down();
        }
        let told = self.book.snapshot.as_ref().is_some_and(|snapshot| snapshot.may_exit);
        let late = self.ending_since_ns.is_some_and(|t| now_ns.saturating_sub(t) > END_MAX_NS);
        if late && !told {
            error!("the controlled end takes too long; the drives are halted");
        }
        told || late
    }
}
