//! A scripted drive and a bench: every frame that the network sends reaches the drives at once,
//! their answers reach the network before the next tick. Time is counted, nothing sleeps.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::HashMap;

use hal::bus::Received;
use hal::cia402::Config;
use hal::drive::{DriveCommand, DriveFeedback, DriveGoal, DriveState, Outbox};
use hal::frame::Frame;
use hal::network::{Network, NetworkConfig};

pub const TICK_NS: u64 = 1_000_000;
pub const STOP: u16 = 0x0F0;
pub const SYNC: u16 = 0x0F8;
pub const HOST: u8 = 0x7F;

pub fn config(node: u8) -> Config {
    Config {
        node,
        vendor_id: 0x4D45,
        product_code: 0x4F53,
        counts_per_rad: 10_000.0,
        zero_offset_rad: 0.0,
        effort_per_mille_nm: 0.04,
        period_ns: TICK_NS,
        stop_cob_id: STOP,
        sync_cob_id: SYNC,
        host_node: HOST,
        watchdog_ms: 10,
        heartbeat_ms: 10,
        heartbeat_timeout_ns: 50_000_000,
        quick_stop_deceleration_rad_s2: 30.0,
        position_min_rad: -2.9,
        position_max_rad: 2.9,
        velocity_max_rad_s: 2.0,
        following_error_max_rad: 0.2,
        effort_max_nm: 60.0,
        torque_pdo_every: 25,
    }
}

pub fn network_config(nodes: &[u8]) -> NetworkConfig {
    NetworkConfig {
        host_node: HOST,
        host_heartbeat_ns: 4_000_000,
        stop_cob_id: STOP,
        sync_cob_id: SYNC,
        drives: nodes.iter().map(|node| config(*node)).collect(),
    }
}

/// How the drive answers a request on one object.
#[derive(Clone, Copy)]
pub enum Trick {
    Silent,
    Abort(u32),
    /// Answers a read with this value.
    Says(u32),
    /// Answers with these bytes.
    Bytes([u8; 8]),
}

/// A drive that does what it is told, by the book, without inertia.
pub struct FakeDrive {
    pub node: u8,
    pub objects: HashMap<(u16, u8), u32>,
    /// By object, and whether the request is a write.
    pub tricks: HashMap<(u16, u8, bool), Trick>,
    pub nmt: u8,
    /// Low bits of the statusword.
    pub state: u16,
    pub position: i32,
    pub is_silent: bool,
    pub keeps_running: bool,
    pub controlwords: Vec<u16>,
    pub targets: Vec<i32>,
    pub requests: Vec<[u8; 8]>,
    latched: Option<(u16, i32)>,
    last_word: u16,
    tick: u64,
}

pub const SWITCH_ON_DISABLED: u16 = 0x0250;
pub const READY: u16 = 0x0231;
pub const SWITCHED_ON: u16 = 0x0233;
pub const ENABLED: u16 = 0x0237;
pub const QUICK_STOP: u16 = 0x0217;
pub const FAULT: u16 = 0x0218;

impl FakeDrive {
    pub fn new(node: u8) -> FakeDrive {
        let objects = [((0x1018, 1), 0x4D45), ((0x1018, 2), 0x4F53), ((0x1017, 0), 0)];
        FakeDrive {
            node,
            objects: objects.into_iter().collect(),
            tricks: HashMap::new(),
            nmt: 0x7F,
            state: SWITCH_ON_DISABLED,
            position: 1_234,
            is_silent: false,
            keeps_running: false,
            controlwords: Vec::new(),
            targets: Vec::new(),
            requests: Vec::new(),
            latched: None,
            last_word: 0,
            tick: 0,
        }
    }

    fn id(&self, base: u16) -> u16 {
        base + u16::from(self.node)
    }

    pub fn boot_up(&mut self) -> Frame {
        *self = FakeDrive { position: self.position, ..FakeDrive::new(self.node) };
        Frame::new(self.id(0x700), &[0]).unwrap()
    }

