//! The simulator's frame log, read as evidence.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// One line of the log.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    /// When the simulator received the frame, CLOCK_MONOTONIC ns.
    pub recv_ns: u64,
    /// When its end was on the wire, CLOCK_MONOTONIC ns.
    pub wire_ns: u64,
    /// The bus.
    pub bus: String,
    /// The sending process.
    pub pid: i32,
    /// The sender's name.
    pub sender: String,
    /// The identifier.
    pub id: u32,
    /// The payload, hexadecimal.
    pub data: String,
}

impl Line {
    /// The payload.
    pub fn bytes(&self) -> Vec<u8> {
        (0..self.data.len() / 2)
            .map(|i| u8::from_str_radix(&self.data[2 * i..2 * i + 2], 16).expect("hexadecimal"))
            .collect()
    }
}

impl Line {
    /// A drive's own report, if this is one.
    pub fn report(&self) -> Option<Report> {
        let (service, node) = (self.id & 0x780, self.id & 0x7f);
        let may = self.sender.starts_with("drive:") && matches!(service, 0x180 | 0x380);
        let bytes = may.then(|| self.bytes()).filter(|bytes| bytes.len() == 6)?;
        Some(Report {
            node,
            wire_ns: self.wire_ns,
            statusword: u16::from_le_bytes([bytes[0], bytes[1]]),
            counts: i32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]),
        })
    }
}

/// A drive's own report: PDO 1 or 3, status word and position.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// The drive's node id.
    pub node: u32,
    /// When it was on the wire, ns.
    pub wire_ns: u64,
    /// CiA 402 status word.
    pub statusword: u16,
    /// Position, counts.
    pub counts: i32,
}

/// The whole log.
#[derive(Debug)]
pub struct Frames {
    /// Its lines in wire order.
    pub lines: Vec<Line>,
    stop_id: u32,
}

/// How far a drive's position may wander while it counts as standing, counts.
const STANDING_COUNTS: i32 = 4;
/// How long a drive must have reported one position to count as standing, ns.
const REST_NS: u64 = 200_000_000;

impl Frames {
    /// Reads a log; a last line that is not complete yet is left out.
    pub fn read(path: &Path, stop_id: u32) -> Frames {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines: Vec<Line> = complete
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect();
        Frames { lines, stop_id }
    }

    /// Stop frames on the wire at or after `from_ns`.
    pub fn stops(&self, from_ns: u64) -> impl Iterator<Item = &Line> {
        let is_stop = move |line: &&Line| {
            line.id == self.stop_id && line.wire_ns >= from_ns && line.data == "0200"
        };
        self.lines.iter().filter(is_stop)
    }

    /// The first stop frame after `from_ns` on every bus: the time of the last bus to see one.
    pub fn stopped_on_every_bus(&self, from_ns: u64, buses: usize) -> Option<u64> {
        let mut first: BTreeMap<&str, u64> = BTreeMap::new();
        for line in self.stops(from_ns) {
            first.entry(&line.bus).or_insert(line.wire_ns);
        }
        (first.len() == buses).then(|| first.values().copied().max()).flatten()
    }

    /// The drives' reports at or after `from_ns`.
    pub fn reports(&self, from_ns: u64) -> Vec<Report> {
        let since = self.lines.iter().filter(|line| line.wire_ns >= from_ns);
        since.filter_map(Line::report).collect()
    }

    /// When every drive had come to rest for good, ns: since then its reports, over at least
    /// `REST_NS`, name one position. `None` while that cannot be said.
    pub fn standstill_ns(&self, from_ns: u64, drives: usize) -> Option<u64> {
        struct Rest {
            counts: i32,
            until_ns: u64,
            since_ns: u64,
            moved: bool,
        }
        let mut rests: BTreeMap<u32, Rest> = BTreeMap::new();
        for report in self.reports(from_ns).iter().rev() {
            let rest = rests.entry(report.node).or_insert(Rest {
                counts: report.counts,
                until_ns: report.wire_ns,
                since_ns: report.wire_ns,
                moved: false,
            });
            rest.moved |= (report.counts - rest.counts).abs() > STANDING_COUNTS;
            if !rest.moved {
                rest.since_ns = report.wire_ns;
            }
        }
        let proved = rests.values().all(|rest| rest.until_ns - rest.since_ns >= REST_NS);
        (rests.len() == drives && proved)
            .then(|| rests.values().map(|rest| rest.since_ns).max())
            .flatten()
    }

    /// Whether each drive's last report since `from_ns` says that it does not follow setpoints.
    pub fn all_off(&self, from_ns: u64, drives: usize) -> bool {
        self.off_ns(from_ns, drives).is_some()
    }

    /// Since when every drive's reports say that it does not follow setpoints, ns: the last drive.
    pub fn off_ns(&self, from_ns: u64, drives: usize) -> Option<u64> {
        let mut since: BTreeMap<u32, Option<u64>> = BTreeMap::new();
        for report in self.reports(from_ns) {
            let off = since.entry(report.node).or_insert(None);
            *off = match (report.statusword & 0x6f == 0x27, *off) {
                (true, _) => None,
                (false, None) => Some(report.wire_ns),
                (false, known) => known,
            };
        }
        let every: Option<Vec<u64>> = since.values().copied().collect();
        every.filter(|every| every.len() == drives)?.into_iter().max()
    }

    /// Drives that announced the loss of the host's heartbeat (EMCY 8130h, CiA 301) since then.
    pub fn heartbeat_losses(&self, from_ns: u64) -> usize {
        let lost = |line: &&Line| {
            line.wire_ns >= from_ns
                && line.sender.starts_with("drive:")
                && (0x081..0x100).contains(&line.id)
                && line.data.starts_with("3081")
        };
        let mut drives: Vec<&str> =
            self.lines.iter().filter(lost).map(|line| line.sender.as_str()).collect();
        drives.sort_unstable();
        drives.dedup();
        drives.len()
    }

    /// Setpoints (receive PDO 1 with operation enabled) on the wire at or after `from_ns`.
    pub fn setpoints(&self, from_ns: u64) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| {
            line.wire_ns >= from_ns
                && line.id & 0x780 == 0x200
                && line.bytes().first().is_some_and(|low| low & 0x0f == 0x0f)
        })
    }
}
