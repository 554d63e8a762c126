//! The whole simulated machine under injected time: buses, drives, clients. No clock, no I/O, no
//! thread; the server around it hands in frames and the time, and takes what was on the wire.

mod kernel;

use arrayvec::ArrayString;
use hal::bus::NAME_MAX;
use hal::frame::{Frame, FrameKind};

use crate::bus::arbiter::{Arbiter, StationId, SubmitError, Transmitted};
use crate::bus::kernel::{KernelBus, OTHERS};
use crate::bus::wire::Wire;
use crate::drive::{Drive, Observed};
use crate::faults::{Faults, Silence};
use crate::spec::{DriveSpec, WorldSpec};

/// A client's or drive's name in the log.
pub type Name = ArrayString<NAME_MAX>;

/// Who a station is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The client's own name, or `drive:<node>`.
    pub name: Name,
    /// The client's process; for drives 0.
    pub pid: u32,
}

/// A client on a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId {
    /// Index of its bus.
    pub bus: usize,
    /// Its station there.
    pub station: StationId,
}

/// A frame that was on the wire and reaches everybody there, its sender as an echo.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// Index of the bus.
    pub bus: usize,
    /// The sending station.
    pub station: StationId,
    /// Who that is.
    pub sender: Identity,
    /// The frame.
    pub frame: Frame,
    /// When the sender handed it in, ns.
    pub recv_ns: u64,
    /// When its last bit was on the wire, ns.
    pub wire_ns: u64,
}

/// Counters of a bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusCounters {
    /// Frames delivered.
    pub frames: u64,
    /// Frames destroyed by an injected fault.
    pub destroyed: u64,
    /// Frames of drives that found their own buffers full.
    pub overflowed: u64,
    /// Bits sent, intermissions included.
    pub bits: u64,
}

struct BusState {
    wire: Wire,
    identities: Vec<Option<Identity>>,
    counters: BusCounters,
}

struct DriveState {
    drive: Drive,
    bus: usize,
    station: StationId,
    due_ns: Option<u64>,
    silence: Silence,
}

/// What happens next, by time; at one time the wire comes before the drives' own timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Bus(usize),
    Drive(usize),
}

/// The machine.
pub struct World {
    now_ns: u64,
    buses: Vec<BusState>,
    drives: Vec<DriveState>,
    faults: Faults,
}

impl World {
    /// All drives powered on at `start_ns`. `seed` decides which frames an injected fault destroys.
    pub fn new(spec: &WorldSpec, seed: u64, start_ns: u64) -> Self {
        let buses = spec.buses.iter().map(|bus| BusState {
            wire: match bus.interface {
                None => Wire::Modelled(Arbiter::new(bus.bitrate, start_ns)),
                Some(_) => Wire::Kernel(KernelBus::default()),
            },
            identities: Vec::new(),
            counters: BusCounters::default(),
        });
        let mut world = Self {
            now_ns: start_ns,
            buses: buses.collect(),
            drives: Vec::new(),
            faults: Faults::new(seed, spec.buses.len()),
        };
        world.name_others();
        for drive in &spec.drives {
            world.add_drive(drive, start_ns);
        }
        world
    }

    fn add_drive(&mut self, spec: &DriveSpec, start_ns: u64) {
        let mut name = Name::new();
        let _ = std::fmt::write(&mut name, format_args!("drive:{}", spec.node));
        let identity = Identity { name, pid: 0 };
        if let Some(station) = self.attach(spec.bus, identity, Wire::connect_drive) {
            let drive = Drive::new(spec.clone(), start_ns);
            let due_ns = drive.due_ns();
            let silence = Silence::default();
            self.drives.push(DriveState { drive, bus: spec.bus, station, due_ns, silence });
        }
    }

    fn identify(bus: &mut BusState, station: StationId, identity: Identity) -> Option<()> {
        if bus.identities.len() <= station.index() {
            bus.identities.resize(station.index() + 1, None);
        }
        *bus.identities.get_mut(station.index())? = Some(identity);
        Some(())
    }

