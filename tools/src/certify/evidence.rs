//! What the buses have shown, frame by frame: who moves, the first stop on each bus since a fault,
//! since when each drive is off, and since when each axis stands.

use hal::canopen::{emcy, heartbeat};
use hal::cia402::objects::{RPDO1_BASE, TPDO1_BASE};
use hal::network::{is_stopped, stop_frame};
use mechos_robot::Robot;

use super::record::{Kind, Record};

/// Speeds are taken over at least this long, ns.
const SPEED_NS: u64 = 5_000_000;
/// An axis that stays within what it may move in this time at the robot's standstill speed has come
/// to rest, ns.
const REST_SPAN_NS: f64 = 5e6;
/// However fine the encoder, this is rest, counts.
const REST_COUNTS_MIN: f64 = 4.0;
/// An axis must have reported one position for this long to count as standing, ns.
pub const REST_NS: u64 = 20_000_000;
/// The drive has lost the host's heartbeat (CiA 301).
const HEARTBEAT_LOST: u16 = 0x8130;

/// One axis.
#[derive(Clone, Debug)]
struct Axis {
    bus: usize,
    node: u16,
    counts_per_rad: f64,
    rest_counts: f64,
    /// Newest report: when, counts.
    last: Option<(u64, i32)>,
    /// An earlier report, which the speed is taken from.
    earlier: Option<(u64, i32)>,
    rad_s: f64,
    /// Where the present rest began: when, counts.
    rest: Option<(u64, i32)>,
    off_ns: Option<u64>,
    announced_ns: Option<u64>,
    reported: bool,
}

/// One bus.
#[derive(Clone, Debug, Default)]
struct Bus {
    first_node: Option<u16>,
    stop_ns: Option<u64>,
    setpoint_ns: Option<u64>,
    setpoint_before_stop_ns: Option<u64>,
    /// Setpoints and host heartbeats since the time that is watched.
    host_frames: u64,
}

/// What is known.
#[derive(Clone, Debug)]
pub struct Evidence {
    stop_id: u16,
    stop_data: Vec<u8>,
    heartbeat_id: u16,
    axes: Vec<Axis>,
    buses: Vec<Bus>,
    fault_ns: u64,
    silent_from_ns: u64,
    lost: u64,
    newest_ns: u64,
}

impl Evidence {
    /// Nothing seen yet.
    pub fn new(robot: &Robot) -> Evidence {
        let axes = robot.axes.iter().map(|axis| {
            let span_rad = robot.standstill_rad_s * REST_SPAN_NS * 1e-9;
            let counts_per_rad = axis.drive.counts_per_rad;
            Axis {
                bus: axis.bus,
                node: u16::from(axis.node),
                counts_per_rad,
                rest_counts: (span_rad * counts_per_rad.abs()).max(REST_COUNTS_MIN),
                last: None,
                earlier: None,
                rad_s: 0.0,
                rest: None,
                off_ns: None,
                announced_ns: None,
                reported: false,
            }
        });
        let first = |bus| robot.axes_of_bus(bus).next().and_then(|axis| robot.axes.get(axis));
        let bus = |bus| Bus { first_node: first(bus).map(|a| u16::from(a.node)), ..Bus::default() };
        Evidence {
            stop_id: robot.stop_cob_id,
            stop_data: stop_frame(robot.stop_cob_id).data().to_vec(),
            heartbeat_id: heartbeat::COB_ID_BASE + u16::from(robot.host_node),
            axes: axes.collect(),
            buses: (0..robot.buses.len()).map(bus).collect(),
            fault_ns: u64::MAX,
            silent_from_ns: u64::MAX,
            lost: 0,
            newest_ns: 0,
        }
    }

