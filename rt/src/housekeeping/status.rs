//! The operator's status, put together from what the real-time threads have left.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mechos_kernel::Mode;
use mechos_kernel::io::{AxisState, Interlocks};
use mechos_operator::{
    AxisStatus, BusStatus, HostStatus, InjectedStatus, IntentSums, LatencyPath, MissStatus, Pids,
    RtStatus, Status,
};
use mechos_robot::Robot;
use shm_protocol::records::Cause;

use super::certificate::CertificateKeeper;
use super::generations::{OldGenerations, believed};
use super::halts::Halts;
use super::latency::LatencyBook;
use crate::args::Args;
use crate::host::HostReport;
use crate::ledger::Ledger;
use crate::names::{kebab, mode_name};
use crate::publish::code_of;
use crate::shared::{Shared, StopsDisabled};
use crate::snapshot::{AxisSnapshot, Snapshot};
use crate::timing::Lost;

/// Misses and injected faults that are kept, each; the oldest go first.
const RECENT_MAX: usize = 32;

/// Everything that a status is made of.
pub struct StatusBook {
    robot_name: String,
    profile: &'static str,
    axis_names: Vec<String>,
    buses: Vec<(String, f64)>,
    period_ns: u64,
    stops_disabled: StopsDisabled,
    host: HostReport,
    same_user: bool,
    faults_allowed: bool,
    misses: VecDeque<MissStatus>,
    injected: VecDeque<InjectedStatus>,
    /// The distributions.
    pub latency: LatencyBook,
    /// The stops.
    pub halts: Halts,
    /// The newest snapshot.
    pub snapshot: Option<Snapshot>,
    /// Ended planner connections.
    old: OldGenerations,
    /// The processes.
    pub pids: Pids,
    /// The certificate that arming may need.
    pub certificate: CertificateKeeper,
    /// The real-time threads' ledger.
    pub ledger: Ledger,
}

impl StatusBook {
    /// An empty book for `robot`.
    ///
    /// # Errors
    /// The histogram library's, for bounds that it does not take.
    pub fn new(
        robot: &Robot,
        args: &Args,
        host: HostReport,
        same_user: bool,
        ledger: Ledger,
        lost: Arc<Lost>,
    ) -> Result<Self, hdrhistogram::CreationError> {
        let pid = i32::try_from(std::process::id()).ok();
        Ok(Self {
            robot_name: robot.name.clone(),
            profile: robot.profile.name(),
            axis_names: robot.axes.iter().map(|axis| axis.name.clone()).collect(),
            buses: robot.buses.iter().map(|b| (b.name.clone(), b.load.percent)).collect(),
            period_ns: robot.budgets.period_ns,
            stops_disabled: args.stops_disabled(),
            host,
            same_user,
            faults_allowed: robot.is_simulated() || args.allow_faults,
            misses: VecDeque::new(),
            injected: VecDeque::new(),
            latency: LatencyBook::new(lost)?,
            halts: Halts::new(robot.budgets.deadline_ns),
            snapshot: None,
            old: OldGenerations::default(),
            pids: Pids { rt: pid, ..Pids::default() },
            certificate: CertificateKeeper::default(),
            ledger,
        })
    }

    /// Adds a miss.
    pub fn miss(&mut self, miss: MissStatus) {
        keep(&mut self.misses, miss);
    }

