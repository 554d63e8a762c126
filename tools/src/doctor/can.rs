//! CAN interfaces: those of the robot file, or without one all that there are.

use super::can_irq;
use super::can_link::{self, Link};
use super::demand::{CanBus, Demand};
use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::host::Unread;
use socketcan::nl::CanState;

/// Frames of a tick beside one per drive: SYNC, heartbeat, the stop, and one spare.
const FRAMES_BESIDE_DRIVES: usize = 4;

/// A queue longer than this keeps frames that nobody wants any more.
const QUEUE_MAX: i64 = 128;

/// One interface under examination.
pub(super) struct Interface<'a> {
    pub(super) name: &'a str,
    /// Its bus in the robot file; `None`: the robot does not use it.
    pub(super) bus: Option<&'a CanBus>,
    pub(super) facts: &'a Facts,
    pub(super) demand: &'a Demand,
}

/// Every check of this theme.
pub fn checks(facts: &Facts, demand: &Demand) -> Vec<Finding> {
    let there = facts.can_interfaces();
    let mut found = Vec::new();
    if demand.buses.is_empty() {
        found.push(no_real_bus(demand, &there));
    }
    let named = demand.buses.iter().map(|bus| (bus.interface.as_str(), Some(bus)));
    let others = if demand.file.is_none() { there.as_slice() } else { &[] };
    for (name, bus) in named.chain(others.iter().map(|name| (name.as_str(), None))) {
        found.extend(Interface { name, bus, facts, demand }.examine());
    }
    found
}

fn no_real_bus(demand: &Demand, there: &[String]) -> Finding {
    let read = match there {
        [] => "none, and this host has no CAN interface".to_owned(),
        names => format!("none; this host has {}", names.join(", ")),
    };
    Finding::new("can.buses", "CAN interfaces of the robot file")
        .read(read, demand.file_words())
        .wanted(
            "nothing for simulated buses",
            "Every bus of this robot is simulated; a real one is `kind = \"socketcan\"` with its \
             `interface`.",
        )
        .judged(Severity::Note)
}

