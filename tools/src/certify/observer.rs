//! `mechos certify-observer`: a process of its own that listens on every bus and hands on what it
//! received and when. It sends nothing.
//!
//! Times are the kernel's (on the simulated bus: the modelled wire's), never those of its own
//! wake-up, so that it may sleep between two looks and needs no priority to be right.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hal::bus::{Bus, BusError, FILTERS_MAX, Filter};
use hal::canopen::{emcy, heartbeat};
use hal::cia402::objects::{RPDO1_BASE, TPDO1_BASE};
use mechos_robot::Robot;
use mechos_sim::server::realtime::PRIORITY;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use super::priority;
use super::record::{Kind, Record};
use crate::cli::ObserverOptions;
use crate::print;

/// Name of this client on every bus.
const CLIENT: &str = "certify.observer";
/// Between two looks while frames come: a few milliseconds of a full bus fit into every buffer.
const PAUSE: Duration = Duration::from_millis(2);
/// Longest wait for a frame.
const WAIT_MS: u16 = 50;
/// How long the buses may take to appear.
const OPEN_MAX: Duration = Duration::from_secs(20);
/// Frames taken from one bus in one turn.
const BATCH_MAX: usize = 4_096;

/// Why it does not observe.
#[derive(Debug, thiserror::Error)]
pub enum ObserverError {
    /// The robot file.
    #[error(transparent)]
    Robot(#[from] mechos_robot::RobotError),
    /// A bus.
    #[error("bus {name}: {source}")]
    Bus {
        /// Its name.
        name: String,
        /// What it said.
        source: BusError,
    },
}

/// Observes until its parent, or every bus, has gone.
pub fn run(options: &ObserverOptions) -> ExitCode {
    // Nobody else would end it where `mechos certify` was killed.
    let _ = set_pdeathsig(Signal::SIGTERM);
    match observe(&options.robot, &options.runtime) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn observe(robot: &Path, runtime: &Path) -> Result<(), ObserverError> {
    let robot = Robot::load(robot)?;
    let mut buses = open(&robot, runtime)?;
    // Below the drives, so that it never delays what it watches.
    priority::ask_fifo(PRIORITY.saturating_sub(1));
    let mut out = std::io::stdout().lock();
    let mut lost = vec![0; buses.len()];
    let mut batch = Record::word(Kind::Ready, 0, 0).encode().to_vec();
    loop {
        let mut alive = false;
        for (index, bus) in buses.iter_mut().enumerate() {
            let number = u8::try_from(index).unwrap_or(u8::MAX);
            alive |= take(bus.as_mut(), number, &mut batch);
            if let Some(known) = lost.get_mut(index)
                && *known != bus.lost()
            {
                *known = bus.lost();
                batch.extend(Record::word(Kind::Lost, number, bus.lost()).encode());
            }
        }
        if out.write_all(&batch).and_then(|()| out.flush()).is_err() || !alive {
            return Ok(());
        }
        if batch.is_empty() {
            wait(&buses);
        } else {
            sleep(PAUSE);
        }
        batch.clear();
    }
}

/// Takes what is there; false where the bus has gone.
fn take(bus: &mut dyn Bus, number: u8, batch: &mut Vec<u8>) -> bool {
    for _ in 0..BATCH_MAX {
        match bus.receive() {
            Ok(None) => return true,
            Ok(Some(received)) => {
                let Some((id, payload)) = received.frame.standard_data() else { continue };
                let mut data = [0; 8];
                for (to, from) in data.iter_mut().zip(payload) {
                    *to = *from;
                }
                let len = u8::try_from(payload.len().min(8)).unwrap_or(8);
                let time_ns = received.time_ns;
                let record = Record { kind: Kind::Frame, bus: number, id, len, data, time_ns };
                batch.extend(record.encode());
            }
            Err(BusError::Gone) => {
                batch.extend(Record::word(Kind::Gone, number, 0).encode());
                return false;
            }
            Err(_) => return true,
        }
    }
    true
}

fn wait(buses: &[Box<dyn Bus>]) {
    let mut waiting: Vec<PollFd<'_>> =
        buses.iter().map(|bus| PollFd::new(bus.descriptor(), PollFlags::POLLIN)).collect();
    if poll(&mut waiting, PollTimeout::from(WAIT_MS)).is_err() {
        sleep(PAUSE);
    }
}

fn open(robot: &Robot, runtime: &Path) -> Result<Vec<Box<dyn Bus>>, ObserverError> {
    let until = Instant::now() + OPEN_MAX;
    (0..robot.buses.len())
        .map(|bus| {
            let (address, filters) = (robot.bus_address(bus, runtime), filters(robot, bus));
            loop {
                match hal::bus::open(&address, CLIENT, &filters, None) {
                    Ok(bus) => return Ok(bus),
                    Err(_) if Instant::now() < until => sleep(PAUSE),
                    Err(source) => {
                        let name = robot.buses.get(bus).map(|spec| spec.name.clone());
                        return Err(ObserverError::Bus { name: name.unwrap_or_default(), source });
                    }
                }
            }
        })
        .collect()
}

/// The stop, what shows standstill and its causes, and one axis' setpoints, which show when the
/// daemon last spoke.
pub fn filters(robot: &Robot, bus: usize) -> Vec<Filter> {
    let nodes: Vec<u16> = robot
        .axes_of_bus(bus)
        .filter_map(|axis| robot.axes.get(axis))
        .map(|axis| u16::from(axis.node))
        .collect();
    let mut filters = vec![
        Filter::exactly(robot.stop_cob_id),
        Filter { id: u32::from(TPDO1_BASE), mask: 0x780 },
        Filter::exactly(heartbeat::COB_ID_BASE + u16::from(robot.host_node)),
    ];
    filters.extend(nodes.first().map(|node| Filter::exactly(RPDO1_BASE + node)));
    if filters.len() + nodes.len() <= FILTERS_MAX {
        filters.extend(nodes.iter().map(|node| Filter::exactly(emcy::COB_ID_BASE + node)));
    } else {
        filters.push(Filter { id: u32::from(emcy::COB_ID_BASE), mask: 0x780 });
    }
    filters
}
