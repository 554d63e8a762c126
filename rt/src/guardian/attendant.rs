//! What the watcher must not do itself: accept mechos-rt's pages, open and close buses, write the
//! log. Runs in the process' main thread, at ordinary priority.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use hal::bus::{Bus, BusAddress, BusError, Filter};
use mechos_operator::Halt;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtrb::{Consumer, Producer};
use tracing::{error, info, warn};

use super::link::{Door, RtPage};
use super::operator::History;
use super::watch::{Fresh, Retired};
use super::words::{Note, Words};
use crate::host::clock;
use crate::names::kebab;

/// Longest wait for a peer in one turn.
const WAIT_MS: u16 = 20;
/// Between two tries to open a bus, ns.
const REOPEN_NS: u64 = 200_000_000;
/// Name of this client on every bus.
const CLIENT: &str = "guardian";
/// SO_PRIORITY of a stop socket where it is granted, and where it is not (socket(7)).
const PRIORITIES: [u32; 2] = [7, 6];
/// Stops that the history keeps.
const HALTS_MAX: usize = 64;

/// One bus, as the attendant needs it.
pub struct BusPlace {
    name: String,
    address: BusAddress,
    filters: [Filter; 2],
    with_watcher: bool,
    next_try_ns: u64,
    complained: bool,
}

impl BusPlace {
    /// A bus that is to be opened.
    pub fn new(name: String, address: BusAddress, filters: [Filter; 2]) -> Self {
        Self { name, address, filters, with_watcher: false, next_try_ns: 0, complained: false }
    }

    fn open(&self) -> Result<Box<dyn Bus>, BusError> {
        let [granted, ordinary] = PRIORITIES;
        let open = |priority| hal::bus::open(&self.address, CLIENT, &self.filters, Some(priority));
        match &self.address {
            BusAddress::SocketCan { .. } => open(granted).or_else(|_| open(ordinary)),
            BusAddress::Sim { .. } => open(ordinary),
        }
    }
}

/// The attendant.
pub struct Attendant {
    /// Where mechos-rt connects.
    pub door: Door,
    /// The buses, in the robot file's order.
    pub buses: Vec<BusPlace>,
    /// Opened things to the watcher.
    pub fresh: Producer<Fresh<RtPage>>,
    /// Things to close from the watcher.
    pub retired: Consumer<Retired<RtPage>>,
    /// Notes from the watcher.
    pub notes: Consumer<Note>,
    /// The shared words.
    pub words: Arc<Words>,
    /// What the operator's thread shows.
    pub history: Arc<Mutex<History>>,
    /// The watcher has a connection to mechos-rt, or one is on its way to it.
    pub page_with_watcher: bool,
    /// Drives may be powered, as last seen here.
    pub energised: bool,
}

impl Attendant {
    /// One turn; waits a few ms for a peer at the most, and up to two seconds for a bus that does
    /// not answer.
    pub fn turn(&mut self) {
        self.wait();
        self.close();
        self.open_buses();
        self.open_page();
        self.keep_ledger();
        self.log();
    }

    /// For the guardian a machine is armed while its drives may be powered.
    fn keep_ledger(&mut self) {
        let energised = self.words.energised.load(Ordering::Relaxed);
        let now_ns = clock::now_ns();
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.ledger.turn(now_ns);
        if energised != self.energised {
            self.energised = energised;
            if energised {
                history.ledger.armed(now_ns);
            } else {
                history.ledger.disarmed();
            }
        }
    }

    fn wait(&self) {
        let mut waiting = [PollFd::new(self.door.descriptor(), PollFlags::POLLIN)];
        if poll(&mut waiting, PollTimeout::from(WAIT_MS)).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    fn close(&mut self) {
        while let Ok(retired) = self.retired.pop() {
            match retired {
                Retired::Page(page) => {
                    drop(page);
                    self.page_with_watcher = false;
                    self.set_pid(None);
                }
                Retired::Bus(index, bus) => {
                    drop(bus);
                    if let Some(place) = self.buses.get_mut(index) {
                        place.with_watcher = false;
                    }
                }
            }
        }
    }

    fn open_buses(&mut self) {
        let now_ns = clock::now_ns();
        for (index, place) in self.buses.iter_mut().enumerate() {
            if place.with_watcher || now_ns < place.next_try_ns {
                continue;
            }
            place.next_try_ns = now_ns.saturating_add(REOPEN_NS);
            match place.open() {
                Ok(bus) => {
                    place.with_watcher = self.fresh.push(Fresh::Bus(index, bus)).is_ok();
                    place.complained = false;
                    info!(bus = place.name, "bus opened");
                }
                Err(error) if !place.complained => {
                    place.complained = true;
                    warn!(bus = place.name, "no stop can be sent on this bus, trying on: {error}");
                }
                Err(_) => {}
            }
        }
    }

    fn open_page(&mut self) {
        // A second daemon is turned away while the first is connected.
        let page = self.door.turn(self.words.fence(), self.page_with_watcher);
        let Some(page) = page else { return };
        self.set_pid(Some(page.pid()));
        self.page_with_watcher = self.fresh.push(Fresh::Page(page)).is_ok();
    }

    fn set_pid(&self, pid: Option<i32>) {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).rt_pid = pid;
    }

    /// Writes down what the watcher has noted.
    pub fn log(&mut self) {
        while let Ok(note) = self.notes.pop() {
            let bus_name =
                |bus: usize| self.buses.get(bus).map_or("", |place: &BusPlace| place.name.as_str());
            match note {
                Note::Connected => info!("mechos-rt connected"),
                Note::Goodbye => info!("mechos-rt ended in order"),
                Note::HungUp => warn!("mechos-rt is gone without a goodbye"),
                Note::Fenced(fence) => {
                    let cause = kebab(&fence.cause);
                    error!(cause, t_ns = fence.t_ns, "fence up: stopping every drive");
                    self.remember(Halt { cause, t_ns: fence.t_ns, ..Halt::default() });
                }
                Note::Stopped { bus, t_ns } => warn!(bus = bus_name(bus), t_ns, "stop sent"),
                Note::Confirmed { t_ns } => info!(t_ns, "every drive confirms the stop"),
                Note::Reset => info!("fence down: an operator's reset"),
                Note::BusLost { bus } => warn!(bus = bus_name(bus), "bus lost"),
                Note::Proved => info!("stop sockets proved by their echo"),
            }
        }
        match self.words.notes_lost.swap(0, Ordering::Relaxed) {
            0 => {}
            count => warn!(count, "notes lost: the log could not keep up"),
        }
    }

    fn remember(&self, halt: Halt) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let halts: &mut VecDeque<Halt> = &mut history.halts;
        if halts.len() >= HALTS_MAX {
            halts.pop_front();
        }
        halts.push_back(halt);
    }
}