impl Interface<'_> {
    pub(super) fn finding(&self, thing: &str, title: &str) -> Finding {
        let title = match self.bus {
            Some(bus) => format!("{} (bus {}): {title}", self.name, bus.name),
            None => format!("{}: {title}", self.name),
        };
        Finding::new(format!("can.{}.{thing}", self.name), title)
    }

    pub(super) fn file(&self, name: &str) -> String {
        format!("/sys/class/net/{}/{name}", self.name)
    }

    /// An interface that the robot does not use may be as it likes.
    pub(super) fn severity(&self, for_robot: Severity) -> Severity {
        if self.bus.is_some() { for_robot } else { for_robot.min(Severity::Note) }
    }

    /// Without a device behind it: vcan, vxcan.
    pub(super) fn is_virtual(&self) -> bool {
        !self.facts.host.exists(&self.file("device"))
            && self.facts.host.link(&format!("/sys/class/net/{}", self.name)).contains("/virtual/")
    }

    fn bitrate(&self) -> String {
        self.bus.map_or("BITS_PER_SECOND".to_owned(), |bus| bus.bitrate.to_string())
    }

    /// Sets a controller up from nothing; only while it is down.
    fn set_up(&self) -> String {
        let name = self.name;
        let bitrate = self.bitrate();
        format!(
            "sudo ip link set {name} down && sudo ip link set {name} type can bitrate {bitrate} \
             restart-ms 0 && sudo ip link set {name} up"
        )
    }

    fn examine(&self) -> Vec<Finding> {
        if !self.facts.host.exists(&self.file("type")) {
            return vec![self.missing()];
        }
        let mut found = vec![self.state()];
        if self.is_virtual() {
            found.push(self.virtual_note());
            return found;
        }
        match self.facts.live.as_ref().and_then(|live| live.links.get(self.name)) {
            Some(Ok(link)) => {
                // The controller of an interface that is down is stopped, and needs no line for it.
                if found.iter().all(|state| state.severity == Severity::Ok) {
                    found.push(self.controller(link));
                }
                found.extend([self.rate(link), self.restart(link)]);
            }
            other => {
                let why = match other {
                    Some(Err(error)) => error.clone(),
                    _ => "not asked: another root than this host's is looked at".to_owned(),
                };
                let things =
                    [("controller", "controller"), ("bitrate", "bit rate"), ("restart", "restart")];
                found.extend(things.map(|(thing, title)| {
                    self.finding(thing, title)
                        .read(&why, "netlink")
                        .wanted("an answer", "Without it nobody knows whether a frame gets across.")
                }));
            }
        }
        found.push(self.queue());
        found.extend(can_irq::checks(self));
        found
    }

    fn missing(&self) -> Finding {
        let name = self.name;
        let mend = if name.starts_with("vcan") {
            format!(
                "sudo modprobe vcan && sudo ip link add {name} type vcan && sudo ip link set {name} up"
            )
        } else {
            format!(
                "sudo modprobe can_raw && sudo dmesg | grep -i -e can -e {name}   # which driver the \
                 adapter wants; then\nsudo ip link set {name} up type can bitrate {} restart-ms 0",
                self.bitrate()
            )
        };
        self.finding("present", "interface")
            .read("no such interface", self.file("type"))
            .wanted("there", "The daemon opens it at its start and does not start without it.")
            .judged(Severity::Failure)
            .mend(mend)
    }

    fn state(&self) -> Finding {
        let source = self.file("flags");
        let finding = self
            .finding("state", "interface")
            .wanted("up", "Nothing is sent or received through an interface that is down.");
        let text = match self.facts.host.read(&source) {
            Ok(text) => text,
            Err(unread) => return finding.read(unread, source),
        };
        let flags = u32::from_str_radix(text.trim_start_matches("0x"), 16);
        let Ok(flags) = flags else { return finding.read(text, source) };
        // IFF_UP of the kernel's if.h.
        if flags & 1 == 1 {
            return finding.read("up", source).judged(Severity::Ok);
        }
        let mend = if self.is_virtual() {
            format!("sudo ip link set {} up", self.name)
        } else {
            self.set_up()
        };
        finding.read("down", source).judged(self.severity(Severity::Failure)).mend(mend)
    }

    fn virtual_note(&self) -> Finding {
        self.finding("virtual", "virtual interface")
            .read("no device behind it", self.file("device"))
            .wanted(
                "for tests and simulated drives only",
                "Frames go from program to program without bit rate, arbitration or errors: times \
                 measured on it are not those of a bus.",
            )
            .judged(Severity::Note)
    }

    fn controller(&self, link: &Link) -> Finding {
        let finding = self.finding("controller", "controller").wanted(
            "ERROR-ACTIVE",
            "A passive controller waits longer before it sends, and one that is off sends nothing \
             at all: not even the stop.",
        );
        let Some(state) = link.state else {
            return finding.read("not told by its driver", "netlink");
        };
        let severity = match state {
            CanState::ErrorActive => Severity::Ok,
            CanState::ErrorWarning | CanState::ErrorPassive => Severity::Warning,
            CanState::BusOff | CanState::Stopped | CanState::Sleeping => Severity::Failure,
        };
        let errors = link.errors.map_or(String::new(), |(sending, receiving)| {
            format!(", error counters {sending} sending, {receiving} receiving")
        });
        let mend = match state {
            CanState::ErrorWarning | CanState::ErrorPassive => format!(
                "# check termination (60 ohm between CANH and CANL), bit rate and that a drive has \
                 power; then watch with\ncandump -e {},0:0,#FFFFFFFF",
                self.name
            ),
            _ => self.set_up(),
        };
        finding
            .read(format!("{}{errors}", can_link::state_words(state)), "netlink")
            .judged(self.severity(severity))
            .mend(mend)
    }

    fn rate(&self, link: &Link) -> Finding {
        let wanted = self.bus.map(|bus| bus.bitrate);
        let finding = self.finding("bitrate", "bit rate").wanted(
            wanted.map_or("the drives'".to_owned(), |rate| format!("{rate} bit/s")),
            "With another bit rate than the drives' no frame gets across, and each destroys the \
             others'.",
        );
        match (link.bitrate.filter(|rate| *rate > 0), wanted) {
            (None, _) if link.state.is_none() => {
                finding.read("not told by its driver", "netlink").mend(self.set_up())
            }
            (None, _) => finding
                .read("none set", "netlink")
                .judged(self.severity(Severity::Failure))
                .mend(self.set_up()),
            (Some(rate), Some(wanted)) if rate != wanted => finding
                .read(format!("{rate} bit/s"), "netlink")
                .judged(Severity::Failure)
                .mend(self.set_up()),
            (Some(rate), Some(_)) => {
                finding.read(format!("{rate} bit/s"), "netlink").judged(Severity::Ok)
            }
            // Nothing to compare with.
            (Some(rate), None) => {
                finding.read(format!("{rate} bit/s"), "netlink").judged(Severity::Note)
            }
        }
    }

    fn restart(&self, link: &Link) -> Finding {
        let finding = self.finding("restart", "restart after bus-off").wanted(
            "restart-ms 0 (never by itself)",
            "A bus that comes back by itself hides that frames were lost; the daemon recovers on \
             purpose and never arms again by itself.",
        );
        match link.restart_ms {
            Some(0) => finding.read("restart-ms 0", "netlink").judged(Severity::Ok),
            Some(ms) => finding
                .read(format!("restart-ms {ms}"), "netlink")
                .judged(self.severity(Severity::Warning))
                .mend(self.set_up()),
            None => finding.read("not told by its driver", "netlink"),
        }
    }

    fn queue(&self) -> Finding {
        let frames = self.bus.map_or(0, |bus| bus.drives) + FRAMES_BESIDE_DRIVES;
        // Ten is the kernel's own choice for CAN.
        let least = i64::try_from(frames).unwrap_or(QUEUE_MAX).max(10);
        let source = self.file("tx_queue_len");
        let finding = self.finding("queue", "sending queue").wanted(
            format!("{least} to {QUEUE_MAX} frames"),
            "Shorter than the frames of a tick refuses some of them; a long one keeps old setpoints \
             waiting before new ones.",
        );
        match self.facts.host.number(&source) {
            Ok(length) => {
                let severity = match length {
                    _ if (least..=QUEUE_MAX).contains(&length) => Severity::Ok,
                    _ if length < least => Severity::Warning,
                    _ => Severity::Note,
                };
                let mend = format!("sudo ip link set {} txqueuelen {least}", self.name);
                finding
                    .read(format!("{length} frames"), source)
                    .judged(self.severity(severity))
                    .mend(mend)
            }
            Err(unread @ Unread::Absent) => finding.read(unread, source),
            Err(unread) => finding.read(unread, source),
        }
    }
}
