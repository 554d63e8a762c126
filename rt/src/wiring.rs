//! Every ring between the daemon's threads, made once at start.

use std::sync::Arc;

use arrayvec::ArrayVec;
use mechos_kernel::io::OperatorCommand;
use nix::sys::eventfd::{EfdFlags, EventFd};
use rtrb::{Consumer, Producer, RingBuffer};
use shm_protocol::{HeartbeatWriter, ServerEnd};

use crate::control::BusEnd;
use crate::note::{Note, Notes};
use crate::order::{ORDERS_MAX, Order, REPORTS_MAX, Report};
use crate::snapshot::{SNAPSHOTS_MAX, Snapshot};
use crate::timing::{Lost, Timing, Timings};

/// Page sets on their way between housekeeping and the control thread.
const PAGES_MAX: usize = 16;
/// Operators' edges on their way to the control thread, which takes one a tick.
const OPERATORS_MAX: usize = 64;

/// The control thread's ends.
pub struct ControlEnds {
    /// Planner connections arriving.
    pub links: Consumer<ServerEnd>,
    /// Planner connections going back.
    pub links_back: Producer<ServerEnd>,
    /// Guardian pages arriving.
    pub pages: Consumer<HeartbeatWriter>,
    /// Guardian pages going back.
    pub pages_back: Producer<HeartbeatWriter>,
    /// Operators' edges.
    pub operators: Consumer<OperatorCommand>,
    /// Timing.
    pub timings: Timings,
    /// Status.
    pub snapshots: Producer<Snapshot>,
    /// Notes.
    pub notes: Notes,
    /// The buses.
    pub buses: Vec<BusEnd>,
}

/// One bus thread's ends.
pub struct BusEnds {
    /// Orders from the control thread.
    pub orders: Consumer<Order>,
    /// Reports to it.
    pub reports: Producer<Report>,
    /// Rung after each order.
    pub bell: Arc<EventFd>,
    /// Timing.
    pub timings: Timings,
    /// Notes.
    pub notes: Notes,
}

/// Housekeeping's ends.
pub struct HousekeepingEnds {
    /// Planner connections to the control thread.
    pub links: Producer<ServerEnd>,
    /// Planner connections coming back.
    pub links_back: Consumer<ServerEnd>,
    /// Guardian pages to the control thread.
    pub pages: Producer<HeartbeatWriter>,
    /// Guardian pages coming back.
    pub pages_back: Consumer<HeartbeatWriter>,
    /// Operators' edges.
    pub operators: Producer<OperatorCommand>,
    /// Timing of the control thread and of every bus thread.
    pub timings: Vec<Consumer<Timing>>,
    /// Timing that never came.
    pub lost: Arc<Lost>,
    /// Status.
    pub snapshots: Consumer<Snapshot>,
    /// Notes of every real-time thread.
    pub notes: Vec<Consumer<Note>>,
}

/// All ends, sorted by who gets them.
pub struct Wiring {
    /// The control thread's.
    pub control: ControlEnds,
    /// The bus threads', in the robot's order.
    pub buses: Vec<BusEnds>,
    /// The deadline thread's notes.
    pub deadline: Notes,
    /// Housekeeping's.
    pub housekeeping: HousekeepingEnds,
}

impl Wiring {
    /// Makes the rings for buses with these axes (indices of the robot's axes, in bus order).
    ///
    /// # Errors
    /// The system's, when it gives no eventfd.
    pub fn new(axes_of_buses: &[Vec<usize>]) -> Result<Self, std::io::Error> {
        let (links, links_in) = RingBuffer::new(PAGES_MAX);
        let (links_done, links_back) = RingBuffer::new(PAGES_MAX);
        let (pages, pages_in) = RingBuffer::new(PAGES_MAX);
        let (pages_done, pages_back) = RingBuffer::new(PAGES_MAX);
        let (operators, operators_in) = RingBuffer::new(OPERATORS_MAX);
        let lost = Arc::new(Lost::default());
        let (control_timings, ticks) = Timings::ring(&lost);
        let (snapshots_out, snapshots) = RingBuffer::new(SNAPSHOTS_MAX);
        let (control_notes, control_log) = Notes::ring();
        let (deadline, deadline_log) = Notes::ring();
        let (mut buses, mut ends) = (Vec::new(), Vec::new());
        let (mut timings, mut notes) = (vec![ticks], vec![control_log, deadline_log]);
        for axes in axes_of_buses {
            let (bus, end, timing, log) = wire_bus(axes, &lost)?;
            buses.push(bus);
            ends.push(end);
            timings.push(timing);
            notes.push(log);
        }
        let control = ControlEnds {
            links: links_in,
            links_back: links_done,
            pages: pages_in,
            pages_back: pages_done,
            operators: operators_in,
            timings: control_timings,
            snapshots: snapshots_out,
            notes: control_notes,
            buses: ends,
        };
        let housekeeping = HousekeepingEnds {
            links,
            links_back,
            pages,
            pages_back,
            operators,
            timings,
            lost,
            snapshots,
            notes,
        };
        Ok(Self { control, buses, deadline, housekeeping })
    }
}

type BusWires = (BusEnds, BusEnd, Consumer<Timing>, Consumer<Note>);

fn wire_bus(axes: &[usize], lost: &Arc<Lost>) -> Result<BusWires, std::io::Error> {
    let (orders_out, orders) = RingBuffer::new(ORDERS_MAX);
    let (reports, reports_in) = RingBuffer::new(REPORTS_MAX);
    let (timings, timing) = Timings::ring(lost);
    let (notes, log) = Notes::ring();
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let bell = Arc::new(EventFd::from_value_and_flags(0, flags)?);
    let axes: ArrayVec<usize, { shm_protocol::records::AXES_MAX }> = axes.iter().copied().collect();
    let end = BusEnd { orders: orders_out, reports: reports_in, bell: Arc::clone(&bell), axes };
    Ok((BusEnds { orders, reports, bell, timings, notes }, end, timing, log))
}
