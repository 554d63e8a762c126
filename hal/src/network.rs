//! All drives of one bus, and what belongs to the bus: SYNC, the host's heartbeat, the shared stop.
//! One call of [`Network::cycle`] is one fresh tick; nothing is sent for a tick that did not run,
//! so that a stuck control thread feeds neither setpoints nor the drives' watchdogs.

use crate::bus::Received;
use crate::canopen::heartbeat::{self, NmtState};
use crate::canopen::{NODE_MAX, emcy};
use crate::cia402::objects::{self, Controlword, PowerState};
use crate::cia402::{self, Cia402};
pub use crate::drive::ConfigError;
use crate::drive::{Drive, DriveCommand, DriveFeedback, OUTBOX_MAX, Outbox};
use crate::frame::Frame;

/// Most drives of one bus. Each sends at most one frame a tick; SYNC, heartbeat and one service
/// frame come on top, so that a tick's frames always fit into an [`Outbox`].
pub const DRIVES_MAX: usize = 24;

const _: () = assert!(DRIVES_MAX + 3 <= OUTBOX_MAX);

/// One bus' drives and host.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkConfig {
    /// The host's own node number, 1 to 127; no drive's.
    pub host_node: u8,
    /// Between two of the host's heartbeats, ns. Must be well below the drives' watchdog.
    pub host_heartbeat_ns: u64,
    /// COB-ID of the stop RPDO that all drives share; below every cyclic identifier.
    pub stop_cob_id: u16,
    /// COB-ID of SYNC.
    pub sync_cob_id: u16,
    /// The drives, in the order in which commands and feedback are given.
    pub drives: Vec<cia402::Config>,
}

/// The master of one bus.
pub struct Network {
    drives: Vec<Box<dyn Drive>>,
    host_heartbeat: Frame,
    host_heartbeat_ns: u64,
    heartbeat_sent_ns: Option<u64>,
    stop: Frame,
    sync: Frame,
    /// Whose turn it is to send a service frame.
    turn: usize,
}

impl Network {
    /// The master of the drives of `config`; nothing is sent yet.
    ///
    /// # Errors
    /// Names the value that cannot be, and what it may be.
    pub fn new(config: &NetworkConfig) -> Result<Network, ConfigError> {
        check(config)?;
        let mut drives: Vec<Box<dyn Drive>> = Vec::with_capacity(config.drives.len());
        for drive in &config.drives {
            drives.push(Box::new(Cia402::new(drive)?));
        }
        Ok(Network {
            drives,
            host_heartbeat: heartbeat::frame(config.host_node, NmtState::Operational),
            host_heartbeat_ns: config.host_heartbeat_ns,
            heartbeat_sent_ns: None,
            stop: stop_frame(config.stop_cob_id),
            sync: Frame::fixed(config.sync_cob_id, []),
            turn: 0,
        })
    }

    /// Takes in a frame from the bus, echoes of the host's own included: a drive's watchdog counts
    /// as running once a heartbeat of the host was on the wire. All that was received goes in
    /// before the tick's `cycle`.
    pub fn on_frame(&mut self, received: &Received) {
        for drive in &mut self.drives {
            drive.on_frame(received);
        }
    }

    /// One fresh tick. `out` is cleared, then holds what to send, in this order: the drives'
    /// setpoints, SYNC, the host's heartbeat when due, a frame of set-up for each drive whose process
    /// data it replaces, and at most one more of set-up or diagnosis. A drive without a command is
    /// told `Off`.
    pub fn cycle(&mut self, now_ns: u64, commands: &[DriveCommand], out: &mut Outbox) {
        out.clear();
        let off = DriveCommand::default();
        for (index, drive) in self.drives.iter_mut().enumerate() {
            drive.cycle(now_ns, commands.get(index).unwrap_or(&off), out);
        }
        // The outbox has room for all of it: see DRIVES_MAX.
        let _ = out.push(self.sync);
        let due = self
            .heartbeat_sent_ns
            .is_none_or(|sent_ns| now_ns.saturating_sub(sent_ns) >= self.host_heartbeat_ns);
        if due {
            self.heartbeat_sent_ns = Some(now_ns);
            let _ = out.push(self.host_heartbeat);
        }
        self.service(now_ns, out);
    }

    /// Lets every drive in whose place there is room ask, and of the others the first in turn that
    /// has something to ask.
    fn service(&mut self, now_ns: u64, out: &mut Outbox) {
        let mut asked = [false; DRIVES_MAX];
        for (drive, asked) in self.drives.iter_mut().zip(&mut asked) {
            *asked = drive.leaves_room();
            if *asked {
                drive.service(now_ns, out);
            }
        }
        let len = self.drives.len();
        for step in 0..len {
            let index = (self.turn + step) % len;
            if asked.get(index).copied().unwrap_or(false) {
                continue;
            }
            if self.drives.get_mut(index).is_some_and(|drive| drive.service(now_ns, out)) {
                self.turn = (index + 1) % len;
                return;
            }
        }
    }