    /// A fault is made at `fault_ns`: what comes from then on is its evidence.
    pub fn begin(&mut self, fault_ns: u64) {
        self.fault_ns = fault_ns;
        self.silent_from_ns = u64::MAX;
        for bus in &mut self.buses {
            let first_node = bus.first_node;
            let setpoint_ns = bus.setpoint_ns;
            *bus = Bus {
                first_node,
                setpoint_ns,
                setpoint_before_stop_ns: setpoint_ns,
                ..Bus::default()
            };
        }
        for axis in &mut self.axes {
            (axis.off_ns, axis.announced_ns, axis.reported) = (None, None, false);
        }
    }

    /// From now on mechos-rt must say nothing: its setpoints and heartbeats are counted.
    pub fn expect_silence(&mut self, from_ns: u64) {
        self.silent_from_ns = from_ns;
    }

    /// Takes one record in.
    pub fn feed(&mut self, record: &Record) {
        match record.kind {
            Kind::Frame => self.frame(record),
            Kind::Lost => self.lost = self.lost.saturating_add(1),
            Kind::Gone => self.lost = self.lost.saturating_add(1),
            Kind::Ready => {}
        }
    }

    fn frame(&mut self, record: &Record) {
        let (id, t_ns) = (record.id, record.time_ns);
        self.newest_ns = self.newest_ns.max(t_ns);
        let since = t_ns >= self.fault_ns;
        let silent = t_ns >= self.silent_from_ns;
        let Some(bus) = self.buses.get_mut(usize::from(record.bus)) else { return };
        if id == self.stop_id && record.payload() == self.stop_data {
            if since && bus.stop_ns.is_none() {
                bus.stop_ns = Some(t_ns);
            }
        } else if bus.first_node.is_some_and(|node| id == RPDO1_BASE + node) {
            bus.host_frames += u64::from(silent);
            bus.setpoint_ns = Some(t_ns);
            if bus.stop_ns.is_none() {
                bus.setpoint_before_stop_ns = Some(t_ns);
            }
        } else if id == self.heartbeat_id {
            bus.host_frames += u64::from(silent);
        } else {
            self.of_a_drive(record, since);
        }
    }

    fn of_a_drive(&mut self, record: &Record, since: bool) {
        let bus = usize::from(record.bus);
        let (id, t_ns) = (record.id, record.time_ns);
        for axis in self.axes.iter_mut().filter(|axis| axis.bus == bus) {
            if id == emcy::COB_ID_BASE + axis.node {
                let lost = record.payload().starts_with(&HEARTBEAT_LOST.to_le_bytes());
                if since && lost && axis.announced_ns.is_none() {
                    axis.announced_ns = Some(t_ns);
                }
            } else if id == TPDO1_BASE + axis.node
                && let &[s0, s1, p0, p1, p2, p3] = record.payload()
            {
                let counts = i32::from_le_bytes([p0, p1, p2, p3]);
                axis.report(t_ns, counts);
                if since {
                    axis.reported = true;
                    axis.off_ns = match is_stopped(u16::from_le_bytes([s0, s1])) {
                        true => axis.off_ns.or(Some(t_ns)),
                        false => None,
                    };
                }
            }
        }
    }

    /// The greatest speed of any axis, rad/s.
    pub fn speed_rad_s(&self) -> f64 {
        self.axes.iter().map(|axis| axis.rad_s.abs()).fold(0.0, f64::max)
    }

    /// When the last bus saw its first stop, ns; none while a bus has not.
    pub fn stop_ns(&self) -> Option<u64> {
        let each: Option<Vec<u64>> = self.buses.iter().map(|bus| bus.stop_ns).collect();
        each?.into_iter().max()
    }

    /// Each bus' first stop, ns.
    pub fn stops_ns(&self) -> Vec<Option<u64>> {
        self.buses.iter().map(|bus| bus.stop_ns).collect()
    }

    /// When the last drive announced that the host's heartbeat is lost, ns.
    pub fn announced_ns(&self) -> Option<u64> {
        let each: Option<Vec<u64>> = self.axes.iter().map(|axis| axis.announced_ns).collect();
        each?.into_iter().max()
    }