    fn control(&mut self, word: u16) {
        self.controlwords.push(word);
        let is_reset = word & 0x80 != 0 && self.last_word & 0x80 == 0;
        self.last_word = word;
        self.state = match (self.state, word & 0x0F) {
            (FAULT, _) if is_reset => SWITCH_ON_DISABLED,
            (FAULT, _) => FAULT,
            (ENABLED, 0x0 | 0x2) if self.keeps_running => ENABLED,
            // Quick stop takes no time here: then no power, as 605A = 2 asks for.
            (_, 0x0 | 0x2) => SWITCH_ON_DISABLED,
            (SWITCH_ON_DISABLED | ENABLED | SWITCHED_ON, 0x6) => READY,
            (READY, 0x7) => SWITCHED_ON,
            (SWITCHED_ON, 0xF) => ENABLED,
            (state, _) => state,
        };
    }

    fn sdo(&mut self, data: &[u8]) -> Option<[u8; 8]> {
        let request: [u8; 8] = data.try_into().unwrap();
        self.requests.push(request);
        let [command, low, high, sub, a, b, c, d] = request;
        let index = u16::from_le_bytes([low, high]);
        let is_write = command != 0x40;
        let reply = |command: u8, value: u32| {
            let [a, b, c, d] = value.to_le_bytes();
            Some([command, low, high, sub, a, b, c, d])
        };
        let size = match index {
            0x1017 | 0x6007 | 0x603F | 0x6040 | 0x6041 | 0x605A | 0x605E | 0x6066 | 0x6072 => 2,
            0x1029 | 0x6060 | 0x6061 | 0x60C2 => 1,
            0x1400..=0x1BFF if sub == 0 || (sub == 2 && index & 0x200 == 0) => 1,
            _ => 4,
        };
        match self.tricks.get(&(index, sub, is_write)) {
            Some(Trick::Silent) => return None,
            Some(Trick::Abort(code)) => return reply(0x80, *code),
            Some(Trick::Says(value)) => return reply([0, 0x4F, 0x4B, 0, 0x43][size], *value),
            Some(Trick::Bytes(bytes)) => return Some(*bytes),
            None => {}
        }
        if !is_write {
            let value = match index {
                0x6041 => u32::from(self.state),
                0x6061 => self.objects.get(&(0x6060, 0)).copied().unwrap_or(0),
                _ => self.objects.get(&(index, sub)).copied().unwrap_or(0),
            };
            return reply([0, 0x4F, 0x4B, 0, 0x43][size], value);
        }
        assert_eq!(command, [0, 0x2F, 0x2B, 0, 0x23][size], "size of {index:04X}:{sub}");
        let is_pdo = (0x1400..0x1C00).contains(&index);
        if is_pdo && self.nmt == 5 {
            return reply(0x80, 0x0800_0022);
        }
        if index == 0x6040 {
            self.control(u16::from_le_bytes([a, b]));
        }
        self.objects.insert((index, sub), u32::from_le_bytes([a, b, c, d]));
        reply(0x60, 0)
    }

    /// Takes in a frame; its answers go to `out`.
    pub fn receive(&mut self, frame: &Frame, out: &mut Vec<Frame>) {
        let data = frame.data();
        let id = u16::try_from(frame.id()).unwrap();
        if id == 0 && (data[1] == self.node || data[1] == 0) {
            self.nmt = match data[0] {
                1 => 5,
                2 => 4,
                _ => 0x7F,
            };
        } else if id == self.id(0x600) && self.nmt != 4 && !self.is_silent {
            if let Some(answer) = self.sdo(data) {
                out.push(Frame::new(self.id(0x580), &answer).unwrap());
            }
        } else if self.nmt == 5 && id == self.id(0x200) {
            let target = i32::from_le_bytes(data[2..].try_into().unwrap());
            self.latched = Some((u16::from_le_bytes([data[0], data[1]]), target));
        } else if self.nmt == 5 && id == STOP {
            self.control(u16::from_le_bytes([data[0], data[1]]));
        } else if self.nmt == 5 && id == SYNC {
            self.sync(out);
        }
    }