    /// The frame that stops every drive of the bus at once.
    pub fn stop_frame(&self) -> Frame {
        self.stop
    }

    /// What is known of drive `index`, in the configuration's order.
    pub fn feedback(&self, index: usize, now_ns: u64) -> DriveFeedback {
        self.drives.get(index).map(|drive| drive.feedback(now_ns)).unwrap_or_default()
    }

    /// Every drive has confirmed that it stopped or is stopping by itself.
    /// `false` while a drive has never said anything: whoever repeats a stop must have a bound.
    pub fn all_stopped(&self) -> bool {
        self.drives.iter().all(|drive| drive.stopped())
    }

    /// Number of drives.
    pub fn len(&self) -> usize {
        self.drives.len()
    }

    /// Whether the bus has no drive.
    pub fn is_empty(&self) -> bool {
        self.drives.is_empty()
    }
}

/// The shared stop: controlword quick stop (0x0002) to every drive, two bytes.
pub fn stop_frame(stop_cob_id: u16) -> Frame {
    Frame::fixed(stop_cob_id, Controlword::QUICK_STOP.to_le_bytes())
}

/// Whether a status word says that the drive stops by itself or has no power: anything but
/// operation enabled.
pub fn is_stopped(statusword: u16) -> bool {
    PowerState::decode(statusword).is_some_and(|state| state != PowerState::OperationEnabled)
}

/// The status word in a frame, if it is TPDO1 of `node`: for whoever watches without a network.
pub fn statusword_of(frame: &Frame, node: u8) -> Option<u16> {
    objects::decode_status(frame, node).map(|status| status.statusword)
}

fn check(config: &NetworkConfig) -> Result<(), ConfigError> {
    let NetworkConfig { host_node, stop_cob_id, sync_cob_id, ref drives, .. } = *config;
    if drives.len() > DRIVES_MAX {
        return Err(ConfigError::Drives { found: drives.len(), max: DRIVES_MAX });
    }
    if host_node == 0 || host_node > NODE_MAX {
        let found = f64::from(host_node);
        let allowed = "1 to 127";
        return Err(ConfigError::Value { node: host_node, field: "host_node", found, allowed });
    }
    let watchdogs = drives.iter().map(|drive| drive.watchdog_ms).filter(|ms| *ms > 0);
    if watchdogs.map(|ms| u64::from(ms) * 1_000_000).any(|ns| ns <= config.host_heartbeat_ns) {
        #[allow(clippy::cast_precision_loss, reason = "for a message only")]
        let found = config.host_heartbeat_ns as f64;
        let allowed = "shorter than every drive's watchdog";
        return Err(ConfigError::Value {
            node: host_node,
            field: "host_heartbeat_ns",
            found,
            allowed,
        });
    }
    let mut used = [false; 256];
    for node in std::iter::once(host_node).chain(drives.iter().map(|drive| drive.node)) {
        match used.get_mut(usize::from(node)) {
            Some(used) if !*used => *used = true,
            _ => return Err(ConfigError::NodeTwice { node }),
        }
    }
    check_cob_id("stop_cob_id", stop_cob_id, drives)?;
    check_cob_id("sync_cob_id", sync_cob_id, drives)?;
    if stop_cob_id >= sync_cob_id {
        let why = "the stop must come before SYNC in arbitration: stop_cob_id < sync_cob_id";
        return Err(ConfigError::CobId { field: "stop_cob_id", found: stop_cob_id, why });
    }
    for drive in drives {
        if (drive.stop_cob_id, drive.sync_cob_id, drive.host_node)
            != (stop_cob_id, sync_cob_id, host_node)
        {
            let why = "a drive of this bus has another stop, SYNC or host than the bus";
            return Err(ConfigError::CobId { field: "stop_cob_id", found: drive.stop_cob_id, why });
        }
    }
    Ok(())
}

/// Stop and SYNC lie between NMT and the first PDO, and hit nobody's emergency message.
fn check_cob_id(
    field: &'static str,
    found: u16,
    drives: &[cia402::Config],
) -> Result<(), ConfigError> {
    let why = if found == 0 || found > emcy::COB_ID_BASE + u16::from(NODE_MAX) {
        "allowed are 0x001 to 0x0FF, below every PDO"
    } else if drives.iter().any(|drive| emcy::COB_ID_BASE + u16::from(drive.node) == found) {
        "it is the emergency COB-ID (0x080 + node) of a drive of this bus"
    } else {
        return Ok(());
    };
    Err(ConfigError::CobId { field, found, why })
}
