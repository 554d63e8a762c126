//! One simulated CiA 402 drive: a CANopen node with a power stage and an axis. It sees frames and
//! modelled time, and answers with frames. It shares nothing with the master but the frame.

mod cia402;
pub mod defaults;
pub mod dictionary;
pub mod nmt;
pub mod objects;
pub mod pdo;
pub mod plant;
pub mod power;
pub mod rules;
pub mod sdo;
pub mod servo;

use hal::frame::{Frame, FrameKind};

use crate::spec::DriveSpec;
use cia402::PowerStage;
use dictionary::Dictionary;
use nmt::{Heartbeats, NmtCommand, NmtState};
use objects::*;
use pdo::{Effect, Payload, Pdos};
use power::Power;
use sdo::SdoServer;

/// From power-on or reset to the boot-up message, ns.
pub const BOOT_NS: u64 = 20_000_000;

const NMT_ID: u32 = 0;
const EMERGENCY_ID: u16 = 0x080;
const SDO_REPLY_ID: u16 = 0x580;
const SDO_REQUEST_ID: u32 = 0x600;
const HEARTBEAT_ID: u16 = 0x700;

/// A frame that the drive wants to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The frame.
    pub frame: Frame,
    /// Process data: a waiting one with the same identifier is replaced.
    pub process_data: bool,
}

/// What an onlooker sees of a drive without asking it over the bus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observed {
    /// State of the power stage.
    pub power: Power,
    /// Communication state.
    pub nmt: NmtState,
    /// Statusword.
    pub statusword: u16,
    /// Last error's code, 0 for none.
    pub error_code: u16,
    /// Position of the axis, rad.
    pub position_rad: f64,
    /// Velocity of the axis, rad/s.
    pub velocity_rad_s: f64,
    /// Power off and exactly still.
    pub at_rest: bool,
}

/// One drive.
pub struct Drive {
    spec: DriveSpec,
    objects: Dictionary,
    sdo: SdoServer,
    pdos: Pdos,
    beats: Heartbeats,
    nmt: NmtState,
    boot_ns: Option<u64>,
    stage: PowerStage,
    connection_lost: bool,
    out: Vec<Outgoing>,
}

impl Drive {
    /// Powered on at `now_ns`; the boot-up message follows after `BOOT_NS`.
    pub fn new(spec: DriveSpec, now_ns: u64) -> Self {
        let objects = Dictionary::new(&spec);
        let stage = PowerStage::new(&spec, &objects, now_ns);
        Self {
            sdo: SdoServer::default(),
            pdos: Pdos::compile(&objects),
            beats: Heartbeats::default(),
            nmt: NmtState::Initialising,
            boot_ns: Some(now_ns + BOOT_NS),
            connection_lost: false,
            out: Vec::with_capacity(16),
            stage,
            objects,
            spec,
        }
    }

    /// What it is.
    pub fn spec(&self) -> &DriveSpec {
        &self.spec
    }

    /// How it stands, as of the last event.
    pub fn observe(&self) -> Observed {
        Observed {
            power: self.stage.power(),
            nmt: self.nmt,
            statusword: self.stage.statusword(),
            error_code: u16::try_from(self.objects.number(ERROR_CODE, 0)).unwrap_or(0),
            position_rad: self.stage.servo().position_rad(),
            velocity_rad_s: self.stage.servo().velocity_rad_s(),
            at_rest: self.stage.servo().is_resting(),
        }
    }

