//! The robot: read the file, check it part by part, keep what was found right.

use std::path::Path;

use mechos_kernel::config::{GateConfig, Reactions};

use crate::budgets::{Budgets, Profile, Sourced};
use crate::canopen::Identifiers;
use crate::certificate::{TRIALS_MIN, sha256_of};
use crate::error::{Objection, RobotError};
use crate::file::File;
use crate::spec::{AxisSpec, BusKind, BusSpec, CognitionSpec, Threads};
use crate::{axes, canopen, configs, load, locate, nesting, reading, rules, threads};

/// A robot whose file has passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Robot {
    /// Its name, 1 to 24 of `a-z 0-9 - _`.
    pub name: String,
    /// Ticks per second, 50 to 10,000.
    pub rate_hz: u32,
    /// Which set of budgets is in force.
    pub profile: Profile,
    /// The time budgets.
    pub budgets: Budgets,
    /// Speed below which an axis counts as standing, rad/s (m/s).
    pub standstill_rad_s: f64,
    /// The buses, at least one.
    pub buses: Vec<BusSpec>,
    /// The axes, 1 to 32.
    pub axes: Vec<AxisSpec>,
    /// Priorities and CPUs.
    pub threads: Threads,
    /// The planner.
    pub cognition: CognitionSpec,
    /// What the gate does with excess values, and how much it takes.
    pub gate: GateConfig,
    /// What each group of faults does.
    pub reactions: Reactions,
    /// COB-ID of the stop RPDO that all drives of a bus share; below every cyclic one.
    pub stop_cob_id: u16,
    /// COB-ID of SYNC.
    pub sync_cob_id: u16,
    /// Node id of the host's heartbeat.
    pub host_node: u8,
    /// Arming needs a certificate of this host, kernel, configuration and binary.
    pub require_certificate: bool,
    /// How often the certificate must have tried each fault.
    pub certificate_trials_min: u32,
    pub(crate) config_sha256: String,
}

impl Robot {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// [`RobotError::Read`] where there is none; [`RobotError::Refused`] for the first thing in it
    /// that is not allowed.
    pub fn load(path: impl AsRef<Path>) -> Result<Robot, RobotError> {
        let file = path.as_ref().display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Robot::parse(&text, &file),
            Err(source) => Err(RobotError::Read { file, source }),
        }
    }

    /// Checks a file's text; `file_name` stands in refusals.
    ///
    /// # Errors
    /// [`RobotError::Refused`] for the first thing in it that is not allowed.
    pub fn parse(text: &str, file_name: &str) -> Result<Robot, RobotError> {
        let robot = reading::read(text).and_then(|file| check(&file, sha256_of(text.as_bytes())));
        robot.map_err(|objection| {
            RobotError::Refused(Box::new(locate::refusal(text, file_name, objection)))
        })
    }

    /// Whether every bus is simulated.
    pub fn is_simulated(&self) -> bool {
        self.buses.iter().all(|bus| bus.kind == BusKind::Sim)
    }

    /// The axes on a bus, as indices into `axes`.
    pub fn axes_of_bus(&self, bus: usize) -> impl Iterator<Item = usize> + '_ {
        let axes = self.axes.iter().enumerate();
        axes.filter(move |(_, axis)| axis.bus == bus).map(|(index, _)| index)
    }

    /// The axis of that name, as an index into `axes`.
    pub fn axis_named(&self, name: &str) -> Option<usize> {
        self.axes.iter().position(|axis| axis.name == name)
    }

    /// SHA-256 of the very text that was checked: the file may be another one meanwhile. Two
    /// processes with equal hashes go by the same text.
    pub fn config_sha256(&self) -> &str {
        &self.config_sha256
    }
}