    /// Since when the last drive is off: as its own announcement or its statusword says, whichever
    /// came first; ns.
    pub fn off_ns(&self) -> Option<u64> {
        let off = |axis: &Axis| match (axis.off_ns, axis.announced_ns) {
            (Some(off), Some(announced)) => Some(off.min(announced)),
            (off, announced) => off.or(announced),
        };
        let each: Option<Vec<u64>> = self.axes.iter().map(off).collect();
        each?.into_iter().max()
    }

    /// Since when each axis stands, ns: its reports since then name one position, and have for at
    /// least [`REST_NS`].
    pub fn standing_ns(&self) -> Option<Vec<u64>> {
        self.axes.iter().map(|axis| axis.standing_ns(self.fault_ns)).collect()
    }

    /// The last setpoint on any bus before that bus' first stop, ns: the last tick that was handed
    /// out whole began at most a period before. The earliest of all buses.
    pub fn last_setpoint_ns(&self) -> Option<u64> {
        self.buses.iter().filter_map(|bus| bus.setpoint_before_stop_ns).min()
    }

    /// Frames of mechos-rt while it had to be silent.
    pub fn host_frames(&self) -> u64 {
        self.buses.iter().map(|bus| bus.host_frames).sum()
    }

    /// Buses on which no drive has reported for that long at `now_ns`.
    pub fn quiet_buses(&self, now_ns: u64, for_ns: u64) -> Vec<usize> {
        let reports = |bus: usize| {
            let of_bus = self.axes.iter().filter(move |axis| axis.bus == bus);
            of_bus.filter_map(|axis| axis.last).map(|(t_ns, _)| t_ns).max()
        };
        let quiet =
            |bus: &usize| reports(*bus).is_none_or(|t_ns| now_ns.saturating_sub(t_ns) > for_ns);
        (0..self.buses.len()).filter(quiet).collect()
    }

    /// How often frames were lost on the way to the observer.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

impl Axis {
    fn report(&mut self, t_ns: u64, counts: i32) {
        let (earlier_ns, earlier) = *self.earlier.get_or_insert((t_ns, counts));
        let span_ns = t_ns.saturating_sub(earlier_ns);
        if span_ns >= SPEED_NS {
            let way = f64::from(counts) - f64::from(earlier);
            self.rad_s = way / self.counts_per_rad / (span_ns as f64 * 1e-9);
            self.earlier = Some((t_ns, counts));
        }
        let still =
            |(_, at): (u64, i32)| (f64::from(counts) - f64::from(at)).abs() <= self.rest_counts;
        if !self.rest.is_some_and(still) {
            self.rest = Some((t_ns, counts));
        }
        self.last = Some((t_ns, counts));
    }