    /// Frames to send, taken by the caller after each call below.
    pub fn outgoing(&mut self) -> std::vec::Drain<'_, Outgoing> {
        self.out.drain(..)
    }

    /// When the drive must be woken at the latest.
    pub fn due_ns(&self) -> Option<u64> {
        let operational = self.nmt == NmtState::Operational;
        let timed = self.pdos.transmit.iter().filter_map(pdo::Transmit::due_ns);
        let awaited = self.pdos.receive.iter().filter_map(|pdo| pdo.due_ns);
        [self.boot_ns, self.beats.due_ns(), self.stage.servo().due_ns()]
            .into_iter()
            .flatten()
            .chain(timed.chain(awaited).filter(|_| operational))
            .min()
    }

    /// Its time has come: boot-up, heartbeats, lost heartbeats, timers, motion.
    pub fn on_time(&mut self, now_ns: u64) {
        self.run(now_ns);
        if self.boot_ns.take_if(|at| *at <= now_ns).is_some() {
            self.nmt = NmtState::PreOperational;
            self.beats.set_producer(&self.objects, now_ns);
            self.stage.self_test_passed();
            self.send(HEARTBEAT_ID, &[NmtState::Initialising as u8], false);
        }
        if self.beats.take_due(now_ns) {
            self.send(HEARTBEAT_ID, &[self.nmt as u8], false);
        }
        while self.beats.take_lost(now_ns).is_some() {
            self.lose_connection(ERROR_HEARTBEAT);
            match self.objects.number(ERROR_BEHAVIOUR, 1) {
                0 if self.nmt == NmtState::Operational => self.enter(NmtState::PreOperational),
                2 => self.enter(NmtState::Stopped),
                _ => {}
            }
        }
        if self.nmt == NmtState::Operational {
            let late = |pdo: &mut pdo::Receive| pdo.due_ns.take_if(|d| *d <= now_ns).is_some();
            if self.pdos.receive.iter_mut().filter_map(|pdo| late(pdo).then_some(())).count() > 0 {
                self.lose_connection(ERROR_RPDO_TIMEOUT);
            }
        }
        self.after_event(now_ns);
    }

    /// A frame of another station has crossed the wire.
    pub fn on_frame(&mut self, frame: &Frame, now_ns: u64) {
        if frame.is_extended() || frame.kind() != FrameKind::Data || self.boot_ns.is_some() {
            return;
        }
        let (id, node) = (frame.id(), u32::from(self.spec.node));
        let sync = u32::try_from(self.objects.number(SYNC_COB_ID, 0)).unwrap_or(0x80);
        if id == NMT_ID {
            self.on_nmt(frame.data(), now_ns);
        } else if id == sync {
            self.on_sync(now_ns);
        } else if id == SDO_REQUEST_ID + node {
            self.on_sdo(frame.data(), now_ns);
        } else if let Some(other) = id.checked_sub(HEARTBEAT_ID.into()).filter(|n| *n < 128) {
            self.on_heartbeat(u8::try_from(other).unwrap_or(0), now_ns);
        } else {
            self.on_process_data(id, frame.data(), now_ns);
        }
    }

    /// A fault from within, as if the drive had found it itself.
    pub fn trip(&mut self, code: u16, now_ns: u64) {
        self.run(now_ns);
        self.stage.fault(code, &mut self.objects);
        self.after_event(now_ns);
    }

    fn on_nmt(&mut self, data: &[u8], now_ns: u64) {
        let Some(command) = NmtCommand::of(data, self.spec.node) else { return };
        self.run(now_ns);
        match command {
            NmtCommand::Start => self.enter(NmtState::Operational),
            NmtCommand::PreOperational => self.enter(NmtState::PreOperational),
            NmtCommand::Stop => {
                self.stage.connection_lost(ERROR_HEARTBEAT, &mut self.objects);
                self.enter(NmtState::Stopped);
            }
            NmtCommand::ResetCommunication => {
                self.stage.connection_lost(ERROR_HEARTBEAT, &mut self.objects);
                self.objects.reset_communication();
                self.reboot(now_ns);
            }
            NmtCommand::ResetNode => {
                self.objects.reset_all();
                self.stage.power_cycle(&self.objects);
                self.reboot(now_ns);
            }
        }
        self.after_event(now_ns);
    }

    fn reboot(&mut self, now_ns: u64) {
        self.sdo = SdoServer::default();
        self.pdos = Pdos::compile(&self.objects);
        self.beats = Heartbeats::default();
        self.nmt = NmtState::Initialising;
        self.connection_lost = false;
        self.boot_ns = Some(now_ns + BOOT_NS);
    }

    fn enter(&mut self, state: NmtState) {
        if (state == NmtState::Operational) != (self.nmt == NmtState::Operational) {
            self.pdos.restart();
        }
        self.nmt = state;
    }

    fn on_sync(&mut self, now_ns: u64) {
        if self.nmt != NmtState::Operational {
            return;
        }
        self.run(now_ns);
        self.stage.publish(&mut self.objects);
        for index in 0..self.pdos.transmit.len() {
            let Some(pdo) = self.pdos.transmit.get_mut(index) else { break };
            if let Some(payload) = pdo.on_sync(&self.objects) {
                let id = pdo.cob_id;
                self.send_raw(id, payload.as_slice(), true);
            }
        }
        for index in 0..self.pdos.receive.len() {
            let Some(pdo) = self.pdos.receive.get_mut(index) else { break };
            if let Some(payload) = pdo.pending.take() {
                self.apply(index, &payload);
            }
        }
        self.stage.setpoint(&self.objects);
        self.after_event(now_ns);
    }

    fn on_process_data(&mut self, id: u32, data: &[u8], now_ns: u64) {
        if self.nmt != NmtState::Operational {
            return;
        }
        let Some(index) = self.pdos.receive.iter().position(|pdo| pdo.matches(id)) else { return };
        let Some(pdo) = self.pdos.receive.get_mut(index) else { return };
        pdo.heard(now_ns);
        let payload = Payload::new(data);
        if pdo.synchronous {
            pdo.pending = Some(payload);
            return;
        }
        self.run(now_ns);
        if self.apply(index, &payload) {
            self.stage.setpoint(&self.objects);
        }
        self.after_event(now_ns);
    }

    /// Puts a receive PDO into force; whether it carried a target.
    fn apply(&mut self, index: usize, payload: &Payload) -> bool {
        let Some(pdo) = self.pdos.receive.get(index) else { return false };
        match pdo.apply(payload, &mut self.objects) {
            Effect::TooShort => {
                self.emergency(ERROR_PDO_LENGTH);
                false
            }
            Effect::Applied { controlword, target } => {
                if controlword {
                    self.stage.controlword(&mut self.objects);
                }
                target
            }
        }
    }

    fn on_sdo(&mut self, data: &[u8], now_ns: u64) {
        if !matches!(self.nmt, NmtState::PreOperational | NmtState::Operational) {
            return;
        }
        self.run(now_ns);
        self.stage.publish(&mut self.objects);
        let Some(answer) = self.sdo.answer(data, &mut self.objects) else { return };
        self.send(SDO_REPLY_ID, &answer.bytes, false);
        match answer.wrote {
            Some((CONTROLWORD, _)) => self.stage.controlword(&mut self.objects),
            Some((PRODUCER_HEARTBEAT, _)) => self.beats.set_producer(&self.objects, now_ns),
            Some((CONSUMER_HEARTBEAT, _)) => self.beats.set_consumers(&self.objects),
            Some((RPDO_COMMUNICATION..=0x1bff, _)) => self.pdos = Pdos::compile(&self.objects),
            Some(_) => self.stage.limits(&self.objects),
            None => {}
        }
        self.after_event(now_ns);
    }

    fn on_heartbeat(&mut self, node: u8, now_ns: u64) {
        if !self.beats.heard(node, now_ns) {
            return;
        }
        if std::mem::take(&mut self.connection_lost) && !self.stage.power().is_fault() {
            self.objects.set(ERROR_REGISTER, 0, 0);
            self.emergency(0);
        }
    }

    /// The host is gone: says so, and does what option 6007 asks for.
    fn lose_connection(&mut self, code: u16) {
        self.connection_lost = true;
        self.objects.set(ERROR_REGISTER, 0, 0x10);
        self.stage.connection_lost(code, &mut self.objects);
        if !self.stage.has_news() {
            self.emergency(code);
        }
    }

    fn run(&mut self, now_ns: u64) {
        self.stage.run(now_ns, &mut self.objects);
    }

    /// What follows from any event: news of faults, and process data sent on change.
    fn after_event(&mut self, now_ns: u64) {
        while let Some(code) = self.stage.take_news() {
            self.emergency(code);
        }
        if self.nmt != NmtState::Operational {
            return;
        }
        self.stage.publish(&mut self.objects);
        for index in 0..self.pdos.transmit.len() {
            let Some(pdo) = self.pdos.transmit.get_mut(index) else { break };
            if let Some(payload) = pdo.on_event(now_ns, &self.objects) {
                let id = pdo.cob_id;
                self.send_raw(id, payload.as_slice(), true);
            }
        }
    }

    fn emergency(&mut self, code: u16) {
        if matches!(self.nmt, NmtState::PreOperational | NmtState::Operational) {
            let [low, high] = code.to_le_bytes();
            let register = u8::try_from(self.objects.number(ERROR_REGISTER, 0)).unwrap_or(1);
            self.send(EMERGENCY_ID, &[low, high, register, 0, 0, 0, 0, 0], false);
        }
    }

    fn send(&mut self, base: u16, data: &[u8], process_data: bool) {
        self.send_raw(base + u16::from(self.spec.node), data, process_data);
    }

    fn send_raw(&mut self, id: u16, data: &[u8], process_data: bool) {
        if let Ok(frame) = Frame::new(id, data) {
            self.out.push(Outgoing { frame, process_data });
        }
    }
}