    /// A planner's connection has ended. The snapshot at hand may still show it: it counts once.
    pub fn retired(&mut self, generation: u32, submitted: u64, returned: u64, taken: u64) {
        self.old.add(submitted, returned, taken);
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.link = snapshot.link.filter(|link| link.generation != generation);
        }
    }

    /// When the newest miss was noticed, CLOCK_MONOTONIC ns.
    pub fn last_miss_ns(&self) -> Option<u64> {
        self.misses.back().map(|miss| miss.t_ns)
    }

    /// Adds an injected fault.
    pub fn injected(&mut self, fault: InjectedStatus) {
        keep(&mut self.injected, fault);
    }

    /// The name of a bus.
    pub fn bus_name(&self, bus: u32) -> Option<String> {
        let index = usize::try_from(bus).ok()?;
        self.buses.get(index).map(|(name, _)| name.clone())
    }

    /// The mode that the kernel assigned last.
    pub fn mode(&self) -> Mode {
        self.snapshot.as_ref().map_or(Mode::Disarmed, |snapshot| snapshot.mode)
    }

    /// Whether faults may be injected.
    pub fn faults_allowed(&self) -> bool {
        self.faults_allowed
    }

    /// The status now, with the threads as the kernel grants them at this moment.
    pub fn status(&self, shared: &Shared) -> Status {
        let (threads, ledger) = self.ledger.status();
        let warnings = self.host.warnings.iter().chain(self.ledger.warnings());
        let mut status = Status {
            robot: self.robot_name.clone(),
            profile: self.profile.to_owned(),
            period_ns: self.period_ns,
            schedule_start_ns: shared.schedule_start_ns.load(Ordering::Acquire),
            wake_us: self.latency.percentiles(LatencyPath::Wake),
            compute_us: self.latency.percentiles(LatencyPath::Compute),
            send_us: self.latency.percentiles(LatencyPath::Send),
            last_misses: self.misses.iter().cloned().collect(),
            injected: self.injected.iter().cloned().collect(),
            samples_lost: self.latency.lost_of_status(),
            buses: self.buses(shared),
            rt: RtStatus { threads },
            ledger,
            host: HostStatus {
                realtime: self.host.realtime,
                warnings: warnings.cloned().collect(),
            },
            halts: self.halts.list(),
            stops_disabled: self.stops_disabled.names(),
            pids: self.pids,
            same_user: self.same_user,
            certificate: self.certificate.status().clone(),
            faults_allowed: self.faults_allowed,
            mode: mode_name(Mode::Disarmed).to_owned(),
            cause: kebab(&Cause::None),
            // Until the first tick nothing is known, and nothing may be armed.
            interlocks: vec!["no-tick-yet".to_owned()],
            ..Status::default()
        };
        if let Some(snapshot) = &self.snapshot {
            self.fill(&mut status, snapshot, shared);
        }
        status
    }

    fn fill(&self, status: &mut Status, snapshot: &Snapshot, shared: &Shared) {
        let (_, cause, detail) = code_of(snapshot.mode);
        status.mode = mode_name(snapshot.mode).to_owned();
        status.cause = kebab(&cause);
        status.cause_detail = detail;
        status.epoch = snapshot.epoch;
        status.t_ns = snapshot.t_ns;
        status.ticks = snapshot.ticks;
        status.skipped = snapshot.skipped;
        status.notes_lost = snapshot.notes_lost;
        (status.misses, status.miss_causes) = shared.misses.sums();
        status.intents = self.sums(snapshot);
        status.operator_has_control = snapshot.operator_has_control;
        status.interlocks = interlock_names(snapshot.interlocks);
        status.axes =
            self.axis_names.iter().zip(&snapshot.axes).map(|(n, a)| axis_status(n, a)).collect();
    }

    fn sums(&self, snapshot: &Snapshot) -> IntentSums {
        let counters = snapshot.counters;
        let link = snapshot.link.unwrap_or_default();
        let counts = believed(link.submitted, link.returned, link.taken, link.queued);
        IntentSums {
            submitted: self.old.submitted.saturating_add(counts.submitted),
            returned: self.old.returned.saturating_add(counts.returned),
            lost: self.old.lost,
            queued: link.queued,
            accepted: counters.accepted,
            clamped: counters.clamped,
            refused: counters.refused,
            preempted: counters.preempted,
            completed: counters.completed,
            expired: counters.expired,
            aborted: counters.aborted,
            active: counters.active,
        }
    }

    fn buses(&self, shared: &Shared) -> Vec<BusStatus> {
        let status = |(index, (name, load)): (usize, &(String, f64))| BusStatus {
            name: name.clone(),
            load_percent: *load,
            state: kebab(&shared.bus_state(index)),
            send_failures: shared.send_failures.get(index).map_or(0, crate::shared::count),
        };
        self.buses.iter().enumerate().map(status).collect()
    }
}

fn keep<T>(recent: &mut VecDeque<T>, newest: T) {
    if recent.len() >= RECENT_MAX {
        recent.pop_front();
    }
    recent.push_back(newest);
}

/// The open interlocks by name.
pub fn interlock_names(bits: u32) -> Vec<String> {
    const NAMES: [(u32, &str); 15] = [
        (Interlocks::NOT_HOMED, "not-homed"),
        (Interlocks::MOVING, "moving"),
        (Interlocks::FEEDBACK, "feedback"),
        (Interlocks::DRIVE_NOT_READY, "drive-not-ready"),
        (Interlocks::DRIVE_SILENT, "drive-silent"),
        (Interlocks::OUTSIDE_LIMITS, "outside-limits"),
        (Interlocks::LATCHED, "latched"),
        (Interlocks::GUARDIAN, "guardian"),
        (Interlocks::DEADLINE_SOCKET, "deadline-socket"),
        (Interlocks::GUARDIAN_SOCKET, "guardian-socket"),
        (Interlocks::REAL_TIME, "real-time"),
        (Interlocks::BUS, "bus"),
        (Interlocks::FENCE, "fence"),
        (Interlocks::CERTIFICATE, "certificate"),
        (Interlocks::GUARDIAN_CONFIGURATION, "guardian-configuration"),
    ];
    let open = |(bit, _): &&(u32, &str)| bits & bit != 0;
    NAMES.iter().filter(open).map(|(_, name)| (*name).to_owned()).collect()
}

fn axis_status(name: &str, axis: &AxisSnapshot) -> AxisStatus {
    let states = [
        (AxisState::Offline, "offline"),
        (AxisState::Configuring, "configuring"),
        (AxisState::Ready, "ready"),
        (AxisState::Enabling, "enabling"),
        (AxisState::Enabled, "enabled"),
        (AxisState::QuickStop, "quick-stop"),
        (AxisState::Fault, "fault"),
        (AxisState::Misconfigured, "misconfigured"),
    ];
    let state = states.iter().find(|(state, _)| *state as u8 == axis.now.state);
    AxisStatus {
        name: name.to_owned(),
        position_rad: axis.now.position_rad,
        velocity_rad_s: axis.now.velocity_rad_s,
        effort_nm: axis.now.effort_nm,
        setpoint_rad: axis.now.setpoint_rad,
        state: state.map_or("offline", |(_, name)| name).to_owned(),
        fault_code: axis.now.fault_code,
        travel_rad: axis.travel_rad,
        start_rad: axis.start_rad.unwrap_or(axis.now.position_rad),
        end_rad: axis.now.position_rad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interlock_has_a_name() {
        assert_eq!(interlock_names(Interlocks::FENCE | Interlocks::MOVING), ["moving", "fence"]);
        assert_eq!(interlock_names(0x7f | 0x7f << 16).len(), 14);
    }
}