fn check(file: &File, config_sha256: String) -> Result<Robot, Objection> {
    let rate_hz = rate(file)?;
    let mut buses = axes::buses(&file.buses)?;
    let profile = profile(file, &buses)?;
    let budgets = budgets(file, &buses, profile, rate_hz)?;
    let ids = canopen::identifiers(file.canopen.as_ref())?;
    let axes = axes::axes(&file.axes, &buses, budgets.budgets.hazard_ns)?;
    canopen::check_nodes(&file.axes, &axes, &buses, &ids)?;
    load::check(&file.buses, &mut buses, &axes, &budgets.budgets)?;
    nesting::check(&file.axes, &axes, &buses, &budgets)?;
    let cognition = CognitionSpec {
        uid: file.cognition.uid.as_ref().map(|uid| rules::whole("uid", uid)).transpose()?,
        agents: agents(file)?,
    };
    let Identifiers { stop_cob_id, sync_cob_id, host_node } = ids;
    Ok(Robot {
        name: axes::name(&file.name, axes::NAME_MAX)?,
        rate_hz,
        profile,
        budgets: budgets.budgets,
        standstill_rad_s: rules::number("standstill_rad_s", &file.standstill_rad_s)?,
        buses,
        axes,
        threads: threads::threads(&file.threads, 1_000_000_000 / u64::from(rate_hz))?,
        gate: configs::gate(&file.gate, &cognition)?,
        cognition,
        reactions: configs::reactions(&file.reactions)?,
        stop_cob_id,
        sync_cob_id,
        host_node,
        require_certificate: file.require_certificate,
        certificate_trials_min: trials_min(file)?,
        config_sha256,
    })
}

/// The drives are told the period as 1 to 255 times a power of ten (60C2h).
fn rate(file: &File) -> Result<u32, Objection> {
    let rate_hz: u32 = rules::whole("rate_hz", &file.rate_hz)?;
    let mut period_ns = 1_000_000_000 / rate_hz;
    let exact = period_ns * rate_hz == 1_000_000_000;
    while period_ns.is_multiple_of(10) {
        period_ns /= 10;
    }
    if exact && period_ns <= 255 {
        return Ok(rate_hz);
    }
    let allowed = "a rate whose period is 1 to 255 times a power of ten seconds, as drives take it \
                   (CiA 402 60C2h)";
    let mend = "Take 50, 100, 125, 200, 250, 400, 500, 800, 1000, 2000, 4000, 5000 or 10000.";
    Err(Objection::at(file.rate_hz.span(), rate_hz, allowed).mend(mend))
}

fn trials_min(file: &File) -> Result<u32, Objection> {
    let found = file.certificate_trials_min.as_ref();
    let found = found.map(|min| rules::whole("certificate_trials_min", min)).transpose()?;
    Ok(found.unwrap_or(TRIALS_MIN))
}

/// Strict on a real bus, relaxed where all is simulated, unless the file says.
fn profile(file: &File, buses: &[BusSpec]) -> Result<Profile, Objection> {
    let simulated = buses.iter().all(|bus| bus.kind == BusKind::Sim);
    Ok(match (&file.profile, simulated) {
        (Some(profile), _) => *profile.get_ref(),
        (None, true) => Profile::Relaxed,
        (None, false) => Profile::Strict,
    })
}

fn budgets(
    file: &File,
    buses: &[BusSpec],
    profile: Profile,
    rate_hz: u32,
) -> Result<Sourced, Objection> {
    let chosen = file.profile.as_ref().map_or(file.rate_hz.span(), |profile| profile.span());
    let budgets = Budgets::of(profile, rate_hz);
    let sourced = Sourced::new(budgets, chosen.clone(), file.budgets.as_ref())?;
    let real = buses.iter().find(|bus| bus.kind != BusKind::Sim);
    if let (Profile::Relaxed, Some(bus), Some(missing)) = (profile, real, sourced.unwritten()) {
        let found = format!("`relaxed` with the real bus `{}`, and no budgets.{missing}", bus.name);
        let allowed = "`relaxed` for simulated buses only, or every budget written out";
        let mend = "Write profile = \"strict\", or every key of [budgets].";
        return Err(Objection::at(chosen, found, allowed).named("profile").mend(mend));
    }
    Ok(sourced)
}

fn agents(file: &File) -> Result<Vec<u16>, Objection> {
    file.cognition.agents.iter().map(|agent| rules::whole("agents", agent)).collect()
}