    fn standing_ns(&self, fault_ns: u64) -> Option<u64> {
        let ((since_ns, _), (last_ns, _)) = (self.rest?, self.last?);
        let proved = last_ns >= fault_ns.saturating_add(REST_NS)
            && last_ns.saturating_sub(since_ns.max(fault_ns)) >= REST_NS;
        (self.reported && proved).then(|| since_ns.max(fault_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn arm6() -> Robot {
        Robot::parse(crate::up::ARM6, "arm6.toml").unwrap()
    }

    fn frame(bus: u8, id: u16, payload: &[u8], time_ns: u64) -> Record {
        let mut data = [0; 8];
        data[..payload.len()].copy_from_slice(payload);
        let len = u8::try_from(payload.len()).unwrap();
        Record { kind: Kind::Frame, bus, id, len, data, time_ns }
    }

    fn report(axis: u16, statusword: u16, counts: i32, time_ns: u64) -> Record {
        let mut payload = statusword.to_le_bytes().to_vec();
        payload.extend(counts.to_le_bytes());
        frame(u8::from(axis > 3), 0x180 + axis, &payload, time_ns)
    }

    #[test]
    fn the_last_bus_first_stop_counts_and_only_after_the_fault() {
        let mut evidence = Evidence::new(&arm6());
        evidence.begin(100);
        evidence.feed(&frame(0, 0x0F0, &[2, 0], 99));
        evidence.feed(&frame(0, 0x0F0, &[2, 0], 120));
        evidence.feed(&frame(0, 0x0F0, &[2, 0], 125));
        assert_eq!((evidence.stop_ns(), evidence.stops_ns()), (None, vec![Some(120), None]));
        evidence.feed(&frame(1, 0x0F0, &[0, 0], 126));
        evidence.feed(&frame(1, 0x0F0, &[2, 0], 130));
        assert_eq!(evidence.stop_ns(), Some(130));
        evidence.begin(200);
        assert_eq!(evidence.stop_ns(), None);
    }

    #[test]
    fn the_last_setpoint_before_the_stop_tells_the_last_tick() {
        let mut evidence = Evidence::new(&arm6());
        evidence.feed(&frame(0, 0x201, &[15, 0, 0, 0, 0, 0], 100));
        evidence.begin(150);
        evidence.feed(&frame(1, 0x204, &[15, 0, 0, 0, 0, 0], 160));
        evidence.feed(&frame(0, 0x0F0, &[2, 0], 170));
        evidence.feed(&frame(0, 0x201, &[15, 0, 0, 0, 0, 0], 180));
        assert_eq!(evidence.last_setpoint_ns(), Some(100));
    }

    #[test]
    fn a_drive_is_off_once_it_says_so_for_good_or_announces_the_loss() {
        let mut evidence = Evidence::new(&arm6());
        evidence.begin(100);
        for axis in 1..=6 {
            evidence.feed(&report(axis, 0x0627, 0, 110));
            evidence.feed(&report(axis, 0x0640, 0, 120));
        }
        assert_eq!(evidence.off_ns(), Some(120));
        evidence.feed(&report(2, 0x0627, 0, 130));
        assert_eq!(evidence.off_ns(), None, "one is powered again");
        evidence.feed(&frame(0, 0x082, &[0x30, 0x81, 0, 0, 0, 0, 0, 0], 140));
        assert_eq!(evidence.off_ns(), Some(140));
        assert_eq!(evidence.announced_ns(), None, "only one announces it");
    }

    #[test]
    fn an_axis_stands_since_the_first_report_of_its_last_position() {
        let mut evidence = Evidence::new(&arm6());
        evidence.begin(10 * MS);
        for tick in 0..100u64 {
            let at = 10 * MS + tick * MS;
            for axis in 1..=6 {
                // 1 rad/s for 30 ms, then still.
                let counts = 100 * i32::try_from(tick.min(30)).unwrap();
                evidence.feed(&report(axis, 0x0627, counts, at));
            }
            if tick == 20 {
                assert!((evidence.speed_rad_s() - 2.0).abs() < 0.01, "half the counts a rad");
            }
            if tick < 50 {
                assert_eq!(evidence.standing_ns(), None, "{tick}");
            }
        }
        assert_eq!(evidence.standing_ns().unwrap(), [40 * MS; 6]);
        assert!(evidence.speed_rad_s() < 1e-9);
        assert!(evidence.quiet_buses(109 * MS, 5 * MS).is_empty());
        assert_eq!(evidence.quiet_buses(120 * MS, 5 * MS), [0, 1]);
    }

    #[test]
    fn what_mechos_rt_says_while_it_must_not_is_counted() {
        let mut evidence = Evidence::new(&arm6());
        evidence.begin(100);
        evidence.expect_silence(200);
        evidence.feed(&frame(0, 0x77F, &[5], 199));
        evidence.feed(&frame(0, 0x080, &[], 201));
        assert_eq!(evidence.host_frames(), 0);
        evidence.feed(&frame(0, 0x77F, &[5], 201));
        evidence.feed(&frame(1, 0x204, &[0; 6], 202));
        assert_eq!(evidence.host_frames(), 2);
    }
}