    fn sync(&mut self, out: &mut Vec<Frame>) {
        if let Some((word, target)) = self.latched.take() {
            self.control(word);
            self.targets.push(target);
            if self.state == ENABLED {
                self.position = target;
            }
        }
        let [low, high] = self.state.to_le_bytes();
        let [a, b, c, d] = self.position.to_le_bytes();
        out.push(Frame::new(self.id(0x180), &[low, high, a, b, c, d]).unwrap());
        if self.tick.is_multiple_of(25) {
            out.push(Frame::new(self.id(0x280), &[0, 0, 0, 0, 100, 0]).unwrap());
        }
    }

    /// The heartbeat, where configured and due.
    pub fn tick(&mut self, out: &mut Vec<Frame>) {
        self.tick += 1;
        let period = u64::from(self.objects[&(0x1017, 0)]);
        if period > 0 && self.tick.is_multiple_of(period) {
            out.push(Frame::new(self.id(0x700), &[self.nmt]).unwrap());
        }
    }
}

pub struct Bench {
    pub network: Network,
    pub drives: Vec<FakeDrive>,
    pub now_ns: u64,
    pub commands: Vec<DriveCommand>,
    pub out: Outbox,
    /// Frames of all ticks.
    pub sent: Vec<Frame>,
}

impl Bench {
    pub fn new(nodes: &[u8]) -> Bench {
        Bench::with(&network_config(nodes))
    }

    pub fn with(config: &NetworkConfig) -> Bench {
        Bench {
            network: Network::new(config).unwrap(),
            drives: config.drives.iter().map(|drive| FakeDrive::new(drive.node)).collect(),
            now_ns: 1_000_000_000,
            commands: vec![DriveCommand::default(); config.drives.len()],
            out: Outbox::new(),
            sent: Vec::new(),
        }
    }

    pub fn deliver(&mut self, frame: Frame, echo: bool) {
        self.network.on_frame(&Received { frame, time_ns: self.now_ns + TICK_NS / 2, echo });
    }

    pub fn tick(&mut self) {
        self.network.cycle(self.now_ns, &self.commands, &mut self.out);
        let frames: Vec<Frame> = self.out.iter().copied().collect();
        self.put(&frames);
    }

    /// Frames of the host, echoed, and what the drives make of them; half a tick passes.
    pub fn put(&mut self, frames: &[Frame]) {
        let mut answers = Vec::new();
        for frame in frames {
            self.sent.push(*frame);
            self.deliver(*frame, true);
            for drive in &mut self.drives {
                drive.receive(frame, &mut answers);
            }
        }
        for drive in &mut self.drives {
            drive.tick(&mut answers);
        }
        let silent: Vec<u8> =
            self.drives.iter().filter(|drive| drive.is_silent).map(|drive| drive.node).collect();
        for answer in answers {
            let node = u8::try_from(answer.id() & 0x7F).unwrap();
            if !silent.contains(&node) {
                self.deliver(answer, false);
            }
        }
        self.now_ns += TICK_NS;
    }

    pub fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.tick();
        }
    }

    pub fn feedback(&self, index: usize) -> DriveFeedback {
        self.network.feedback(index, self.now_ns)
    }

    /// Ticks until all drives are in `state`.
    pub fn run_until(&mut self, state: DriveState, ticks_max: usize) -> usize {
        for ticks in 0..ticks_max {
            if (0..self.drives.len()).all(|index| self.feedback(index).state == state) {
                return ticks;
            }
            self.tick();
        }
        panic!("not {state:?} after {ticks_max} ticks: {:?}", self.feedback(0));
    }

    /// Commands every drive: `Enabled` holds where it stands.
    pub fn goal(&mut self, goal: DriveGoal) {
        for index in 0..self.commands.len() {
            let position_rad = self.feedback(index).position_rad;
            self.commands[index].goal = goal;
            self.commands[index].position_rad = position_rad;
        }
    }

    pub fn reset(&mut self) {
        for command in &mut self.commands {
            command.fault_resets += 1;
        }
    }

    /// Controlwords that give power, in the setpoints of what was sent since `from`.
    pub fn powering(&self, from: usize) -> usize {
        let is_setpoint = |frame: &&Frame| (0x201..0x280).contains(&frame.id());
        let setpoints = self.sent[from..].iter().filter(is_setpoint);
        setpoints.filter(|frame| frame.data()[0] & 0x07 >= 0x06).count()
    }
}