    fn attach(
        &mut self,
        bus: usize,
        identity: Identity,
        connect: fn(&mut Wire) -> Option<StationId>,
    ) -> Option<StationId> {
        let bus = self.buses.get_mut(bus)?;
        let station = connect(&mut bus.wire)?;
        Self::identify(bus, station, identity)?;
        Some(station)
    }

    /// A client joins a bus; `None` if there is no such bus or no room on it.
    pub fn connect(&mut self, bus: usize, identity: Identity) -> Option<ClientId> {
        let station = self.attach(bus, identity, Wire::connect_client)?;
        Some(ClientId { bus, station })
    }

    /// A client is gone. What it handed in before still goes out.
    pub fn disconnect(&mut self, client: ClientId) {
        if let Some(bus) = self.buses.get_mut(client.bus) {
            bus.wire.disconnect(client.station);
        }
    }

    /// Free places in a client's transmit queue.
    pub fn room(&self, client: ClientId) -> usize {
        self.buses.get(client.bus).map_or(0, |bus| bus.wire.room(client.station))
    }

    /// A client hands in a frame that arrived at `at_ns` (not before the time the world has come to).
    pub fn submit(
        &mut self,
        client: ClientId,
        frame: Frame,
        at_ns: u64,
    ) -> Result<(), SubmitError> {
        let Some(bus) = self.buses.get_mut(client.bus) else { return Err(SubmitError::NoStation) };
        if frame.kind() == FrameKind::Error {
            return Err(SubmitError::NotSendable);
        }
        bus.wire.submit(client.station, frame, at_ns.max(self.now_ns))
    }

    /// When something next happens by itself.
    pub fn next_event_ns(&self) -> Option<u64> {
        self.next().map(|(at_ns, _)| at_ns)
    }

    /// When somebody outside must next look: the end of a frame, or a drive's own timer. Starts of
    /// frames lie before; they are worked out afterwards from the times at which frames came.
    pub fn next_wake_ns(&self) -> Option<u64> {
        let wires = self.buses.iter().filter_map(|bus| bus.wire.next_delivery_ns());
        wires.chain(self.drives.iter().filter_map(|drive| drive.due_ns)).min()
    }

    fn next(&self) -> Option<(u64, Next)> {
        let wires = self.buses.iter().enumerate();
        let wires = wires.filter_map(|(n, bus)| Some((bus.wire.next_event_ns()?, Next::Bus(n))));
        let timers = self.drives.iter().enumerate();
        let timers = timers.filter_map(|(n, drive)| Some((drive.due_ns?, Next::Drive(n))));
        wires.chain(timers).min()
    }

    /// Lets everything happen, in order, up to and including `now_ns`.
    pub fn advance(&mut self, now_ns: u64, mut deliver: impl FnMut(&Delivery)) {
        while let Some((at_ns, next)) = self.next().filter(|(at_ns, _)| *at_ns <= now_ns) {
            match next {
                Next::Bus(index) => self.on_wire(index, at_ns, &mut deliver),
                Next::Drive(index) => self.with_drive(index, at_ns, |drive| drive.on_time(at_ns)),
            }
        }
        self.now_ns = self.now_ns.max(now_ns);
    }

