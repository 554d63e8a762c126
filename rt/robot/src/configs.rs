//! What the other packages are told of the robot, each in its own type.

use std::path::Path;

use hal::bus::BusAddress;
use hal::cia402;
use hal::network::NetworkConfig;
use mechos_kernel::config::{self, AxisConfig, Config, Excess, GateConfig, Reaction, Reactions};
use shm_protocol::records::{AXES_MAX, AxisDescription, Description};

use crate::error::Objection;
use crate::file::{Gate, ReactionsTable};
use crate::load::{heartbeat_ns, stop_blocking_ns};
use crate::robot::Robot;
use crate::rules::{ExcessWord, ReactionWord, milliseconds, whole};
use crate::spec::{AxisSpec, BusKind, BusSpec, CognitionSpec};

impl Robot {
    /// What the kernel is configured with; it reacts.
    pub fn kernel_config(&self) -> Config {
        let axis = |axis: &AxisSpec| AxisConfig { limits: axis.limits, home_rad: axis.home_rad };
        Config {
            axes: self.axes.iter().take(AXES_MAX).map(axis).collect(),
            budgets: config::Budgets {
                period_ns: self.budgets.period_ns,
                reaction_max_ns: self.reaction_max_ns(),
                feedback_age_max_ns: self.budgets.feedback_age_ns,
                cognition_heartbeat_ns: self.budgets.cognition_heartbeat_ns,
                watcher_beat_ns: self.budgets.watcher_beat_ns,
                housekeeping_beat_ns: self.budgets.housekeeping_beat_ns,
                arming_ns: self.budgets.arming_ns,
                stopping_ns: self.budgets.stopping_ns,
            },
            gate: self.gate,
            reactions: self.reactions,
            standstill_rad_s: self.standstill_rad_s,
            reacts: true,
        }
    }

    /// From a fault to the begin of braking by the slowest path, the drives' own watchdog: its
    /// time, and the last heartbeat on the wire; ns.
    pub fn reaction_max_ns(&self) -> u64 {
        let slowest = self.buses.iter().map(|bus| bus.bitrate).min().unwrap_or(1);
        self.budgets.watchdog_ns + heartbeat_ns(slowest)
    }

    /// Longest time that a stop frame handed to the controller needs until it is on the wire of the
    /// slowest bus, ns.
    pub fn stop_blocking_ns(&self) -> u64 {
        self.buses.iter().map(|bus| stop_blocking_ns(bus.bitrate)).max().unwrap_or(0)
    }

    /// Where a bus is; for a bus that does not exist, a socket where nobody listens.
    pub fn bus_address(&self, bus: usize, runtime: &Path) -> BusAddress {
        match self.buses.get(bus) {
            Some(bus) => bus.address(runtime),
            None => BusAddress::Sim { path: runtime.join(format!("no-bus-{bus}.sock")) },
        }
    }

    /// What the CANopen master of a bus is configured with: its drives in the order of
    /// [`Robot::axes_of_bus`]. Without the watchdog (simulated buses only) drives go on when the
    /// host is silent.
    pub fn network_config(&self, bus: usize, watchdog_enabled: bool) -> NetworkConfig {
        let on_bus = self.axes.iter().filter(|axis| axis.bus == bus);
        NetworkConfig {
            host_node: self.host_node,
            host_heartbeat_ns: self.budgets.host_heartbeat_ns,
            stop_cob_id: self.stop_cob_id,
            sync_cob_id: self.sync_cob_id,
            drives: on_bus.map(|axis| self.drive_config(axis, watchdog_enabled)).collect(),
        }
    }

    fn drive_config(&self, axis: &AxisSpec, watchdog_enabled: bool) -> cia402::Config {
        let (drive, limits) = (&axis.drive, &axis.limits);
        let whole_ms = |ns: u64| u16::try_from(ns / 1_000_000).unwrap_or(u16::MAX);
        let watchdog_ms = whole_ms(self.budgets.watchdog_ns);
        cia402::Config {
            node: axis.node,
            vendor_id: drive.vendor_id,
            product_code: drive.product_code,
            counts_per_rad: drive.counts_per_rad,
            zero_offset_rad: drive.zero_offset_rad,
            effort_per_mille_nm: drive.effort_per_mille_nm,
            period_ns: self.budgets.period_ns,
            stop_cob_id: self.stop_cob_id,
            sync_cob_id: self.sync_cob_id,
            host_node: self.host_node,
            watchdog_ms: if watchdog_enabled { watchdog_ms } else { 0 },
            heartbeat_ms: whole_ms(self.budgets.drive_heartbeat_ns),
            heartbeat_timeout_ns: self.budgets.drive_heartbeat_timeout_ns,
            quick_stop_deceleration_rad_s2: limits.quick_stop_deceleration_rad_s2,
            position_min_rad: limits.position_min_rad,
            position_max_rad: limits.position_max_rad,
            velocity_max_rad_s: limits.velocity_max_rad_s,
            following_error_max_rad: limits.following_error_max_rad,
            effort_max_nm: limits.effort_max_nm,
            torque_pdo_every: drive.torque_pdo_every,
        }
    }