    /// The time the world has come to, ns.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn on_wire(&mut self, index: usize, at_ns: u64, deliver: &mut impl FnMut(&Delivery)) {
        let Some(bus) = self.buses.get_mut(index) else { return };
        let Some(sent) = bus.wire.step(at_ns) else { return };
        bus.counters.bits = bus.wire.sent_bits();
        let Transmitted { station, frame, submitted_ns, wire_ns } = sent;
        let was_on_wire = matches!(bus.wire, Wire::Kernel(_));
        // A drive's frame on the kernel's bus had its chance to be destroyed before it went there.
        let destroyed = (!was_on_wire || station == OTHERS) && self.faults.destroys(index, at_ns);
        bus.counters.destroyed += u64::from(destroyed);
        if destroyed && !was_on_wire {
            return;
        }
        bus.counters.frames += 1;
        let Some(Some(sender)) = bus.identities.get(station.index()).copied() else { return };
        for number in 0..self.drives.len() {
            let Some(state) = self.drives.get(number) else { break };
            let hears = state.bus == index && state.station != station && !destroyed;
            if hears && !state.silence.is_deaf(at_ns) {
                self.with_drive(number, at_ns, |drive| drive.on_frame(&frame, at_ns));
            }
        }
        deliver(&Delivery { bus: index, station, sender, frame, recv_ns: submitted_ns, wire_ns });
    }

    /// Lets a drive act, and hands what it sends to its bus.
    fn with_drive(&mut self, index: usize, at_ns: u64, act: impl FnOnce(&mut Drive)) {
        let Some(state) = self.drives.get_mut(index) else { return };
        act(&mut state.drive);
        state.due_ns = state.drive.due_ns();
        let silence = state.silence;
        let Some(bus) = self.buses.get_mut(state.bus) else { return };
        let attached = matches!(bus.wire, Wire::Kernel(_));
        for out in state.drive.outgoing() {
            if silence.is_mute(at_ns, out.process_data) {
                continue;
            }
            if attached && self.faults.destroys(state.bus, at_ns) {
                bus.counters.destroyed += 1;
                continue;
            }
            let taken = if out.process_data {
                bus.wire.replace(state.station, out.frame, at_ns)
            } else {
                bus.wire.submit(state.station, out.frame, at_ns)
            };
            bus.counters.overflowed += u64::from(taken.is_err());
        }
    }

    fn index_of(&self, drive: &str) -> Option<usize> {
        self.drives.iter().position(|state| state.drive.spec().name == drive)
    }

    /// A drive sends nothing more (with `deaf`: hears nothing either), for `for_ns` or for good.
    /// False if there is no such drive.
    pub fn silence(&mut self, drive: &str, for_ns: Option<u64>, deaf: bool) -> bool {
        let until_ns = for_ns.map_or(u64::MAX, |ns| self.now_ns.saturating_add(ns));
        let found = self.index_of(drive).and_then(|index| self.drives.get_mut(index));
        found.map(|state| state.silence = Silence::until(until_ns, deaf)).is_some()
    }

    /// A drive's process data stay away for `for_ns` (for good); it lives on, as its heartbeat
    /// says. False if there is no such drive.
    pub fn blind(&mut self, drive: &str, for_ns: Option<u64>) -> bool {
        let until_ns = for_ns.map_or(u64::MAX, |ns| self.now_ns.saturating_add(ns));
        let found = self.index_of(drive).and_then(|index| self.drives.get_mut(index));
        found.map(|state| state.silence = Silence::of_feedback(until_ns)).is_some()
    }

    /// Destroys `percent` of the frames of `bus` (of every bus for `None`) for `for_ns`.
    pub fn drop_frames(&mut self, bus: Option<usize>, percent: f64, for_ns: u64) {
        self.faults.drop_frames(bus, percent, self.now_ns.saturating_add(for_ns));
    }

    /// A drive finds a fault in itself. False if there is no such drive.
    pub fn trip(&mut self, drive: &str, code: u16) -> bool {
        let now_ns = self.now_ns;
        let found = self.index_of(drive);
        if let Some(index) = found {
            self.with_drive(index, now_ns, |drive| drive.trip(code, now_ns));
        }
        found.is_some()
    }

    /// All drives with how they stand, as of their last event.
    pub fn drives(&self) -> impl Iterator<Item = (&DriveSpec, Observed)> {
        self.drives.iter().map(|state| (state.drive.spec(), state.drive.observe()))
    }

    /// Counters of a bus.
    pub fn counters(&self, bus: usize) -> BusCounters {
        self.buses.get(bus).map_or_else(BusCounters::default, |bus| bus.counters)
    }

    /// Whether every axis stands exactly still with its power off.
    pub fn is_at_rest(&self) -> bool {
        self.drives.iter().all(|state| state.drive.observe().at_rest)
    }
}