    /// What a planner is told.
    pub fn description(&self) -> Description {
        let mut axes = [AxisDescription::default(); AXES_MAX];
        let mut axis_count = 0;
        for (slot, axis) in axes.iter_mut().zip(&self.axes) {
            let limits = &axis.limits;
            *slot = AxisDescription {
                name: padded(&axis.name),
                position_min_rad: limits.position_min_rad,
                position_max_rad: limits.position_max_rad,
                velocity_max_rad_s: limits.velocity_max_rad_s,
                acceleration_max_rad_s2: limits.acceleration_max_rad_s2,
                jerk_max_rad_s3: limits.jerk_max_rad_s3,
                effort_max_nm: limits.effort_max_nm,
                home_rad: axis.home_rad,
            };
            axis_count += 1;
        }
        Description {
            name: padded(&self.name),
            period_ns: self.budgets.period_ns,
            lease_max_ns: self.gate.lease_max_ns,
            heartbeat_timeout_ns: self.budgets.cognition_heartbeat_ns,
            intents_per_second_max: self.gate.intents_per_second_max,
            axis_count,
            axes,
        }
    }
}

impl BusSpec {
    /// File name of a simulated bus' socket in the runtime directory.
    pub fn socket_name(&self) -> String {
        format!("bus-{}.sock", self.name)
    }

    /// Where the bus is; a simulated one is a socket in the runtime directory.
    pub fn address(&self, runtime: &Path) -> BusAddress {
        match &self.kind {
            BusKind::Sim => BusAddress::Sim { path: runtime.join(self.socket_name()) },
            BusKind::SocketCan { interface } => {
                BusAddress::SocketCan { interface: interface.clone() }
            }
        }
    }
}

/// Zero-padded; the file's checks keep names inside.
fn padded(name: &str) -> [u8; 24] {
    let mut bytes = [0; 24];
    for (slot, byte) in bytes.iter_mut().zip(name.bytes()) {
        *slot = byte;
    }
    bytes
}

/// The gate's settings.
pub(crate) fn gate(table: &Gate, cognition: &CognitionSpec) -> Result<GateConfig, Objection> {
    let excess = |word| match word {
        ExcessWord::Refuse => Excess::Refuse,
        ExcessWord::Clamp => Excess::Clamp,
    };
    let rate = whole("intents_per_second_max", &table.intents_per_second_max)?;
    let bit = |mask: u64, agent: &u16| mask | 1_u64.checked_shl(u32::from(*agent)).unwrap_or(0);
    Ok(GateConfig {
        position: excess(table.excess.position),
        velocity: excess(table.excess.velocity),
        acceleration: excess(table.excess.acceleration),
        jerk: excess(table.excess.jerk),
        effort: excess(table.excess.effort),
        stoppable: excess(table.excess.stoppable),
        intents_per_second_max: rate,
        intent_age_max_ns: milliseconds("intent_age_max_ms", &table.intent_age_max_ms)?,
        lease_max_ns: milliseconds("lease_max_ms", &table.lease_max_ms)?,
        agents_mask: cognition.agents.iter().fold(0, bit),
    })
}

/// The reactions, each as the file says. A missed deadline is answered by the deadline thread with
/// the drives' fastest stop before the kernel hears of it: a softer word would not be kept.
pub(crate) fn reactions(table: &ReactionsTable) -> Result<Reactions, Objection> {
    let deadline_missed = *table.deadline_missed.get_ref();
    if deadline_missed != ReactionWord::Halt {
        let allowed = "`halt`: the deadline thread has sent the drives' fastest stop by then";
        return Err(Objection::at(table.deadline_missed.span(), "a softer reaction", allowed));
    }
    let reaction = |word| match word {
        ReactionWord::Halt => Reaction::Halt,
        ReactionWord::Stop => Reaction::Stop,
        ReactionWord::Hold => Reaction::Hold,
    };
    Ok(Reactions {
        cognition_lost: reaction(table.cognition_lost),
        deadline_missed: reaction(deadline_missed),
        process_lost: reaction(table.process_lost),
        feedback_stale: reaction(table.feedback_stale),
        drive_fault: reaction(table.drive_fault),
        limit_passed: reaction(table.limit_passed),
        real_time_lost: reaction(table.real_time_lost),
    })
}
